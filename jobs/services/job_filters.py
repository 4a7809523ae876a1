"""Which jobs a list is about: the filters of the page and of its export, as questions to the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.contrib.auth.models import User
from django.db.models import Count, Q

from jobs.access import VIEW_ALL, Actor
from jobs.lifecycle import ACTIVE, LogsState, Origin
from jobs.models import JobQuerySet, JobTally, UnifiedJob
from jobs.models.tally import NOBODY
from jobs.services import job_counts
from jobs.services.cancel_wishes import CONFIRMATION_TIME

ANY_ATTENTION = "any"
# Jobs that were started elsewhere, go on, and are nobody's here.
UNCLAIMED = "unclaimed"
ATTENTIONS = (ANY_ATTENTION, UNCLAIMED)
# What became of the log of a job that is older than this is history.
LOG_TROUBLE_MATTERS_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class JobFilters:
    """``created_from`` and ``created_to``: whole days in UTC, both included. ``owner_id``: jobs of one person only."""

    query: str = ""
    provider: str = ""
    owner_id: int | None = None
    hardware: str = ""
    created_from: date | None = None
    created_to: date | None = None

    @property
    def are_tallied(self) -> bool:
        """Whether the numbers of jobs are known without counting."""
        return not (self.query or self.hardware or self.created_from or self.created_to)


def matching(actor: Actor, filters: JobFilters) -> JobQuerySet:
    """The jobs that ``actor`` may see and that the filters let through, in no order."""
    jobs = UnifiedJob.objects.visible_to(actor).order_by()
    if filters.provider:
        jobs = jobs.filter(provider=filters.provider)
    if filters.owner_id is not None:
        jobs = jobs.filter(owner_id=filters.owner_id)
    if filters.hardware:
        jobs = jobs.filter(hardware_type=filters.hardware)
    if filters.created_from:
        jobs = jobs.filter(created_at__gte=_midnight(filters.created_from))
    if filters.created_to:
        jobs = jobs.filter(created_at__lt=_midnight(filters.created_to + timedelta(days=1)))
    if filters.query:
        query = filters.query
        jobs = jobs.filter(
            Q(config_name__icontains=query)
            | Q(job_id__icontains=query)
            | Q(external_id__icontains=query)
            | Q(metadata__model__icontains=query)
        )
    return jobs


def counts_by_status(actor: Actor, filters: JobFilters) -> dict[str, int]:
    """How many jobs of each status there are."""
    if filters.are_tallied:
        owner_key = "" if filters.owner_id is None else str(filters.owner_id)
        return job_counts.by_status(actor, provider=filters.provider, owner_key=owner_key)
    return dict(matching(actor, filters).values_list("status").annotate(count=Count("pk")))


def wanting_attention(jobs: JobQuerySet, kind: str, now: datetime) -> JobQuerySet:
    """Those of ``jobs`` that somebody should look at."""
    if kind == UNCLAIMED:
        return jobs.unclaimed().active()
    parts = _parts_wanting_attention(jobs, now)
    # Each half is read by an index of its own; OR between them would read all jobs.
    return jobs.filter(pk__in=parts[0].values("pk").union(parts[1].values("pk")))


def count_wanting_attention(jobs: JobQuerySet, now: datetime) -> int:
    """How many ``wanting_attention`` finds of any kind."""
    return sum(part.count() for part in _parts_wanting_attention(jobs, now))


def find_owner(actor: Actor, name: str) -> int | None:
    """The key of an account that jobs may belong to, for those who may see them; ``None``: there is none."""
    if not actor.can(VIEW_ALL):
        return None
    return User.objects.filter(username=name).values_list("pk", flat=True).first()


def owners_of_jobs(actor: Actor) -> list[str]:
    """The names of all who have jobs, for those who may see everybody's."""
    if not actor.can(VIEW_ALL):
        return []
    keys = JobTally.objects.exclude(owner_key=NOBODY).order_by().values("owner_key")
    return list(User.objects.filter(pk__in=keys).order_by("username").values_list("username", flat=True))


def owner_names(keys: set[int]) -> Mapping[int, str]:
    """Who owns jobs, by name."""
    return dict(User.objects.filter(pk__in=keys).values_list("pk", "username")) if keys else {}


def _parts_wanting_attention(jobs: JobQuerySet, now: datetime) -> tuple[JobQuerySet, JobQuerySet]:
    """Active jobs in trouble, and ended ones of which some of the log is gone; no job is in both."""
    active = jobs.active().filter(
        Q(lost_at__isnull=False)
        | Q(failed_checks__gt=0)
        | Q(cancel_requested_at__lte=now - CONFIRMATION_TIME)
        | Q(origin=Origin.DISCOVERED, owner__isnull=True, ignored_at__isnull=True)
    )
    ended = jobs.exclude(status__in=ACTIVE).filter(
        logs_state__in=(LogsState.PARTIAL, LogsState.LOST), created_at__gte=now - LOG_TROUBLE_MATTERS_FOR
    )
    return active, ended


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
