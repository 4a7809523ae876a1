"""What the address of the list says. What is wrong in it is left out, with a note; never refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from jobs.lifecycle import ACTIVE, JobStatus
from jobs.services.job_filters import ATTENTIONS
from providers import names

MAXIMUM_QUERY_CHARACTERS = 200
# Of an account at most, and the sign that may stand before it.
MAXIMUM_NAME_CHARACTERS = 151
MAXIMUM_PAGE_DIGITS = 9
# A page has no more rows than this, nor can it ask for more to be kept.
MAXIMUM_ROWS = 50
FIRST_YEAR, LAST_YEAR = 1970, 2999

ACTIVE_FILTER = "active"
# On the page "queued" means everything that waits, so that the card, the chip and the list count the same jobs.
WAITING = frozenset({JobStatus.PENDING, JobStatus.UPLOADING, JobStatus.QUEUED})
GROUPS: Mapping[str, frozenset[str]] = {
    ACTIVE_FILTER: frozenset(ACTIVE),
    JobStatus.QUEUED.value: frozenset(WAITING),
    **{status.value: frozenset({status}) for status in JobStatus if status != JobStatus.QUEUED},
}
NEWEST, OLDEST = "newest", "oldest"
SORTS = (NEWEST, OLDEST, "started", "duration", "cost", "progress")
MINE, EVERYONE = "mine", "everyone"
# Stands before the name of an account that would mean something else without it.
ACCOUNT = "@"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLACE = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})", re.ASCII)


def owner_word(account: str) -> str:
    """How an address names an account, so that none is taken for one of the words."""
    return f"{ACCOUNT}{account}" if account in (MINE, EVERYONE) or account.startswith(ACCOUNT) else account


def account_named(owner: str) -> str:
    """The account that ``owner_word`` named."""
    return owner.removeprefix(ACCOUNT)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands among all, by the time it was created."""

    created_at: datetime
    pk: int

    def __str__(self) -> str:
        return f"{(self.created_at - EPOCH) // timedelta(microseconds=1)}.{self.pk}"

    @classmethod
    def parse(cls, text: str) -> "Place | None":
        """What ``str`` made; ``None`` if it did not."""
        found = PLACE.fullmatch(text)
        if found is None:
            return None
        try:
            return cls(EPOCH + timedelta(microseconds=int(found[1])), int(found[2]))
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class ListState:
    """Everything that the address of the list holds. ``notes`` say what in it was not understood.

    ``owner`` is ``mine``, what ``owner_word`` makes of an account, or empty for everyone. A page is told by its
    number, or by the job ``after`` or ``before`` which it stands in the order that is shown. ``shown``: the rows that a
    reader has before them, which are to stay where they are.
    """

    status: str = ""
    attention: str = ""
    query: str = ""
    provider: str = ""
    owner: str = ""
    hardware: str = ""
    created_from: date | None = None
    created_to: date | None = None
    sort: str = NEWEST
    page: int = 1
    after: Place | None = None
    before: Place | None = None
    shown: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> "ListState":
        """Understand what can be understood."""
        reader = _Reader(parameters)
        state = cls(
            status=reader.one_of("status", GROUPS, _("There is no status “%(value)s”: showing all.")),
            attention=reader.one_of("attention", ATTENTIONS, _("There is no filter “%(value)s”: showing all.")),
            query=reader.query(),
            provider=reader.one_of("provider", names.LABELS, _("There is no provider “%(value)s”: showing all.")),
            owner=reader.text("owner"),
            hardware=reader.text("hardware"),
            created_from=reader.day("from"),
            created_to=reader.day("to"),
            sort=reader.one_of("sort", SORTS, _("There is no order “%(value)s”: showing the newest first.")) or NEWEST,
            page=reader.page(),
            after=reader.place("after"),
            before=reader.place("before"),
            shown=reader.shown(),
        )
        if state.attention:
            # What wants to be looked at is not narrowed to a status.
            state = replace(state, status="")
        if state.owner == EVERYONE:
            state = replace(state, owner="")
        if not state.has_places:
            state = replace(state, after=None, before=None)
        return replace(state, notes=tuple(reader.notes))

    @property
    def has_places(self) -> bool:
        """Whether pages are told by a job, and not by their number: in the order of an index."""
        return self.sort in (NEWEST, OLDEST)

    @property
    def is_filtered(self) -> bool:
        return bool(self.status or self.attention or self.query or self.narrowing)

    @property
    def narrowing(self) -> int:
        """How many of the filters are set that are folded away."""
        return sum(map(bool, (self.provider, self.owner, self.hardware, self.created_from, self.created_to)))

    @property
    def parameters(self) -> str:
        """The query string that leads here again; empty for the plain list."""
        values = {
            "status": self.status,
            "attention": self.attention,
            "q": self.query,
            "provider": self.provider,
            "owner": self.owner,
            "hardware": self.hardware,
            "from": self.created_from,
            "to": self.created_to,
            "sort": self.sort if self.sort != NEWEST else "",
            "page": self.page if self.page > 1 else "",
            "after": self.after or "",
            "before": self.before or "",
        }
        return urlencode({name: str(value) for name, value in values.items() if value})

    @property
    def address(self) -> str:
        """The relative address of this page of the list."""
        return f"?{self.parameters}"

    def at_page(self, page: int) -> str:
        """The relative address of another page of the same list."""
        return replace(self, page=page, after=None, before=None).address

    def at(self, *, after: Place | None = None, before: Place | None = None) -> str:
        """The relative address of the rows next to a job."""
        return replace(self, page=1, after=after, before=before).address

    def with_status(self, status: str) -> str:
        """The relative address of the first page with another status and the same other filters."""
        return replace(self, status=status, attention="").at_page(1)

    def with_attention(self, attention: str) -> str:
        """The relative address of the jobs that want to be looked at, with the same other filters."""
        return replace(self, status="", attention=attention).at_page(1)


