"""Who is next, and who has to wait: the order of the queue and its limits. Pure: no database, no clock."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

HIGHEST_PRIORITY = 30


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be at a provider at once. ``has_teams``: whether teams have a limit at all (fair share)."""

    max_concurrent: int
    user_max_concurrent: int
    team_max_concurrent: int
    has_teams: bool
    ageing_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An entry that waits. ``base``: its priority, or the one that was set by hand."""

    pk: int
    job_pk: int
    base: int
    queued_at: datetime
    owner_id: int | None = None
    team_id: int | None = None
    provider: str = ""
    next_attempt_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether it may be tried now, after an attempt that failed."""
        return self.next_attempt_at is None or self.next_attempt_at <= now


AnyWaiting = TypeVar("AnyWaiting", bound=Waiting)


class Obstacle(StrEnum):
    """Which limit an entry waits for; ``provider``: it lets nobody in now."""

    EVERYBODY = "everybody"
    OWNER = "owner"
    TEAM = "team"
    PROVIDER = "provider"


@dataclass(slots=True)
class Places:
    """Who holds how many places; ``doors``: how many more a provider lets in now, where that is limited."""

    total: int = 0
    owners: Counter[int] = field(default_factory=Counter)
    teams: Counter[int] = field(default_factory=Counter)
    doors: dict[str, int] = field(default_factory=dict)

    def give(self, owner_id: int | None, team_id: int | None, provider: str = "") -> None:
        self.total += 1
        if provider in self.doors:
            self.doors[provider] -= 1
        if owner_id is not None:
            self.owners[owner_id] += 1
        if team_id is not None:
            self.teams[team_id] += 1


def risen_by(base: int, queued_at: datetime, now: datetime, ageing_minutes: int) -> int:
    """By how many steps waiting has raised an entry; none for one from the future of a clock that was set back."""
    waited_minutes = max((now - queued_at).total_seconds(), 0.0) / 60.0
    return min(int(waited_minutes // ageing_minutes), max(HIGHEST_PRIORITY - base, 0))


def effective_priority(base: int, queued_at: datetime, now: datetime, ageing_minutes: int) -> int:
    """The priority that counts now. Whoever waits long enough has the highest, and then the older one goes first."""
    return base + risen_by(base, queued_at, now, ageing_minutes)


def in_order(entries: Iterable[AnyWaiting], now: datetime, ageing_minutes: int) -> list[AnyWaiting]:
    """The entries in the order in which they are served: by priority, then by age."""
    return sorted(
        entries,
        key=lambda entry: (
            -effective_priority(entry.base, entry.queued_at, now, ageing_minutes),
            entry.queued_at,
            entry.pk,
        ),
    )


def obstacle(entry: Waiting, places: Places, limits: Limits) -> Obstacle | None:
    """The limit that keeps an entry waiting, the narrowest first; ``None`` if there is a place for it."""
    if entry.owner_id is not None and places.owners[entry.owner_id] >= limits.user_max_concurrent:
        return Obstacle.OWNER
    if limits.has_teams and entry.team_id is not None and places.teams[entry.team_id] >= limits.team_max_concurrent:
        return Obstacle.TEAM
    if places.doors.get(entry.provider, 1) <= 0:
        return Obstacle.PROVIDER
    return Obstacle.EVERYBODY if places.total >= limits.max_concurrent else None


def choose(ordered: Sequence[AnyWaiting], places: Places, limits: Limits) -> list[AnyWaiting]:
    """The next entries that fit; ``places`` has them in the end. One at its owner's limit holds up nobody behind it."""
    chosen = []
    for entry in ordered:
        if places.total >= limits.max_concurrent:
            break
        if obstacle(entry, places, limits) is None:
            places.give(entry.owner_id, entry.team_id, entry.provider)
            chosen.append(entry)
    return chosen
