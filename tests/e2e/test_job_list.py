"""The list of jobs in a real browser: filters, menus, selection, and that nothing moves while it is live."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot

SOON = 4000
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"

pytestmark = pytest.mark.usefixtures("sandbox")

# Begins after a whole frame: what changed just before is drawn by then, and is no movement of what follows.
COUNT_SHIFTS = """
async () => {
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  window.shifts = [];
  new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((entry) =>
    `${entry.value} ${entry.sources.map(({node, previousRect: a, currentRect: b}) =>
    `[${[a.x, a.y, a.width, a.height]} → ${[b.x, b.y, b.width, b.height]}] ${node?.outerHTML ?? node?.nodeValue}`)}`)))
    .observe({type: "layout-shift", buffered: false});
}
"""


def row(page: Page, job: UnifiedJob) -> Locator:
    return page.locator(f'tr[data-key="job-{job.job_id}"]')


def is_live(page: Page) -> None:
    expect(page.locator("connection-chip")).to_have_text("Live")


def test_a_choice_is_sent_at_once_and_the_back_button_undoes_it(
    page: Page, web: str, make_job: MakeJob, complaints: list[str]
) -> None:
    old = make_job(config_name="old", created_at=datetime(2026, 1, 5, 12, tzinfo=UTC), hardware_type="gpu-h100")
    new = make_job(config_name="new", hardware_type="gpu-l40s")
    page.goto(web)
    page.get_by_role("combobox", name="Order").select_option("Oldest first")
    page.wait_for_url("**/?sort=oldest")
    assert page.locator("tr.job .job-name").all_text_contents() == ["old", "new"]
    expect(page.get_by_role("combobox", name="Order")).to_be_focused()
    page.locator("summary", has_text="Filters").click()
    page.get_by_role("combobox", name="Hardware").select_option("gpu-h100")
    page.wait_for_url("**/?sort=oldest&hardware=gpu-h100")
    expect(row(page, new)).to_have_count(0)
    expect(row(page, old)).to_be_visible()
    page.go_back()
    page.wait_for_url("**/?sort=oldest")
    expect(row(page, new)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("combobox", name="Order")).to_have_value("newest")


def test_a_failed_look_is_told_in_the_row_and_moves_nothing(page: Page, web: str, make_job: MakeJob) -> None:
    jobs = [make_job(config_name=f"job {number}", last_synced_at=datetime.now(UTC)) for number in range(3)]
    page.route("**/inline-progress", lambda route: route.abort())
    page.goto(web)
    is_live(page)
    problem = row(page, jobs[1]).locator(".sync-problem")
    expect(problem).to_have_count(0)
    page.evaluate(COUNT_SHIFTS)
    UnifiedJob.objects.filter(pk=jobs[1].pk).update(last_sync_error="Replicate did not answer within 8 s.")
    page.evaluate(LOOK_AGAIN)
    expect(problem).to_be_visible()
    UnifiedJob.objects.filter(pk=jobs[1].pk).update(last_sync_error="")
    page.evaluate(LOOK_AGAIN)
    expect(problem).to_have_count(0)
    page.wait_for_timeout(200)
    assert page.evaluate("window.shifts") == []


def test_nothing_moves_while_jobs_come_change_and_go(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    jobs = [make_job(config_name=f"job {number}") for number in range(8)]
    page.goto(web)
    is_live(page)
    page.evaluate("document.fonts.ready")
    page.evaluate(COUNT_SHIFTS)
    before = row(page, jobs[3]).bounding_box()
    ended = make_snapshot(external_id=jobs[3].external_id, status="failed", error="Out of memory")
    apply_snapshot(ended, source=Source.POLLER)
    for number in range(3):
        found = make_snapshot(external_id=f"brandnew{number}", created_at=datetime.now(UTC))
        apply_snapshot(found, source=Source.SYNC, create=True)
    expect(page.get_by_role("link", name="3 new jobs — show")).to_be_visible(timeout=SOON)
    expect(row(page, jobs[3]).locator(".status")).to_have_text("Failed")
    expect(row(page, jobs[3]).locator(".seen-by")).to_have_text("Poller")
    assert row(page, jobs[3]).bounding_box() == before
    page.wait_for_timeout(200)
    assert page.evaluate("window.shifts") == []


def test_selection_open_menu_and_scroll_survive_news(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    jobs = [make_job() for _ in range(20)]
    page.goto(web)
    is_live(page)
    row(page, jobs[2]).get_by_role("checkbox").check()
    row(page, jobs[4]).locator(".row-menu summary").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    scrolled = page.evaluate("scrollY")
    apply_snapshot(make_snapshot(external_id="brandnew", created_at=datetime.now(UTC)), source=Source.SYNC, create=True)
    expect(page.locator("[data-shows-news]")).to_be_visible(timeout=SOON)
    expect(row(page, jobs[2]).get_by_role("checkbox")).to_be_checked()
    expect(row(page, jobs[4]).get_by_role("link", name="Logs")).to_be_focused()
    assert page.evaluate("scrollY") == scrolled
    page.keyboard.press("Escape")
    expect(row(page, jobs[4]).get_by_role("link", name="Logs")).to_be_hidden()
    expect(row(page, jobs[4]).locator(".row-menu summary")).to_be_focused()


def test_one_menu_is_open_at_a_time(page: Page, web: str, make_job: MakeJob) -> None:
    first, second = make_job(), make_job()
    page.goto(web)
    row(page, second).locator(".row-menu summary").click()
    expect(row(page, second).get_by_role("link", name="Charts")).to_be_visible()
    row(page, first).locator(".row-menu summary").press("Enter")
    expect(row(page, first).get_by_role("link", name="Charts")).to_be_visible()
    expect(row(page, second).get_by_role("link", name="Charts")).to_be_hidden()
    page.get_by_role("heading", name="Jobs", exact=True).click()
    expect(row(page, first).get_by_role("link", name="Charts")).to_be_hidden()


def test_many_jobs_are_cancelled_once_their_number_was_typed(
    page: Page, web: str, make_job: MakeJob, complaints: list[str]
) -> None:
    now = datetime.now(UTC)
    jobs = [make_job(status="pending", external_id=None, created_at=now - timedelta(minutes=n)) for n in range(3)]
    make_job(status="completed", created_at=now - timedelta(hours=1))
    page.goto(web)
    expect(page.locator(".selection")).to_be_hidden()
    page.get_by_role("checkbox", name="Select all shown").check()
    row(page, jobs[1]).get_by_role("checkbox").uncheck()
    expect(page.locator(".selection [data-part=count]")).to_have_text("2 jobs selected")
    page.get_by_role("button", name="Cancel jobs…").click()
    confirm = page.get_by_role("dialog").get_by_role("button", name="Cancel jobs")
    typed = page.get_by_role("dialog").get_by_label("Type 2 to confirm")
    expect(typed).to_be_focused()
    typed.fill("3")
    expect(confirm).to_be_disabled()
    typed.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    typed.fill("2")
    typed.press("Enter")
    expect(page.locator(".toast-text")).to_have_text("Cancel requested for 2 jobs")
    expect(row(page, jobs[0]).locator(".status")).to_have_text("Cancelled")
    expect(row(page, jobs[1]).locator(".status")).to_have_text("Pending")
    expect(page.locator(".selection")).to_be_hidden()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_filters_menu_selection_and_export_need_no_script(context: BrowserContext, web: str, make_job: MakeJob) -> None:
    browser = context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False, accept_downloads=True)
    page = plain.new_page()
    page.set_default_timeout(10_000)
    job = make_job(status="pending", external_id=None, job_id="waiting", config_name="mine")
    make_job(status="completed", config_name="done")
    page.goto(web)
    page.locator("summary", has_text="Filters").click()
    page.get_by_label("Created from (UTC)").fill("2999-01-01")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("No job matches these filters.")).to_be_visible()
    page.get_by_role("link", name="Clear filters").last.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert "mine" in download.value.path().read_text()
    row(page, job).locator(".row-menu summary").click()
    expect(row(page, job).get_by_role("link", name="Charts")).to_be_visible()
    row(page, job).locator(".row-menu summary").click()
    row(page, job).get_by_role("checkbox").check()
    page.get_by_role("button", name="Cancel jobs…").click()
    page.get_by_label("Type 1 to confirm").fill("1")
    page.get_by_role("button", name="Cancel jobs").click()
    expect(page.get_by_text("Cancel requested for 1 job")).to_be_visible()
    expect(row(page, job).locator(".status")).to_have_text("Cancelled")
    plain.close()
