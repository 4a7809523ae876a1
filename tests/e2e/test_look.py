"""Theme and times: chosen in the page or by a plain form, and right from the first paint on."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import MakeJob

pytestmark = pytest.mark.usefixtures("sandbox")

SCHEME = "getComputedStyle(document.documentElement).colorScheme"
CANVAS = "getComputedStyle(document.querySelector('.top-bar')).backgroundColor"


def choose(page: Page, name: str) -> None:
    menu = page.locator("details.view-menu")
    if menu.get_attribute("open") is None:
        menu.locator("summary").click()
    page.get_by_role("button", name=name, exact=True).click()


def test_theme_changes_at_once_and_stays(page: Page, web: str, complaints: list[str]) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(web)
    light = page.evaluate(CANVAS)
    with page.expect_response("**/look"):
        choose(page, "Dark")
    dark = page.evaluate(CANVAS)
    assert dark != light
    page.reload(wait_until="commit")
    page.wait_for_selector("body", state="attached")
    assert page.evaluate(SCHEME) == "dark"
    expect(page.locator('meta[name="color-scheme"]')).to_have_attribute("content", "dark")
    assert page.evaluate(CANVAS) == dark
    with page.expect_response("**/look"):
        choose(page, "System")
    assert page.evaluate(CANVAS) == light


def test_theme_and_times_are_plain_forms_without_script(browser: Browser, web: str, make_job: MakeJob) -> None:
    job = make_job()
    context = browser.new_context(locale="en-US", java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{web}/?q=job")
    choose(page, "Light")
    assert page.url == f"{web}/?q=job"
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    choose(page, "Date and time")
    at = page.locator(f'tr[data-key="job-{job.job_id}"] .cell-started time')
    expect(at).to_have_text(f"{job.created_at:%-d %b, %H:%M}")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    context.close()


def test_times_change_in_place(page: Page, web: str, make_job: MakeJob, complaints: list[str]) -> None:
    job = make_job()
    page.goto(web)
    at = page.locator(f'tr[data-key="job-{job.job_id}"] .cell-started time')
    with page.expect_response("**/look"):
        choose(page, "Date and time")
    expect(at).not_to_contain_text("ago")
    expect(at).to_contain_text(f"{job.created_at:%H:%M}")
    with page.expect_response("**/look"):
        choose(page, "2 h ago")
    expect(at).to_have_text(re.compile("now|ago"))


def test_words_that_are_no_choice_change_nothing(page: Page, web: str) -> None:
    page.context.add_cookies([{"name": "theme", "value": '"><b>', "url": web}])
    page.goto(web)
    expect(page.locator("html")).to_have_attribute("data-theme", "system")
