"""Walking through a provider's whole history to rebuild a lost store (SPEC A2.4).

A walk reads every page of every list of a provider, a few pages with each tick. A page's jobs and the walk's new place
are written in one transaction: whatever dies in between, the walk goes on at the first page that was not written, and
nothing is counted twice. Trouble makes a walk wait; only its end or a person ends it.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, cast

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import coordination, events
from jobs.access import SYNC
from jobs.circuit_breaker import DEFAULT_REST_SECONDS
from jobs.lifecycle import Source
from jobs.models import HistoryWalk, WalkState
from jobs.services.failed_checks import apply_fit
from jobs.services.lookup import InvalidState
from jobs.services.provider_calls import asking
from providers import registry
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderRejected,
    RemoteJobNotFound,
    UnknownProvider,
)
from providers.snapshots import Page

logger = structlog.get_logger(__name__)

EVENT = "history_sync"
# Below beat's interval: no tick meets the one before, and a worker that is to stop has not long to wait for it.
TICK_SECONDS = 4.0
TICKS_PER_MINUTE = 12
# At most 2,000 jobs with each tick: their events and the pages' refreshes come in bursts that browsers keep up with.
MOST_PAGES_PER_TICK = 20
# Of the calls allowed per minute: the poller needs the rest, and its jobs are alive.
SHARE_OF_CALLS = 3
# A holder that was killed stops the walk for so long; the longest step is a call with its deadline of 9 s, and a write.
LEASE_SECONDS = 30.0
ANNOUNCED_EVERY_SECONDS = 1.0

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 300.0
MOST_DOUBLINGS = 10
# A refused token stays refused until somebody acts, and whoever acts can press the button again.
REFUSED_WAIT_SECONDS = 300.0
# Ten million jobs. A list that goes on behind it is not believed, and the walk says so.
MOST_PAGES_PER_LIST = 100_000

LOOPED, TOO_LONG = "loop", "too_long"
REFUSALS = (ProviderAuthError, ProviderNotConfigured, UnknownProvider)
# Of these the other list of the same provider suffers too.
COMMON = (*REFUSALS, ProviderRateLimited)
# 4xx for a cursor that was good once: it has expired.
CURSOR_REFUSED = (ProviderRejected, RemoteJobNotFound)


@dataclass(frozen=True, slots=True)
class Position:
    """How far one list is read. ``cursor``: its next page, ``None`` for the first.

    ``mark``, ``steps``, ``reach``: an earlier cursor, the pages since, and after how many the mark moves up (Brent's
    cycle detection): a ``next`` that leads back is noticed without keeping every cursor. ``ending`` tells why a list
    was left before its end.
    """

    cursor: str | None = None
    pages: int = 0
    is_read: bool = False
    is_second_try: bool = False
    ending: str = ""
    mark: str | None = None
    steps: int = 0
    reach: int = 1

    def after(self, page: Page) -> "Position":
        """The place behind ``page``."""
        here = replace(self, cursor=page.cursor, pages=self.pages + 1)
        if page.cursor is None:
            return replace(here, is_read=True)
        if page.cursor in (self.mark, self.cursor):
            return replace(here, is_read=True, ending=LOOPED)
        if here.pages >= MOST_PAGES_PER_LIST:
            return replace(here, is_read=True, ending=TOO_LONG)
        if self.steps + 1 == self.reach:
            return replace(here, mark=page.cursor, steps=0, reach=2 * self.reach)
        return replace(here, steps=self.steps + 1)


@dataclass(frozen=True, slots=True)
class Start:
    """A walk that was asked for. ``joined``: it was under way already."""

    walk: HistoryWalk
    provider_label: str
    joined: bool


class WalkFacts(TypedDict):
    """A walk for the API and for its event. Times are ISO 8601 in UTC.

    ``error``: what a running walk waits for, until ``next_try_at``. ``notes``: what is to be known of its result.
    """

    id: int
    provider: str
    state: str
    pages: int
    seen: int
    found: int
    updated: int
    unreadable: int
    started_at: str
    updated_at: str
    finished_at: str | None
    next_try_at: str | None
    error: str
    notes: list[str]


def start(provider: str) -> Start:
    """Begin a walk, or join the one that is under way; one that waits then tries again at once.

    Raises ``UnknownProvider`` and ``ProviderNotConfigured``. The first step is taken by beat's next tick.
    """
    registry.get_provider(provider)
    label = registry.get_label(provider)
    walk = _running(provider)
    if walk is None:
        try:
            with transaction.atomic():
                walk = HistoryWalk.objects.create(provider=provider)
        except IntegrityError:
            # Somebody else was quicker.
            walk = HistoryWalk.objects.filter(provider=provider).latest("pk")
        else:
            logger.info("history walk started", provider=provider, walk=walk.pk)
            _announce(walk)
            return Start(walk, label, joined=False)
    if walk.next_try_at is not None:
        HistoryWalk.objects.filter(pk=walk.pk).update(next_try_at=None)
        walk.next_try_at = None
    return Start(walk, label, joined=True)


def cancel(provider: str) -> HistoryWalk:
    """End the walk that is under way; what it brought stays. Raises ``InvalidState`` if there is none."""
    walk = _running(provider)
    now = timezone.now()
    ending: dict[str, Any] = {"state": WalkState.CANCELLED, "finished_at": now, "updated_at": now, "next_try_at": None}
    if walk is None or not HistoryWalk.objects.filter(pk=walk.pk, state=WalkState.RUNNING).update(**ending):
        raise InvalidState("No import of the history is running.")
    walk.refresh_from_db()
    logger.info("history walk cancelled", provider=provider, walk=walk.pk, pages=walk.pages)
    _announce(walk)
    return walk


def latest(provider: str) -> HistoryWalk | None:
    """The newest walk, whatever became of it."""
    return HistoryWalk.objects.filter(provider=provider).first()


def advance(provider: str | None = None) -> None:
    """Take the next steps of the walks (or a provider's) that are under way, for a few seconds.

    Raises ``redis.RedisError``.
    """
    running = HistoryWalk.objects.filter(state=WalkState.RUNNING)
    for walk in running.filter(provider=provider) if provider else running:
        with coordination.lease(f"history:{walk.provider}", seconds=LEASE_SECONDS) as renew:
            if renew is None:
                continue
            # Whoever held the lease before may have gone on since the walk was read.
            walk.refresh_from_db()
            if walk.state == WalkState.RUNNING and (walk.next_try_at is None or walk.next_try_at <= timezone.now()):
                _take_steps(walk, renew)


def facts(walk: HistoryWalk) -> WalkFacts:
    """What the API and the event tell of a walk."""
    return WalkFacts(
        id=walk.pk,
        provider=walk.provider,
        state=walk.state,
        pages=walk.pages,
        seen=walk.seen,
        found=walk.found,
        updated=walk.updated,
        unreadable=walk.unreadable,
        started_at=_iso(walk.started_at),
        updated_at=_iso(walk.updated_at),
        finished_at=_iso(walk.finished_at) if walk.finished_at else None,
        next_try_at=_iso(walk.next_try_at) if walk.next_try_at else None,
        error=walk.error,
        notes=notes(walk),
    )


def notes(walk: HistoryWalk) -> list[str]:
    """Where the lists were not what lists should be, one sentence each."""
    label = registry.get_label(walk.provider)
    said = []
    for kind, position in _positions(walk).items():
        if position.is_second_try:
            said.append(f"{label} no longer knew the next page of its {kind} list, which was begun again from its top.")
        if position.ending == LOOPED:
            said.append(f"{label}'s {kind} list leads back to a page that was read already; it was left there.")
        elif position.ending == TOO_LONG:
            said.append(f"{label}'s {kind} list was left after {position.pages:,} pages, before its end.")
    return said


def _take_steps(walk: HistoryWalk, renew: coordination.Renew) -> None:
    """Read and write pages until the tick is over, nothing is left, or nothing can be read."""
    deadline = time.monotonic() + TICK_SECONDS
    announced_at = 0.0
    troubles: dict[str, ProviderError] = {}
    try:
        lists = registry.get_provider(walk.provider).lists
    except ProviderError as error:
        _settle(walk, [error], is_stuck=True)
        return
    for _ in range(_pages_per_tick()):
        kind = _next_list(walk, lists, troubles)
        if kind is None:
            break
        try:
            page = _read(walk, kind)
        except ProviderError as error:
            if _begin_again(walk, kind, error):
                continue
            troubles[kind] = error
            if isinstance(error, COMMON):
                break
            continue
        if not _take_page(walk, kind, page, lists, is_troubled=bool(troubles)):
            return
        renew()
        if time.monotonic() - announced_at >= ANNOUNCED_EVERY_SECONDS and walk.state == WalkState.RUNNING:
            _announce(walk)
            announced_at = time.monotonic()
        if time.monotonic() >= deadline:
            break
    if walk.state == WalkState.RUNNING:
        is_common = any(isinstance(error, COMMON) for error in troubles.values())
        _settle(walk, list(troubles.values()), is_stuck=is_common or _next_list(walk, lists, troubles) is None)
    else:
        logger.info("history walk done", provider=walk.provider, walk=walk.pk, seen=walk.seen, found=walk.found)
        _announce(walk)


def _read(walk: HistoryWalk, kind: str) -> Page:
    with asking(walk.provider) as provider:
        return provider.read_page(kind, _positions(walk).get(kind, Position()).cursor)


def _take_page(walk: HistoryWalk, kind: str, page: Page, lists: Sequence[str], *, is_troubled: bool) -> bool:
    """Write a page's jobs and the place behind it together. ``False``: the walk has ended or moved without us."""
    positions = _positions(walk)
    positions[kind] = positions.get(kind, Position()).after(page)
    with transaction.atomic():
        # A row that cannot be stored is counted and left out: it must not hold up the pages behind it for ever.
        applied, unfit = apply_fit(page.snapshots, source=Source.SYNC, create=True)
        now = timezone.now()
        change: dict[str, Any] = {
            "cursors": {name: asdict(position) for name, position in positions.items()},
            "pages": walk.pages + 1,
            "seen": walk.seen + len(page.snapshots),
            "found": walk.found + sum(result.created for result in applied),
            "updated": walk.updated + sum(1 for result in applied if result.changed and not result.created),
            "unreadable": walk.unreadable + len(page.errors) + len(unfit),
            "updated_at": now,
        }
        if not is_troubled:
            change |= {"error": "", "failures": 0, "next_try_at": None}
        if all(name in positions and positions[name].is_read for name in lists):
            change |= {"state": WalkState.COMPLETED, "finished_at": now, "error": ""}
        if not _write(walk, change):
            transaction.set_rollback(True)
            logger.info("history walk ended meanwhile", provider=walk.provider, walk=walk.pk)
            return False
    return True


def _begin_again(walk: HistoryWalk, kind: str, error: ProviderError) -> bool:
    """After an expired cursor, begin a list from its top: what was written stays, and is written again without effect.

    Once for each list: one whose cursors never work shall not be read from its top for ever.
    """
    position = _positions(walk).get(kind, Position())
    if not isinstance(error, CURSOR_REFUSED) or position.cursor is None or position.is_second_try:
        return False
    logger.warning("list begun again", provider=walk.provider, list=kind, pages=position.pages, error=error.message)
    again = Position(is_second_try=True)
    return _write(walk, {"cursors": {**walk.cursors, kind: asdict(again)}, "updated_at": timezone.now()})


def _settle(walk: HistoryWalk, troubles: Sequence[ProviderError], *, is_stuck: bool) -> None:
    """Write down what the tick could not read, and when to try again; a walk with another list to read goes on."""
    if troubles:
        message = " ".join(dict.fromkeys(error.message for error in troubles))
        failures = walk.failures + 1
        wait = max(_wait_seconds(error, failures) for error in troubles)
        next_try_at = timezone.now() + timedelta(seconds=wait) if is_stuck else None
        _write(walk, {"error": message, "failures": failures, "next_try_at": next_try_at})
    _announce(walk)


def _wait_seconds(error: ProviderError, failures: int) -> float:
    """How long to wait, with jitter so that many installations do not come back in the same second."""
    if isinstance(error, ProviderRateLimited):
        # Not before its time, and a little behind the poller, whose jobs are alive.
        named = DEFAULT_REST_SECONDS if error.retry_after is None else max(error.retry_after, 1.0)
        return named * random.uniform(1.05, 1.25)
    if isinstance(error, REFUSALS):
        return REFUSED_WAIT_SECONDS
    doubled = FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, MOST_DOUBLINGS)
    return min(doubled, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1.0)


