"""The charts of a job in a real browser: static/js/elements/job-charts.js and static/js/charts/."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import MakeJob, MakeSnapshot
from tests.e2e.test_job_log import ASKED_AGAIN, ended_with, running
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.usefixtures("sandbox")


def course(steps: int, *, lr: str = ", lr=0.0001") -> str:
    return "".join(
        f"\rSteps: {100 * step // 1000}%|█| {step}/1000 [10:00<20:00,  1.25s/it, step_loss={1 / step:.6f}{lr}]"
        for step in range(1, steps + 1)
    )


def chart(page: Page, name: str) -> Locator:
    return page.locator(f'[data-series="{name}"]')


def ink(page: Page, name: str) -> int:
    """How many points of a chart have the colour of its curve."""
    drawn: int = chart(page, name).evaluate(
        """section => {
          const drawing = section.querySelector('[data-part="drawing"]');
          const wanted = getComputedStyle(drawing).color.match(/\\d+/g).map(Number);
          const canvas = drawing.querySelector("canvas");
          if (!canvas) return 0;
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let count = 0;
          for (let at = 0; at < data.length; at += 4) {
            const isNear = wanted.every((part, channel) => Math.abs(part - data[at + channel]) < 12);
            count += isNear && data[at + 3] > 200 ? 1 : 0;
          }
          return count;
        }"""
    )
    return drawn


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_loss_learning_rate_and_speed_are_drawn_and_told_in_numbers(
    page: Page, web: str, make_job: MakeJob, complaints: list[str], scheme: str
) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    job = ended_with(make_job, course(200))
    page.goto(f"{web}/jobs/{job.job_id}/charts")
    loss = chart(page, "loss")
    expect(loss.get_by_role("img", name="Chart of Loss: latest 0.005 · least 0.005")).to_be_visible()
    for name in ("loss", "learning_rate", "seconds_per_step"):
        assert ink(page, name) > 300, name
    loss.get_by_text("The numbers").click()
    rows = loss.get_by_role("row")
    expect(rows).to_have_count(51)
    expect(rows.nth(1)).to_have_text(re.compile(r"^\s*200\s*0\.005\s*$"))
    expect(loss.get_by_role("table")).to_contain_text("Loss: 50 of 200 points, newest first")


def test_a_point_is_told_when_it_is_pointed_at(page: Page, web: str, make_job: MakeJob) -> None:
    page.goto(f"{web}/jobs/{ended_with(make_job, course(200)).job_id}/charts")
    loss = chart(page, "loss")
    expect(loss.locator(".chart-hint")).to_have_text("latest 0.005 · least 0.005")
    box = loss.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(loss.locator(".chart-hint")).to_have_text(re.compile(r"^Step (?:9\d|10\d): 0\.0(?:09|1)\d*$"))
    page.mouse.move(2, 2)
    expect(loss.locator(".chart-hint")).to_have_text("latest 0.005 · least 0.005")


def test_the_curve_is_smoothed_and_drawn_on_a_log_scale(page: Page, web: str, make_job: MakeJob) -> None:
    noisy = "".join(f"step {step}/400 loss: {1.0 if step % 2 else 0.01}\n" for step in range(1, 401))
    page.goto(f"{web}/jobs/{ended_with(make_job, noisy).job_id}/charts")
    expect(chart(page, "loss").locator("canvas")).to_be_visible()
    noisy_ink = ink(page, "loss")
    smooth, log = page.get_by_role("button", name="Smooth"), page.get_by_role("button", name="Log scale")
    smooth.click()
    expect(smooth).to_have_attribute("aria-pressed", "true")
    assert 0 < ink(page, "loss") < noisy_ink / 4, "the curve itself is faded"
    smooth.click()
    before = chart(page, "loss").locator("canvas").evaluate("canvas => canvas.toDataURL()")
    log.click()
    expect(log).to_have_attribute("aria-pressed", "true")
    assert chart(page, "loss").locator("canvas").evaluate("canvas => canvas.toDataURL()") != before
    assert ink(page, "loss") > 100


def test_charts_grow_with_the_log(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    job_id = running(sandbox, make_snapshot, "Loading model\n")
    page.goto(f"{web}/jobs/{job_id}/charts")
    loss = chart(page, "loss")
    expect(page.locator(".chart-standing")).to_have_text("Read from the job's log as it grows.")
    expect(loss).to_contain_text("The log says nothing of it so far.")
    expect(loss.locator("canvas")).to_have_count(0)
    sandbox.change_job(job_id, logs=course(3, lr=""))
    expect(loss.locator(".chart-hint")).to_have_text("latest 0.33333 · least 0.33333", timeout=ASKED_AGAIN)
    expect(chart(page, "learning_rate")).to_contain_text("The log says nothing of it so far.")
    sandbox.change_job(job_id, logs=course(5, lr=""))
    expect(loss.locator(".chart-hint")).to_have_text("latest 0.2 · least 0.2", timeout=ASKED_AGAIN)
    assert ink(page, "loss") > 50


def test_without_a_script_there_are_the_numbers(browser: Browser, web: str, make_job: MakeJob) -> None:
    job = ended_with(make_job, course(3))
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    page = context.new_page()
    page.goto(f"{web}/jobs/{job.job_id}/charts")
    loss = chart(page, "loss")
    expect(loss.locator(".chart-hint")).to_have_text("latest 0.33333 · least 0.33333")
    loss.locator("summary").click()
    expect(loss.get_by_role("row")).to_have_text([re.compile("Step"), "30.33333", "20.5", "11"])
    expect(page.get_by_role("button", name="Smooth")).to_have_count(0)
    context.close()
