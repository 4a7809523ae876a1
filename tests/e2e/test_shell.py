"""The bell, the toasts and the keys, in a real browser."""

import re
from functools import partial

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.lifecycle import Source
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.usefixtures("sandbox")


def is_live(page: Page) -> None:
    expect(page.locator("connection-chip")).to_have_text("Live")


def test_bell_counts_what_happened_until_one_looks(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    first, second = make_job(config_name="first"), make_job(config_name="second")
    count = page.locator(".bell-count")
    with page.expect_response("**/fragments/activity/news*"):
        page.goto(web)
    is_live(page)
    expect(count).to_be_hidden()
    apply_snapshot(make_snapshot(external_id=first.external_id, status="completed"), source=Source.POLLER)
    expect(count).to_have_text("1")
    apply_snapshot(make_snapshot(external_id=second.external_id, status="failed"), source=Source.POLLER)
    expect(count).to_have_text("2")
    page.reload()
    expect(count).to_have_text("2")
    page.locator("activity-bell summary").click()
    expect(page.locator(".happening")).to_have_count(2)
    expect(count).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".happening").first).to_be_hidden()
    page.reload()
    is_live(page)
    expect(count).to_be_hidden()


def test_messages_that_have_gone_by_are_kept_below_the_bell(page: Page, web: str, sandbox: RunningSandbox) -> None:
    page.clock.install()
    page.goto(web)
    page.get_by_role("button", name="Sync", exact=True).click()
    toast = page.locator(".toast")
    expect(toast).to_have_count(1)
    text = toast.locator(".toast-text").inner_text()
    page.clock.fast_forward(6000)
    expect(toast).to_have_count(1)
    toast.hover()
    page.clock.fast_forward(60_000)
    expect(toast).to_have_count(1)
    page.mouse.move(0, 0)
    page.clock.fast_forward(10_000)
    expect(toast).to_have_count(0)
    page.reload()
    page.locator("activity-bell summary").click()
    expect(page.locator(".bell-messages li")).to_contain_text(text)


def test_message_stays_while_it_is_pointed_at_or_has_the_focus(page: Page, web: str) -> None:
    page.clock.install()
    page.goto(web)
    page.get_by_role("button", name="Sync", exact=True).click()
    toast = page.locator(".toast")
    expect(toast).to_have_count(1)
    toast.get_by_role("button").focus()
    page.clock.fast_forward(60_000)
    expect(toast).to_have_count(1)
    toast.hover()
    # The focus goes elsewhere while the pointer still rests on it.
    toast.get_by_role("button").blur()
    page.clock.fast_forward(60_000)
    expect(toast).to_have_count(1)
    toast.get_by_role("button").focus()
    page.mouse.move(0, 0)
    page.clock.fast_forward(60_000)
    expect(toast).to_have_count(1)
    toast.get_by_role("button").blur()
    page.clock.fast_forward(7000)
    expect(toast).to_have_count(1)
    page.clock.fast_forward(2000)
    expect(toast).to_have_count(0)


