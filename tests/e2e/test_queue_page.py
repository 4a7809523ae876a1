"""The page of the queue in a browser."""

import pytest
from playwright.sync_api import Page, expect

from jobs.access import SYSTEM
from jobs.services import cancelling
from jobs.services.dispatch import processor
from tests.e2e.test_job_list import LOOK_AGAIN
from tests.jobs.dispatch_helpers import entry_of, limit, submit
from tests.sandbox_server import RunningSandbox


def test_queue_is_a_link_away_and_follows_what_happens(page: Page, web: str, sandbox: RunningSandbox) -> None:
    limit(max_concurrent=1)
    submit("first")
    second = submit("second")
    page.goto(web)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Queue").click()
    rows = page.get_by_role("row").filter(has=page.get_by_role("rowheader"))
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Waiting")
    expect(page.locator(".connection")).to_contain_text("Live")
    processor.process()
    expect(rows.filter(has_text="first")).to_contain_text("Running")
    expect(rows.filter(has_text="second")).to_contain_text("1 of 1 slots are in use")
    cancelling.cancel_job(SYSTEM, second.job_id)
    expect(rows).to_have_count(1)


def test_forms_work_by_their_labels(page: Page, web: str, sandbox: RunningSandbox) -> None:
    limit(max_concurrent=1)
    submit("runs", status="running")
    job, other = submit("mugs"), submit("birds")
    page.goto(f"{web}/queue")
    page.get_by_label("Priority of birds").fill("25")
    page.get_by_role("row").filter(has_text="birds").get_by_role("button", name="Set").click()
    expect(page.locator(".messages")).to_contain_text("Priority of birds saved")
    assert entry_of(other).priority_override == 25
    page.get_by_role("button", name="Cancel mugs").click()
    expect(page.locator(".messages")).to_contain_text("mugs was cancelled")
    assert entry_of(job).status == "cancelled"
    page.get_by_label("Jobs at once").fill("3")
    page.get_by_role("button", name="Save limits").click()
    expect(page.locator(".messages")).to_contain_text("Limits saved")
    expect(page.get_by_label("Jobs at once")).to_have_value("3")


def test_what_is_being_typed_outlives_a_refresh(page: Page, web: str, sandbox: RunningSandbox) -> None:
    limit(max_concurrent=1)
    submit("runs", status="running")
    submit("mugs")
    page.goto(f"{web}/queue")
    field = page.get_by_label("Priority of mugs")
    field.fill("17")
    submit("birds")
    page.evaluate(LOOK_AGAIN)
    expect(page.get_by_role("link", name="birds")).to_be_visible()
    expect(field).to_have_value("17")
    expect(field).to_be_focused()


@pytest.mark.parametrize("width", [320, 360, 800, 1280])
def test_page_is_no_wider_than_the_window(page: Page, web: str, sandbox: RunningSandbox, width: int) -> None:
    limit(max_concurrent=1)
    submit("runs", status="running")
    submit("a-name-without-a-place-to-break-" * 4, reason="x" * 300)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{web}/queue")
    expect(page.get_by_role("heading", name="Queue", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_everything_to_be_pressed_is_large_enough(page: Page, web: str, sandbox: RunningSandbox, width: int) -> None:
    submit("mugs")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{web}/queue")
    sizes = page.locator("main button, main input:not([type=hidden]):not([type=checkbox]), .site-nav a").evaluate_all(
        "found => found.map(e => e.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
    )
    assert min(sizes) >= 24
