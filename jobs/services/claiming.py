"""Jobs that were started elsewhere: claiming them, and waving them aside. Nothing here ever ends a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from jobs.access import CANCEL_ALL, MANAGE_ACCOUNTS, Actor
from jobs.lifecycle import JobStatus, Origin
from jobs.models import HardwarePrice, Membership, UnifiedJob
from jobs.services import audit
from jobs.services.lookup import InvalidState, JobNotFound, get_job
from jobs.services.permitted import refuse

SECONDS_PER_HOUR = 3600
# So many are named to whoever claims them all at once; the rest comes after.
MOST_AT_ONCE = 100


class UnknownUser(ValueError):
    """Nobody of that name has an account here."""


@dataclass(frozen=True, slots=True)
class UnclaimedCost:
    """Running jobs that nobody here has claimed. ``unpriced``: how many of them run at a price that is not known."""

    job_ids: tuple[str, ...]
    count: int
    providers: tuple[str, ...]
    usd_per_hour: Decimal
    unpriced: int


def claim_job(actor: Actor, job_id: str, *, user: str | None = None) -> UnifiedJob:
    """Make a job that nobody owns the actor's, or another user's; claiming one's own again changes nothing.

    Raises ``JobNotFound``, ``PermissionDenied``, ``UnknownUser``, ``InvalidState`` for a job that has another owner.
    """
    job = get_job(job_id, UnifiedJob.objects.visible_to(actor))
    is_for_another = user is not None and user != actor.name
    if not (actor.can(CANCEL_ALL) or (is_for_another and actor.can(MANAGE_ACCOUNTS))):
        refuse(actor, "job.claim", job)
    owner_id = _user_id(user) if is_for_another else actor.user_id
    if owner_id is None:
        raise UnknownUser("There is no account to claim the job for.")
    with transaction.atomic():
        if _give([job.pk], owner_id):
            audit.record(actor, "job.claim", job.job_id, owner=user if is_for_another else actor.name)
    job.refresh_from_db()
    if job.owner_id != owner_id:
        raise InvalidState("The job belongs to somebody else already.")
    return job


def claim_jobs(actor: Actor, job_ids: Sequence[str]) -> int:
    """Claim those of the jobs that nobody owns; returns how many. Raises ``PermissionDenied`` at the first."""
    jobs = UnifiedJob.objects.visible_to(actor).filter(owner__isnull=True, job_id__in=list(job_ids)[:MOST_AT_ONCE])
    found = list(jobs.order_by("pk"))
    if found and not actor.can(CANCEL_ALL):
        refuse(actor, "job.claim", found[0])
    if not found or actor.user_id is None:
        return 0
    with transaction.atomic():
        locked = UnifiedJob.objects.select_for_update().filter(pk__in=[job.pk for job in found], owner__isnull=True)
        free = list(locked.order_by("pk"))
        _give([job.pk for job in free], actor.user_id)
        audit.record_all(actor, "job.claim", {job.job_id: {"owner": actor.name} for job in free})
    return len(free)


def ignore_job(actor: Actor, job_id: str) -> UnifiedJob:
    """Wave a job aside that nobody owns: it is no business of anybody here, and is not warned of.

    Raises ``JobNotFound``, ``PermissionDenied``, ``InvalidState`` for a job that has an owner or was submitted here.
    """
    return _set_ignored(actor, job_id, timezone.now(), "job.ignore")


def unignore_job(actor: Actor, job_id: str) -> UnifiedJob:
    """Let a job be warned of again. Raises as ``ignore_job``."""
    return _set_ignored(actor, job_id, None, "job.unignore")


def unclaimed_cost(actor: Actor, now: datetime) -> UnclaimedCost | None:
    """What runs and bills without an owner, as far as the actor may see it; ``None`` if nothing does."""
    jobs = UnifiedJob.objects.visible_to(actor).unclaimed().filter(status=JobStatus.RUNNING)
    rows = list(jobs.order_by("pk").values_list("job_id", "provider", "hardware_type"))
    if not rows:
        return None
    prices = HardwarePrice.objects.book()
    found = [prices.price(provider, hardware, now.date()) for _, provider, hardware in rows]
    rates = [price.usd_per_second * SECONDS_PER_HOUR for price in found if price is not None]
    return UnclaimedCost(
        job_ids=tuple(job_id for job_id, _, _ in rows[:MOST_AT_ONCE]),
        count=len(rows),
        providers=tuple(sorted({provider for _, provider, _ in rows})),
        usd_per_hour=sum(rates, Decimal(0)),
        unpriced=len(rows) - len(rates),
    )


def _give(pks: Sequence[int], owner_id: int) -> int:
    """Whoever comes first has it. Its team is the owner's, as if the job had been submitted."""
    team_id = Membership.objects.filter(user_id=owner_id).values_list("team_id", flat=True).first()
    free = UnifiedJob.objects.filter(pk__in=pks, owner__isnull=True)
    return free.update(owner_id=owner_id, team_id=team_id, ignored_at=None)


def _user_id(name: str | None) -> int:
    user_id = get_user_model().objects.filter(username=name, is_active=True).values_list("pk", flat=True).first()
    if user_id is None:
        raise UnknownUser(f"There is no user {(name or '')[:150]!r} here.")
    return int(user_id)


def _set_ignored(actor: Actor, job_id: str, at: datetime | None, action: str) -> UnifiedJob:
    job = get_job(job_id, UnifiedJob.objects.visible_to(actor))
    if not actor.can(CANCEL_ALL):
        refuse(actor, action, job)
    with transaction.atomic():
        free = UnifiedJob.objects.filter(pk=job.pk, owner__isnull=True, origin=Origin.DISCOVERED)
        if not free.update(ignored_at=at):
            if not UnifiedJob.objects.filter(pk=job.pk).exists():
                raise JobNotFound(job_id)
            raise InvalidState("The job has an owner here.")
        audit.record(actor, action, job.job_id)
    job.refresh_from_db()
    return job