def test_changes_are_told_at_most_once_in_ten_seconds(
    page: Page, web: str, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    jobs = [make_job(config_name=f"job {number}") for number in range(6)]
    page.clock.install()
    page.goto(web)
    is_live(page)
    page.evaluate(
        """() => {
          window.told = [];
          const place = document.querySelector("status-announcer");
          new MutationObserver(() => window.told.push(place.textContent)).observe(place, { childList: true });
        }"""
    )
    end = partial(make_snapshot, status="completed")
    apply_snapshot(end(external_id=jobs[0].external_id), source=Source.POLLER)
    page.wait_for_function("() => window.told.length === 1")
    assert page.evaluate("window.told") == ["job 0: Completed"]
    for job in jobs[1:]:
        apply_snapshot(end(external_id=job.external_id), source=Source.POLLER)
    expect(page.locator("tr.job .status", has_text="Completed")).to_have_count(6)
    page.wait_for_timeout(2500)
    assert len(page.evaluate("window.told")) == 1
    page.clock.fast_forward(10_000)
    page.wait_for_function("() => window.told.length === 2")
    last = page.evaluate("window.told")[1]
    assert last.count("Completed") == 3
    assert last.endswith("2 more jobs changed")
    page.clock.fast_forward(60_000)
    assert len(page.evaluate("window.told")) == 2


def test_bell_is_a_link_without_script(browser: Browser, web: str) -> None:
    context = browser.new_context(locale="en-US", java_script_enabled=False)
    page = context.new_page()
    page.goto(web)
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()
    context.close()


def test_keys_move_search_open_and_lead_elsewhere(page: Page, web: str, make_job: MakeJob) -> None:
    older, newer = make_job(config_name="older"), make_job(config_name="newer")
    page.goto(web)
    is_live(page)
    for key, row in (("j", newer), ("j", older), ("j", older), ("k", newer)):
        page.keyboard.press(key)
        expect(page.locator(f'[data-key="job-{row.job_id}"] a').first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/jobs/{newer.job_id}$"))
    is_live(page)
    page.keyboard.press("l")
    expect(page).to_have_url(re.compile(f"/jobs/{newer.job_id}/logs$"))
    is_live(page)
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page).to_have_url(re.compile("/queue$"))
    is_live(page)
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page).to_have_url(f"{web}/")
    is_live(page)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    # What is written is no shortcut.
    page.keyboard.type("gq?j")
    expect(page.locator("#search")).to_have_value("gq?j")
    assert page.locator("dialog[open]").count() == 0
    page.locator("#search").blur()
    page.keyboard.press("s")
    expect(page.locator(".toast")).to_have_count(1)


def test_keys_are_explained_and_can_be_turned_off(page: Page, web: str, make_job: MakeJob) -> None:
    make_job()
    page.goto(web)
    is_live(page)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog.locator("kbd").first).to_have_text("/")
    dialog.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    is_live(page)
    for key in ("?", "/", "j"):
        page.keyboard.press(key)
    expect(page.locator("body")).to_be_focused()
    assert page.locator("dialog[open]").count() == 0
    page.locator("details.view-menu summary").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    dialog.get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator('[data-key^="job-"] a').first).to_be_focused()


def test_charts_are_drawn_when_they_come_into_view_and_move_nothing(
    page: Page, web: str, make_job: MakeJob, complaints: list[str]
) -> None:
    for number in range(30):
        make_job(status="completed", cost_usd=number)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(web)
    is_live(page)
    assert not [url for url in asked if "uPlot" in url and url.endswith(".js")]
    page.evaluate(
        """() => {
          window.shift = 0;
          new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (window.shift += value)))
            .observe({ type: "layout-shift", buffered: false });
        }"""
    )
    height = page.evaluate("document.documentElement.scrollHeight")
    page.locator("day-charts").scroll_into_view_if_needed()
    expect(page.locator("day-charts canvas")).to_have_count(2)
    # A time that grows by a digit shifts the words beside it by 0.0002; charts that push others shift by far more.
    assert page.evaluate("window.shift") < 0.001
    assert abs(page.evaluate("document.documentElement.scrollHeight") - height) < 60
    drawing = page.get_by_role("img", name="Jobs by status: 30 jobs in 30 days")
    box = drawing.bounding_box()
    assert box
    drawing.hover(position={"x": box["width"] - 40, "y": 60})
    expect(page.locator('[data-chart="jobs"] .chart-hint')).to_contain_text("Completed 30 · Failed 0")
    page.locator('[data-chart="jobs"] summary').click()
    expect(page.locator('[data-chart="jobs"] tbody tr')).to_have_count(30)


@pytest.mark.parametrize("width", [320, 360, 768])
def test_bar_and_its_menus_fit_into_narrow_pages(page: Page, web: str, make_job: MakeJob, width: int) -> None:
    make_job()
    page.set_viewport_size({"width": width, "height": 700})
    for path in ("/", "/providers", "/activity", "/trends"):
        page.goto(web + path)
        is_live(page)
        for menu in ("activity-bell", "details.view-menu"):
            page.locator(f"{menu} summary").click()
            box = page.locator(f"{menu} .drop-down-content").bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            page.keyboard.press("Escape")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        brand, nav = page.locator(".brand").bounding_box(), page.locator(".site-nav").bounding_box()
        assert brand
        assert nav
        assert width > 700 or nav["y"] >= brand["y"] + brand["height"] - 4
