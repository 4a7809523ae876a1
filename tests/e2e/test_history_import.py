"""The import of a provider's history in a real browser (SPEC A2.4)."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django import Settings

from jobs import coordination
from jobs.models import HistoryWalk
from jobs.services import history_walk
from tests.sandbox_server import RunningSandbox, running_sandbox

START, STOP = "Import history", "Stop import"


@pytest.fixture(autouse=True)
def account(settings: Settings) -> Iterator[RunningSandbox]:
    """An account of 305 jobs, read a page a tick; a test is beat and worker in one."""
    with running_sandbox(population="300") as server:
        settings.PROVIDERS = {"replicate": {"token": server.token, "base_url": server.url}}
        yield server


@pytest.fixture
def one_page_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_walk, "MOST_PAGES_PER_TICK", 1)


def is_live(page: Page) -> None:
    expect(page.locator("connection-chip")).to_have_text("Live")


def test_import_shows_its_progress_live_and_refreshes_the_page_at_its_end(
    page: Page, web: str, one_page_a_tick: None
) -> None:
    page.goto(web)
    is_live(page)
    button = page.get_by_role("button", name=START)
    expect(button).to_have_accessible_description(re.compile("back to the first one"))
    button.focus()
    button.press("Enter")
    text = page.locator('history-import [data-part="text"]')
    expect(text).to_have_text("Importing history: beginning…")
    expect(button).to_be_disabled()
    expect(page.get_by_role("button", name=STOP)).to_be_focused()
    expect(page.get_by_role("status").filter(has_text="Importing history")).to_have_count(1)
    history_walk.advance()
    expect(text).to_have_text("Importing history: 100 jobs read, 100 new (page 1)")
    while HistoryWalk.objects.get().state == "running":
        history_walk.advance()
    expect(page.locator(".toast-text")).to_have_text("History imported: 305 jobs read, 305 new")
    expect(text).to_have_count(0)
    expect(page.get_by_role("button", name=STOP)).to_be_hidden()
    expect(page.get_by_role("button", name=START)).to_be_enabled()
    expect(page.locator(".chip", has_text="All").locator(".chip-count")).to_have_text("305")
    expect(page.locator('[data-key="metric-running"] .metric-value')).not_to_have_text("0")


def test_page_that_was_opened_during_an_import_goes_on_with_it(page: Page, web: str, one_page_a_tick: None) -> None:
    history_walk.start("replicate")
    history_walk.advance()
    page.goto(web)
    text = page.locator('history-import [data-part="text"]')
    expect(text).to_have_text("Importing history: 100 jobs read, 100 new (page 1)")
    expect(page.get_by_role("button", name=START)).to_be_disabled()
    is_live(page)
    history_walk.advance()
    expect(text).to_contain_text("200 jobs read")
    page.get_by_role("button", name=STOP).click()
    expect(page.locator(".toast-text")).to_have_text("History import stopped: 200 jobs read, 200 new")
    assert HistoryWalk.objects.get().state == "cancelled"


def test_import_says_what_it_waits_for_and_is_tried_again_at_once(
    page: Page, web: str, account: RunningSandbox
) -> None:
    page.goto(web)
    is_live(page)
    account.fault("status", status=401)
    page.get_by_role("button", name=START).click()
    expect(page.locator('history-import [data-part="text"]')).to_be_visible()
    history_walk.advance()
    problem = page.locator('history-import [data-part="problem"]')
    expect(problem).to_contain_text("refused the token")
    expect(problem).to_contain_text("Next try:")
    account.clear_faults()
    coordination.client().flushdb()
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("button", name=START)).to_be_disabled()
    while HistoryWalk.objects.get().state == "running":
        history_walk.advance()
    expect(page.locator(".toast-text")).to_have_text("History imported: 305 jobs read, 305 new")


def test_import_is_followed_without_a_stream_and_fits_a_phone(
    browser: Browser, web: str, one_page_a_tick: None, settings: Settings
) -> None:
    context = browser.new_context(locale="en-US", viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.route("**/api/events", lambda route: route.abort())
    page.goto(web)
    page.get_by_role("button", name=START).click()
    text = page.locator('history-import [data-part="text"]')
    expect(text).to_have_text("Importing history: beginning…")
    history_walk.advance()
    expect(text).to_contain_text("100 jobs read", timeout=9000)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    context.close()
