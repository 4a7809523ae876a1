"""The course of a training as its log tells it: jobs.training_log.series, its service and its API."""

import json
import math
import time
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from jobs import access
from jobs.api import authentication
from jobs.models import JobLog
from jobs.services.series import stored_series
from jobs.training_log import series as module
from jobs.training_log.series import MAX_CHARACTERS, MAX_POINTS, Point, read_series
from tests.conftest import MakeJob
from tests.jobs.test_logs import discovered
from tests.jobs.test_progress import CORPUS
from tests.sandbox_server import RunningSandbox


def bar(step: int, total: int, postfix: str, name: str = "Steps:") -> str:
    return f"\r{name} {100 * step // total:3d}%|{'█' * 5}| {step}/{total} [10:00<20:00{postfix}]"


def losses(text: str) -> list[tuple[float, float | None]]:
    return [(point.x, point.loss) for point in read_series(text).points]


def test_simpletuners_bar_tells_all_three() -> None:
    text = "".join(
        bar(step, 1000, f",  1.25s/it, step_loss={1 / step:.4f}, lr={step * 1e-6:g}", "Epoch 1/4, Steps:")
        for step in (1, 2, 4)
    )
    assert read_series(text).points == (
        Point(1, 1.0, 1e-6, 1.25),
        Point(2, 0.5, 2e-6, 1.25),
        Point(4, 0.25, 4e-6, 1.25),
    )


@pytest.mark.parametrize(
    ("text", "point"),
    [
        pytest.param("Step 150/5000 - loss: 0.0234", Point(150, 0.0234), id="plain"),
        pytest.param(
            "iteration 190/ 1000 | elapsed time per iteration (ms): 1500.0 | learning rate: 1.5E-04 | lm loss: 8.2 |",
            Point(190, 8.2, 1.5e-4, 1.5),
            id="megatron",
        ),
        pytest.param('{"step": 7, "loss": 0.5, "lr": 0.0001}', Point(7, 0.5, 1e-4), id="json"),
        pytest.param(
            bar(8, 100, ", 2.00it/s, loss=0.3"), Point(8, 0.3, None, 0.5), id="iterations a second become seconds"
        ),
        pytest.param("\x1b[32mstep 3/9\x1b[0m loss: \x1b[1m0.5\x1b[0m", Point(3, 0.5), id="coloured"),
        pytest.param("Step 5/10, loss: 0.5, val_loss: 0.9", Point(5, 0.5), id="not the validation's loss"),
    ],
)
def test_trainers_tell_it_each_in_their_way(text: str, point: Point) -> None:
    assert read_series(text).points == (point,)


def test_a_line_without_a_step_stands_at_the_bar_above_it() -> None:
    text = "".join(
        f"{bar(step, 5000, ',  4.00it/s', '')}\n{{'loss': {step / 1000}, 'learning_rate': 5e-05, 'epoch': 0.5}}\n"
        for step in (100, 200)
    )
    assert read_series(text).points == (Point(100, 0.1, 5e-05, 0.25), Point(200, 0.2, 5e-05, 0.25))


def test_bars_of_a_validation_or_a_download_say_nothing_of_the_training() -> None:
    text = (
        bar(1, 100, ", 2.00s/it, loss=0.5")
        + bar(9, 10, ", 9.00it/s, loss=9.9", "Validating:")
        + bar(3, 3, ", 5.00it/s", "Loading shards:")
        + bar(2, 100, ", 2.00s/it, loss=0.4")
    )
    assert read_series(text).points == (Point(1, 0.5, None, 2.0), Point(2, 0.4, None, 2.0))


def test_steps_of_each_epoch_are_counted_on() -> None:
    text = "".join(
        f"Epoch {epoch}/3\n" + "".join(f"{step}/100 [====>....] - loss: {epoch}.{step}\n" for step in (50, 100))
        for epoch in (1, 2, 3)
    )
    assert [point.x for point in read_series(text).points] == [50, 100, 150, 200, 250, 300]


def test_without_steps_epochs_are_counted_and_without_those_lines() -> None:
    by_epoch = read_series("{'loss': 0.5, 'epoch': 0.25}\n{'loss': 0.4, 'epoch': 0.5}\n")
    assert (by_epoch.x_unit, [point.x for point in by_epoch.points]) == ("epoch", [0.25, 0.5])
    by_line = read_series("loss: 0.5\nloss: 0.4\n")
    assert (by_line.x_unit, [point.x for point in by_line.points]) == ("line", [1, 2])


def test_a_training_that_goes_back_to_a_checkpoint_overtakes_what_it_did_before() -> None:
    text = "".join(f"step {step}/100 loss: 0.{step}\n" for step in (10, 20, 30, 40, 25, 30, 35, 45))
    assert [point.x for point in read_series(text).points] == [10, 20, 25, 30, 35, 45]


def test_a_stray_step_does_not_wipe_out_the_training() -> None:
    text = "".join(f"step {step}/100 loss: 0.{step}\n" for step in (10, 20, 30, 1, 40, 50, 2))
    assert [point.x for point in read_series(text).points] == [10, 20, 30, 40, 50]


def test_a_long_log_is_thinned_and_keeps_its_extremes() -> None:
    text = "".join(
        f"Step {step}/50000 - loss: {50.0 if step == 31_337 else 0.0001 if step == 777 else 1.0}\n"
        for step in range(1, 50_001)
    )
    found = read_series(text)
    assert found.is_thinned
    assert 200 < len(found.points) <= MAX_POINTS < 1000
    assert Point(31_337, 50.0) in found.points
    assert Point(777, 0.0001) in found.points
    assert (found.points[0].x, found.points[-1].x) == (1, 50_000)


