"""The simulated account: its jobs, in the order in which lists show them, and its file."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

from . import population, storage
from .clock import Clock, from_iso, iso
from .options import DEFAULT_SPEED, Options
from .plan import JobPlan, Kind
from .trajectory import moment

PlaceInList = tuple[float, str]
"""Creation time and id: the order of a list, unambiguous even for jobs of the same instant."""

ARRIVAL_SECONDS = 50.0
"""Real seconds between two chances of a newcomer at the demo's own speed."""
FEWEST_ACTIVE, MOST_ACTIVE = 3, 6
ARRIVALS_MADE_UP_FOR = 20
"""Longer absences are not caught up with: nobody wants a night's worth of jobs at once."""
MOST_JOBS = 2000
"""A demo left on for days forgets its oldest jobs."""
LONGEST_DEMO_JOB_SECONDS = 6 * 3600.0
"""How far back to look for jobs that may still be active."""


class Account:
    """Not for several threads: the server calls it from its event loop only."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._jobs: dict[str, JobPlan] = {}
        self._places: dict[Kind, list[PlaceInList]] = {kind: [] for kind in Kind}
        stored = storage.load(options.state) if options.state else None
        self.clock = Clock(stored.clock_offset if stored else 0.0)
        self._welcomed_until = stored.welcomed_until if stored else self.clock.now()
        for job in stored.jobs if stored else self._first_jobs():
            self._put(job)
        if not stored:
            self.save()

    def get(self, job_id: str) -> JobPlan | None:
        job = self._jobs.get(job_id)
        return None if job is None or job.removed else job

    def jobs(self) -> Iterable[JobPlan]:
        return (job for job in self._jobs.values() if not job.removed)

    def add(self, job: JobPlan) -> JobPlan:
        added = self._put(job)
        self.save()
        return added

    def cancel(self, job: JobPlan) -> JobPlan:
        """Stop the job now; one that is over stays as it is, and one that ignores it goes on."""
        now = self.clock.now()
        if job.ignores_cancel or moment(job, now).is_terminal:
            return job
        return self.change(job, cancelled_at=now)

    def change(self, job: JobPlan, **changes: Any) -> JobPlan:
        changed = replace(job, **changes)
        self._jobs[job.id] = changed
        if changed.removed and not job.removed:
            self._places[job.kind].remove((job.created_at, job.id))
        self.save()
        return changed

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.save()

    def page(
        self,
        kind: Kind,
        *,
        size: int,
        before: PlaceInList | None = None,
        after: PlaceInList | None = None,
        since: float | None = None,
        until: float | None = None,
        source: str | None = None,
    ) -> tuple[list[JobPlan], bool, bool]:
        """At most `size` jobs next to a place in the list, newest first, and whether newer and older ones exist.

        Only jobs created from `since` on and before `until` count, and of one `source` if it is given.
        """
        places = self._places[kind]
        oldest = 0 if since is None else bisect_left(places, (since, ""))
        newest = len(places) if until is None else bisect_left(places, (until, ""))
        places = [place for place in places[oldest:newest] if source is None or self._jobs[place[1]].source == source]
        if after is not None:
            start = bisect_right(places, after)
            end = min(start + size, len(places))
        else:
            end = len(places) if before is None else bisect_left(places, before)
            start = max(end - size, 0)
        rows = [self._jobs[job_id] for _, job_id in reversed(places[start:end])]
        return rows, end < len(places), start > 0

    def welcome_newcomers(self) -> None:
        """Create the jobs that have become due since the last look, so that something is always running.

        Whether one comes depends only on the seed, the moment and what was running then, not on when somebody asks.
        """
        if self.options.population != "demo":
            return
        now, interval = self.clock.now(), ARRIVAL_SECONDS * DEFAULT_SPEED / self.options.speed
        latest = int(now // interval)
        first = max(int(self._welcomed_until // interval) + 1, latest - ARRIVALS_MADE_UP_FOR + 1)
        if first > latest:
            return
        for at in (number * interval for number in range(first, latest + 1)):
            active = self._count_active(at)
            wanted = 0 if active >= MOST_ACTIVE else max(1, FEWEST_ACTIVE - active)
            for twin in range(wanted):
                rng = Random(f"{self.options.seed}:{at}:{twin}")
                self._put(population.newcomer(rng, created_at=at, speed=self.options.speed))
        self._welcomed_until = now
        self._forget_oldest()
        self.save()

    def save(self) -> None:
        if self.options.state:
            storage.save(
                self.options.state,
                self._jobs.values(),
                clock_offset=self.clock.offset,
                welcomed_until=self._welcomed_until,
            )

    def _count_active(self, at: float) -> int:
        """How many jobs were queued or at work then."""
        active = 0
        for places in self._places.values():
            oldest = bisect_left(places, (at - LONGEST_DEMO_JOB_SECONDS, ""))
            recent = places[oldest : bisect_left(places, (at, ""))]
            active += sum(not moment(self._jobs[job_id], at).is_terminal for _, job_id in recent)
        return active

    def _first_jobs(self) -> Iterable[JobPlan]:
        rng, now, speed = Random(self.options.seed), self.clock.now(), self.options.speed
        match self.options.population:
            case "demo":
                return population.demo(rng, now=now, speed=speed)
            case "none":
                return ()
            case number:
                return population.finished_and_active(rng, count=int(number), now=now, speed=speed)

    def _put(self, job: JobPlan) -> JobPlan:
        if job.id in self._jobs:
            raise ValueError(f"there is a job {job.id} already")
        # The time as others will see it: a filter given the very `created_at` of a job must find that job.
        job = replace(job, created_at=from_iso(iso(job.created_at)))
        self._jobs[job.id] = job
        if not job.removed:
            insort(self._places[job.kind], (job.created_at, job.id))
        return job

    def _forget_oldest(self) -> None:
        for job in sorted(self._jobs.values(), key=lambda job: job.created_at)[: max(len(self._jobs) - MOST_JOBS, 0)]:
            del self._jobs[job.id]
            if not job.removed:
                self._places[job.kind].remove((job.created_at, job.id))
