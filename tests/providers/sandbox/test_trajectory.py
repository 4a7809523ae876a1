from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sandbox.plan import Durations, JobPlan, Outcome
from providers.sandbox.trajectory import (
    TERMINAL,
    Phase,
    deadline_at,
    is_forgotten,
    moment,
    run_seconds,
    segments,
    step_at,
)

from .conftest import CREATED_AT, PLAN, MakePlan

RUN_SECONDS = 195.0
ENDS_AT = CREATED_AT + 10 + RUN_SECONDS


@pytest.mark.parametrize(
    ("age", "status"),
    [
        pytest.param(-5.0, "starting", id="before it exists"),
        pytest.param(0.0, "starting", id="just created"),
        pytest.param(9.9, "starting", id="end of the queue"),
        pytest.param(10.0, "processing", id="started"),
        pytest.param(204.9, "processing", id="nearly done"),
        pytest.param(205.0, "succeeded", id="done"),
        pytest.param(1e9, "succeeded", id="long after"),
    ],
)
def test_job_starts_works_and_succeeds_at_its_times(age: float, status: str) -> None:
    assert moment(PLAN, CREATED_AT + age).status == status


def test_times_appear_only_when_they_have_come(make_plan: MakePlan) -> None:
    job = make_plan()
    assert moment(job, CREATED_AT + 5).started_at is None
    at_work = moment(job, CREATED_AT + 50)
    assert (at_work.started_at, at_work.completed_at) == (CREATED_AT + 10, None)
    assert moment(job, ENDS_AT + 99).completed_at == ENDS_AT


def test_speed_shortens_real_time_but_not_the_work(make_plan: MakePlan) -> None:
    job = make_plan(speed=10.0)
    done = moment(job, CREATED_AT + 20.5)
    assert done.status == "succeeded"
    assert done.started_at == CREATED_AT + 1.0
    assert done.completed_at == pytest.approx(CREATED_AT + 20.5)
    assert done.worked == RUN_SECONDS


def test_segments_follow_each_other_without_gaps_and_fill_the_run() -> None:
    timeline = segments(PLAN)
    assert timeline[0].begins == 0.0
    assert all(earlier.ends == later.begins for earlier, later in pairwise(timeline))
    assert timeline[-1].ends == pytest.approx(run_seconds(PLAN)) == RUN_SECONDS


def test_training_pauses_for_validations_and_checkpoints() -> None:
    assert [segment.phase for segment in segments(PLAN)] == [
        Phase.LOAD, Phase.PREPROCESS,
        Phase.TRAIN, Phase.VALIDATE, Phase.CHECKPOINT,
        Phase.TRAIN, Phase.VALIDATE, Phase.CHECKPOINT,
        Phase.FINISH,
    ]  # fmt: skip


@pytest.mark.parametrize(("worked", "step"), [(0, 0), (49, 0), (75, 25), (100, 50), (110, 50), (140, 75), (195, 100)])
def test_steps_advance_while_training_and_stand_still_otherwise(worked: float, step: float) -> None:
    assert step_at(PLAN, worked) == step


def test_failed_job_ends_early_at_its_share_of_the_run(make_plan: MakePlan) -> None:
    job = make_plan(outcome=Outcome.FAILED, stop_fraction=0.4)
    assert moment(job, CREATED_AT + 10 + 0.4 * RUN_SECONDS - 1).status == "processing"
    failed = moment(job, ENDS_AT)
    assert (failed.status, failed.completed_at) == ("failed", CREATED_AT + 10 + 0.4 * RUN_SECONDS)


def test_deadline_during_the_run_cancels(make_plan: MakePlan) -> None:
    job = make_plan(outcome=Outcome.CANCELED_BY_DEADLINE, stop_fraction=0.5)
    stopped = moment(job, ENDS_AT)
    assert (stopped.status, stopped.completed_at) == ("canceled", CREATED_AT + 10 + 0.5 * RUN_SECONDS)
    assert stopped.completed_at == deadline_at(job)


def test_deadline_in_the_queue_aborts_without_a_start(make_plan: MakePlan) -> None:
    stopped = moment(make_plan(outcome=Outcome.ABORTED), ENDS_AT)
    assert (stopped.status, stopped.started_at) == ("aborted", None)
    assert stopped.completed_at == pytest.approx(CREATED_AT + 10)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        pytest.param(5.0, "aborted", id="still queued"),
        pytest.param(60.0, "canceled", id="at work"),
        pytest.param(999.0, "succeeded", id="done in time"),
    ],
)
def test_requested_deadline_counts_from_creation(make_plan: MakePlan, seconds: float, status: str) -> None:
    assert moment(make_plan(deadline_seconds=seconds), ENDS_AT).status == status


