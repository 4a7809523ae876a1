"""What the API takes and gives, for checking requests and for the published schema."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from jobs.circuit_breaker import BreakerState
from jobs.lifecycle import JobStatus, JobType, LogsState, Origin
from jobs.models import WalkState, WebhookVerdict
from jobs.services.health import Health
from jobs.services.logs import LogSource
from providers import names

JOB_STATUSES = JobStatus.values
BREAKER_STATES = [state.value for state in BreakerState]
HEALTH_WORDS = [word.value for word in Health]
DEFAULT_LIMIT, MAXIMUM_LIMIT, MAXIMUM_OFFSET = 50, 1000, 100_000_000


class CursorField(serializers.CharField):
    """A place in a list: the time and the key of the last job before it, for nobody to read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=100, allow_blank=True, **options)

    def to_internal_value(self, data: Any) -> tuple[datetime, int] | None:  # type: ignore[override]
        """Understand what ``encode_cursor`` made; an empty one counts as not given."""
        text = super().to_internal_value(data)
        if not text:
            return None
        try:
            stamp, _, pk = urlsafe_b64decode(text.encode("ascii")).decode("ascii").partition(" ")
            time = datetime.fromisoformat(stamp)
            if time.tzinfo is None or not 0 <= int(pk) < 2**63:
                raise ValueError(pk)
        except ValueError as error:
            raise serializers.ValidationError("This is no cursor of ours.") from error
        return time.astimezone(UTC), int(pk)


def encode_cursor(created_at: datetime, pk: int) -> str:
    """The place after a job."""
    return urlsafe_b64encode(f"{created_at.isoformat()} {pk}".encode()).decode()


class JobListQuery(serializers.Serializer[object]):
    """Parameters of the job list (SPEC A4.2). An empty one counts as not given: the command line sends them so."""

    limit = serializers.IntegerField(default=DEFAULT_LIMIT, min_value=1, max_value=MAXIMUM_LIMIT)
    offset = serializers.IntegerField(default=0, min_value=0, max_value=MAXIMUM_OFFSET)
    provider = serializers.ChoiceField(choices=names.PROVIDERS, allow_blank=True, default="")
    status = serializers.ChoiceField(choices=JOB_STATUSES, allow_blank=True, default="")
    job_type = serializers.ChoiceField(choices=JobType.values, allow_blank=True, default="")
    sync_active = serializers.BooleanField(default=False)
    cursor = CursorField(
        default=None,
        allow_null=True,
        help_text="`next_cursor` of the page before: as quick for the last page as for the first, whatever comes in.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A place is named once."""
        if attrs["cursor"] and attrs["offset"]:
            raise serializers.ValidationError({"cursor": ["A cursor and an offset cannot be combined."]})
        return attrs


class SyncRequest(serializers.Serializer[object]):
    """Which provider to sync with; an empty body means Replicate, and its newest jobs."""

    provider = serializers.ChoiceField(choices=names.PROVIDERS, default=names.REPLICATE)
    history = serializers.BooleanField(default=False, help_text="Read everything in the background, not the newest.")


class HistoryQuery(serializers.Serializer[object]):
    """Whose history walk it is about."""

    provider = serializers.ChoiceField(choices=names.PROVIDERS, default=names.REPLICATE)


class MetricsQuery(serializers.Serializer[object]):
    """The period that metrics cover, in days."""

    days = serializers.IntegerField(default=30, min_value=1, max_value=3650)
    provider = serializers.ChoiceField(choices=names.PROVIDERS, allow_blank=True, default="")


class HealthQuery(serializers.Serializer[object]):
    """Whether to ask the provider too."""

    include_replicate = serializers.BooleanField(default=False)


class Job(serializers.Serializer[object]):
    """One job (SPEC B5). Times are ISO 8601 in UTC, money is US dollars; null: not known."""

    job_id = serializers.CharField()
    job_type = serializers.ChoiceField(choices=JobType.values)
    provider = serializers.CharField()
    external_id = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=JOB_STATUSES)
    config_name = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True, help_text="The same as completed_at.")
    cost_usd = serializers.FloatField(allow_null=True)
    hardware_type = serializers.CharField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    output_url = serializers.CharField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    is_active = serializers.BooleanField()
    is_terminal = serializers.BooleanField()
    stage = serializers.CharField(allow_null=True)
    progress = serializers.FloatField(allow_null=True, help_text="0 to 100.")
    last_log = serializers.CharField(allow_null=True)
    queue_position = serializers.IntegerField(allow_null=True)
    estimated_wait_seconds = serializers.FloatField(allow_null=True, help_text="A guess, of a job that waits.")
    last_synced_at = serializers.DateTimeField(allow_null=True)
    last_sync_error = serializers.CharField(allow_null=True)
    lost_at = serializers.DateTimeField(allow_null=True, help_text="Since when its provider has not known it.")
    logs_state = serializers.ChoiceField(choices=LogsState.values)
    owner = serializers.CharField(allow_null=True, help_text="Whose job it is; null: nobody here has claimed it.")
    origin = serializers.ChoiceField(choices=Origin.values)
    is_cancelling = serializers.BooleanField(help_text="Its end was asked for, and its provider has yet to confirm it.")
    cancel_requested_at = serializers.DateTimeField(allow_null=True)
    budget_usd = serializers.FloatField(allow_null=True)
    metadata = serializers.DictField()


