"""How each status looks: a word, a colour and an icon of a shape of its own, so that colour is never alone."""

from dataclasses import dataclass

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
    """A status as a pill. ``value`` is the API's word, ``label`` the reader's."""

    value: str
    label: str
    icon: str
    tone: str


def badge(status: str) -> StatusBadge:
    """The pill of a status."""
    icon, tone = LOOKS[status]
    return StatusBadge(value=status, label=str(JobStatus(status).label), icon=icon, tone=tone)
