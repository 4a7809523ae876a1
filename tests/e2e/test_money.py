"""Cancelling, unclaimed jobs, budgets and spend in a browser."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.models import HardwarePrice, UnifiedJob
from jobs.services import budgets, sync
from jobs.services.cancel_requests import pursue_cancellations
from tests.conftest import MakeJob
from tests.e2e.test_job_list import LOOK_AGAIN
from tests.sandbox_server import RunningSandbox

LONG = {"queue": 1, "train": 900_000}


def running(sandbox: RunningSandbox, **plan: object) -> UnifiedJob:
    job = sandbox.add_job(kind="training", created_offset=-120, durations=LONG, **plan)
    sync.discover_jobs("replicate")
    return UnifiedJob.objects.get(external_id=job["id"])


def test_provider_that_says_yes_and_runs_on_is_shown_and_asked_again(
    page: Page, web: str, sandbox: RunningSandbox
) -> None:
    job = running(sandbox, ignores_cancel=True)
    page.goto(f"{web}/jobs/{job.job_id}")
    page.get_by_role("link", name="Cancel job").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    expect(page.locator(".toast-text")).to_have_text("Cancel requested")
    expect(page.locator(".job-title .status")).to_have_text("Cancelling…")
    expect(page.get_by_text("Replicate has taken the request")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    job.refresh_from_db()
    assert job.cancel_requested_at is not None
    UnifiedJob.objects.update(cancel_requested_at=job.cancel_requested_at - timedelta(seconds=61))
    page.evaluate(LOOK_AGAIN)
    expect(page.get_by_text("No confirmation after 60 s; it may still be billing.")).to_be_visible()
    page.goto(web)
    row = page.locator(f'[data-key="job-{job.job_id}"]')
    expect(row).to_contain_text("No confirmation after 60 s")
    row.get_by_role("button", name="Retry").click()
    expect(page.locator(".messages")).to_contain_text("Cancel requested")
    assert sandbox.requests()["counts"]["POST /v1/trainings/{id}/cancel"] == 2


def test_used_up_budget_is_seen_on_an_open_page_and_ends_the_job(page: Page, web: str, sandbox: RunningSandbox) -> None:
    external = sandbox.add_job(
        kind="prediction", model="simpletuner/advanced-trainer-h100", created_offset=-3600, durations=LONG
    )
    sync.discover_jobs("replicate")
    job = UnifiedJob.objects.get(external_id=external["id"])
    page.goto(f"{web}/jobs/{job.job_id}")
    expect(page.locator("connection-chip")).to_contain_text("Live")
    page.get_by_text("Set a budget").click()
    page.get_by_label("Budget in US dollars").fill("6.50")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messages")).to_contain_text("The budget is $6.50.")
    expect(page.locator("connection-chip")).to_contain_text("Live")
    budgets.watch()
    expect(page.get_by_text("80 % of the budget used")).to_be_visible()
    toasts = page.locator(".toast-text")
    expect(toasts).to_have_text([re.compile("has used 80 % of its budget")])
    UnifiedJob.objects.filter(pk=job.pk).update(budget_usd=Decimal("5.00"))
    budgets.watch()
    expect(page.locator(".job-title .status")).to_have_text("Cancelling…")
    expect(page.get_by_text("Budget reached: cancel sent").first).to_be_visible()
    expect(toasts.nth(1)).to_have_text(re.compile(r"^Budget of .+ reached: cancel sent$"))
    page.locator("activity-bell summary").click()
    expect(page.locator(".bell-messages li")).to_have_count(2)
    page.keyboard.press("Escape")
    pursue_cancellations()
    expect(page.locator(".job-title .status")).to_have_text("Cancelled")
    expect(page.locator(".timeline")).to_contain_text("noticed by: Budget")


def test_unclaimed_jobs_are_claimed_with_one_press_or_put_away(page: Page, web: str, make_job: MakeJob) -> None:
    make_job(hardware_type="gpu-h100")
    page.goto(web)
    strip = page.get_by_role("complementary", name="Unclaimed jobs")
    expect(strip).to_contain_text("1 job at Replicate is billing and nobody here claims it (≈ $5.49/h).")
    strip.get_by_role("link", name="Show them").click()
    expect(page.locator(".chip[aria-current]")).to_contain_text("Unclaimed 1")
    strip.get_by_role("button", name="These are mine").click()
    expect(page.locator(".messages")).to_contain_text("1 job is yours now.")
    expect(strip).to_have_count(0)
    make_job()
    page.evaluate(LOOK_AGAIN)
    strip.get_by_role("button", name="Hide for a day").click()
    expect(page.locator(".chips")).to_contain_text("Needs attention 1")
    expect(strip).to_have_count(0)


def test_everything_works_without_a_script(browser: Browser, web: str, make_job: MakeJob) -> None:
    job, ended = make_job(config_name="running-one"), make_job(status="failed")
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(f"{web}/jobs/{job.job_id}")
    page.get_by_role("button", name="Ignore").click()
    expect(page.get_by_text("is ignored here")).to_be_visible()
    page.get_by_role("button", name="Claim").click()
    expect(page.locator(".messages")).to_contain_text("The job is yours now.")
    page.goto(f"{web}/jobs/{ended.job_id}")
    page.get_by_role("link", name="Delete record").click()
    page.get_by_role("button", name="Delete record").click()
    expect(page.locator(".messages")).to_contain_text("The job's record was deleted.")
    page.get_by_role("link", name="Spend").click()
    page.get_by_label("On").check()
    page.get_by_label("US dollars").fill("100")
    page.get_by_label("when reached").select_option("block")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messages")).to_contain_text("The limit was saved.")
    expect(page.locator(".spend-limit")).to_contain_text("$0.00 of $100.00 (0 %) spent this month")
    context.close()


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_page_is_wider_than_the_window(page: Page, web: str, make_job: MakeJob, width: int) -> None:
    label = HardwarePrice.objects.order_by("-label").values_list("hardware", flat=True).first()
    job = make_job(
        hardware_type=label,
        config_name="x" * 80,
        budget_usd=Decimal("123456.78"),
        budget_told_percent=80,
        cost_usd=Decimal("98765.43"),
    )
    late = make_job(cancel_error="Trouble " * 20)
    UnifiedJob.objects.filter(pk=late.pk).update(cancel_requested_at=late.created_at - timedelta(seconds=90))
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", f"/jobs/{job.job_id}", f"/jobs/{late.job_id}", "/spend", "/?attention=unclaimed"):
        page.goto(web + path)
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true; }")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert (path, over) == (path, 0)


def test_every_target_is_large_enough_and_every_field_has_a_label(page: Page, web: str, make_job: MakeJob) -> None:
    job = make_job(budget_usd=Decimal(5), cost_usd=Decimal(1))
    late = make_job(cancel_error="Trouble")
    UnifiedJob.objects.filter(pk=late.pk).update(cancel_requested_at=late.created_at - timedelta(seconds=90))
    for path in (f"/jobs/{job.job_id}", "/spend", "/"):
        page.goto(web + path)
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true; }")
        small = page.evaluate(
            """() => [...document.querySelectorAll("main button, main input, main select, main summary, .strip button")]
              .filter((one) => one.type !== "hidden" && one.checkVisibility() && !one.closest(".visually-hidden"))
              .filter((one) => !one.classList.contains("visually-hidden"))
              .map((one) => one.closest("label") ?? one)
                  .filter((one) => one.getBoundingClientRect().height < 24 || one.getBoundingClientRect().width < 24)
              .map((one) => one.outerHTML)"""
        )
        assert small == []
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("main input, main select")]
              .filter((one) => one.type !== "hidden" && one.labels.length === 0).map((one) => one.outerHTML)"""
        )
        assert unnamed == []
