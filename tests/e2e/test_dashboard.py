"""The dashboard in a real browser, against the real application, Redis and sandbox (SPEC A3, A6, A9)."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect
from pytest_django import Settings

from jobs.lifecycle import Source
from jobs.models import JobLog, UnifiedJob
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.sandbox_server import RunningSandbox

LONG_RUN = {"queue": 1.0, "train": 100_000.0}
SOON = 4000
# A log is read, and a running job asked, every 5 s.
ASKED_AGAIN = 9000

# Whatever a page asks a provider for goes to the sandbox.
pytestmark = pytest.mark.usefixtures("sandbox")


@pytest.fixture
def no_streams(settings: Settings) -> None:
    """Every event stream is one too many. Must be asked for before the server is started."""
    settings.SSE_MAX_PER_IP = 0


def add_running(sandbox: RunningSandbox, **plan: Any) -> str:
    job: dict[str, Any] = sandbox.add_job(kind="training", created_offset=-120, durations=LONG_RUN, **plan)
    return str(job["id"])


def row(page: Page, job_id: str) -> Locator:
    return page.locator(f'tr[data-key="job-{job_id}"]')


def overflow(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def metric_value(page: Page, metric: str) -> Locator:
    return page.locator(f'[data-key="metric-{metric}"] .metric-value')


def is_live(page: Page) -> None:
    expect(page.locator("connection-chip")).to_have_text("Live")


def test_sync_tells_what_it_found_and_refreshes_list_and_numbers(
    page: Page, sandbox: RunningSandbox, web: str, complaints: list[str]
) -> None:
    page.goto(web)
    expect(page.locator(".empty-title")).to_have_text("No jobs yet.")
    jobs = [add_running(sandbox) for _ in range(3)]
    page.get_by_role("button", name="Sync").click()
    toast = page.get_by_role("status").locator(".toast-text")
    expect(toast).to_have_text("Discovered 3 jobs from Replicate")
    for job_id in jobs:
        expect(row(page, job_id).locator(".status")).to_have_text("Running")
    expect(metric_value(page, "running")).to_have_text("3")
    expect(page.locator(".chip", has_text="Running").locator(".chip-count")).to_have_text("3")


def test_sync_cannot_be_pressed_twice(page: Page, sandbox: RunningSandbox, web: str, complaints: list[str]) -> None:
    page.goto(web)
    sandbox.fault("latency", seconds=1.5)
    sandbox.reset_requests()
    button = page.get_by_role("button", name="Sync")
    button.focus()
    button.press("Enter")
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("aria-busy", "true")
    page.evaluate("document.querySelector('sync-button form').requestSubmit()")
    expect(page.locator(".toast")).to_have_count(1)
    expect(button).to_be_enabled()
    expect(button).not_to_have_attribute("aria-busy", "true")
    expect(button).to_be_focused()
    assert sandbox.requests()["counts"]["GET /v1/trainings"] == 1


def test_a_failed_sync_tells_the_reason_as_an_alert(page: Page, sandbox: RunningSandbox, web: str) -> None:
    page.goto(web)
    sandbox.fault("status", status=401)
    page.get_by_role("button", name="Sync").click()
    expect(page.get_by_role("alert").locator(".toast-text")).to_contain_text("token")


def test_an_unreachable_server_is_told_too(page: Page, web: str) -> None:
    page.goto(web)
    page.route("**/api/cloud/jobs/sync", lambda route: route.abort())
    page.get_by_role("button", name="Sync").click()
    expect(page.get_by_role("alert").locator(".toast-text")).to_have_text("The server cannot be reached.")


def test_a_joined_and_a_partial_sync_say_so(page: Page, web: str) -> None:
    answers = [
        {"synced": 0, "message": "", "updated": 0, "errors": [], "joined": True},
        {"synced": 2, "message": "", "updated": 0, "errors": ["Page 2 was unreadable."], "joined": False},
    ]

    def answer(route: Route) -> None:
        route.fulfill(json=answers.pop(0))

    page.route("**/api/cloud/jobs/sync", answer)
    page.goto(web)
    button = page.get_by_role("button", name="Sync")
    button.click()
    expect(page.locator(".toast-text")).to_have_text(["A sync is already running."])
    expect(button).to_be_enabled()
    button.click()
    partial = "Discovered 2 jobs from Replicate, but only part could be read: Page 2 was unreadable."
    expect(page.locator(".toast-text")).to_have_text(["A sync is already running.", partial])


def test_a_row_changes_in_place_when_its_job_does(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    for number in range(40):
        make_job(status="completed", config_name=f"old {number}")
    job = make_job(status="queued", config_name="watched")
    make_job(status="failed", config_name="newest")
    page.goto(web)
    is_live(page)
    watched = row(page, job.job_id)
    page.evaluate("document.body.dataset.sameDocument = 'yes'; scrollTo(0, 400)")
    link = watched.get_by_role("link")
    link.focus()
    before = page.evaluate("scrollY")
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.WEBHOOK)
    expect(watched.locator(".status")).to_have_text("Running", timeout=SOON)
    expect(metric_value(page, "running")).to_have_text("1")
    snapshot = make_snapshot(external_id=job.external_id, status="failed", error="Out of memory")
    apply_snapshot(snapshot, source=Source.POLLER)
    expect(watched.locator(".status")).to_have_text("Failed", timeout=SOON)
    expect(watched.locator(".last-log")).to_have_text("Out of memory")
    expect(link).to_be_focused()
    assert page.evaluate("document.body.dataset.sameDocument") == "yes"
    assert page.evaluate("scrollY") == before


def test_a_new_job_waits_to_be_shown_and_takes_no_focus(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    job = make_job(config_name="known")
    page.goto(web)
    is_live(page)
    link = row(page, job.job_id).locator(".cell-job a")
    link.focus()
    found = make_snapshot(external_id="brandnew0001", name="found", created_at=datetime.now(UTC))
    apply_snapshot(found, source=Source.SYNC, create=True)
    show = page.get_by_role("link", name="1 new job — show")
    expect(show).to_be_visible(timeout=SOON)
    expect(link).to_be_focused()
    assert page.locator("tr.job .job-name").all_text_contents() == ["known"]
    show.press("Enter")
    expect(row(page, "brandnew0001").locator(".cell-job a")).to_be_focused()
    assert page.locator("tr.job .job-name").all_text_contents() == ["found", "known"]
    expect(page.locator("[data-shows-news]")).to_have_count(0)


def test_the_filter_holds_while_jobs_change(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    leaving, staying = make_job(), make_job()
    page.goto(f"{web}/?status=running")
    is_live(page)
    expect(page.locator("tr.job")).to_have_count(2)
    apply_snapshot(make_snapshot(external_id=leaving.external_id, status="completed"), source=Source.POLLER)
    # It changes where it is, and leaves when the reader says so: what is below does not jump up under the pointer.
    expect(row(page, leaving.job_id).locator(".status")).to_have_text("Completed", timeout=SOON)
    expect(page.locator("tr.job")).to_have_count(2)
    page.get_by_role("link", name="1 job belongs here no longer — show").click()
    expect(page.locator("tr.job")).to_have_count(1)
    expect(row(page, staying.job_id)).to_be_visible()


def test_visible_running_rows_ask_for_their_progress_and_stop_at_the_end(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot
) -> None:
    external_id = add_running(sandbox)
    apply_snapshot(make_snapshot(external_id=external_id), source=Source.SYNC, create=True)
    sandbox.change_job(external_id, logs="Step 1500/5000 - loss: 0.0234\n")
    page.goto(web)
    watched = row(page, external_id)
    expect(watched.locator(".last-log")).to_have_text("Step 1500/5000 - loss: 0.0234")
    expect(watched.locator(".stage")).to_have_text("Training")
    expect(watched.get_by_role("progressbar")).to_have_attribute("value", "30")
    expect(watched.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("^30 percent"))
    sandbox.change_job(external_id, status="succeeded")
    expect(watched.locator(".status")).to_have_text("Completed", timeout=ASKED_AGAIN)
    expect(watched.locator("job-progress")).not_to_have_attribute("src", re.compile("."))


def test_refused_streams_are_told_and_replaced_by_polling(
    page: Page, no_streams: None, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot
) -> None:
    external_id = add_running(sandbox)
    apply_snapshot(make_snapshot(external_id=external_id), source=Source.SYNC, create=True)
    # Progress requests would notice the end as well: here it is for the polling to do.
    page.route("**/inline-progress", lambda route: route.abort())
    page.clock.install()
    page.goto(web)
    expect(page.locator("connection-chip")).to_have_text("Polling every 30 s")
    expect(page.locator(".strip-warning", has_text="Too many open live views from this address")).to_be_visible()
    sandbox.change_job(external_id, status="succeeded")
    page.clock.fast_forward(31_000)
    page.clock.resume()
    expect(row(page, external_id).locator(".status")).to_have_text("Completed")
    assert UnifiedJob.objects.get().status == "completed"


def test_a_lost_stream_comes_back_by_itself(page: Page, web: str, make_job: MakeJob) -> None:
    refused = [True, True]

    def answer(route: Route) -> None:
        if refused:
            refused.pop()
            route.fulfill(status=503, body="away")
        else:
            route.continue_()

    page.route("**/api/events", answer)
    page.clock.install()
    page.goto(web)
    expect(page.locator("connection-chip")).to_have_text("Polling every 30 s")
    page.clock.fast_forward(11_000)
    page.clock.resume()
    is_live(page)


def test_cancelling_asks_first_and_tells_what_the_provider_said(
    page: Page, sandbox: RunningSandbox, web: str, complaints: list[str]
) -> None:
    external_id = add_running(sandbox)
    page.goto(web)
    page.get_by_role("button", name="Sync").click()
    row(page, external_id).get_by_role("link").click()
    is_live(page)
    page.get_by_role("link", name="Cancel job").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Billing goes on until Replicate confirms.")
    expect(dialog.get_by_role("button", name="Keep running")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert UnifiedJob.objects.get().status == "running"
    page.get_by_role("link", name="Cancel job").click()
    dialog.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".toast-text")).to_have_text("Cancelled, confirmed by Replicate")
    expect(page.locator(".job-title .status")).to_have_text("Cancelled")
    expect(page.get_by_role("link", name="Cancel job")).to_have_count(0)
    expect(page.locator(".timeline")).to_contain_text("noticed by: Cancel request")


def test_an_open_dialog_survives_a_refresh(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(status="queued")
    page.goto(f"{web}/jobs/{job.job_id}")
    is_live(page)
    page.get_by_role("link", name="Cancel job").click()
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
    expect(page.locator(".job-title .status")).to_have_text("Running", timeout=SOON)
    expect(page.get_by_role("dialog").get_by_role("button", name="Keep running")).to_be_focused()


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(
    page: Page, web: str, make_job: MakeJob, complaints: list[str], width: int, scheme: Any
) -> None:
    long = "a-name-without-any-place-to-break-it-" * 6
    make_job(config_name=long, last_log="x" * 80, progress=45.0, stage="Training", last_sync_error=long)
    metadata = {"model": long, "input": {long: long}}
    job = make_job(status="failed", config_name=long, error_message=long, metadata=metadata)
    log = JobLog(job=job)
    log.replace(long, is_final=True)
    log.save()
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    parts = [f"/jobs/{job.job_id}{part}" for part in ("", "/logs", "/charts", "/config", "/events", "/cost")]
    for address in ("/", "/?status=nonsense&page=x", "/?q=nothing", *parts):
        page.goto(web + address)
        is_live(page)
        assert overflow(page) == 0, address


def test_everything_can_be_read_and_pressed_without_a_script(
    browser: Browser, sandbox: RunningSandbox, web: str
) -> None:
    external_id = add_running(sandbox)
    sandbox.change_job(external_id, logs="<b>Step 1500/5000</b>\n")
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    page = context.new_page()
    page.goto(web)
    page.get_by_role("button", name="Sync").click()
    expect(page.locator(".message")).to_have_text("Discovered 1 jobs from Replicate")
    log = JobLog(job=UnifiedJob.objects.get())
    log.replace("<b>Step 1500/5000</b>\n", is_final=False)
    log.save()
    row(page, external_id).get_by_role("link").click()
    expect(page.locator(".log")).to_have_text("<b>Step 1500/5000</b>")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("link", name="Cancel job").click()
    page.get_by_role("link", name="Keep running").click()
    page.get_by_role("link", name="Cancel job").click()
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".message")).to_have_text("Cancelled, confirmed by Replicate")
    page.get_by_role("link", name="All jobs").click()
    page.get_by_role("link", name="Cancelled 1").click()
    expect(page.locator("tr.job")).to_have_count(1)
    context.close()


def test_a_hidden_page_asks_nothing_and_catches_up_when_it_is_seen(
    page: Page, context: BrowserContext, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(status="queued")
    page.goto(web)
    is_live(page)
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true" + tell)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.WEBHOOK)
    page.wait_for_timeout(1500)
    # Scripts of the page may still be on their way when it is live.
    assert [url for url in asked if "/static/" not in url] == []
    page.evaluate(hide % "false" + tell)
    expect(row(page, job.job_id).locator(".status")).to_have_text("Running")
    assert len([url for url in asked if "/fragments/jobs" in url]) == 1
