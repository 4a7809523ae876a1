from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sandbox.logs import log_text
from providers.sandbox.plan import Durations, JobPlan, Outcome, Style
from providers.sandbox.trajectory import run_seconds, step_at

from .conftest import PLAN, MakePlan

LONG = Durations(queue=10, load=150, preprocess=200, train=3150, validate=40, checkpoint=12, finish=60)
BAR_STEPS = re.compile(r"(\d+)/3000 \[")


@pytest.fixture
def long_training(make_plan: MakePlan) -> MakePlan:
    def make(style: Style = Style.FLUX_TRAINER, **changes: Any) -> JobPlan:
        usual = {"durations": LONG, "total_steps": 3000, "validate_every": 500, "checkpoint_every": 1000}
        return make_plan(style=style, **{**usual, **changes})

    return make


@pytest.mark.parametrize("style", Style)
def test_log_only_ever_grows(long_training: MakePlan, style: Style) -> None:
    job = long_training(style)
    texts = [log_text(job, worked) for worked in range(0, int(run_seconds(job)) + 20, 20)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert texts[0] == ""
    assert len(set(texts)) > 100


@given(
    style=st.sampled_from(Style),
    outcome=st.sampled_from(Outcome),
    fraction=st.floats(0.01, 1.0),
    lengths=st.builds(Durations, *[st.floats(0, 300) for _ in range(7)]),
    steps=st.integers(1, 900),
    moments=st.lists(st.floats(0, 3000), min_size=2, max_size=6),
)
def test_every_log_is_the_beginning_of_a_later_one(
    style: Style, outcome: Outcome, fraction: float, lengths: Durations, steps: int, moments: list[float]
) -> None:
    job = type(PLAN)(
        **{
            **PLAN.__dict__, "style": style, "outcome": outcome, "stop_fraction": fraction,
            "durations": lengths, "total_steps": steps,
        }
    )  # fmt: skip
    ends = run_seconds(job)
    texts = [log_text(job, min(worked, ends)) for worked in sorted(moments)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


@pytest.mark.parametrize("style", Style)
def test_same_job_prints_the_same_log(long_training: MakePlan, style: Style) -> None:
    assert log_text(long_training(style), 2000) == log_text(long_training(style), 2000)
    if style is not Style.IMAGE:
        assert log_text(long_training(style), 2000) != log_text(long_training(style, seed=8), 2000)


@pytest.mark.parametrize("style", [Style.FLUX_TRAINER, Style.SIMPLETUNER])
@pytest.mark.parametrize("worked", [500, 1200, 2500, 3400])
def test_newest_bar_tells_the_step_that_the_trajectory_is_at(
    long_training: MakePlan, style: Style, worked: float
) -> None:
    job = long_training(style)
    shown = int(BAR_STEPS.findall(log_text(job, worked))[-1])
    # The bar is redrawn every eight steps.
    assert shown == pytest.approx(step_at(job, worked), abs=8)


def test_flux_trainer_draws_the_bar_of_its_job(long_training: MakePlan) -> None:
    last_line = log_text(long_training(), 2000).rsplit("\r", 1)[-1]
    assert re.fullmatch(
        r"flux_train_replicate:  4\d%\|████[▏▎▍▌▋▊▉]? *\| 1\d{3}/3000 "
        r"\[\d\d:\d\d<\d\d:\d\d,  1\.05s/it, lr: 4\.0e-04 loss: \d\.\d{3}e-01\]",
        last_line,
    )


def test_simpletuner_draws_epochs_and_steps_and_says_them_in_words(long_training: MakePlan) -> None:
    text = log_text(long_training(Style.SIMPLETUNER), 2000)
    assert re.search(r"\rEpoch \d/\d, Steps:  4\d%\|[^|]{10}\| 1\d{3}/3000 \[.*, step_loss=0\.\d+, lr=0\.0001\]", text)
    said = re.findall(r"\n\[TRAINING\] Step (\d+)/3000 \((\d+\.\d)%\) Status: running\n", text)
    assert said
    assert all(float(percent) == round(int(step) / 30, 1) for step, percent in said)


@pytest.mark.parametrize(
    ("style", "pattern"), [(Style.FLUX_TRAINER, r"loss: (\S+)\]"), (Style.SIMPLETUNER, r"loss=([\d.]+)")]
)
def test_loss_falls_with_noise(long_training: MakePlan, style: Style, pattern: str) -> None:
    losses = [float(loss) for loss in re.findall(pattern, log_text(long_training(style), 1e9))]
    tenth = len(losses) // 10
    assert sum(losses[:tenth]) > 1.3 * sum(losses[-tenth:])
    assert any(later > earlier for earlier, later in pairwise(losses))
    assert min(losses) > 0


@pytest.mark.parametrize("style", [Style.FLUX_TRAINER, Style.SIMPLETUNER])
def test_phases_leave_their_marks_in_order(long_training: MakePlan, style: Style) -> None:
    marks = {
        Style.FLUX_TRAINER: [
            "Loading transformer", "Caching latents", " 500/3000", "Generating Samples", "Saving at step 1000",
            "Packing",
        ],
        Style.SIMPLETUNER: [
            "Loading base model", "Processing bucket", " 500/3000", "Processing validation prompts", "checkpoint-1000",
            "Training Complete",
        ],
    }  # fmt: skip
    text = log_text(long_training(style), 1e9)
    places = [text.find(mark) for mark in marks[style]]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("style", Style)
def test_failed_job_prints_a_traceback_and_its_error_last(long_training: MakePlan, style: Style) -> None:
    job = long_training(style, outcome=Outcome.FAILED, stop_fraction=0.4, error="CUDA out of memory.")
    ends = run_seconds(job)
    assert "Traceback" not in log_text(job, ends - 1)
    assert log_text(job, ends).endswith("CUDA out of memory.\n")
    assert "Traceback (most recent call last)" in log_text(job, ends)


def test_given_logs_replace_the_invented_ones(make_plan: MakePlan) -> None:
    assert log_text(make_plan(logs_override="as given"), 1.0) == "as given"


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("steps", [3000, 200_000])
def test_log_stays_small_and_quick_however_long_the_training(long_training: MakePlan, style: Style, steps: int) -> None:
    job = long_training(style, total_steps=steps, validate_every=steps // 5, checkpoint_every=steps // 2)
    log_text(job, 1e9)
    seconds = []
    for _ in range(5):
        before = time.perf_counter()
        text = log_text(job, 1e9)
        seconds.append(time.perf_counter() - before)
    assert len(text.encode()) < 200_000
    # Five milliseconds on an idle machine; the limit leaves room for a busy one.
    assert min(seconds) < 0.025
