"""Removing the record of a job that has ended. Nothing happens at its provider."""

from collections.abc import Iterable

from django.db import transaction

from jobs.access import Actor
from jobs.models import DeletedJob, UnifiedJob
from jobs.services import audit
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.permitted import changeable_job


def delete_job(actor: Actor, job_id: str) -> str:
    """Remove an ended job from the store; returns its id. What a provider knows gets a tombstone: it stays away.

    Raises ``JobNotFound``, ``PermissionDenied``, ``InvalidState`` for one that is active.
    """
    found = changeable_job(actor, job_id, "job.delete")
    with transaction.atomic():
        job = UnifiedJob.objects.select_for_update().filter(pk=found.pk).first()
        if job is None:
            raise JobNotFound(job_id)
        if not job.is_terminal:
            raise InvalidState(f"Only jobs that have ended can be deleted; this one is {job.status}.")
        if job.external_id is not None:
            DeletedJob.objects.get_or_create(
                provider=job.provider,
                external_id=job.external_id,
                defaults={"job_id": job.job_id, "deleted_by": actor.name[:150]},
            )
        audit.record(actor, "job.delete", job.job_id, was=job.status, name=job.config_name)
        job.delete()
    return job.job_id


def take_back(actor: Actor, tombstones: Iterable[DeletedJob]) -> int:
    """Let deleted jobs come back with the next sync, as far as their provider still lists them; returns how many."""
    count = 0
    for tombstone in tombstones:
        with transaction.atomic():
            audit.record(actor, "job.delete.take_back", tombstone.job_id)
            tombstone.delete()
        count += 1
    return count


def was_deleted(provider: str, ids: Iterable[str]) -> bool:
    """Whether a record was deleted here that one of these ids means, ours or the provider's."""
    wanted = list(ids)
    graves = DeletedJob.objects.filter(provider=provider)
    return graves.filter(external_id__in=wanted).exists() or graves.filter(job_id__in=wanted).exists()
