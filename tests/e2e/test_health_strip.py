"""The strip below the head of every page, while something is not well (jobs.presentation.notices)."""

import time

import pytest
from playwright.sync_api import Page, expect

from jobs.services import health
from jobs.services.heartbeats import Pulse, Role
from tests.conftest import MakeJob

pytestmark = pytest.mark.usefixtures("sandbox")

LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"


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
    Pulse(Role.WORKER).beat()
    Pulse(Role.BEAT).beat()
    page.evaluate(LOOK_AGAIN)
    expect(page.locator(".strip-warning")).not_to_contain_text("background worker")


def test_the_strip_comes_while_the_page_is_open(page: Page, web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Pulse(Role.WORKER).beat()
    page.goto(web)
    expect(page.locator(".notices")).not_to_contain_text("background worker")
    monkeypatch.setattr("jobs.services.heartbeats.ALIVE_SECONDS", -1.0)
    page.evaluate(LOOK_AGAIN)
    expect(page.locator(".strip-warning")).to_contain_text("The background worker has not been heard of for")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_strip_makes_no_page_wider_than_the_window(page: Page, web: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(web)
    expect(page.locator(".strip-warning")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
