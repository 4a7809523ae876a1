"""What the API of the queue takes and gives."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from jobs.api.serializers import JOB_STATUSES
from jobs.models import QueueStatus
from jobs.models.queue import MAXIMUM_PRIORITY
from jobs.services.queue_limits import LONGEST_AGEING_MINUTES, MOST_AT_ONCE

QUEUE_STATUSES = QueueStatus.values
MAXIMUM_LIMIT, MAXIMUM_OFFSET, MAXIMUM_DAYS = 500, 1_000_000, 3650


class KnownFieldsOnly(serializers.Serializer[object]):
    """Refuses what it does not know by its name: a misspelt limit shall not seem to be set."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(str(name)[:64] for name in set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: ["This is not known here."] for name in unknown})
        return super().to_internal_value(data)


class QueueQuery(serializers.Serializer[object]):
    """Which entries to list; without a status those that are open, in the order in which they are served."""

    status = serializers.ChoiceField(choices=QUEUE_STATUSES, allow_blank=True, default="")
    limit = serializers.IntegerField(default=50, min_value=1, max_value=MAXIMUM_LIMIT)
    offset = serializers.IntegerField(default=0, min_value=0, max_value=MAXIMUM_OFFSET)
    include_completed = serializers.BooleanField(default=False)


class QueueEntry(serializers.Serializer[object]):
    """One job's place in the queue; null: not known, or not so. Times are ISO 8601 in UTC."""

    id = serializers.IntegerField()
    job_id = serializers.CharField()
    user_id = serializers.IntegerField(allow_null=True)
    user = serializers.CharField(allow_null=True)
    team = serializers.CharField(allow_null=True)
    provider = serializers.CharField()
    config_name = serializers.CharField(allow_null=True)
    priority = serializers.IntegerField()
    priority_override = serializers.IntegerField(allow_null=True, help_text="Set by hand; it counts instead.")
    effective_priority = serializers.IntegerField(help_text="What counts now: waiting raises it.")
    status = serializers.ChoiceField(choices=QUEUE_STATUSES)
    position = serializers.IntegerField(allow_null=True, help_text="Among all that wait, from 1.")
    queued_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    attempt = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    error_message = serializers.CharField(allow_null=True, help_text="What went wrong with the last attempt.")
    waiting_reason = serializers.CharField(allow_null=True)
    estimated_wait_seconds = serializers.FloatField(allow_null=True)


class QueueList(serializers.Serializer[object]):
    """A page of the queue; ``total`` counts all that match."""

    entries = QueueEntry(many=True)
    total = serializers.IntegerField()


class QueueStats(serializers.Serializer[object]):
    """Numbers of the whole queue. ``by_user`` is null for who may not see everybody's jobs."""

    queue_depth = serializers.IntegerField(help_text="How many wait.")
    running = serializers.IntegerField()
    dispatching = serializers.IntegerField(help_text="How many are being handed over; they hold a place.")
    max_concurrent = serializers.IntegerField()
    user_max_concurrent = serializers.IntegerField()
    team_max_concurrent = serializers.IntegerField()
    enable_fair_share = serializers.BooleanField()
    avg_wait_seconds = serializers.FloatField(allow_null=True)
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_user = serializers.DictField(child=serializers.IntegerField(), allow_null=True)


class OwnQueue(serializers.Serializer[object]):
    """The asker's own jobs; ``blocked_count``: of those that wait, how many could not start even if they were next."""

    pending_count = serializers.IntegerField()
    running_count = serializers.IntegerField()
    blocked_count = serializers.IntegerField()
    best_position = serializers.IntegerField(allow_null=True)
    pending_jobs = QueueEntry(many=True)
    running_jobs = QueueEntry(many=True)


class QueuePosition(serializers.Serializer[object]):
    """Where one job is; no position if it does not wait."""

    job_id = serializers.CharField()
    position = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(choices=QUEUE_STATUSES, allow_null=True)
    waiting_reason = serializers.CharField(allow_null=True)
    estimated_wait_seconds = serializers.FloatField(allow_null=True)


class QueueConcurrency(serializers.Serializer[object]):
    """The limits in force."""

    max_concurrent = serializers.IntegerField()
    user_max_concurrent = serializers.IntegerField()
    team_max_concurrent = serializers.IntegerField()
    enable_fair_share = serializers.BooleanField(help_text="Whether teams have a limit.")
    ageing_minutes = serializers.IntegerField(help_text="A waiting job rises by one step in so many minutes.")


class QueueConcurrencyChange(KnownFieldsOnly):
    """Limits to change; others stay. Nobody is stopped by a lower one."""

    max_concurrent = serializers.IntegerField(required=False, min_value=1, max_value=MOST_AT_ONCE)
    user_max_concurrent = serializers.IntegerField(required=False, min_value=1, max_value=MOST_AT_ONCE)
    team_max_concurrent = serializers.IntegerField(required=False, min_value=1, max_value=MOST_AT_ONCE)
    enable_fair_share = serializers.BooleanField(required=False)
    ageing_minutes = serializers.IntegerField(required=False, min_value=1, max_value=LONGEST_AGEING_MINUTES)


class QueueConcurrencyChanged(QueueConcurrency):
    """The same after a change."""

    success = serializers.BooleanField()


class QueuePriorityChange(KnownFieldsOnly):
    """A priority; null: its own again."""

    priority = serializers.IntegerField(min_value=0, max_value=MAXIMUM_PRIORITY, allow_null=True)


class QueuePriorityChanged(serializers.Serializer[object]):
    """What counts now."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    priority_override = serializers.IntegerField(allow_null=True)
    effective_priority = serializers.IntegerField()


class QueuePass(serializers.Serializer[object]):
    """What one pass over the queue did. ``processed``: jobs that their providers took."""

    success = serializers.BooleanField()
    processed = serializers.IntegerField()
    claimed = serializers.IntegerField(help_text="Jobs that were taken to be handed over.")
    decided = serializers.IntegerField(help_text="Jobs that were looked for at their provider, and found or given up.")
    released = serializers.IntegerField(help_text="Jobs that were taken back from workers that are gone.")


class QueueCleanupQuery(serializers.Serializer[object]):
    """Entries of jobs that ended longer ago than that are deleted; the jobs stay."""

    days = serializers.IntegerField(default=30, min_value=1, max_value=MAXIMUM_DAYS)


class QueueCleanup(serializers.Serializer[object]):
    """How many were deleted."""

    success = serializers.BooleanField()
    deleted = serializers.IntegerField()


class SendAgainResult(serializers.Serializer[object]):
    """A job goes to its provider once more."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    status = serializers.ChoiceField(choices=JOB_STATUSES)
