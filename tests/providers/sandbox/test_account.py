from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from providers.sandbox.account import Account
from providers.sandbox.options import DEFAULT_SPEED, Options
from providers.sandbox.payloads import row
from providers.sandbox.plan import JobPlan, Kind
from providers.sandbox.trajectory import moment, run_seconds
from tests.sandbox_server import Json

from .conftest import MakePlan

ORIGIN = "http://sandbox"


def statuses(account: Account) -> Counter[str]:
    return Counter(moment(job, account.clock.now()).status for job in account.jobs())


def active(account: Account) -> int:
    now = account.clock.now()
    return sum(not moment(job, now).is_terminal for job in account.jobs())


def test_demo_account_has_jobs_in_every_state() -> None:
    seen = statuses(Account(Options(population="demo")))
    assert seen.keys() == {"starting", "processing", "succeeded", "failed", "canceled", "aborted"}
    assert 20 <= seen.total() <= 30
    assert 5 <= seen["starting"] + seen["processing"] <= 6


def test_demo_account_has_both_kinds_and_all_models() -> None:
    jobs = list(Account(Options(population="demo")).jobs())
    assert {job.kind for job in jobs} == set(Kind)
    assert len({job.model for job in jobs}) == 5


def test_demo_jobs_validate_and_save_on_their_way() -> None:
    for job in Account(Options(population="demo")).jobs():
        assert job.total_steps // job.validate_every == 5
        assert job.total_steps // job.checkpoint_every == 2


def test_demo_job_lasts_three_to_eight_minutes_give_or_take() -> None:
    jobs = [job for job in Account(Options(population="demo")).jobs() if job.speed == DEFAULT_SPEED]
    minutes = [(job.durations.queue + run_seconds(job)) / job.speed / 60 for job in jobs]
    assert len(jobs) >= 5
    assert all(2.5 < length < 9 for length in minutes)


def test_same_seed_tells_the_same_story() -> None:
    def story(seed: int) -> list[str]:
        return [job.id for job in Account(Options(population="demo", seed=seed)).jobs()]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_something_is_always_running_and_new_jobs_keep_coming() -> None:
    account = Account(Options(population="demo"))
    counts, discoveries = [], []
    known = {job.id for job in account.jobs()}
    for _ in range(60):
        account.advance(60)
        account.welcome_newcomers()
        counts.append(active(account))
        now_known = {job.id for job in account.jobs()}
        discoveries.append(len(now_known - known))
        known = now_known
    assert min(counts) >= 1
    assert max(counts) <= 8
    assert sum(3 <= count <= 6 for count in counts) > 50
    assert sum(found > 0 for found in discoveries) > 40


def test_newcomers_do_not_depend_on_when_somebody_looks(tmp_path: Path) -> None:
    options = Options(population="demo", state=tmp_path / "often.json")
    Account(options)
    shutil.copy(tmp_path / "often.json", tmp_path / "once.json")
    often, once = Account(options), Account(replace(options, state=tmp_path / "once.json"))
    for _ in range(20):
        often.advance(30)
        often.welcome_newcomers()
    once.advance(600)
    once.welcome_newcomers()
    assert {job.id for job in often.jobs()} == {job.id for job in once.jobs()}
    assert len(list(once.jobs())) > 24


def test_a_night_of_absence_is_not_caught_up_with() -> None:
    account = Account(Options(population="demo"))
    before = len(list(account.jobs()))
    account.advance(12 * 3600)
    account.welcome_newcomers()
    assert before < len(list(account.jobs())) <= before + 60
    assert active(account) >= 3


def test_only_the_demo_gets_newcomers() -> None:
    account = Account(Options(population="none"))
    account.advance(3600)
    account.welcome_newcomers()
    assert list(account.jobs()) == []


def test_a_numbered_population_is_made_quickly() -> None:
    before = time.perf_counter()
    account = Account(Options(population="2000"))
    assert time.perf_counter() - before < 1.0
    assert len(list(account.jobs())) == 2005
    assert active(account) == 5


def test_a_restart_loses_nothing(tmp_path: Path, make_plan: MakePlan) -> None:
    options = Options(population="demo", state=tmp_path / "deep" / "state.json")
    account = Account(options)
    job = account.add(make_plan(webhook="http://127.0.0.1/x", webhook_events_filter=("start",), created_at=time.time()))
    account.cancel(job)
    account.advance(120)
    again = Account(options)
    now = account.clock.now()
    assert again.clock.now() == pytest.approx(now, abs=1)

    def view(of: Account) -> dict[str, Json]:
        return {job.id: row(job, now=now, origin=ORIGIN, retention_seconds=3600) for job in of.jobs()}

    assert view(again) == view(account)
    assert view(again)[job.id]["status"] == "canceled"


def test_a_restart_at_another_speed_rewrites_no_history(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    slow = Account(Options(population="demo", state=path, speed=6.0))
    fast = Account(Options(population="demo", state=path, speed=60.0))
    now = slow.clock.now()
    assert {job.id: moment(job, now) for job in slow.jobs()} == {job.id: moment(job, now) for job in fast.jobs()}


def test_newcomers_come_after_a_restart_at_another_speed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    Account(Options(population="demo", state=path, speed=60.0))
    slow = Account(Options(population="demo", state=path, speed=1.0))
    before = len(list(slow.jobs()))
    slow.advance(3600)
    slow.welcome_newcomers()
    assert len(list(slow.jobs())) > before


def test_state_file_is_left_alone_by_readers(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    account = Account(Options(population="250", state=path))
    written = path.stat().st_mtime_ns
    account.page(Kind.TRAINING, size=100)
    account.welcome_newcomers()
    assert account.get("nobody") is None
    assert path.stat().st_mtime_ns == written


def test_no_temporary_files_are_left(tmp_path: Path, make_plan: MakePlan) -> None:
    account = Account(Options(population="none", state=tmp_path / "state.json"))
    account.add(make_plan())
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["[]", '{"format": 99}', "not json"])
def test_a_foreign_state_file_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"sandbox state|JSON|literal|character"):
        Account(Options(state=path))
    assert path.read_text() == content


def test_a_plan_survives_json(make_plan: MakePlan) -> None:
    plan = make_plan(webhook_events_filter=("start", "completed"), overrides={"status": "x"})
    assert JobPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    with pytest.raises(ValueError, match="colour"):
        JobPlan.from_json({**plan.to_json(), "colour": "red"})


@pytest.mark.parametrize(
    "wrong",
    [{"token": ""}, {"speed": 0}, {"latency_seconds": -1}, {"retention_seconds": -1}, {"population": "many"}],
)
def test_senseless_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        Options(**wrong)
