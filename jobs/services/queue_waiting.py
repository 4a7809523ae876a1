"""Why an entry waits, and for how long it may."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import queue_order
from jobs.circuit_breaker import BreakerState
from jobs.models import QueueEntry, QueueStatus
from jobs.queue_order import Obstacle, Waiting
from jobs.services import queue, queue_limits
from jobs.services.call_governor import BreakerFacts, breaker_state
from providers import registry

# The wait is estimated from so many of the last jobs.
RECENT_JOBS = 20
TICK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry's place among those that wait, from 1."""

    entry: Waiting
    place: int
    priority: int
    risen_by: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where a waiting job is, from 1, and for how long it may wait still."""

    place: int
    estimated_wait_seconds: float | None


def forecasts(job_pks: Sequence[int]) -> dict[int, Forecast]:
    """For those of the jobs that wait; no query if there are none."""
    if not job_pks:
        return {}
    line = WaitingLine()
    found = {pk: line.standing(pk) for pk in job_pks}
    return {pk: Forecast(at.place, line.estimated_wait_seconds(pk)) for pk, at in found.items() if at is not None}


class WaitingLine:
    """Everything that waits as of now, in its order: a few queries, however much it is."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.limits = queue_limits.current()
        self.places = queue.held_places()
        self._ordered = queue_order.in_order(queue.waiting_entries(), self.now, self.limits.ageing_minutes)
        self._standings = {entry.job_pk: standing for entry, standing in self._number()}
        self._breakers: dict[str, BreakerFacts] = {}
        self._run_seconds: float | None = None
        self._has_run_seconds = False

    def __len__(self) -> int:
        return len(self._ordered)

    @property
    def waiting(self) -> Sequence[Waiting]:
        return self._ordered

    def standing(self, job_pk: int) -> Standing | None:
        """Where a job's entry is; ``None`` if it does not wait."""
        return self._standings.get(job_pk)

    def reason(self, job_pk: int, viewer_id: int | None, *, owner: str = "", team: str = "", trouble: str = "") -> str:
        """Why it waits, for whoever looks. ``trouble``: what went wrong with its last attempt."""
        standing = self.standing(job_pk)
        if standing is None:
            return ""
        entry = standing.entry
        if not entry.is_due(self.now) and entry.next_attempt_at is not None:
            words = _("waits for its next attempt at %(time)s: %(reason)s")
            return words % {"time": _clock(entry.next_attempt_at), "reason": trouble or _("the last one failed")}
        kind = queue_order.obstacle(entry, self.places, self.limits)
        if kind is not None:
            return self._obstacle_words(kind, entry, viewer_id, owner, team)
        return self._provider_words(entry.provider) or _("is next")

    def estimated_wait_seconds(self, job_pk: int) -> float | None:
        """A guess from how long the last jobs ran; ``None`` without any to go by."""
        standing = self.standing(job_pk)
        if standing is None:
            return None
        free = max(self.limits.max_concurrent - self.places.total, 0)
        if standing.place <= free and queue_order.obstacle(standing.entry, self.places, self.limits) is None:
            wait = float(TICK_SECONDS)
        else:
            run_seconds = self._recent_run_seconds()
            if run_seconds is None:
                return None
            rounds = math.ceil(max(standing.place - free, 1) / self.limits.max_concurrent)
            wait = rounds * run_seconds
        if standing.entry.next_attempt_at is not None:
            wait = max(wait, (standing.entry.next_attempt_at - self.now).total_seconds())
        return round(wait, 1)

    def _number(self) -> Iterator[tuple[Waiting, Standing]]:
        for place, entry in enumerate(self._ordered, start=1):
            risen = queue_order.risen_by(entry.base, entry.queued_at, self.now, self.limits.ageing_minutes)
            yield entry, Standing(entry, place, entry.base + risen, risen)

    def _obstacle_words(self, kind: Obstacle, entry: Waiting, viewer_id: int | None, owner: str, team: str) -> str:
        if kind is Obstacle.OWNER and entry.owner_id is not None:
            numbers = {"used": self.places.owners[entry.owner_id], "limit": self.limits.user_max_concurrent}
            if entry.owner_id == viewer_id:
                return _("%(used)s of %(limit)s slots used by you") % numbers
            return _("%(used)s of %(limit)s slots used by %(owner)s") % {**numbers, "owner": owner}
        if kind is Obstacle.TEAM and entry.team_id is not None:
            numbers = {"used": self.places.teams[entry.team_id], "limit": self.limits.team_max_concurrent}
            return _("%(used)s of %(limit)s slots used by team %(team)s") % {**numbers, "team": team}
        return _("%(used)s of %(limit)s slots are in use") % {
            "used": self.places.total,
            "limit": self.limits.max_concurrent,
        }

    def _provider_words(self, provider: str) -> str:
        if provider not in self._breakers:
            self._breakers[provider] = breaker_state(provider)
        facts, label = self._breakers[provider], registry.get_label(provider)
        if facts.resting_until is not None:
            words = _("%(provider)s asks us to slow down until %(time)s")
            return words % {"provider": label, "time": _clock(facts.resting_until)}
        if facts.state is BreakerState.REFUSED:
            return _("%(provider)s refuses our token") % {"provider": label}
        if facts.state is not BreakerState.CLOSED:
            time = _clock(facts.until) if facts.until else _("any moment")
            return _("%(provider)s does not answer; next try: %(time)s") % {"provider": label, "time": time}
        return ""

    def _recent_run_seconds(self) -> float | None:
        if not self._has_run_seconds:
            self._has_run_seconds = True
            ended = QueueEntry.objects.filter(
                status=QueueStatus.COMPLETED, started_at__isnull=False, finished_at__isnull=False
            ).order_by("-finished_at")
            times = ended.values_list("started_at", "finished_at")[:RECENT_JOBS]
            spans = [(end - start).total_seconds() for start, end in times if start and end]
            self._run_seconds = sum(spans) / len(spans) if spans else None
        return self._run_seconds


def _clock(time: datetime) -> str:
    return f"{time:%H:%M:%S} UTC"
