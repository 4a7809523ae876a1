"""One event stream for all tabs of a browser: who holds it, who takes it over, and what all are told."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot

pytestmark = pytest.mark.usefixtures("sandbox")

End = Callable[[UnifiedJob, str], None]

STREAM = "/api/events"
# Notes every change of a job that the page is told of.
LISTEN = """async () => {
  const bus = performance.getEntriesByType("resource").map(({ name }) => name)
    .find((name) => /\\/js\\/bus[^/]*$/.test(name));
  const { on } = await import(bus);
  window.heard = [];
  on("job_status_changed", ({ job_id, status }) => window.heard.push(`${job_id} ${status}`));
}"""


@pytest.fixture
def streams(context: BrowserContext) -> list[str]:
    """The queries of all streams that this browser asked for."""
    asked: list[str] = []

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.path == STREAM:
            asked.append(parts.query)

    context.on("request", lambda request: note(request.url))
    return asked


def open_tabs(context: BrowserContext, web: str, count: int) -> list[Page]:
    tabs = [context.new_page() for _ in range(count)]
    for tab in tabs:
        tab.goto(web)
        is_live(tab)
        tab.evaluate(LISTEN)
    return tabs


def is_live(tab: Page) -> None:
    expect(tab.locator("connection-chip")).to_have_text("Live")


def heard(tab: Page, count: int) -> list[str]:
    tab.wait_for_function("count => window.heard.length >= count", arg=count)
    told: list[str] = tab.evaluate("window.heard")
    return told


def wait_for(tab: Page, is_so: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_so():
            return
        tab.wait_for_timeout(50)
    raise AssertionError("it never came")


@pytest.fixture
def end(make_snapshot: MakeSnapshot) -> End:
    """End a job, as its provider would."""

    def report(job: UnifiedJob, status: str) -> None:
        apply_snapshot(make_snapshot(external_id=job.external_id, status=status), source=Source.POLLER)

    return report


def test_eight_tabs_share_one_stream_and_each_hears_everything_once(
    context: BrowserContext, web: str, make_job: MakeJob, end: End, streams: list[str]
) -> None:
    job = make_job()
    tabs = open_tabs(context, web, 8)
    end(job, "completed")
    for tab in tabs:
        assert heard(tab, 1) == [f"{job.job_id} completed"]
        expect(tab.locator(f'tr[data-key="job-{job.job_id}"] .status')).to_have_text("Completed")
    assert streams == [""]


def test_another_tab_goes_on_after_the_last_event_when_the_leader_closes(
    context: BrowserContext, web: str, make_job: MakeJob, end: End, streams: list[str]
) -> None:
    first, second, third = make_job(), make_job(), make_job()
    leader, *others = open_tabs(context, web, 3)
    end(first, "completed")
    for tab in others:
        heard(tab, 1)
    leader.close()
    end(second, "failed")
    wait_for(others[0], lambda: len(streams) == 2)
    end(third, "completed")
    for tab in others:
        assert heard(tab, 3) == [f"{first.job_id} completed", f"{second.job_id} failed", f"{third.job_id} completed"]
        is_live(tab)
    assert streams[1].startswith("last_event_id=")


def test_all_tabs_say_so_and_poll_when_the_stream_is_refused(context: BrowserContext, web: str) -> None:
    context.route(f"**{STREAM}", lambda route: route.fulfill(status=429, headers={"Retry-After": "600"}))
    tabs = [context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(web)
        expect(tab.locator("connection-chip")).to_have_text("Polling every 30 s")
        expect(tab.get_by_text("Too many open live views")).to_be_visible()


def test_leader_that_falls_silent_is_replaced(context: BrowserContext, web: str, streams: list[str]) -> None:
    leader, other = context.new_page(), context.new_page()
    leader.goto(web)
    is_live(leader)
    other.clock.install()
    other.goto(web)
    is_live(other)
    # For the other one more time passes than a leader may be silent.
    other.clock.fast_forward(80_000)
    wait_for(other, lambda: len(streams) == 2)
    is_live(other)
    is_live(leader)


def test_leader_that_nobody_sees_hands_over_and_hears_everything_when_it_is_seen_again(
    context: BrowserContext, web: str, make_job: MakeJob, end: End
) -> None:
    first, second = make_job(), make_job()
    leader, other = context.new_page(), context.new_page()
    asked: list[Page] = []
    context.on("request", lambda request: asked.append(request.frame.page) if STREAM in request.url else None)

    def says(tab: Page, job: UnifiedJob, status: str) -> None:
        expect(tab.locator(f'tr[data-key="job-{job.job_id}"] .status')).to_have_text(status)

    leader.clock.install()
    for tab in (leader, other):
        tab.goto(web)
        is_live(tab)
    look = "value => { Object.defineProperty(document, 'hidden', {value, configurable: true});"
    look += "document.dispatchEvent(new Event('visibilitychange')); }"
    leader.evaluate(look, True)
    end(first, "completed")
    says(other, first, "Completed")
    assert set(asked) == {leader}
    # A page that nobody has seen for a minute leaves.
    leader.clock.fast_forward(61_000)
    wait_for(other, lambda: other in asked)
    is_live(other)
    count = asked.count(leader)
    end(second, "failed")
    says(other, second, "Failed")
    says(leader, second, "Running")
    leader.evaluate(look, False)
    is_live(leader)
    says(leader, second, "Failed")
    # It listens again, and does not take the stream back.
    assert asked.count(leader) == count


def test_each_tab_has_its_own_stream_where_there_are_no_locks(
    context: BrowserContext, web: str, streams: list[str]
) -> None:
    context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
    open_tabs(context, web, 2)
    assert streams == ["", ""]


def test_change_that_was_told_already_is_not_told_again(page: Page, web: str) -> None:
    change = '{"type":"job_status_changed","job_id":"%s","status":"failed","previous":null}'
    lines = [(5, "one"), (5, "one"), (4, "older"), (6, "two")]
    frames = "".join(f"id: {number}\nevent: message\ndata: {change % name}\n\n" for number, name in lines)
    is_open: list[bool] = []

    def answer(route: Route) -> None:
        if is_open:
            route.fulfill(content_type="text/event-stream", body=f"retry: 60000\n\n{frames}")
        else:
            route.fulfill(content_type="text/event-stream", body="retry: 100\n\n")

    page.route(f"**{STREAM}*", answer)
    page.goto(web)
    page.evaluate(LISTEN)
    is_open.append(True)
    assert heard(page, 2) == ["one failed", "two failed"]
