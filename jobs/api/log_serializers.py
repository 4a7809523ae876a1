"""What following a log takes and gives, and the series that are read from one."""

from rest_framework import serializers

from jobs.api.serializers import JobLogs
from jobs.log_archive import BOOKMARK
from jobs.training_log.series import UNITS


class LogQuery(serializers.Serializer[object]):
    """Where to go on reading."""

    after = serializers.RegexField(
        rf"^{BOOKMARK.pattern}$",
        default=None,
        max_length=64,
        help_text="The bookmark of the answer before, or 0: only what came after it is answered.",
        error_messages={"invalid": "This is not a bookmark that an answer gave."},
    )


class FollowedLog(JobLogs):
    """The log. The last two only with `after`."""

    continues = serializers.BooleanField(
        required=False, help_text="`logs` follows what was read before; else it is the whole log and replaces that."
    )
    bookmark = serializers.CharField(required=False, help_text="To be given as `after` next time.")


class SeriesPoint(serializers.Serializer[object]):
    """What one line of the log says. Null: it does not say it."""

    x = serializers.FloatField()
    loss = serializers.FloatField(allow_null=True)
    learning_rate = serializers.FloatField(allow_null=True)
    seconds_per_step = serializers.FloatField(allow_null=True)


class JobSeries(serializers.Serializer[object]):
    """What a log says of loss, learning rate and speed, in the order of `x`."""

    job_id = serializers.CharField()
    x_unit = serializers.ChoiceField(choices=UNITS, help_text="What `x` counts; `line`: the log names no step.")
    points = SeriesPoint(many=True)
    is_thinned = serializers.BooleanField(help_text="There were more points: of each stretch the extremes were kept.")
    is_final = serializers.BooleanField(help_text="The log will not grow any more.")
    problem = serializers.CharField(allow_null=True, help_text="Why it may be behind: the provider's trouble.")
