"""Pure: where a job stands at a moment. No clock, no files, no network."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .plan import JobPlan, Outcome

TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})

CANCEL_BEFORE_WORK_SECONDS = 3e-06
"""A job that a user cancels in the queue is still given a start, three microseconds before its end (recorded)."""


class Phase(StrEnum):
    LOAD = "load"
    PREPROCESS = "preprocess"
    TRAIN = "train"
    VALIDATE = "validate"
    CHECKPOINT = "checkpoint"
    FINISH = "finish"


@dataclass(frozen=True)
class Segment:
    """A stretch of one phase, in simulated seconds since the job started. Steps rise from first to last within it."""

    phase: Phase
    begins: float
    ends: float
    first_step: int
    last_step: int

    @property
    def length(self) -> float:
        return self.ends - self.begins

    def at(self, share: float) -> float:
        """The moment at which this share of the segment is over."""
        return self.begins + self.length * share


@dataclass(frozen=True)
class Moment:
    """A job as it stands: status word, real Unix times, and how many simulated seconds it has been working."""

    status: str
    started_at: float | None
    completed_at: float | None
    worked: float

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


def segments(plan: JobPlan) -> list[Segment]:
    """The run of a job that nothing stops, in order and without gaps."""
    lengths = plan.durations
    timeline: list[Segment] = []
    at = 0.0

    def append(phase: Phase, length: float, first_step: int, last_step: int) -> None:
        nonlocal at
        timeline.append(Segment(phase, at, at + length, first_step, last_step))
        at += length

    append(Phase.LOAD, lengths.load, 0, 0)
    append(Phase.PREPROCESS, lengths.preprocess, 0, 0)
    step = 0
    for stop in _stops(plan):
        append(Phase.TRAIN, lengths.train * (stop - step) / max(plan.total_steps, 1), step, stop)
        if _is_multiple(stop, plan.validate_every):
            append(Phase.VALIDATE, lengths.validate, stop, stop)
        if _is_multiple(stop, plan.checkpoint_every):
            append(Phase.CHECKPOINT, lengths.checkpoint, stop, stop)
        step = stop
    append(Phase.FINISH, lengths.finish, plan.total_steps, plan.total_steps)
    return timeline


def run_seconds(plan: JobPlan) -> float:
    """Simulated seconds between start and end: the whole run, or up to the failure."""
    lengths = plan.durations
    whole = (
        lengths.load
        + lengths.preprocess
        + lengths.train
        + lengths.validate * _count(plan.total_steps, plan.validate_every)
        + lengths.checkpoint * _count(plan.total_steps, plan.checkpoint_every)
        + lengths.finish
    )
    return whole * plan.stop_fraction if plan.outcome is Outcome.FAILED else whole


def moment(plan: JobPlan, now: float) -> Moment:
    """The job as it stands at `now`. A job from the future is one that has just been created."""
    starts_at = plan.created_at + plan.durations.queue / plan.speed
    ends_at = starts_at + run_seconds(plan) / plan.speed
    stopped_at, stopped_status = _stop(plan, starts_at, ends_at)
    if stopped_at is not None and stopped_at < ends_at and stopped_at <= now:
        if stopped_status == "aborted":
            return Moment("aborted", None, stopped_at, 0.0)
        started_at = min(starts_at, stopped_at - CANCEL_BEFORE_WORK_SECONDS)
        return Moment("canceled", started_at, stopped_at, max(stopped_at - starts_at, 0.0) * plan.speed)
    if now < starts_at:
        return Moment("starting", None, None, 0.0)
    if now < ends_at:
        return Moment("processing", starts_at, None, (now - starts_at) * plan.speed)
    status = "failed" if plan.outcome is Outcome.FAILED else "succeeded"
    return Moment(status, starts_at, ends_at, run_seconds(plan))


def deadline_at(plan: JobPlan) -> float | None:
    """The moment at which the job is stopped for taking too long, if it has such a limit."""
    starts_at = plan.created_at + plan.durations.queue / plan.speed
    if plan.deadline_seconds is not None:
        return plan.created_at + plan.deadline_seconds
    if plan.outcome is Outcome.ABORTED:
        return starts_at - CANCEL_BEFORE_WORK_SECONDS
    if plan.outcome is Outcome.CANCELED_BY_DEADLINE:
        return starts_at + run_seconds(plan) * plan.stop_fraction / plan.speed
    return None


def step_at(plan: JobPlan, worked: float) -> int:
    """Optimiser steps done after so many simulated seconds of work."""
    for segment in segments(plan):
        if worked < segment.ends:
            share = max(worked - segment.begins, 0.0) / segment.length
            return segment.first_step + int(share * (segment.last_step - segment.first_step))
    return plan.total_steps


def is_forgotten(plan: JobPlan, standing: Moment, now: float, retention_seconds: float) -> bool:
    """Whether input, output and logs are gone. Replicate keeps those of jobs that were started on its website."""
    return (
        plan.source == "api" and standing.completed_at is not None and now >= standing.completed_at + retention_seconds
    )


def _stop(plan: JobPlan, starts_at: float, ends_at: float) -> tuple[float | None, str]:
    """What stops the job early, a user or its deadline, whichever comes first."""
    deadline = deadline_at(plan)
    if plan.cancelled_at is not None and (deadline is None or plan.cancelled_at <= deadline):
        return plan.cancelled_at, "canceled"
    if deadline is not None and deadline < ends_at:
        return deadline, "aborted" if deadline < starts_at else "canceled"
    return None, ""


def _stops(plan: JobPlan) -> list[int]:
    """Steps at which training pauses for a validation or a checkpoint, and the last step."""
    stops = {plan.total_steps}
    for every in (plan.validate_every, plan.checkpoint_every):
        if every > 0:
            stops.update(range(every, plan.total_steps + 1, every))
    return sorted(stops)


def _is_multiple(step: int, every: int) -> bool:
    return every > 0 and step > 0 and step % every == 0


def _count(total: int, every: int) -> int:
    return total // every if every > 0 else 0