class _Reader:
    """Reads one parameter after the other, and notes what is wrong."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self.notes: list[str] = []

    def text(self, name: str) -> str:
        # PostgreSQL refuses to look for a NUL.
        return self._parameters.get(name, "").replace("\x00", "").strip()[:MAXIMUM_NAME_CHARACTERS]

    def one_of(self, name: str, known: object, note: str) -> str:
        value = self._parameters.get(name, "").strip().lower()
        if value and value not in known:  # type: ignore[operator]
            self.notes.append(note % {"value": value[:40]})
            return ""
        return value

    def query(self) -> str:
        query = self._parameters.get("q", "").replace("\x00", "").strip()
        if len(query) > MAXIMUM_QUERY_CHARACTERS:
            self.notes.append(_("The search text was too long and has been cut."))
            query = query[:MAXIMUM_QUERY_CHARACTERS].strip()
        return query

    def day(self, name: str) -> date | None:
        text = self._parameters.get(name, "").strip()
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
        if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
            self.notes.append(_("“%(value)s” is no day such as 2026-01-31: it is not heeded.") % {"value": text[:40]})
            return None
        return day

    def page(self) -> int:
        text = self._parameters.get("page", "").strip() or "1"
        is_number = text.isascii() and text.isdecimal() and len(text) <= MAXIMUM_PAGE_DIGITS
        page = int(text) if is_number else 0
        if page < 1:
            self.notes.append(_("There is no page “%(page)s”: showing the first one.") % {"page": text[:40]})
            return 1
        return page

    def place(self, name: str) -> Place | None:
        text = self._parameters.get(name, "").strip()
        place = Place.parse(text) if text else None
        if text and place is None:
            self.notes.append(_("There is no page “%(page)s”: showing the first one.") % {"page": text[:40]})
        return place

    def shown(self) -> tuple[int, ...]:
        keys = self._parameters.get("shown", "").split(",")[:MAXIMUM_ROWS]
        return tuple(
            int(key) for key in keys if key.isascii() and key.isdecimal() and len(key) < MAXIMUM_PAGE_DIGITS * 2
        )
