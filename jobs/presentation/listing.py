"""The list as its address describes it: chips with their numbers, one page of rows, and what has come since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import VIEW_ALL, Actor
from jobs.lifecycle import JobStatus
from jobs.models import JobQuerySet, UnifiedJob
from jobs.presentation.job_rows import JobRow, job_rows
from jobs.presentation.list_pages import PAGE_ROWS, Page, read_page
from jobs.presentation.list_state import ACTIVE_FILTER, GROUPS, MINE, ListState, Place, account_named
from jobs.services import job_filters, provider_accounts
from jobs.services.job_filters import ANY_ATTENTION, UNCLAIMED, JobFilters

CHIPS = (
    "",
    ACTIVE_FILTER,
    JobStatus.QUEUED.value,
    JobStatus.RUNNING.value,
    JobStatus.COMPLETED.value,
    JobStatus.FAILED.value,
    JobStatus.CANCELLED.value,
)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter and how many jobs it would show."""

    label: str
    count: int
    address: str
    is_current: bool
    hint: str = ""
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Paging:
    """Where in the list we are. Rows count from 1; 0 for a page that is found by a job and has no number."""

    page: int
    pages: int
    first_row: int
    last_row: int
    row_count: int
    total: int
    previous: str
    following: str
    is_sorted_by_age: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The list, ready to be shown. ``emptiness`` tells apart why there are no rows: filter, first, provider.

    ``news``: what the list would show otherwise if it were read anew; empty if nothing. ``export``: the query string of
    the same jobs as a file, in the order that was asked for, which a page may be too small for.
    """

    state: ListState
    rows: list[JobRow]
    chips: list[Chip]
    paging: Paging
    news: str
    notes: tuple[str, ...]
    emptiness: str
    export: str

    @property
    def selectable(self) -> int:
        return sum(row.can_cancel for row in self.rows)


def listing(state: ListState, actor: Actor, now: datetime | None = None) -> Listing:
    """Count and read one page of the list of what ``actor`` may see."""
    now = now or timezone.now()
    state, filters = filters_of(state, actor)
    counts = job_filters.counts_by_status(actor, filters)
    every = job_filters.matching(actor, filters)
    attention_count = job_filters.count_wanting_attention(every, now)
    jobs = narrowed(every, state, now)
    total = _total(state, counts, jobs, attention_count)
    page = read_page(jobs, state, total, now)
    keys = state.shown or tuple(place.pk for place in page.places)
    found = UnifiedJob.objects.visible_to(actor).filter(pk__in=keys).order_by() if keys else None
    by_key = {row.pk: row for row in job_rows(found, now, actor=actor)} if found is not None else {}
    rows = [by_key[key] for key in dict.fromkeys(keys) if key in by_key]
    first = (page.state.page - 1) * PAGE_ROWS
    places = [Place(row.created_at, row.pk) for row in rows]
    return Listing(
        state=page.state,
        rows=rows,
        chips=[*_chips(state, counts), *_attention_chips(state, attention_count, total)],
        paging=Paging(
            page=page.state.page if page.is_numbered else 0,
            pages=page.pages,
            first_row=first + 1 if rows and page.is_numbered else 0,
            last_row=first + len(rows) if page.is_numbered else 0,
            row_count=len(rows),
            total=total,
            previous=page.previous(places),
            following=page.following(places),
            is_sorted_by_age=page.state.has_places,
        ),
        news=_news(jobs, page, state.shown) if state.shown else "",
        notes=page.state.notes,
        emptiness="" if rows else _emptiness(state, counts, actor),
        export=replace(page.state, sort=state.sort, page=1, after=None, before=None).parameters,
    )


def filters_of(state: ListState, actor: Actor) -> tuple[ListState, JobFilters]:
    """What an address asks of the database. Whose jobs are meant is looked up; a name that is not known is noted."""
    owner_id = None
    if state.owner == MINE:
        owner_id = actor.user_id
    elif state.owner:
        owner_id = job_filters.find_owner(actor, account_named(state.owner))
        if owner_id is None:
            note = (
                _("There is no account “%(name)s”: showing everyone's jobs.")
                % {"name": account_named(state.owner)[:40]}
                if actor.can(VIEW_ALL)
                else _("You see your own jobs only.")
            )
            state = replace(state, owner="", notes=(*state.notes, note))
    return state, JobFilters(
        query=state.query,
        provider=state.provider,
        owner_id=owner_id,
        hardware=state.hardware,
        created_from=state.created_from,
        created_to=state.created_to,
    )


def narrowed(jobs: JobQuerySet, state: ListState, now: datetime) -> JobQuerySet:
    """Those of a status, or that want to be looked at."""
    if state.attention:
        return job_filters.wanting_attention(jobs, state.attention, now)
    shown = GROUPS.get(state.status)
    return jobs if shown is None else jobs.filter(status__in=shown)


def _total(state: ListState, counts: Mapping[str, int], jobs: JobQuerySet, attention_count: int) -> int:
    if state.attention:
        return attention_count if state.attention == ANY_ATTENTION else jobs.count()
    shown = GROUPS.get(state.status)
    return sum(count for status, count in counts.items() if shown is None or status in shown)


def _news(jobs: JobQuerySet, page: Page, shown: Sequence[int]) -> str:
    """What a reader does not see yet because the rows before them stay where they are."""
    if new := len({place.pk for place in page.places}.difference(shown)):
        return ngettext("%(count)s new job", "%(count)s new jobs", new) % {"count": new}
    if gone := len(set(shown)) - jobs.filter(pk__in=shown).count():
        return ngettext("%(count)s job belongs here no longer", "%(count)s jobs belong here no longer", gone) % {
            "count": gone
        }
    return ""


def _chips(state: ListState, counts: Mapping[str, int]) -> list[Chip]:
    # A filter that has no chip of its own still shows where one is.
    filters = CHIPS if state.status in CHIPS else (*CHIPS, state.status)
    return [
        Chip(
            label=_chip_label(name),
            count=sum(count for status, count in counts.items() if not name or status in GROUPS[name]),
            address=state.with_status(name),
            is_current=name == state.status and not state.attention,
            hint=_("Pending, uploading or queued") if name == JobStatus.QUEUED else "",
        )
        for name in filters
    ]


def _attention_chips(state: ListState, count: int, total: int) -> list[Chip]:
    """Only while there is something to look at, or somebody looks."""
    chips = []
    if count or state.attention:
        chips.append(
            Chip(
                label=_("Needs attention"),
                count=count,
                address=state.with_attention(ANY_ATTENTION),
                is_current=state.attention == ANY_ATTENTION,
                hint=_("Lost, unclaimed, not checked, not confirmed as cancelled, or with some of its log lost"),
                is_warning=bool(count),
            )
        )
    if state.attention == UNCLAIMED:
        chips.append(
            Chip(
                label=_("Unclaimed"),
                count=total,
                address=state.with_attention(UNCLAIMED),
                is_current=True,
                hint=_("Started elsewhere, still active, and nobody's here"),
            )
        )
    return chips


def _chip_label(name: str) -> str:
    if not name:
        return _("All")
    return _("Active") if name == ACTIVE_FILTER else str(JobStatus(name).label)


def _emptiness(state: ListState, counts: Mapping[str, int], actor: Actor) -> str:
    if state.is_filtered and (any(counts.values()) or UnifiedJob.objects.visible_to(actor).exists()):
        return "filter"
    return "first" if any(provider.is_configured for provider in provider_accounts.overviews()) else "provider"
