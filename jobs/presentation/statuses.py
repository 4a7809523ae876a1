"""How each status looks: a word, a colour and an icon of a shape of its own, so that colour is never alone."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from jobs.lifecycle import JobStatus

LOOKS: dict[str, tuple[str, str]] = {
    JobStatus.PENDING: ("pending", "neutral"),
    JobStatus.UPLOADING: ("uploading", "info"),
    JobStatus.QUEUED: ("queued", "neutral"),
    JobStatus.RUNNING: ("running", "info"),
    JobStatus.COMPLETED: ("completed", "success"),
    JobStatus.FAILED: ("failed", "danger"),
    JobStatus.CANCELLED: ("cancelled", "neutral"),
}


@dataclass(frozen=True, slots=True)
class StatusBadge:
    """A status as a pill. ``value`` is the API's word or ``cancelling``, ``label`` the reader's."""

    value: str
    label: str
    icon: str
    tone: str


def badge(status: str, *, is_cancelling: bool = False) -> StatusBadge:
    """The pill of a status; of one whose end is asked for, a pill of its own."""
    if is_cancelling:
        return StatusBadge(value="cancelling", label=_("Cancelling…"), icon="cancelling", tone="warning")
    icon, tone = LOOKS[status]
    return StatusBadge(value=status, label=str(JobStatus(status).label), icon=icon, tone=tone)
