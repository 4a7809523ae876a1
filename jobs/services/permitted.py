"""The job that somebody wants to change, if they may."""

from django.core.exceptions import PermissionDenied

from jobs.access import Actor
from jobs.models import AuditOutcome, UnifiedJob
from jobs.services import audit
from jobs.services.lookup import get_job


def changeable_job(actor: Actor, job_id: str, action: str) -> UnifiedJob:
    """The job of that id, if the actor may cancel it, delete it or give it a budget.

    Raises ``JobNotFound`` for one that the actor must not see, ``PermissionDenied`` for one that is not theirs to
    change; the audit log then has the refused ``action``.
    """
    job = get_job(job_id, UnifiedJob.objects.visible_to(actor))
    if not actor.may_cancel(job.owner_id):
        refuse(actor, action, job)
    return job


def refuse(actor: Actor, action: str, job: UnifiedJob) -> None:
    """Note that somebody wanted more than they may with a job that they may see. Raises ``PermissionDenied``."""
    audit.record(actor, action, job.job_id, outcome=AuditOutcome.REFUSED)
    raise PermissionDenied("You may view this job, not change it.")
