"""The name of a job, which is ours to give."""

from django.db import transaction

from jobs.access import Actor
from jobs.models import UnifiedJob
from jobs.services import audit
from jobs.services.permitted import changeable_job


def rename_job(actor: Actor, job_id: str, name: str | None) -> None:
    """Give a job another name, and touch nothing else of it. Raises ``JobNotFound`` and ``PermissionDenied``."""
    job = changeable_job(actor, job_id, "job.rename")
    with transaction.atomic():
        UnifiedJob.objects.filter(pk=job.pk).update(config_name=name)
        audit.record(actor, "job.rename", job.job_id, was=job.config_name, name=name)
