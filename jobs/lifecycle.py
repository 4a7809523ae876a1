"""The state machine of a job. Pure: no database, no clock, no network.

``pending → uploading → queued → running → completed | failed | cancelled``. Steps may be skipped, never undone.
"""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class JobStatus(TextChoices):
    """The words of the API (SPEC, "Words"); only their labels are translated."""

    PENDING = "pending", _("Pending")
    UPLOADING = "uploading", _("Uploading")
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class JobType(TextChoices):
    """Where a job runs."""

    CLOUD = "cloud", _("Cloud")
    LOCAL = "local", _("Local")


class Origin(TextChoices):
    """How a job got into the store."""

    SUBMITTED = "submitted", _("Submitted here")
    DISCOVERED = "discovered", _("Discovered at its provider")


class Source(TextChoices):
    """Who noticed a change. It is recorded and shown, never branched on."""

    SYNC = "sync", _("Sync")
    SYNC_ACTIVE = "sync_active", _("Refresh of the list")
    POLLER = "poller", _("Poller")
    PROGRESS = "progress", _("Progress request")
    WEBHOOK = "webhook", _("Webhook")
    SUBMIT = "submit", _("Submission")
    QUEUE = "queue", _("Queue")
    CANCEL = "cancel", _("Cancel request")
    BUDGET = "budget", _("Budget")
    PERSON = "person", _("A person")


class LogsState(TextChoices):
    """Where a job's log is, and whether it will outlive the provider's copy."""

    LIVE = "live", _("Live: its provider still has it")
    SAVED = "saved", _("Saved in full")
    PARTIAL = "partial", _("Saved in part: the rest is gone")
    LOST = "lost", _("Lost: its provider deleted it before it could be read")


ORDER = (JobStatus.PENDING, JobStatus.UPLOADING, JobStatus.QUEUED, JobStatus.RUNNING)
ACTIVE = frozenset(ORDER)
TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


def next_status(current: JobStatus, reported: JobStatus) -> JobStatus:
    """Forward moves win, late reports lose, a terminal state is final (SPEC B2.1)."""
    if current in TERMINAL:
        return current
    if reported in TERMINAL:
        return reported
    return max(current, reported, key=ORDER.index)
