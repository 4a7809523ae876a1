"""What is kept: jobs, their history and logs, the queue, prices, and what operators want to know of the poller."""

from jobs.models.history import StatusChange
from jobs.models.job import JobQuerySet, UnifiedJob
from jobs.models.log import JobLog
from jobs.models.operations import PollCycle, ProviderSettings, StoreClaim
from jobs.models.pricing import HardwarePrice, ModelHardware
from jobs.models.queue import QueueEntry, QueueStatus

__all__ = (
    "HardwarePrice",
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
)
