"""The strip below the head of every page, while something is not well (jobs.presentation.notices)."""

import time

import pytest
from playwright.sync_api import Page, expect

from jobs.services import health
from jobs.services.heartbeats import Pulse, Role
from tests.conftest import MakeJob
from tests.e2e.test_job_list import COUNT_SHIFTS, LOOK_AGAIN, is_live

pytestmark = pytest.mark.usefixtures("sandbox")


@pytest.fixture(autouse=True)
def _long_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STARTED", time.monotonic() - 3600)


def test_the_strip_is_there_at_once_and_goes_by_itself(page: Page, web: str, make_job: MakeJob) -> None:
    job = make_job()
    for path in ("/", f"/jobs/{job.job_id}"):
        page.goto(web + path)
        strip = page.get_by_role("status").locator(".strip-warning")
        expect(strip).to_contain_text("The background worker is not running")
        expect(strip).to_contain_text("the statuses shown may be old")
    page.goto(web)
    is_live(page)
    page.evaluate(COUNT_SHIFTS)
    Pulse(Role.WORKER).beat()
    Pulse(Role.BEAT).beat()
    page.evaluate(LOOK_AGAIN)
    expect(page.locator(".strip-warning:visible").filter(has_text="background worker")).to_have_count(0)
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == []


def test_the_strip_comes_while_the_page_is_open_and_moves_nothing(
    page: Page, web: str, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job()
    Pulse(Role.WORKER).beat()
    Pulse(Role.BEAT).beat()
    page.goto(web)
    is_live(page)
    expect(page.locator(".notices")).not_to_contain_text("background worker")
    page.evaluate(COUNT_SHIFTS)
    monkeypatch.setattr("jobs.services.heartbeats.ALIVE_SECONDS", -1.0)
    page.evaluate(LOOK_AGAIN)
    later = page.locator(".later-notices")
    expect(later).to_contain_text("The background worker has not been heard of for")
    assert later.get_by_role("complementary").first.is_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == []
    page.reload()
    expect(page.locator("#notices")).to_contain_text("The background worker has not been heard of for")
    expect(later).to_be_empty()


def test_what_comes_later_is_told_beside_what_was_there(page: Page, web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Pulse(Role.WORKER).beat()
    page.goto(web)
    placed = page.locator("#notices .strip-warning li:visible")
    expect(placed).to_have_count(1)
    expect(placed).to_contain_text("scheduler")
    page.evaluate(COUNT_SHIFTS)
    monkeypatch.setattr("jobs.services.heartbeats.ALIVE_SECONDS", -1.0)
    page.evaluate(LOOK_AGAIN)
    expect(page.locator(".later-notices li")).to_contain_text("The background worker has not been heard of for")
    expect(placed).to_have_count(1)
    expect(placed).to_contain_text("scheduler")
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == []
    monkeypatch.setattr("jobs.services.heartbeats.ALIVE_SECONDS", 90.0)
    page.evaluate(LOOK_AGAIN)
    expect(page.locator(".later-notices")).to_be_empty()


@pytest.mark.parametrize("width", [360, 1280])
def test_the_strip_makes_no_page_wider_than_the_window(page: Page, web: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(web)
    expect(page.locator(".strip-warning")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
