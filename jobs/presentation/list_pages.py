"""One page of the list: which jobs stand on it, and where the pages next to it are.

The orders of an index are read from a job on, so that the last of a hundred thousand jobs are as quick as the first.
The others are sorted, which only a small result allows, and are told by the page's number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from django.db.models import Case, DateTimeField, DurationField, ExpressionWrapper, F, Value, When
from django.utils.translation import gettext as _

from jobs.lifecycle import ACTIVE
from jobs.models import JobQuerySet
from jobs.presentation.formats import number
from jobs.presentation.list_state import MAXIMUM_ROWS, NEWEST, ListState, Place

PAGE_ROWS = MAXIMUM_ROWS
# Of what is behind these, nothing is counted off: "Older" leads there.
MOST_PAGES = 100
MOST_SORTED_ROWS = MOST_PAGES * PAGE_ROWS


@dataclass(frozen=True, slots=True)
class Page:
    """The jobs of a page, in order. ``state`` is what could be done of what was asked for, with notes."""

    state: ListState
    places: tuple[Place, ...]
    pages: int
    has_previous: bool
    has_following: bool

    @property
    def is_numbered(self) -> bool:
        return self.state.after is None and self.state.before is None

    def previous(self, places: Sequence[Place]) -> str:
        """The relative address of the rows before these; empty if there are none."""
        if not self.has_previous:
            return ""
        if self.is_numbered and (self.state.page == 2 or not self.state.has_places):
            return self.state.at_page(self.state.page - 1)
        return self.state.at(before=places[0]) if places else self.state.at_page(1)

    def following(self, places: Sequence[Place]) -> str:
        """The relative address of the rows after these; empty if there are none."""
        if not self.has_following or not places:
            return ""
        return self.state.at(after=places[-1]) if self.state.has_places else self.state.at_page(self.state.page + 1)


def read_page(jobs: JobQuerySet, state: ListState, total: int, now: datetime) -> Page:
    """Find the page of ``jobs``, of which there are ``total``, that an address asks for."""
    if not state.has_places and total > MOST_SORTED_ROWS:
        note = _("More than %(count)s jobs are shown by age only: narrow the list down first.")
        state = _noted(replace(state, sort=NEWEST, page=1), note % {"count": number(MOST_SORTED_ROWS)})
    if state.before is not None:
        return _before(jobs, state, state.before, total, now)
    pages = max(ceil(total / PAGE_ROWS), 1)
    if state.after is not None:
        places = _places(_beyond(jobs, state.after, is_newer=state.sort != NEWEST), state, now)
        return Page(state, places[:PAGE_ROWS], pages, has_previous=True, has_following=len(places) > PAGE_ROWS)
    if state.page > pages:
        state = _noted(
            replace(state, page=min(pages, MOST_PAGES)),
            _("There is no page %(page)s: showing the last one.") % {"page": state.page},
        )
    elif state.page > MOST_PAGES:
        note = _("Pages have numbers up to %(count)s; “Older” leads further.") % {"count": MOST_PAGES}
        state = _noted(replace(state, page=MOST_PAGES), note)
    places = _places(jobs, state, now, first=(state.page - 1) * PAGE_ROWS)
    return Page(state, places[:PAGE_ROWS], pages, has_previous=state.page > 1, has_following=len(places) > PAGE_ROWS)


def in_order(jobs: JobQuerySet, sort: str, now: datetime) -> JobQuerySet:
    """The jobs as a reader wants them; what is not known comes last."""
    if sort == NEWEST:
        return jobs.newest_first()
    if sort == "started":
        return jobs.order_by(F("started_at").desc(nulls_last=True), "-created_at", "-pk")
    if sort == "cost":
        return jobs.order_by(F("cost_usd").desc(nulls_last=True), "-created_at", "-pk")
    if sort == "progress":
        return jobs.order_by(F("progress").desc(nulls_last=True), "-created_at", "-pk")
    if sort == "duration":
        end = Case(When(status__in=ACTIVE, then=Value(now, output_field=DateTimeField())), default=F("completed_at"))
        lasted = ExpressionWrapper(end - F("started_at"), output_field=DurationField())
        return jobs.annotate(lasted=lasted).order_by(F("lasted").desc(nulls_last=True), "-created_at", "-pk")
    return jobs.oldest_first()


def _before(jobs: JobQuerySet, state: ListState, place: Place, total: int, now: datetime) -> Page:
    """The rows before a job; if they do not fill a page, the first page."""
    is_newest = state.sort == NEWEST
    turned = replace(state, sort="oldest" if is_newest else NEWEST)
    places = _places(_beyond(jobs, place, is_newer=is_newest), turned, now)
    if len(places) <= PAGE_ROWS:
        return read_page(jobs, replace(state, before=None, page=1), total, now)
    pages = max(ceil(total / PAGE_ROWS), 1)
    return Page(state, places[:PAGE_ROWS][::-1], pages, has_previous=True, has_following=True)


def _beyond(jobs: JobQuerySet, place: Place, *, is_newer: bool) -> JobQuerySet:
    return (jobs.newer_than if is_newer else jobs.older_than)(place.created_at, place.pk)


def _places(jobs: JobQuerySet, state: ListState, now: datetime, first: int = 0) -> tuple[Place, ...]:
    """A page's jobs, and one more if there is one."""
    rows = in_order(jobs, state.sort, now).values_list("created_at", "pk")[first : first + PAGE_ROWS + 1]
    return tuple(Place(created_at, pk) for created_at, pk in rows)


def _noted(state: ListState, note: str) -> ListState:
    return replace(state, notes=(*state.notes, note))
