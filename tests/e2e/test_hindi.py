"""Hindi in a real browser: chosen by a button, kept, and spoken by everything that scripts write too."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from jobs.lifecycle import Source
from jobs.models import JobLog, UnifiedJob
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.latin_words import latin_texts
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.usefixtures("sandbox")

LOG = "".join(f"Epoch 1/4, Steps: {n}/100, step_loss={1 / n:.4f}, lr={n * 1e-6:g}\n" for n in range(1, 60))
CSS_PIXELS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LEADING = "(e) => parseFloat(getComputedStyle(e).lineHeight) / parseFloat(getComputedStyle(e).fontSize)"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser whose owner reads Hindi."""
    context = browser.new_context(locale="hi-IN", viewport={"width": 1280, "height": 900}, timezone_id="Asia/Kolkata")
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def english(browser: Browser) -> Iterator[Page]:
    """A tab in a browser whose owner reads English."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def choose(page: Page, name: str) -> None:
    menu = page.locator("details.view-menu")
    if menu.get_attribute("open") is None:
        menu.locator("summary").click()
    page.get_by_role("button", name=name, exact=True).click()


def is_live(page: Page) -> None:
    expect(page.locator("connection-chip")).to_have_text("लाइव")


def english_on(page: Page) -> list[str]:
    """What a reader of Hindi would not understand, as the page is now. The zone is named as browsers name it."""
    return latin_texts(page.content(), frozenset({"IST", "GMT"}))


def overflow(page: Page) -> int:
    width: int = page.evaluate(CSS_PIXELS)
    return width


def make_stock(make_job: MakeJob) -> list[UnifiedJob]:
    now, hour = timezone.now(), timedelta(hours=1)
    common: dict[str, Any] = {"hardware_type": "gpu-h100", "last_synced_at": now, "config_name": "जॉब-का-लंबा-नाम"}
    jobs = [
        make_job(
            status="running", started_at=now - hour, progress=45.5, stage="Training", cost_usd="1.5", budget_usd="100"
        ),
        make_job(status="uploading", **common),
        make_job(status="queued", **common),
        make_job(
            status="completed",
            started_at=now - 3 * hour,
            completed_at=now - hour,
            cost_usd="1234.5",
            created_at=now - timedelta(days=2),
            logs_state="saved",
            **common,
        ),
        make_job(status="failed", error_message="out of memory", cost_usd="7.5", completed_at=now - hour, **common),
        make_job(status="cancelled", completed_at=now - timedelta(days=30), **common),
        make_job(status="running", cancel_requested_at=now, started_at=now - hour, **common),
    ]
    log = JobLog(job=jobs[3])
    log.replace(LOG, is_final=True)
    log.save()
    return jobs


def test_choice_changes_the_page_and_leads_back_to_it(english: Page, web: str, make_job: MakeJob) -> None:
    page = english
    make_job(status="failed", config_name="एक")
    page.goto(f"{web}/?status=failed")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    choose(page, "हिन्दी")
    expect(page.locator("html")).to_have_attribute("lang", "hi")
    assert page.url == f"{web}/?status=failed"
    expect(page.locator("tr.job .status")).to_have_text("विफल")
    is_live(page)
    page.goto(f"{web}/queue")
    expect(page.locator("html")).to_have_attribute("lang", "hi")
    choose(page, "English")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="Queue", exact=True)).to_be_visible()


def test_choice_needs_no_script(browser: Browser, web: str) -> None:
    context = browser.new_context(locale="en-US", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{web}/?q=x")
    choose(page, "हिन्दी")
    assert page.url == f"{web}/?q=x"
    expect(page.locator("html")).to_have_attribute("lang", "hi")
    assert english_on(page) == []
    choose(page, "English")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    context.close()


def test_page_in_one_language_stays_so_when_another_tab_chooses(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(status="queued", config_name="एक")
    page.goto(web)
    is_live(page)
    other = page.context.new_page()
    other.goto(f"{web}/activity")
    choose(other, "English")
    expect(other.locator("html")).to_have_attribute("lang", "en")
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
    expect(page.locator("tr.job .status")).to_have_text("चल रहा है")
    expect(other.locator(".happening .status").first).to_have_text("Running")
    assert english_on(page) == []


def test_live_patches_and_what_scripts_write(
    page: Page, web: str, sandbox: RunningSandbox, make_job: MakeJob, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    jobs = make_stock(make_job)
    page.goto(web)
    is_live(page)
    queued = page.locator(f'tr[data-key="job-{jobs[2].job_id}"]')
    apply_snapshot(make_snapshot(external_id=jobs[2].external_id), source=Source.POLLER)
    expect(queued.locator(".status")).to_have_text("चल रहा है")
    expect(queued.locator(".cell-started time, .cell-started .quiet").first).to_contain_text(re.compile("पहले|अभी"))
    page.keyboard.press("?")
    expect(page.locator("dialog.shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#select-all").check()
    expect(page.locator('job-selection [data-part="count"]')).to_contain_text("जॉब चुने")
    page.locator(".activity-bell summary, activity-bell summary").first.click()
    expect(page.locator("activity-bell .happening").first).to_be_visible()
    assert english_on(page) == []


@pytest.mark.parametrize(
    ("jobs", "words"), [(0, "Replicate से 0 जॉब मिला"), (1, "Replicate से 1 जॉब मिला"), (2, "Replicate से 2 जॉब मिले")]
)
def test_toast_has_the_right_plural(page: Page, web: str, sandbox: RunningSandbox, jobs: int, words: str) -> None:
    for _ in range(jobs):
        sandbox.add_job(kind="training", created_offset=-120, durations={"queue": 1.0, "train": 100_000.0})
    page.goto(web)
    page.locator("sync-button button").first.click()
    expect(page.locator("toast-stack .toast-text")).to_have_text(words)


def test_refusals_are_told_in_hindi(page: Page, web: str, make_job: MakeJob) -> None:
    job = make_job(status="running", config_name="एक", external_id=None, job_id="here", job_type="local")
    page.goto(web)
    refused = page.evaluate(
        """async (address) => {
          const { postJSON } = await import("/static/js/api.js");
          try { await postJSON(address); } catch (error) { return error.message; }
        }""",
        f"/api/cloud/jobs/{job.job_id}/cancel",
    )
    assert refused == "जॉब अपनी मशीन पर चलता है, और केवल वहीं समाप्त किया जा सकता है।"


def test_log_and_charts(page: Page, web: str, make_job: MakeJob, complaints: list[str]) -> None:
    job = make_stock(make_job)[3]
    page.goto(f"{web}/jobs/{job.job_id}/logs")
    expect(page.locator(".log-line:not(.log-probe)").first).to_be_visible()
    page.locator("#log-search").fill("Epoch")
    expect(page.locator('log-view [data-part="count"]')).to_contain_text("59")
    assert english_on(page) == []
    page.goto(f"{web}/jobs/{job.job_id}/charts")
    expect(page.locator(".uplot").first).to_be_visible()
    assert english_on(page) == []


def test_browser_says_what_the_server_said(page: Page, web: str, make_job: MakeJob) -> None:
    page.context.add_cookies([{"name": "times", "value": "absolute", "url": web}])
    job = make_job(config_name="एक", created_at=timezone.now() - timedelta(days=90), status="queued")
    page.goto(web)
    local = job.created_at + timedelta(hours=5, minutes=30)
    at = page.locator("tr.job .cell-started time")
    expect(at).to_contain_text(f"{local:%H:%M}")
    assert re.fullmatch(r"\d{1,2} [\u0900-\u097f॰]+, \d\d:\d\d", at.inner_text())
    assert re.fullmatch(r"\d{1,2} [\u0900-\u097f॰]+ \d{4}, [\d:]{8} \S+", at.get_attribute("title") or "")


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_pages_fit_and_lines_have_room(page: Page, web: str, make_job: MakeJob, width: int) -> None:
    jobs = make_stock(make_job)
    page.set_viewport_size({"width": width, "height": 800})
    paths = [
        "/",
        "/?q=nothing",
        "/queue",
        "/providers",
        "/spend",
        "/trends",
        "/activity",
        "/jobs/new",
        "/configs",
        "/nowhere",
    ]
    paths += [
        f"/jobs/{job.job_id}{tab}"
        for job in (jobs[0], jobs[3])
        for tab in ("", "/logs", "/charts", "/config", "/events", "/cost")
    ]
    for path in paths:
        page.goto(web + path)
        assert overflow(page) <= 0, path
        tight = page.evaluate(
            f"""() => [...document.querySelectorAll("main :is(h1, h2, p, td, th, dd, a.button)")]
              .filter((e) => /[\\u0900-\\u097f]/.test(e.textContent) && ({LEADING})(e) < 1.59)
              .map((e) => e.outerHTML.slice(0, 200))"""
        )
        assert tight == [], path


@pytest.mark.usefixtures("with_accounts")
@pytest.mark.parametrize("width", [320, 1280])
def test_login_fits(page: Page, web: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(web)
    expect(page.locator("html")).to_have_attribute("lang", "hi")
    assert overflow(page) <= 0
    assert english_on(page) == []
    choose(page, "English")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    cookie = next(each for each in page.context.cookies() if each.get("name") == settings.LANGUAGE_COOKIE_NAME)
    assert cookie.get("value") == "en"