def test_the_whole_course_of_a_log_beyond_the_limit_is_seen() -> None:
    line = "Step {0:09d}/900000000 - loss: {1:.6f} ".ljust(150, "x") + "\n"
    count = 3 * MAX_CHARACTERS // 150
    text = "".join(line.format(step, step / count) for step in range(count))
    found = read_series(text)
    assert found.is_thinned
    assert all(point.loss == pytest.approx(point.x / count, abs=1e-5) for point in found.points), "no number is cut"
    places = [point.x / count for point in found.points]
    assert places[0] < 0.001
    assert places[-1] > 0.999
    assert max(later - one for one, later in pairwise(places)) < 0.05


pieces = st.sampled_from(
    [
        *("loss", "lr", ":", "=", " ", "step", "epoch", "/", "it/s", "s/it", "%|", "|", "[", "<", "]"),
        *("\r", "\n", "\x1b[0m", "\b", "nan", "1e999", "0.5", "12", "9" * 30, "İ", "\x00"),
    ]
)


@given(st.lists(pieces, max_size=60).map("".join) | st.text(max_size=80))
def test_any_text_gives_finite_points_in_order(text: str) -> None:
    points = read_series(text).points
    assert all(earlier.x < later.x for earlier, later in pairwise(points))
    for point in points:
        values = (point.x, point.loss, point.learning_rate, point.seconds_per_step)
        assert all(value is None or math.isfinite(value) for value in values)


@pytest.mark.parametrize(
    "unit",
    ["loss: 0.1 ", "1/s ", "epoch 1 ", "1%|#|1/2 [0:0<0:0] ", "l", "lr=1 ", "\x1b[", "9", "loss", "\r", "1.25s/it\n"],
)
def test_no_text_takes_long_and_a_longer_one_takes_no_longer(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        start = time.process_time()
        read_series(text)
        return time.process_time() - start

    assert seconds(1_000_000) < 1.0
    assert seconds(4 * MAX_CHARACTERS) < 8.0


def test_the_last_loss_of_real_logs_is_read_as_a_careful_reader_would() -> None:
    if not CORPUS.exists():
        pytest.skip("the labelled corpus of real logs is not on this machine")
    records = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    told = [record for record in records if record["expected"].get("loss") is not None]
    wrong = [record["id"] for record in told if not _ends_with(record["text"], record["expected"]["loss"])]
    assert len(wrong) <= 0.05 * len(told), wrong


def test_the_last_step_of_real_logs_is_read_as_a_careful_reader_would() -> None:
    if not CORPUS.exists():
        pytest.skip("the labelled corpus of real logs is not on this machine")
    records = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    found = [(record, read_series(record["text"])) for record in records if record["expected"].get("step") is not None]
    told = [(record, series) for record, series in found if series.points]
    wrong = [
        record["id"]
        for record, series in told
        if series.x_unit != "step" or abs(series.points[-1].x - record["expected"]["step"]) > 1
    ]
    assert len(told) > 50
    assert len(wrong) <= 0.05 * len(told), wrong


def _ends_with(text: str, loss: float) -> bool:
    told = [point.loss for point in read_series(text).points if point.loss is not None]
    return bool(told) and math.isclose(told[-1], loss, rel_tol=0.002)


@pytest.mark.django_db
def test_the_series_of_a_running_job_are_those_of_its_newest_log(client: Client, sandbox: RunningSandbox) -> None:
    job = discovered(sandbox)
    sandbox.change_job(job.external_id or "", logs=bar(1, 10, ", 2.00s/it, loss=0.5, lr=0.001"))
    body = client.get(f"/api/cloud/jobs/{job.job_id}/series").json()
    assert body == {
        "job_id": job.job_id,
        "x_unit": "step",
        "points": [{"x": 1.0, "loss": 0.5, "learning_rate": 0.001, "seconds_per_step": 2.0}],
        "is_thinned": False,
        "is_final": False,
        "problem": None,
    }


@pytest.mark.django_db
def test_a_log_that_has_not_grown_is_not_read_again(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(status="completed")
    log = JobLog(job=job)
    log.replace("step 1/9 loss: 0.5\n", is_final=True)
    log.save()
    first = stored_series(job)
    monkeypatch.setattr("jobs.services.series.read_series", lambda _: pytest.fail("it was read again"))
    assert stored_series(job) == first == module.Series("step", (Point(1, 0.5),))


@pytest.mark.django_db
@pytest.mark.parametrize("job_id", ["nope", "%00", "x" * 5000])
def test_series_of_an_unknown_job_are_a_404(client: Client, job_id: str) -> None:
    answer = client.get(f"/api/cloud/jobs/{job_id}/series")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


@pytest.mark.django_db
def test_series_of_anothers_job_are_a_404(client: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(owner=get_user_model().objects.create(username="asha"), status="completed")
    viewer = access.Actor(user_id=None, name="mallory", permissions=access.VIEWER, via="session")
    monkeypatch.setattr(authentication, "owner_actor", lambda **_: viewer)
    answer: Any = client.get(f"/api/cloud/jobs/{job.job_id}/series")
    assert answer.status_code == 404
