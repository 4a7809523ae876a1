"""A schedule follows from its seed, and holds everything that a run is to survive."""

import random
from itertools import pairwise

import pytest

from providers.sandbox.faults import FaultKind, FaultRule
from tests.chaos import schedule
from tests.chaos.schedule import (
    PROCESSES,
    DatabaseTrouble,
    Freeze,
    Kill,
    NewJob,
    Outage,
    ProviderTrouble,
    Requests,
    Schedule,
    Traffic,
    WebhookAddress,
    WebhookTrouble,
)

SHORT, LONG = 28.0, 600.0
SEEDS = range(1, 6)


def actions(planned: Schedule, kind: type) -> list[schedule.Action]:
    return [step.action for step in planned.steps if isinstance(step.action, kind)]


def kill_times(planned: Schedule, process: str) -> list[float]:
    return [step.at for step in planned.steps if step.action == Kill(process)]


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_same_seed_gives_the_same_schedule_and_another_seed_another(seconds: float) -> None:
    assert schedule.make(7, seconds) == schedule.make(7, seconds)
    assert schedule.make(7, seconds).to_text() == schedule.make(7, seconds).to_text()
    assert schedule.make(7, seconds).to_text() != schedule.make(8, seconds).to_text()


@pytest.mark.parametrize("seconds", [SHORT, LONG])
@pytest.mark.parametrize("seed", SEEDS)
def test_steps_come_in_order_and_within_the_run(seed: int, seconds: float) -> None:
    times = [step.at for step in schedule.make(seed, seconds).steps]
    assert times == sorted(times)
    assert all(0 <= at < seconds for at in times)


@pytest.mark.parametrize("seed", SEEDS)
def test_short_run_kills_every_process_once(seed: int) -> None:
    planned = schedule.make(seed, SHORT)
    assert all(len(kill_times(planned, process)) == 1 for process in PROCESSES)


@pytest.mark.parametrize("seed", SEEDS)
def test_long_run_never_kills_a_process_twice_within_the_minute_that_makes_restarts_slow(seed: int) -> None:
    planned = schedule.make(seed, LONG)
    for process in PROCESSES:
        times = kill_times(planned, process)
        assert len(times) >= 9
        assert all(later - earlier > 60 for earlier, later in pairwise(times))


@pytest.mark.parametrize("seed", SEEDS)
def test_long_run_has_every_kind_of_trouble_and_traffic(seed: int) -> None:
    planned = schedule.make(seed, LONG)
    for kind in (Freeze, Outage, DatabaseTrouble, WebhookAddress, NewJob):
        assert actions(planned, kind)
    provider = {action.name for action in actions(planned, ProviderTrouble) if isinstance(action, ProviderTrouble)}
    assert provider == {name for name, _ in schedule.provider_troubles(random.Random(0))}
    webhooks = {action.name for action in actions(planned, WebhookTrouble) if isinstance(action, WebhookTrouble)}
    assert webhooks == {"loss", "total loss", "duplication", "delay", "reordering", "everything"}
    traffic = {action.traffic for action in actions(planned, Requests) if isinstance(action, Requests)}
    assert traffic == set(Traffic)


def test_provider_troubles_use_every_fault_that_the_sandbox_knows() -> None:
    rules = [rule for _, rules in schedule.provider_troubles(random.Random(0)) for rule in rules]
    assert {FaultRule.from_json(dict(rule)).kind for rule in rules} == set(FaultKind)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_trouble_of_the_provider_is_over_before_the_next_begins(seed: int) -> None:
    ends = 0.0
    for step in schedule.make(seed, LONG).steps:
        if isinstance(step.action, ProviderTrouble):
            assert step.at > ends
            ends = step.at + step.action.seconds


def test_jobs_end_within_a_minute_of_their_creation() -> None:
    rng = random.Random(1)
    for is_short, longest in ((True, 15.0), (False, 65.0)):
        for _ in range(200):
            job = schedule.new_job(rng, is_short)
            durations = job.plan["durations"]
            assert sum(durations.values()) + durations["checkpoint"] <= longest