class SyncActiveOutcome(serializers.Serializer[object]):
    """What a refresh of the active jobs did (SPEC B4)."""

    refreshed = serializers.IntegerField()
    failed = serializers.IntegerField()
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]


class JobList(serializers.Serializer[object]):
    """A page of jobs; ``total`` is how many match, on all pages together."""

    jobs = Job(many=True)
    total = serializers.IntegerField()
    next_cursor = serializers.CharField(allow_null=True, help_text="For the next page; null: this is the last.")
    sync = SyncActiveOutcome(required=False, help_text="Only with sync_active.")


class JobDetail(serializers.Serializer[object]):
    """One job."""

    job = Job()


class InlineProgress(serializers.Serializer[object]):
    """Compact progress (SPEC A1)."""

    job_id = serializers.CharField()
    stage = serializers.CharField(allow_null=True)
    last_log = serializers.CharField(allow_null=True, help_text="At most 80 characters.")
    progress = serializers.FloatField(allow_null=True, help_text="0 to 100.")


class JobLogs(serializers.Serializer[object]):
    """The log. ``problem`` says why it may be behind: the provider's trouble never stands in ``logs``."""

    job_id = serializers.CharField()
    logs = serializers.CharField()
    source = serializers.ChoiceField(choices=[source.value for source in LogSource])  # type: ignore[assignment]
    is_final = serializers.BooleanField(help_text="The provider is not asked again.")
    problem = serializers.CharField(allow_null=True)
    logs_state = serializers.ChoiceField(choices=LogsState.values)
    cut = serializers.BooleanField(help_text="Some of it is missing; a line in the text says where.")
    characters = serializers.IntegerField(help_text="Length of all that was read, what was cut out included.")
    saved_at = serializers.DateTimeField(allow_null=True, help_text="When our copy last grew.")


class SyncResult(serializers.Serializer[object]):
    """Outcome of a full sync (SPEC A2). ``joined``: another sync was running already and found the new jobs."""

    synced = serializers.IntegerField(help_text="Newly discovered jobs.")
    message = serializers.CharField()
    updated = serializers.IntegerField()
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    joined = serializers.BooleanField()


class HistoryWalk(serializers.Serializer[object]):
    """One walk through a provider's whole history. Counts are of rows: one that stood on two pages counts twice."""

    id = serializers.IntegerField()
    provider = serializers.ChoiceField(choices=names.PROVIDERS)
    state = serializers.ChoiceField(choices=WalkState.values)
    pages = serializers.IntegerField()
    seen = serializers.IntegerField(help_text="Jobs read.")
    found = serializers.IntegerField(help_text="Jobs that the store lacked.")
    updated = serializers.IntegerField()
    unreadable = serializers.IntegerField(help_text="Rows that were not understood.")
    started_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    next_try_at = serializers.DateTimeField(allow_null=True, help_text="Until when a running walk waits.")
    error = serializers.CharField(allow_blank=True, help_text="What a running walk waits for.")
    notes = serializers.ListField(child=serializers.CharField())


