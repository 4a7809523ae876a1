"""What is kept: jobs, their history and logs, the queue, prices, accounts, and what operators want to know."""

from jobs.models.accounts import ApiKey, AuditEntry, AuditOutcome, Membership, Team
from jobs.models.history import StatusChange
from jobs.models.history_walk import HistoryWalk, WalkState
from jobs.models.job import JobQuerySet, UnifiedJob
from jobs.models.log import JobLog
from jobs.models.operations import (
    CostAction,
    CostPeriod,
    PollCycle,
    ProviderCredential,
    ProviderSettings,
    StoreClaim,
)
from jobs.models.pricing import HardwarePrice, ModelHardware
from jobs.models.queue import QueueEntry, QueueLimits, QueueStatus
from jobs.models.submission import DatasetArchive, DeletedJob, IdempotencyKey, JobSubmission, TrainingConfig
from jobs.models.tally import JobTally
from jobs.models.webhook import WebhookDelivery, WebhookVerdict

__all__ = (
    "ApiKey",
    "AuditEntry",
    "AuditOutcome",
    "CostAction",
    "CostPeriod",
    "DatasetArchive",
    "DeletedJob",
    "HardwarePrice",
    "HistoryWalk",
    "IdempotencyKey",
    "JobLog",
    "JobQuerySet",
    "JobSubmission",
    "JobTally",
    "Membership",
    "ModelHardware",
    "PollCycle",
    "ProviderCredential",
    "ProviderSettings",
    "QueueEntry",
    "QueueLimits",
    "QueueStatus",
    "StatusChange",
    "StoreClaim",
    "Team",
    "TrainingConfig",
    "UnifiedJob",
    "WalkState",
    "WebhookDelivery",
    "WebhookVerdict",
)
