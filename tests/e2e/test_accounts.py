"""People of different roles, each in a browser of their own, on the running product."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page, expect

from jobs.lifecycle import Source
from jobs.models import ApiKey
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeAccount, MakeJob, MakeSnapshot
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.usefixtures("with_accounts")

LogIn = Callable[..., Page]


@pytest.fixture
def log_in(web: str, browser: Browser) -> Iterator[LogIn]:
    """Log in with a browser of one's own, by the form."""
    opened: list[BrowserContext] = []

    def enter(user: User, **options: object) -> Page:
        context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        opened.append(context)
        page = context.new_page()
        page.goto(web)
        page.get_by_label("Name").fill(user.username)
        page.get_by_label("Password").fill(f"{user.username}-password")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
        return page

    yield enter
    for context in opened:
        context.close()


def is_live(page: Page) -> None:
    expect(page.locator("connection-chip")).to_contain_text("Live")


def test_researcher_sees_their_own_jobs_and_a_lead_everybodys_also_live(
    log_in: LogIn, make_account: MakeAccount, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    ada, lead = make_account("ada", "researcher"), make_account("grace", "lead")
    make_job(config_name="of-ada", owner=ada)
    theirs = make_job(config_name="of-bob", owner=make_account("bob", "researcher"), status="queued")
    of_ada, of_lead = log_in(ada), log_in(lead)
    for page in (of_ada, of_lead):
        is_live(page)
    expect(of_ada.locator("tr.job")).to_have_count(1)
    expect(of_lead.locator("tr.job")).to_have_count(2)
    apply_snapshot(make_snapshot(external_id=theirs.external_id), source=Source.POLLER)
    expect(of_lead.locator(".chip", has_text="Running")).to_contain_text("2")
    expect(of_ada.locator(".chip", has_text="Running")).to_contain_text("1")
    expect(of_ada.locator("body")).not_to_contain_text("of-bob")
    of_ada.goto(of_ada.url + f"jobs/{theirs.job_id}")
    expect(of_ada.locator("h1")).to_have_text("There is no such job here")


def test_lead_presses_sync_and_a_viewer_has_nothing_to_press(
    log_in: LogIn, make_account: MakeAccount, make_job: MakeJob, sandbox: RunningSandbox
) -> None:
    sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    viewer = make_account("vera", "viewer")
    job = make_job(owner=viewer)
    looking, leading = log_in(viewer), log_in(make_account("grace", "lead"))
    expect(looking.get_by_role("button", name="Sync")).to_have_count(0)
    expect(looking.get_by_role("button", name="Import history")).to_have_count(0)
    looking.goto(looking.url + f"jobs/{job.job_id}")
    expect(looking.get_by_role("heading", level=1)).to_be_visible()
    expect(looking.get_by_text("Cancel job")).to_have_count(0)
    # With a session, so with the page's token.
    leading.get_by_role("button", name="Sync").click()
    expect(leading.locator(".toast-text")).to_have_text("Discovered 1 jobs from Replicate")


def test_key_is_made_shown_once_and_revoked(log_in: LogIn, make_account: MakeAccount) -> None:
    page = log_in(make_account("ada", "researcher"))
    page.locator(".account-menu summary").click()
    page.get_by_role("link", name="API keys and permissions").click()
    page.get_by_label("Name").fill("nightly")
    page.get_by_role("button", name="Make key").click()
    text = page.locator(".new-key-text code").inner_text()
    assert text.startswith(ApiKey.objects.get().prefix)
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    page.reload()
    page.goto(page.url)
    expect(page.locator("body")).not_to_contain_text(text)
    page.get_by_role("button", name="Revoke nightly").first.click()
    expect(page.get_by_text("opens nothing any more")).to_be_visible()


def test_login_works_without_scripts(log_in: LogIn, make_account: MakeAccount) -> None:
    page = log_in(make_account("ada", "researcher"), java_script_enabled=False)
    page.locator(".account-menu summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_page_whose_session_has_ended_leads_to_the_login(log_in: LogIn, make_account: MakeAccount) -> None:
    ada = make_account("ada", "researcher")
    page = log_in(ada)
    is_live(page)
    # Begun before, as the page may leave of its own accord at any time from then on.
    page.evaluate("setInterval(() => document.dispatchEvent(new Event('visibilitychange')), 300)")
    User.objects.filter(pk=ada.pk).update(is_active=False)
    page.wait_for_url("**/login?next=%2F")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_account_page_and_menu_fit_and_every_target_is_large_enough(
    log_in: LogIn, make_account: MakeAccount, width: int
) -> None:
    page = log_in(make_account("a-researcher-with-a-rather-long-name@university.example", "lead"))
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("", "account", "account/password"):
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + "/" + path)
        is_live(page)
        page.locator(".account-menu summary").click()
        expect(page.locator(".account-choices")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator(".account-choices").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    sizes = page.evaluate(
        "[...document.querySelectorAll('.account-menu a, .account-menu button, .account-menu summary, main button')]"
        ".map((element) => element.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 24
