"""The page's event stream in a real browser: silence, interruptions, and being told to read everything anew."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from jobs.models import UnifiedJob
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.usefixtures("sandbox")

STREAM, NOTICES = "/api/events", "/fragments/notices"
# The page's patience with a silent stream is 45 s; the browser's clock is moved, the server's is not.
ALMOST_STALLED, A_BIT_MORE = 40_000, 6_000


@pytest.fixture
def requests(page: Page) -> list[str]:
    """What the page has asked for, of its event stream and of the piece that is read only with everything else."""
    asked: list[str] = []

    def note(request: Request) -> None:
        for what in (STREAM, NOTICES):
            if urlsplit(request.url).path == what:
                asked.append(what)

    page.on("request", note)
    return asked


def is_live(page: Page) -> None:
    expect(page.locator("connection-chip")).to_have_text("Live")


def until(page: Page, is_so: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_so():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came")


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives no sign of life. Must be asked for before the server is started."""
    monkeypatch.setattr("jobs.stream.endpoint.KEEP_ALIVE_SECONDS", 3600.0)


@pytest.fixture
def frequent_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.stream.endpoint.KEEP_ALIVE_SECONDS", 0.1)


def test_stream_that_falls_silent_is_replaced_and_everything_read_anew(
    page: Page, silence: None, web: str, requests: list[str]
) -> None:
    page.clock.install()
    page.goto(web)
    is_live(page)
    page.clock.fast_forward(ALMOST_STALLED)
    page.wait_for_timeout(500)
    assert requests.count(STREAM) == 1
    page.clock.fast_forward(A_BIT_MORE)
    until(page, lambda: requests.count(STREAM) == 2)
    is_live(page)
    second = len(requests) - requests[::-1].index(STREAM)
    until(page, lambda: NOTICES in requests[second:])


def test_signs_of_life_keep_a_stream_on_which_nothing_happens(
    page: Page, frequent_signs_of_life: None, web: str, requests: list[str]
) -> None:
    page.clock.install()
    page.goto(web)
    is_live(page)
    for _ in range(3):
        page.clock.fast_forward(ALMOST_STALLED)
        page.wait_for_timeout(500)
    assert requests.count(STREAM) == 1
    is_live(page)


def test_page_reads_everything_anew_when_its_stream_was_interrupted(
    page: Page, web: str, make_job: MakeJob, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.stream.frames.RETRY_MILLISECONDS", 1000)
    monkeypatch.setattr("jobs.stream.endpoint.LONGEST_STREAM_SECONDS", 2.0)
    job = make_job()
    page.goto(web)
    is_live(page)
    expect(page.locator("connection-chip")).to_have_text("Reconnecting…")
    # Nothing tells of this one: neither an event nor the history.
    UnifiedJob.objects.filter(pk=job.pk).update(status="completed")
    with page.expect_request(f"**{NOTICES}"):
        is_live(page)
    expect(page.locator(f'tr[data-key="job-{job.job_id}"] .status')).to_have_text("Completed")
    assert requests.count(STREAM) > 1


def test_resync_makes_the_page_read_everything_anew(page: Page, web: str) -> None:
    resync = 'retry: 60000\n\nid: 5\nevent: message\ndata: {"type":"resync"}\n\n'
    page.route(f"**{STREAM}", lambda route: route.fulfill(content_type="text/event-stream", body=resync))
    with page.expect_request(f"**{NOTICES}", timeout=5000):
        page.goto(web)


def test_stream_with_garbage_harms_nothing(page: Page, web: str, sandbox: RunningSandbox) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    garbage = "".join(
        f"data: {line}\n\n" for line in ("", "{", "null", "[]", '"resync"', '{"type":null}', '{"type":"x"}')
    )
    page.route(
        f"**{STREAM}", lambda route: route.fulfill(content_type="text/event-stream", body=f"retry: 60000\n\n{garbage}")
    )
    page.goto(web)
    expect(page.locator("connection-chip")).to_have_text("Reconnecting…")
    assert errors == []


def test_sixth_browser_of_an_address_polls_and_becomes_live_when_another_one_closes(
    browser: Browser, page: Page, web: str
) -> None:
    page.clock.install()
    # The tabs of one profile share a stream.
    others = [browser.new_context(locale="en-US").new_page() for _ in range(5)]
    for other in others:
        other.goto(web)
        is_live(other)
    page.bring_to_front()
    page.goto(web)
    expect(page.locator("connection-chip")).to_have_text("Polling every 30 s")
    others[0].close()
    chip = page.locator("connection-chip")

    def is_live_at_the_next_try() -> bool:
        # The server may hear of the closed one only after a try.
        page.clock.fast_forward(31_000)
        page.wait_for_timeout(500)
        return chip.text_content() == "Live"

    until(page, is_live_at_the_next_try)
    for other in others:
        other.context.close()
