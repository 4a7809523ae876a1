"""The parts of a job's page in a real browser, with and without a script."""

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.e2e.test_job_list import COUNT_SHIFTS, LOOK_AGAIN, is_live
from tests.e2e.test_job_log import ASKED_AGAIN, ended_with, numbered, running
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.usefixtures("sandbox")

PARTS = {
    "Overview": "Newest lines",
    "Logs": "Log",
    "Charts": "Seconds per step",
    "Config": "Configuration",
    "Events": "Webhook deliveries",
    "Cost": "Cost",
}


@pytest.mark.parametrize("has_script", [True, False])
def test_every_part_has_an_address_and_a_link(browser: Browser, web: str, make_job: MakeJob, has_script: bool) -> None:
    job = ended_with(make_job, numbered(30), config_name="portraits")
    context = browser.new_context(java_script_enabled=has_script, locale="en-US")
    page = context.new_page()
    page.goto(f"{web}/jobs/{job.job_id}")
    parts = page.get_by_role("navigation", name="Parts of this job")
    for name, heading in PARTS.items():
        parts.get_by_role("link", name=name, exact=True).click()
        assert page.url.removeprefix(web) == f"/jobs/{job.job_id}" + (f"/{name.lower()}" if name != "Overview" else "")
        expect(parts.locator("[aria-current=page]")).to_have_text(name)
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        expect(page.get_by_role("heading", name="portraits", level=1)).to_be_visible()
    page.go_back()
    expect(parts.locator("[aria-current=page]")).to_have_text("Events")
    context.close()


@pytest.mark.parametrize("part", ["", "/logs", "/charts", "/config", "/events", "/cost"])
def test_the_head_is_live_in_every_part(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot, part: str
) -> None:
    job = make_job(status="queued")
    page.goto(f"{web}/jobs/{job.job_id}{part}")
    expect(page.locator("connection-chip")).to_have_text("Live")
    apply_snapshot(make_snapshot(external_id=job.external_id, started_at=timezone.now()), source=Source.WEBHOOK)
    expect(page.locator(".job-title .status")).to_have_text("Running", timeout=4000)
    if part == "/events":
        expect(page.get_by_role("row").filter(has_text="Running")).to_contain_text("Webhook")
    if part == "/cost":
        expect(page.locator(".cost-parts")).to_contain_text("from its start until now")


def test_a_look_at_the_provider_that_failed_is_told_where_its_word_was_told(
    page: Page, web: str, make_job: MakeJob
) -> None:
    job = make_job(origin="submitted", last_synced_at=timezone.now())
    page.route("**/inline-progress", lambda route: route.abort())
    page.goto(f"{web}/jobs/{job.job_id}")
    is_live(page)
    note = page.locator("#job-overview .list-note")
    expect(note).to_have_text("As Replicate said just now.")
    page.evaluate(COUNT_SHIFTS)
    UnifiedJob.objects.update(last_sync_error="Replicate did not answer within 8 s.")
    page.evaluate(LOOK_AGAIN)
    expect(note).to_contain_text("The last look at Replicate failed; what is shown may be behind.")
    UnifiedJob.objects.update(last_sync_error="")
    page.evaluate(LOOK_AGAIN)
    expect(note).to_have_text("As Replicate said just now.")
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == []


def test_the_overview_shows_the_newest_lines_as_they_come(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    job_id = running(sandbox, make_snapshot, numbered(40))
    page.goto(f"{web}/jobs/{job_id}")
    tail = page.locator(".log-tail")
    expect(tail).to_contain_text("line 40", timeout=ASKED_AGAIN)
    expect(tail).not_to_contain_text("line 20")
    sandbox.change_job(job_id, logs=numbered(41))
    expect(tail).to_contain_text("line 41", timeout=ASKED_AGAIN)
    page.get_by_role("link", name="Whole log").click()
    expect(page.locator(".log")).to_contain_text("line 41")


@pytest.mark.parametrize("has_script", [True, False])
def test_two_jobs_settings_are_compared(browser: Browser, web: str, make_job: MakeJob, has_script: bool) -> None:
    job = make_job(config_name="new", metadata={"input": {"lr": 0.1, "nested": {"rank": 16}, "steps": 5}})
    make_job(external_id="other", config_name="old", metadata={"input": {"lr": 0.2, "nested": {"rank": 16}, "seed": 1}})
    context = browser.new_context(java_script_enabled=has_script, locale="en-US")
    page = context.new_page()
    page.goto(f"{web}/jobs/{job.job_id}/config")
    page.get_by_label("Id of the other job").fill("other")
    page.get_by_role("button", name="Compare").click()
    assert page.url.endswith("/config?with=other")
    rows = page.locator(".differences tbody tr")
    expect(rows).to_have_text(["lr Changed 0.2 0.1", "steps Added – 5", "seed Removed 1 –"])
    page.get_by_role("link", name="Stop comparing").click()
    page.get_by_role("link", name="old other").click()
    expect(rows).to_have_count(3)
    context.close()
