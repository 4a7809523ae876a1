"""How parts of a page are read anew: what lights up, what is said meanwhile, and what if it fails; static/js/flash.js,
elements/live-fragment.js and elements/refresh-trouble.js.
"""

import time

import pytest
from playwright.sync_api import Page, Route, expect

from jobs.lifecycle import Source
from jobs.models import JobLog
from jobs.services import health
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.e2e.test_job_list import COUNT_SHIFTS, LOOK_AGAIN, is_live, row

pytestmark = pytest.mark.usefixtures("sandbox")

FLASHES = """
window.flashes = [];
const animate = Element.prototype.animate;
Element.prototype.animate = function (frames, options) {
  if (options.id === "flash") {
    const place = this.closest("[data-row]")?.dataset.key ?? this.closest("[data-key]")?.dataset.key;
    window.flashes.push(`${place} ${this.classList[0] ?? ""}`.trim());
  }
  return animate.call(this, frames, options);
};
"""


@pytest.fixture(autouse=True)
def _long_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not well, which is a process that is missing here, is told from the first moment on."""
    monkeypatch.setattr(health, "STARTED", time.monotonic() - 3600)


@pytest.fixture(autouse=True)
def _progress_is_not_asked_for(page: Page) -> None:
    """The sandbox does not know the jobs here, and what it says of them would be one more change."""
    answer = {"job_id": "", "stage": None, "last_log": None, "progress": None}
    page.route("**/inline-progress", lambda route: route.fulfill(json=answer))


def flashes(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.flashes")
    return sorted(found)


def test_cells_that_changed_light_up_once_and_no_others(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    job = make_job(config_name="watched", origin="submitted")
    other = make_job(config_name="other", status="completed")
    page.add_init_script(FLASHES)
    page.goto(web)
    is_live(page)
    page.evaluate(COUNT_SHIFTS)
    ended = make_snapshot(external_id=job.external_id, status="failed", error="Out of memory")
    apply_snapshot(ended, source=Source.POLLER)
    expect(row(page, job).locator(".status")).to_have_text("Failed")
    found = flashes(page)
    assert f"job-{job.job_id} cell-status" in found
    assert f"job-{job.job_id} cell-progress" in found
    assert f"job-{job.job_id} cell-job" not in found
    assert not [place for place in found if other.job_id in place]
    with page.expect_response("**/fragments/jobs?*"):
        page.evaluate(LOOK_AGAIN)
    page.wait_for_timeout(300)
    assert flashes(page) == found
    assert len(set(found)) == len(found)
    assert page.evaluate("window.shifts") == []


def test_nothing_lights_up_for_who_wants_less_motion(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job()
    page.emulate_media(reduced_motion="reduce")
    page.add_init_script(FLASHES)
    page.goto(web)
    is_live(page)
    apply_snapshot(make_snapshot(external_id=job.external_id, status="failed"), source=Source.POLLER)
    expect(row(page, job).locator(".status")).to_have_text("Failed")
    assert flashes(page) == []


def test_nothing_moves_on_a_jobs_page_while_it_runs(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(config_name="watched")
    log = "".join(f"Step {done}/5000 loss: 0.1\n" for done in range(100))
    apply_snapshot(make_snapshot(external_id=job.external_id, logs=log), source=Source.POLLER)
    page.goto(f"{web}/jobs/{job.job_id}")
    is_live(page)
    page.evaluate("document.fonts.ready")
    page.evaluate(COUNT_SHIFTS)
    for done in (1500, 2500):
        log += f"Step {done}/5000 loss: 0.1\n"
        apply_snapshot(make_snapshot(external_id=job.external_id, logs=log), source=Source.POLLER)
        page.evaluate(LOOK_AGAIN)
        expect(page.locator(".log-tail")).to_contain_text(f"Step {done}")
        expect(page.locator("job-progress")).to_contain_text(f"{done // 50} %")
        page.wait_for_timeout(600)
    # A time that grows by a digit takes a thousandth of that from the bar beside it.
    shifts = page.evaluate("window.shifts")
    assert sum(float(shift.split()[0]) for shift in shifts) < 0.001, shifts


def test_rows_stay_while_they_are_read_anew_and_it_is_said(page: Page, web: str, make_job: MakeJob) -> None:
    job = make_job()
    page.goto(web)
    is_live(page)
    page.evaluate(COUNT_SHIFTS)
    held: list[Route] = []
    page.route("**/fragments/jobs?*", lambda route: held.append(route))
    page.evaluate(LOOK_AGAIN)
    part = page.locator("#job-list")
    expect(part).to_have_attribute("data-updating", "Updating…")
    expect(part).to_have_attribute("aria-busy", "true")
    expect(row(page, job)).to_be_visible()
    held[0].continue_()
    expect(part).not_to_have_attribute("data-updating", "Updating…")
    expect(part).not_to_have_attribute("aria-busy", "true")
    assert page.evaluate("window.shifts") == []


def test_a_failed_refresh_keeps_the_rows_and_is_told_until_it_succeeds(page: Page, web: str, make_job: MakeJob) -> None:
    job = make_job()
    page.goto(web)
    is_live(page)
    page.evaluate(COUNT_SHIFTS)
    failure = {"status": 500, "headers": {"X-Correlation-ID": "a1b2c3"}, "body": "no"}
    page.route("**/fragments/jobs?*", lambda route: route.fulfill(**failure))
    page.evaluate(LOOK_AGAIN)
    strip = page.locator("refresh-trouble")
    expect(strip).to_contain_text("what is shown may be old")
    expect(strip).to_contain_text("Error id: a1b2c3")
    expect(row(page, job)).to_be_visible()
    assert page.evaluate("window.shifts") == []
    page.unroute("**/fragments/jobs?*")
    retry = strip.get_by_role("button", name="Retry")
    retry.press("Enter")
    expect(strip).to_be_empty()


def test_lines_to_come_are_drawn_as_such_until_the_log_is_there(page: Page, web: str, make_job: MakeJob) -> None:
    job = make_job(status="completed", logs_state="saved")
    log = JobLog(job=job)
    log.replace("first\nlast\n", is_final=True)
    log.save()
    held: list[Route] = []
    page.route("**/logs?after=*", lambda route: held.append(route))
    page.goto(f"{web}/jobs/{job.job_id}/logs")
    expect(page.locator(".log")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    expect(page.locator("[data-line]")).to_have_count(2)
    expect(page.locator(".log")).not_to_have_attribute("aria-busy", "true")


def test_a_log_that_could_not_be_read_is_asked_for_again_on_request(page: Page, web: str, make_job: MakeJob) -> None:
    job = make_job(status="completed", logs_state="saved")
    log = JobLog(job=job)
    log.replace("first\nlast\n", is_final=True)
    log.save()
    page.route("**/logs?after=*", lambda route: route.abort())
    page.goto(f"{web}/jobs/{job.job_id}/logs")
    strip = page.locator("refresh-trouble")
    expect(strip).to_contain_text("The server cannot be reached.")
    page.unroute("**/logs?after=*")
    strip.get_by_role("button", name="Retry").click()
    expect(page.locator("[data-line]")).to_have_count(2)
    expect(strip).to_be_empty()


def test_page_whose_script_is_broken_works_as_plain_forms_and_says_that_it_is_not_live(
    page: Page, web: str, make_job: MakeJob
) -> None:
    running, done = make_job(config_name="running"), make_job(config_name="done", status="completed")
    page.route("**/js/main*.js", lambda route: route.fulfill(content_type="text/javascript", body="throw Error('no')"))
    page.goto(web)
    chip = page.locator("connection-chip")
    expect(chip).to_be_visible()
    expect(chip).to_have_text("Not live: reload")
    page.get_by_role("link", name="Completed 1").click()
    expect(row(page, done)).to_be_visible()
    expect(row(page, running)).to_have_count(0)
    page.get_by_role("searchbox").fill("nothing of that name")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_text("No job matches")).to_be_visible()
    page.locator(".empty").get_by_role("link", name="Clear filters").click()
    page.get_by_role("button", name="Sync", exact=True).click()
    expect(page.locator(".message")).to_contain_text("Discovered 0 jobs from Replicate")
    page.locator(f'tr[data-key="job-{running.job_id}"] .cell-job a').click()
    page.get_by_role("link", name="Cancel job").click()
    expect(page.get_by_role("button", name="Cancel job")).to_be_visible()