def _next_list(walk: HistoryWalk, lists: Sequence[str], troubles: Mapping[str, ProviderError]) -> str | None:
    """The list that is least read, so that the newest jobs of all lists come first."""
    positions = _positions(walk)
    rest = [name for name in lists if name not in troubles and not positions.get(name, Position()).is_read]
    return min(rest, key=lambda name: positions.get(name, Position()).pages, default=None)


def _pages_per_tick() -> int:
    per_tick: int = settings.PROVIDER_CALLS_PER_MINUTE // SHARE_OF_CALLS // TICKS_PER_MINUTE
    return min(max(per_tick, 1), MOST_PAGES_PER_TICK)


def _positions(walk: HistoryWalk) -> dict[str, Position]:
    return {kind: Position(**stored) for kind, stored in walk.cursors.items()}


def _running(provider: str) -> HistoryWalk | None:
    return HistoryWalk.objects.filter(provider=provider, state=WalkState.RUNNING).first()


def _write(walk: HistoryWalk, change: Mapping[str, Any]) -> bool:
    """Write to the walk if it still stands where we left it: a lease that ran out must not set it back."""
    here = HistoryWalk.objects.filter(pk=walk.pk, state=WalkState.RUNNING, pages=walk.pages)
    if not here.update(**change):
        return False
    for name, value in change.items():
        setattr(walk, name, value)
    return True


def _announce(walk: HistoryWalk) -> None:
    events.announce(EVENT, cast("Mapping[str, events.JSON]", facts(walk)), events.Audience(permission=SYNC))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
