"""What the API takes and gives about cancelling, claiming, budgets and spend."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.api.serializers import JOB_STATUSES
from jobs.services.cancelling import MOST_AT_ONCE
from jobs.services.spend import MAXIMUM_DAYS, Group


@extend_schema_field(OpenApiTypes.DOUBLE)
class Dollars(serializers.DecimalField):
    """US dollars; a number or a text, never by way of a float."""

    def __init__(self, *, allow_null: bool = False) -> None:
        super().__init__(max_digits=14, decimal_places=6, allow_null=allow_null)


class CancelResult(serializers.Serializer[object]):
    """What came of the wish. ``cancelling``: the end is asked for, and not confirmed yet."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    status = serializers.ChoiceField(choices=JOB_STATUSES)
    cancelling = serializers.BooleanField()
    message = serializers.CharField()


class CancelManyRequest(serializers.Serializer[object]):
    """The jobs to cancel; one named twice counts once."""

    job_ids = serializers.ListField(
        child=serializers.CharField(max_length=128), min_length=1, max_length=MOST_AT_ONCE, allow_empty=False
    )


class CancelManyOutcome(serializers.Serializer[object]):
    """What came of one of them. ``code`` is that of the error, and empty without one."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    status = serializers.ChoiceField(choices=JOB_STATUSES, allow_null=True)
    cancelling = serializers.BooleanField()
    message = serializers.CharField()
    code = serializers.CharField(allow_blank=True)


class CancelManyResult(serializers.Serializer[object]):
    """All of them, in the order in which they were named. ``success``: no wish was refused or went unheard."""

    success = serializers.BooleanField()
    results = CancelManyOutcome(many=True)


class ClaimRequest(serializers.Serializer[object]):
    """For whom: oneself if nobody is named."""

    user = serializers.CharField(required=False, allow_null=True, max_length=150)


class ClaimResult(serializers.Serializer[object]):
    """Whose job it is now; null: nobody's. ``ignored``: it was waved aside."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    ignored = serializers.BooleanField()


class BudgetRequest(serializers.Serializer[object]):
    """What a job may cost; null removes its budget."""

    budget_usd = Dollars(allow_null=True)


class BudgetResult(serializers.Serializer[object]):
    """How the budget stands. ``watched``: false if the price of the job's hardware is not known."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    budget_usd = serializers.FloatField(allow_null=True)
    cost_usd = serializers.FloatField(allow_null=True, help_text="By now; null: not known.")
    percent = serializers.FloatField(allow_null=True)
    watched = serializers.BooleanField()
    message = serializers.CharField()


class SpendQuery(serializers.Serializer[object]):
    """Of how many days, today (UTC) included, and what the sums are of."""

    days = serializers.IntegerField(default=30, min_value=1, max_value=MAXIMUM_DAYS)
    group = serializers.ChoiceField(choices=[group.value for group in Group], default=Group.DAY.value)


class SpendRow(serializers.Serializer[object]):
    """One sum. ``key``: a day, a name, or empty for what is not known."""

    key = serializers.CharField(allow_blank=True)
    cost_usd = serializers.FloatField()
    jobs = serializers.IntegerField()
    unknown_cost_count = serializers.IntegerField(help_text="Jobs that ran at a price that is not known.")


class Spend(serializers.Serializer[object]):
    """What the jobs that were created in these days cost, the running ones so far."""

    period_days = serializers.IntegerField()
    since = serializers.DateField()
    group = serializers.ChoiceField(choices=[group.value for group in Group])
    total_cost_usd = serializers.FloatField()
    jobs = serializers.IntegerField()
    unknown_cost_count = serializers.IntegerField()
    rows = SpendRow(many=True)
