"""A store that has one of everything, so that requests find what they ask for."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from jobs.access import SYSTEM, Actor
from jobs.lifecycle import JobStatus, Source
from jobs.models import ApiKey, DatasetArchive, TrainingConfig, UnifiedJob
from jobs.services import api_keys
from jobs.services.archives import IncomingArchive
from jobs.services.snapshots import take_own_step
from tests.jobs.dispatch_helpers import submit
from tests.jobs.submitting import CONFIG, DATASETS, zip_bytes
from tests.sandbox_server import RunningSandbox

# Of a job that trains as long as any test.
RUNNING = {"kind": "training", "created_offset": -60, "durations": {"queue": 1, "train": 9e5}}
ENDED = {"kind": "training", "created_offset": -9000, "durations": {"queue": 1, "train": 600}}


@dataclass(frozen=True, slots=True)
class Stock:
    """Fills a store, again and again: an operation may have removed or ended what was there."""

    sandbox: RunningSandbox
    owner: User
    actor: Actor

    def fill(self) -> dict[str, list[Any]]:
        """Add one of everything; returns what is there now, by the names of path parameters."""
        # An account has a hundred at most.
        ApiKey.objects.all().delete()
        jobs = (
            self._at_provider("running", RUNNING),
            self._at_provider("completed", ENDED),
            submit(owner=self.owner),
            self._failed(),
            self._in_doubt(),
        )
        config = TrainingConfig.objects.create(
            name=f"kept {timezone.now():%H.%M.%S.%f}", config=CONFIG, dataloader_config=DATASETS, owner=self.owner
        )
        key = api_keys.create_key(SYSTEM, self.owner, name="stock", scopes=(), days=None).key
        return {
            "job_id": [job.job_id for job in jobs],
            "name": [config.name],
            "upload_id": [self._archive().archive_id],
            "key_id": [key.pk],
            "provider": ["replicate"],
        }

    def _at_provider(self, status: str, plan: dict[str, Any]) -> UnifiedJob:
        external_id = self.sandbox.add_job(**plan)["id"]
        return UnifiedJob.objects.create(
            job_id=external_id,
            provider="replicate",
            external_id=external_id,
            external_kind="training",
            status=status,
            created_at=timezone.now() + timedelta(seconds=plan["created_offset"]),
            hardware_type="gpu-h100",
        )

    def _failed(self) -> UnifiedJob:
        job = submit(owner=self.owner)
        take_own_step(job.pk, JobStatus.FAILED, source=Source.QUEUE, error="No place was left.")
        return job

    def _in_doubt(self) -> UnifiedJob:
        """One that was sent, and of which nobody knows whether it was taken."""
        long_ago = timezone.now() - timedelta(hours=1)
        return submit(owner=self.owner, status="dispatching", claimed_at=long_ago, sent_at=long_ago, attempts=1)

    def _archive(self) -> DatasetArchive:
        with IncomingArchive() as incoming:
            incoming.write(zip_bytes())
            return incoming.keep(self.actor, "images.zip")
