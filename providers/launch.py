"""Handing a job over to a provider, in our words: what it is to train, and what comes back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from providers.snapshots import JobSnapshot

# Told how many bytes of a file have gone out so far; called often, from the thread that sends.
OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """One job as it goes out. ``model``: the trainer at the provider, of a hardware profile.

    ``mark``: what tells the job to be ours wherever it is seen. ``webhook_url``: what the provider shall call;
    ``trainer_webhook_url``: what the trainer itself shall call besides, for whoever submitted it. Empty: none.
    """

    model: str
    mark: str
    config: Mapping[str, Any]
    dataloader_config: Any = field(default_factory=list)
    name: str = ""
    tracker_run_name: str = ""
    archive_url: str = ""
    webhook_url: str = ""
    trainer_webhook_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """A file that the provider keeps for us, until ``expires_at``; ``None`` if it named no time."""

    url: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSearch:
    """What a look for marks found: jobs that carry one, and jobs whose mark can no longer be read, if they had one."""

    found: tuple[JobSnapshot, ...] = ()
    hidden: tuple[JobSnapshot, ...] = ()