def test_cancel_after_the_deadline_comes_too_late(make_plan: MakePlan) -> None:
    job = make_plan(deadline_seconds=60.0, cancelled_at=CREATED_AT + 70)
    assert moment(job, ENDS_AT).completed_at == CREATED_AT + 60


@pytest.mark.parametrize("age", [0.0, 5.0, 10.0, 15.0, 45.0, 80.0, 112.0, 118.0, 200.0])
def test_cancel_in_any_phase_ends_the_job_there_and_then(make_plan: MakePlan, age: float) -> None:
    cancelled_at = CREATED_AT + age
    job = make_plan(cancelled_at=cancelled_at)
    for later in (0.0, 1.0, 1e6):
        standing = moment(job, cancelled_at + later)
        assert (standing.status, standing.completed_at) == ("canceled", cancelled_at)
        assert standing.started_at is not None
        assert standing.started_at < cancelled_at
        assert standing.worked == max(age - 10, 0)


def test_cancelling_in_the_queue_leaves_a_run_of_microseconds_as_recorded(make_plan: MakePlan) -> None:
    standing = moment(make_plan(cancelled_at=CREATED_AT + 4), ENDS_AT)
    assert standing.started_at is not None
    assert standing.completed_at is not None
    assert standing.completed_at - standing.started_at == pytest.approx(3e-06, abs=1e-06)


def test_cancel_after_the_end_changes_nothing(make_plan: MakePlan) -> None:
    assert moment(make_plan(cancelled_at=ENDS_AT + 1), ENDS_AT + 2) == moment(PLAN, ENDS_AT + 2)


@pytest.mark.parametrize(
    ("source", "after_end", "forgotten"),
    [("api", 3599.0, False), ("api", 3600.0, True), ("web", 1e9, False)],
)
def test_data_of_api_jobs_is_forgotten_an_hour_after_the_end(
    make_plan: MakePlan, source: str, after_end: float, forgotten: bool
) -> None:
    job = make_plan(source=source)
    now = ENDS_AT + after_end
    assert is_forgotten(job, moment(job, now), now, 3600.0) is forgotten


def test_running_job_is_never_forgotten() -> None:
    now = CREATED_AT + 100
    assert not is_forgotten(PLAN, moment(PLAN, now), now, 0.0)


plans = st.builds(
    lambda **changes: JobPlan(**{**PLAN.__dict__, **changes}),
    durations=st.builds(Durations, *[st.floats(0, 500) for _ in range(7)]),
    outcome=st.sampled_from(Outcome),
    stop_fraction=st.floats(0.01, 1.0),
    speed=st.sampled_from([0.5, 1.0, 6.0, 60.0]),
    total_steps=st.integers(1, 3000),
    validate_every=st.sampled_from([0, 7, 100]),
    checkpoint_every=st.sampled_from([0, 50]),
    cancelled_at=st.none() | st.floats(CREATED_AT, CREATED_AT + 5000),
)


@given(plan=plans, ages=st.lists(st.floats(0, 50_000), min_size=2))
def test_status_never_goes_back_and_the_end_is_final(plan: JobPlan, ages: list[float]) -> None:
    order = {"starting": 0, "processing": 1}
    standings = [moment(plan, CREATED_AT + age) for age in sorted(ages)]
    if plan.cancelled_at is not None:
        # A cancel is a fact only from then on; what an earlier look sees is the job without it.
        standings = [s for s, age in zip(standings, sorted(ages), strict=True) if CREATED_AT + age >= plan.cancelled_at]
    for earlier, later in pairwise(standings):
        assert order.get(earlier.status, 2) <= order.get(later.status, 2)
        assert earlier.worked <= later.worked
        if earlier.status in TERMINAL:
            assert earlier == later


@given(plan=plans)
def test_times_are_in_order_and_every_job_ends(plan: JobPlan) -> None:
    standing = moment(plan, CREATED_AT + 1e9)
    assert standing.is_terminal
    assert standing.completed_at is not None
    assert standing.completed_at >= plan.created_at - 1e-5
    if standing.started_at is not None:
        assert standing.started_at <= standing.completed_at
