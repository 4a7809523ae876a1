"""Submitted jobs, and the passing of time, for tests of the queue."""

import hashlib
from datetime import timedelta
from itertools import pairwise
from typing import Any

from django.db.models import F
from django.utils import timezone

from jobs.lifecycle import Origin, Source
from jobs.models import JobSubmission, QueueEntry, QueueLimits, UnifiedJob
from jobs.models.submission import DatasetArchive
from jobs.services.dispatch import processor
from jobs.services.snapshots import create_job
from tests.sandbox_server import RunningSandbox


def submit(
    name: str = "mugs",
    *,
    owner: Any = None,
    team: Any = None,
    archive: DatasetArchive | None = None,
    profile: str = "h100",
    webhook_url: str = "",
    config: dict[str, Any] | None = None,
    cancel_asked: bool = False,
    **entry: Any,
) -> UnifiedJob:
    """A job as a submission leaves it."""
    job = create_job(
        UnifiedJob(
            provider="replicate",
            origin=Origin.SUBMITTED,
            config_name=name,
            owner=owner,
            team=team,
            cancel_requested_at=timezone.now() if cancel_asked else None,
        ),
        source=Source.SUBMIT,
    )
    JobSubmission.objects.create(
        job=job,
        config={"model_type": "lora", "max_train_steps": 100} if config is None else config,
        dataloader_config=[{"id": "images", "type": "local"}],
        hardware_profile=profile,
        webhook_url=webhook_url,
        archive=archive,
    )
    QueueEntry.objects.create(job=job, **entry)
    return job


def stored(content: bytes = b"PK" * 50_000, name: str = "mugs.zip") -> DatasetArchive:
    """A dataset that was uploaded to us."""
    archive = DatasetArchive.objects.create(
        archive_id=hashlib.md5(content).hexdigest(),
        name=name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    archive.path.parent.mkdir(exist_ok=True)
    archive.path.write_bytes(content)
    return archive


def entry_of(job: UnifiedJob) -> QueueEntry:
    return QueueEntry.objects.get(job=job)


def limit(**values: Any) -> None:
    QueueLimits.objects.update_or_create(pk=1, defaults=values)


def let_pass(seconds: float) -> None:
    """Make what the queue has noted so much older."""
    by = timedelta(seconds=seconds)
    for field in ("claimed_at", "sent_at", "next_attempt_at"):
        QueueEntry.objects.filter(**{f"{field}__isnull": False}).update(**{field: F(field) - by})


def settle(passes: int = 14) -> None:
    """Let the queue do its work over some minutes, until nothing is left to be decided."""
    for _ in range(passes):
        processor.process()
        if not QueueEntry.objects.filter(status__in=("pending", "dispatching")).exists():
            return
        let_pass(61)


def at_sandbox(sandbox: RunningSandbox, job: UnifiedJob) -> list[dict[str, Any]]:
    """The sandbox's jobs with the mark of ours."""
    mark = job.submission.mark
    rows = sandbox.get("/predictions")["results"]
    return [row for row in rows if row["input"].get("simpletuner_cloud_job") == mark]


def history_of(job: UnifiedJob) -> list[tuple[str | None, str]]:
    return list(job.history.order_by("pk").values_list("previous", "status"))


def is_unbroken(job: UnifiedJob) -> bool:
    """Whether each step of the history begins where the one before ended."""
    steps = history_of(job)
    return steps[0][0] is None and all(after[0] == before[1] for before, after in pairwise(steps))


def now_minus(**parts: float) -> Any:
    return timezone.now() - timedelta(**parts)
