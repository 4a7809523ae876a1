"""Keys of submissions: the same key of the same account gives the same job for a day."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from jobs.access import Actor
from jobs.models import IdempotencyKey, UnifiedJob

KEY_HOLDS = timedelta(hours=24)


def job_of(actor: Actor, key: str) -> UnifiedJob | None:
    """The job that the key gave within its time; ``None`` if the key is free. A deleted job frees its key."""
    known = (
        IdempotencyKey.objects.filter(scope=_scope(actor), key=key, created_at__gte=timezone.now() - KEY_HOLDS)
        .select_related("job")
        .first()
    )
    return known.job if known else None


@transaction.atomic
def take(actor: Actor, key: str, job: UnifiedJob) -> None:
    """Let the key give this job from now on. Raises ``IntegrityError`` if somebody else was faster.

    Within the transaction that stores the job: of requests at once, the database lets one through.
    """
    expired = timezone.now() - KEY_HOLDS
    IdempotencyKey.objects.filter(scope=_scope(actor), key=key, created_at__lt=expired).delete()
    IdempotencyKey.objects.create(scope=_scope(actor), key=key, job=job)


def _scope(actor: Actor) -> str:
    return f"user:{actor.user_id}" if actor.user_id is not None else actor.via