class HistoryStarted(SyncResult):
    """A walk through the history goes on in the background. ``joined``: it was under way already."""

    history = HistoryWalk()


class HistoryProgress(serializers.Serializer[object]):
    """The newest walk; null if there was none."""

    history = HistoryWalk(allow_null=True)


class DeleteResult(serializers.Serializer[object]):
    """A job was removed from the store."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()


class UserInfo(serializers.Serializer[object]):
    """Whose credentials they are."""

    username = serializers.CharField()
    type = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)


class Validation(serializers.Serializer[object]):
    """Whether a provider takes our credentials (SPEC A8): ``user_info`` if it does, else ``error``."""

    valid = serializers.BooleanField()
    user_info = UserInfo(required=False)
    error = serializers.CharField(required=False)


class ProviderBreaker(serializers.Serializer[object]):
    """Whether the provider is asked at present. ``until``: when the next call may go out."""

    state = serializers.ChoiceField(choices=BREAKER_STATES)
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="The provider's error.")
    resting_until = serializers.DateTimeField(allow_null=True)


class Provider(serializers.Serializer[object]):
    """A provider and how its last calls went."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    configured = serializers.BooleanField()
    sandbox = serializers.BooleanField()
    webhook_url = serializers.CharField(allow_blank=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_error_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)
    resting_until = serializers.DateTimeField(allow_null=True, help_text="It has asked us to slow down.")
    breaker = ProviderBreaker()
    clock_ahead_seconds = serializers.FloatField(help_text="By how much its clock is ahead of ours.")


class ProviderList(serializers.Serializer[object]):
    """All providers that exist here."""

    providers = Provider(many=True)


class WebhookReceipt(serializers.Serializer[object]):
    """What became of a delivery. ``received`` as the verdict: it is kept, and applied later."""

    received = serializers.BooleanField()
    verdict = serializers.ChoiceField(choices=WebhookVerdict.values)
    duplicate = serializers.BooleanField(help_text="It had come before; this time nothing was done.")
    job_id = serializers.CharField(allow_null=True)


class DayCost(serializers.Serializer[object]):
    """What was spent on the jobs of one day."""

    day = serializers.DateField()
    cost_usd = serializers.FloatField()


class Metrics(serializers.Serializer[object]):
    """Numbers over the jobs of a period, and of now. Null: nothing to tell."""

    period_days = serializers.IntegerField()
    job_count = serializers.IntegerField()
    jobs_by_status = serializers.DictField(child=serializers.IntegerField())
    active_count = serializers.IntegerField()
    running_count = serializers.IntegerField()
    queued_count = serializers.IntegerField()
    total_cost_usd = serializers.FloatField()
    unknown_cost_count = serializers.IntegerField(help_text="Jobs that ran at a price that is not known.")
    month_cost_usd = serializers.FloatField()
    burn_rate_usd_per_hour = serializers.FloatField()
    burn_rate_unknown_jobs = serializers.IntegerField()
    success_rate = serializers.FloatField(allow_null=True, help_text="0 to 1, of completed and failed jobs.")
    avg_job_duration_seconds = serializers.FloatField(allow_null=True)
    median_wait_seconds = serializers.FloatField(allow_null=True)
    cost_by_day = DayCost(many=True)


class HealthComponent(serializers.Serializer[object]):
    """One part of the service."""

    name = serializers.CharField()
    status = serializers.ChoiceField(choices=HEALTH_WORDS)
    message = serializers.CharField()
    latency_ms = serializers.FloatField(allow_null=True)


class HealthReport(serializers.Serializer[object]):
    """The whole is as well as its worst part."""

    status = serializers.ChoiceField(choices=HEALTH_WORDS)
    uptime_seconds = serializers.FloatField()
    components = HealthComponent(many=True)


class Liveness(serializers.Serializer[object]):
    """A yes or no for a supervisor or a load balancer."""

    status = serializers.CharField()


class Problem(serializers.Serializer[object]):
    """Every error (SPEC B4)."""

    detail = serializers.CharField()
    code = serializers.CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False)  # type: ignore[assignment]
