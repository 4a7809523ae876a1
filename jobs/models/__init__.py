"""What is kept: jobs, their history and logs, the queue, prices, and what operators want to know of the poller."""

from jobs.models.history import StatusChange
from jobs.models.history_walk import HistoryWalk, WalkState
from jobs.models.job import JobQuerySet, UnifiedJob
from jobs.models.log import JobLog
from jobs.models.operations import PollCycle, ProviderSettings, StoreClaim
from jobs.models.pricing import HardwarePrice, ModelHardware
from jobs.models.queue import QueueEntry, QueueStatus
from jobs.models.webhook import WebhookDelivery, WebhookVerdict

__all__ = (
    "HardwarePrice",
    "HistoryWalk",
    "JobLog",
    "JobQuerySet",
    "ModelHardware",
    "PollCycle",
    "ProviderSettings",
    "QueueEntry",
    "QueueStatus",
    "StatusChange",
    "StoreClaim",
    "UnifiedJob",
    "WalkState",
    "WebhookDelivery",
    "WebhookVerdict",
)
