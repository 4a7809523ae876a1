"""The list as its address describes it: filter, search, page. What is wrong in an address is left out, with a note."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.access import Actor
from jobs.lifecycle import ACTIVE, JobStatus
from jobs.models import JobQuerySet, UnifiedJob
from jobs.presentation.job_rows import JobRow, job_rows
from jobs.services import metrics, provider_accounts

PAGE_ROWS = 50
MAXIMUM_QUERY_CHARACTERS = 200
MAXIMUM_PAGE_DIGITS = 9

ACTIVE_FILTER = "active"
# Jobs that were started elsewhere, go on, and are nobody's here.
UNCLAIMED = "unclaimed"
# On the page "queued" means everything that waits, so that the card, the chip and the list count the same jobs.
WAITING = frozenset({JobStatus.PENDING, JobStatus.UPLOADING, JobStatus.QUEUED})
GROUPS: Mapping[str, frozenset[str]] = {
    ACTIVE_FILTER: frozenset(ACTIVE),
    JobStatus.QUEUED.value: frozenset(WAITING),
    **{status.value: frozenset({status}) for status in JobStatus if status != JobStatus.QUEUED},
}
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
class ListState:
    """Everything that the address of the list holds. ``notes`` say what in it was not understood."""

    status: str = ""
    query: str = ""
    page: int = 1
    attention: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> "ListState":
        """Understand what can be understood."""
        notes: list[str] = []
        status = parameters.get("status", "").strip().lower()
        if status and status not in GROUPS:
            notes.append(_("There is no status “%(status)s”: showing all.") % {"status": status[:40]})
            status = ""
        # PostgreSQL refuses to look for a NUL.
        query = parameters.get("q", "").replace("\x00", "").strip()
        if len(query) > MAXIMUM_QUERY_CHARACTERS:
            notes.append(_("The search text was too long and has been cut."))
            query = query[:MAXIMUM_QUERY_CHARACTERS].strip()
        attention = parameters.get("attention", "").strip().lower()
        if attention and attention != UNCLAIMED:
            notes.append(_("There is no filter “%(name)s”: showing all.") % {"name": attention[:40]})
            attention = ""
        if attention:
            # What wants to be looked at is not narrowed further.
            status = ""
        page_text = parameters.get("page", "").strip() or "1"
        is_number = page_text.isascii() and page_text.isdecimal() and len(page_text) <= MAXIMUM_PAGE_DIGITS
        page = int(page_text) if is_number else 0
        if page < 1:
            notes.append(_("There is no page “%(page)s”: showing the first one.") % {"page": page_text[:40]})
            page = 1
        return cls(status=status, query=query, page=page, attention=attention, notes=tuple(notes))

    @property
    def is_filtered(self) -> bool:
        return bool(self.status or self.query or self.attention)

    @property
    def parameters(self) -> str:
        """The query string that leads here again; empty for the plain list."""
        page = str(self.page) if self.page > 1 else ""
        values = {"status": self.status, "attention": self.attention, "q": self.query, "page": page}
        return urlencode({name: value for name, value in values.items() if value})

    def at_page(self, page: int) -> str:
        """The relative address of another page of the same list."""
        return f"?{replace(self, page=page).parameters}"

    def with_status(self, status: str) -> str:
        """The relative address of the first page with another filter and the same search."""
        return f"?{replace(self, status=status, attention='', page=1).parameters}"

    def with_attention(self, attention: str) -> str:
        """The relative address of the jobs that want to be looked at, with the same search."""
        return f"?{replace(self, status='', attention=attention, page=1).parameters}"


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter and how many jobs it would show."""

    label: str
    count: int
    address: str
    is_current: bool
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Paging:
    """Where in the list we are; rows count from 1."""

    page: int
    pages: int
    first_row: int
    last_row: int
    total: int
    previous: str
    following: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The list, ready to be shown. ``emptiness`` tells apart why there are no rows: filter, first, provider."""

    state: ListState
    rows: list[JobRow]
    chips: list[Chip]
    paging: Paging
    notes: tuple[str, ...]
    emptiness: str


def listing(state: ListState, actor: Actor, now: datetime | None = None) -> Listing:
    """Count and read one page of the list of what ``actor`` may see."""
    visible = UnifiedJob.objects.visible_to(actor)
    jobs = _matching(visible, state.query)
    unclaimed = _matching(visible.unclaimed().active(), state.query)
    unclaimed_count = unclaimed.order_by().count()
    counts = _counts(jobs) if state.query else metrics.status_counts(actor=actor)
    shown = GROUPS.get(state.status)
    total = sum(count for status, count in counts.items() if shown is None or status in shown)
    if state.attention:
        jobs, total = unclaimed, unclaimed_count
    pages = max(ceil(total / PAGE_ROWS), 1)
    notes = list(state.notes)
    if state.page > pages:
        notes.append(_("There is no page %(page)s: showing the last one.") % {"page": state.page})
        state = replace(state, page=pages)
    if shown is not None:
        jobs = jobs.filter(status__in=shown)
    first = (state.page - 1) * PAGE_ROWS
    shown_jobs = jobs.newest_first()[first : first + PAGE_ROWS]
    rows = job_rows(shown_jobs, now or timezone.now(), actor=actor) if total else []
    return Listing(
        state=state,
        rows=rows,
        chips=_chips(state, counts) + _attention_chips(state, unclaimed_count),
        paging=Paging(
            page=state.page,
            pages=pages,
            first_row=first + 1 if rows else 0,
            last_row=first + len(rows),
            total=total,
            previous=state.at_page(state.page - 1) if state.page > 1 else "",
            following=state.at_page(state.page + 1) if state.page < pages else "",
        ),
        notes=tuple(notes),
        emptiness="" if rows else _emptiness(state, counts, actor),
    )


def _matching(jobs: JobQuerySet, query: str) -> JobQuerySet:
    if not query:
        return jobs
    return jobs.filter(
        Q(config_name__icontains=query)
        | Q(job_id__icontains=query)
        | Q(external_id__icontains=query)
        | Q(metadata__model__icontains=query)
    )


def _counts(jobs: JobQuerySet) -> dict[str, int]:
    return dict(jobs.order_by().values_list("status").annotate(count=Count("pk")))


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


def _attention_chips(state: ListState, unclaimed_count: int) -> list[Chip]:
    """Only while there is something to look at, or somebody looks."""
    if not unclaimed_count and not state.attention:
        return []
    return [
        Chip(
            label=_("Unclaimed"),
            count=unclaimed_count,
            address=state.with_attention(UNCLAIMED),
            is_current=bool(state.attention),
            hint=_("Started elsewhere, still active, and nobody's here"),
        )
    ]


def _chip_label(name: str) -> str:
    if not name:
        return _("All")
    return _("Active") if name == ACTIVE_FILTER else str(JobStatus(name).label)


def _emptiness(state: ListState, counts: Mapping[str, int], actor: Actor) -> str:
    if state.is_filtered and (any(counts.values()) or UnifiedJob.objects.visible_to(actor).exists()):
        return "filter"
    return "first" if any(provider.is_configured for provider in provider_accounts.overviews()) else "provider"
