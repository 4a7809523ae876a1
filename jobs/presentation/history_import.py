"""The walk through a provider's history, as the job list's toolbar tells of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.models import HistoryWalk, WalkState
from jobs.presentation.formats import Moment, moment, number
from jobs.services import history_walk
from providers import names

# For so long the page tells what was odd about a walk that is over.
TOLD_FOR = timedelta(days=1)
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class HistoryImport:
    """``state``: that of the walk, or ``waiting`` for one that runs but cannot go on now; empty if there was none.

    ``text`` is what it is doing, ``problem`` why it waits or what it could not read, ``outcome`` the words for its end.
    """

    walk_id: int | None = None
    state: str = ""
    text: str = ""
    problem: str = ""
    outcome: str = ""
    next_try: Moment | None = None

    @property
    def is_open(self) -> bool:
        return self.state in (WalkState.RUNNING, WAITING)


def history_import(now: datetime | None = None) -> HistoryImport:
    """The newest walk; its ``text`` and ``problem`` are empty when there is nothing left to tell."""
    walk = history_walk.latest(names.REPLICATE)
    now = now or timezone.now()
    if walk is None:
        return HistoryImport()
    if walk.state == WalkState.RUNNING:
        is_waiting = walk.next_try_at is not None and walk.next_try_at > now
        return HistoryImport(
            walk_id=walk.pk,
            state=WAITING if is_waiting else walk.state,
            text=_doing(walk),
            problem=walk.error,
            next_try=moment(walk.next_try_at, now) if is_waiting else None,
        )
    is_told = walk.finished_at is not None and now - walk.finished_at < TOLD_FOR
    odd = _oddities(walk) if is_told else ""
    return HistoryImport(
        walk_id=walk.pk,
        state=walk.state,
        text=_outcome(walk) if odd else "",
        problem=odd,
        outcome=_outcome(walk),
    )


def _doing(walk: HistoryWalk) -> str:
    if not walk.pages:
        return _("Importing history: beginning…")
    return _("Importing history: %(counts)s (page %(page)s)") % {
        "counts": _counts(walk),
        "page": number(walk.pages),
    }


def _outcome(walk: HistoryWalk) -> str:
    if walk.state == WalkState.CANCELLED:
        return _("History import stopped: %(counts)s") % {"counts": _counts(walk)}
    return _("History imported: %(counts)s") % {"counts": _counts(walk)}


def _counts(walk: HistoryWalk) -> str:
    """``1,200 jobs read, 340 new``."""
    read = ngettext("%(count)s job read", "%(count)s jobs read", walk.seen) % {"count": number(walk.seen)}
    return _("%(read)s, %(found)s new") % {"read": read, "found": number(walk.found)}


def _oddities(walk: HistoryWalk) -> str:
    said = history_walk.notes(walk)
    if walk.unreadable:
        unreadable = ngettext(
            "%(count)s row was not understood.", "%(count)s rows were not understood.", walk.unreadable
        )
        said.append(unreadable % {"count": number(walk.unreadable)})
    return " ".join(said)
