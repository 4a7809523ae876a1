"""The log of a job in a real browser: static/js/elements/log-view.js and static/js/log/."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Response, Route, expect

from jobs.lifecycle import Source
from jobs.models import JobLog, UnifiedJob
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.e2e.test_live_updates import until
from tests.sandbox_server import RunningSandbox

LONG_RUN = {"queue": 1.0, "train": 100_000.0}
# A log is asked for every 5 s.
ASKED_AGAIN = 9000
DISTANCE_FROM_END = "log => log.scrollHeight - log.scrollTop - log.clientHeight"

# Whatever a page asks a provider for goes to the sandbox.
pytestmark = pytest.mark.usefixtures("sandbox")


def ended_with(make_job: MakeJob, text: str, **fields: Any) -> UnifiedJob:
    """A job that has ended, with its log."""
    job = make_job(**({"status": "completed", "logs_state": "saved"} | fields))
    log = JobLog(job=job)
    log.replace(text, is_final=True)
    log.save()
    return job


def running(sandbox: RunningSandbox, make_snapshot: MakeSnapshot, logs: str) -> str:
    """A job that runs, whose log is the sandbox's to change; its id."""
    added: dict[str, Any] = sandbox.add_job(kind="training", created_offset=-120, durations=LONG_RUN)
    job_id = str(added["id"])
    sandbox.change_job(job_id, logs=logs)
    apply_snapshot(make_snapshot(external_id=job_id), source=Source.SYNC, create=True)
    return job_id


def numbered(count: int) -> str:
    return "".join(f"line {number}\n" for number in range(1, count + 1))


def opened(page: Page, web: str, job: UnifiedJob | str, hash_: str = "") -> Locator:
    """The log of a job, with its lines."""
    job_id = job if isinstance(job, str) else job.job_id
    page.goto(f"{web}/jobs/{job_id}/logs{hash_}")
    expect(page.locator(".log-standing")).to_contain_text(re.compile(r"\d lines?"))
    return page.locator(".log")


def lines_in_view(log: Locator) -> list[int]:
    numbers: list[int] = log.evaluate(
        """log => {
          const frame = log.getBoundingClientRect();
          return [...log.querySelectorAll("[data-line]")].filter((line) => {
            const box = line.getBoundingClientRect();
            return box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
          }).map((line) => Number(line.dataset.line));
        }"""
    )
    return numbers


def test_a_log_is_text_and_nothing_else(page: Page, web: str, make_job: MakeJob, complaints: list[str]) -> None:
    job = ended_with(
        make_job,
        "<script>document.title = 'broken'</script>\n"
        "<img src=x onerror=\"document.title='broken'\">\n"
        "\x1b[32mgreen\x1b[0m \x1b[1mbold\x1b[0m <b>\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07</b>\n"
        " 10%|#  | 1/10\r 50%|## | 5/10\r100%|###| 10/10\n"
        "the end",
        config_name="logged",
    )
    log = opened(page, web, job)
    assert log.inner_text().splitlines() == [
        "<script>document.title = 'broken'</script>",
        "<img src=x onerror=\"document.title='broken'\">",
        "green bold <b>link</b>",
        "100%|###| 10/10",
        "the end",
    ]
    assert log.locator("script, img, b").count() == 0
    assert log.locator("a:not(.log-number)").count() == 0
    assert page.title() == "logged · Logs · SimpleTuner Cloud"


def test_terminal_colours_are_classes_and_go_on_over_lines(
    page: Page, web: str, make_job: MakeJob, complaints: list[str]
) -> None:
    text = "\x1b[31mred\nstill red\x1b[0m plain \x1b[1;38;5;10;48;2;0;0;200mmixed\x1b[22;39m ground\x1b[m\nplain\n"
    log = opened(page, web, ended_with(make_job, text))
    runs = log.locator(".log-text span").evaluate_all("runs => runs.map((run) => [run.textContent, run.className])")
    assert runs == [
        ["red", "ansi-fg-1"],
        ["still red", "ansi-fg-1"],
        ["mixed", "ansi-mark-1 ansi-fg-10 ansi-bg-4"],
        [" ground", "ansi-bg-4"],
    ]
    assert log.locator(".log-line[style], .log-text [style]").count() == 0


def test_of_a_hundred_thousand_lines_only_those_in_view_are_drawn(
    page: Page, web: str, make_job: MakeJob, complaints: list[str]
) -> None:
    log = opened(page, web, ended_with(make_job, numbered(100_000)))
    expect(page.locator(".log-standing")).to_have_text("100,000 lines")
    assert lines_in_view(log)[-1] == 100_000
    for share in (0.0, 0.25, 0.5, 0.9):
        log.evaluate("(log, share) => { log.scrollTop = share * (log.scrollHeight - log.clientHeight) }", share)
        expected = max(round(share * 100_000), 1)
        expect(log.locator(f'[data-line="{expected + 10}"]')).to_have_count(1)
        seen = lines_in_view(log)
        assert abs(seen[0] - expected) < 60
        assert seen == list(range(seen[0], seen[0] + len(seen))), "no gap"
        assert log.locator("*").count() < 400


@pytest.mark.parametrize("wide", ["0123456789", "\t\t", "e" + 4 * "\u0301", "漢字█▏👩‍🚀"])
def test_wrapped_lines_of_any_width_leave_no_gap_and_end_at_the_end(
    page: Page, web: str, make_job: MakeJob, wide: str
) -> None:
    text = "".join(f"{number} {wide * (40 + number % 20)}\n" for number in range(1, 3001))
    log = opened(page, web, ended_with(make_job, text))
    assert lines_in_view(log)[-1] == 3000
    assert log.evaluate(DISTANCE_FROM_END) < 2
    for _ in range(12):
        log.evaluate("log => { log.scrollTop -= 700 }")
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        seen = lines_in_view(log)
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        gaps = log.evaluate(
            """log => {
              const boxes = [...log.querySelectorAll("[data-line]")].map((line) => line.getBoundingClientRect());
              return boxes.slice(1).filter((box, at) => Math.abs(box.top - boxes[at].bottom) > 0.5).length;
            }"""
        )
        assert gaps == 0
    for line in (1535, 39, 2999):
        page.evaluate("line => { location.hash = `#L${line}` }", line)
        expect(log.locator(".is-chosen")).to_have_attribute("data-line", str(line))
        assert line in lines_in_view(log)


def test_lines_are_wrapped_or_not_and_stay_where_they_were(page: Page, web: str, make_job: MakeJob) -> None:
    text = "".join(f"{number} {'x' * 400}\n" for number in range(1, 501))
    log = opened(page, web, ended_with(make_job, text), "#L250")
    expect(log.locator('[data-line="250"]')).to_be_visible()
    wraps = "log => log.scrollWidth <= log.clientWidth"
    assert log.evaluate(wraps)
    first = lines_in_view(log)[0]
    page.keyboard.press("w")
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "false")
    assert not log.evaluate(wraps)
    assert abs(lines_in_view(log)[0] - first) <= 1
    page.get_by_role("button", name="Wrap").click()
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "true")
    assert log.evaluate(wraps)


def test_lines_stay_in_view_while_the_window_changes(page: Page, web: str, make_job: MakeJob) -> None:
    text = "".join(f"{number} {'x' * 300}\n" for number in range(1, 3001))
    log = opened(page, web, ended_with(make_job, text), "#L2900")
    expect(log.locator('[data-line="2900"]')).to_be_visible()
    first = lines_in_view(log)[0]
    for width in (900, 320, 500, 320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert abs(lines_in_view(log)[0] - first) <= 1, width


def test_a_log_is_followed_until_one_scrolls_up(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot
) -> None:
    job_id = running(sandbox, make_snapshot, numbered(200))
    log = opened(page, web, job_id)
    follow = page.get_by_role("button", name="Follow")
    expect(follow).to_have_attribute("aria-pressed", "true")
    assert log.evaluate(DISTANCE_FROM_END) < 2
    log.evaluate("log => { log.scrollTop = 100 }")
    latest = page.get_by_role("button", name="Jump to latest")
    expect(latest).to_be_visible()
    expect(follow).to_have_attribute("aria-pressed", "false")
    sandbox.change_job(job_id, logs=numbered(207))
    expect(latest).to_have_text("Jump to latest (7 new)", timeout=ASKED_AGAIN)
    assert log.evaluate("log => log.scrollTop") == 100
    latest.click()
    expect(latest).to_be_hidden()
    expect(log).to_be_focused()
    assert log.evaluate(DISTANCE_FROM_END) < 2
    assert lines_in_view(log)[-1] == 207
    sandbox.change_job(job_id, logs=numbered(210))
    expect(log.locator('[data-line="210"]')).to_be_visible(timeout=ASKED_AGAIN)
    assert log.evaluate(DISTANCE_FROM_END) < 2


def test_following_is_turned_off_by_hand_and_stays_so(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot
) -> None:
    job_id = running(sandbox, make_snapshot, numbered(200))
    log = opened(page, web, job_id)
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    sandbox.change_job(job_id, logs=numbered(260))
    expect(page.get_by_role("button", name="Jump to latest (60 new)")).to_be_visible(timeout=ASKED_AGAIN)
    assert 200 in lines_in_view(log)
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")
    assert lines_in_view(log)[-1] == 260


def test_what_has_come_before_is_not_sent_again(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot
) -> None:
    job_id = running(sandbox, make_snapshot, numbered(50_000))
    sizes: list[int] = []

    def note(response: Response) -> None:
        if "/logs?after=" in response.url:
            sizes.append(len(response.body()))

    page.on("response", note)
    log = opened(page, web, job_id)
    sandbox.change_job(job_id, logs=numbered(50_000) + "half a li")
    expect(log.locator('[data-line="50001"]')).to_have_text("half a li", timeout=ASKED_AGAIN)
    sandbox.change_job(job_id, logs=numbered(50_000) + "half a line\rredrawn")
    expect(log.locator('[data-line="50001"]')).to_have_text("redrawn", timeout=ASKED_AGAIN)
    expect(page.locator(".log-standing")).to_contain_text("50,001 lines")
    assert sizes[0] > 500_000
    assert max(sizes[1:]) < 1000


def test_a_log_that_became_another_is_read_anew(page: Page, web: str, make_job: MakeJob) -> None:
    job = ended_with(make_job, "the first\n")
    mark, other = "1-" + "a" * 32, "2-" + "a" * 32
    rest = {"source": "provider", "is_final": False, "problem": None, "logs_state": "saved", "cut": False}
    newest = {"logs": "the first\nhalf", "continues": False, "bookmark": mark}

    def answer(route: Route) -> None:
        is_known = route.request.url.endswith(f"after={newest['bookmark']}")
        route.fulfill(json=rest | newest | ({"logs": "", "continues": True} if is_known else {}))

    page.route("**/logs?after=*", answer)
    log = opened(page, web, job)
    expect(log).to_have_text("the firsthalf")
    newest = {"logs": " a line\n", "continues": True, "bookmark": other}
    expect(log).to_have_text("the firsthalf a line", timeout=ASKED_AGAIN)
    newest = {"logs": "another\n", "continues": False, "bookmark": mark}
    expect(log).to_have_text("another", timeout=ASKED_AGAIN)


def test_search_counts_marks_and_goes_on(page: Page, web: str, make_job: MakeJob, complaints: list[str]) -> None:
    match = " Loss \x1b[31m(x\x1b[0m) a.b"
    text = "".join(f"line {number}{'' if number % 100 else match}\n" for number in range(1, 5001))
    log = opened(page, web, ended_with(make_job, text))
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Search in the log")
    expect(search).to_be_focused()
    page.keyboard.type("loss (x) A.B")
    count = page.locator(".log-count")
    expect(count).to_have_text("50 of 50")
    expect(log.locator(".is-current")).to_have_attribute("data-line", "5000")
    assert log.locator(".is-current mark").all_text_contents() == ["Loss ", "(x", ") a.b"]
    page.keyboard.press("Enter")
    expect(count).to_have_text("1 of 50")
    expect(log.locator(".is-current")).to_be_in_viewport()
    assert 100 in lines_in_view(log)
    log.focus()
    page.keyboard.press("n")
    expect(count).to_have_text("2 of 50")
    page.keyboard.press("N")
    page.keyboard.press("N")
    expect(count).to_have_text("50 of 50")
    page.get_by_role("button", name="Previous match").click()
    expect(log.locator(".is-current")).to_have_attribute("data-line", "4900")
    assert 4900 in lines_in_view(log)
    search.press("Escape")
    expect(search).to_have_value("")
    expect(log.locator("mark")).to_have_count(0)
    expect(log).to_be_focused()
    search.fill("nowhere")
    expect(count).to_have_text("no match")
    expect(page.get_by_role("button", name="Next match")).to_be_disabled()


def test_keys_do_nothing_while_one_types_and_can_be_turned_off(page: Page, web: str, make_job: MakeJob) -> None:
    opened(page, web, ended_with(make_job, numbered(10)))
    wrap = page.get_by_role("button", name="Wrap")
    search = page.get_by_role("searchbox", name="Search in the log")
    search.press_sequentially("wfn/")
    expect(search).to_have_value("wfn/")
    expect(wrap).to_have_attribute("aria-pressed", "true")
    search.blur()
    page.locator(".log-keys summary").click()
    page.get_by_role("checkbox", name="Use these keys").uncheck()
    page.locator(".log").focus()
    page.keyboard.press("w")
    expect(wrap).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.locator(".log-standing")).to_have_text("10 lines")
    page.keyboard.press("w")
    expect(wrap).to_have_attribute("aria-pressed", "true")


LEVELS = [
    ("2026-11-25 08:00:01 [INFO] an ERROR is only mentioned", "info"),
    ("2026-11-25 08:00:01 [WARNING] low", "warning"),
    ("/app/train.py:12: UserWarning: odd", "warning"),
    ("DEBUG:trainer:detail", "debug"),
    ('{"level": "error", "msg": "no"}', "error"),
    ("E1125 08:00:01.000 12 a.cc:1] glog", "error"),
    ("Steps: 1%| | 1/100 [00:01<01:39, loss_error=0.1]", "info"),
    ("Traceback (most recent call last):", "error"),
    ('  File "/app/train.py", line 12, in <module>', "error"),
    ("    main()", "error"),
    ("RuntimeError: it broke", "error"),
    ("", "error"),
    ("During handling of the above exception, another exception occurred:", "error"),
    ("[rank0]: Traceback (most recent call last):", "error"),
    ("[rank0]:   File x", "error"),
    ("[rank0]: torch.OutOfMemoryError: CUDA out of memory.", "error"),
    ("mean squared error 0.1", "info"),
]


def test_lines_are_filtered_by_level(page: Page, web: str, make_job: MakeJob) -> None:
    log = opened(page, web, ended_with(make_job, "".join(f"{line}\n" for line, _ in LEVELS)))
    told = log.locator(".log-line[data-line]").evaluate_all(
        "lines => lines.map((line) => [line.innerText.trimEnd(), line.className.match(/is-(\\w+)/)[1]])"
    )
    # A blank line between two tracebacks may be of either side.
    assert [one for one in told if one[0]] == [list(one) for one in LEVELS if one[0]]
    info = page.get_by_role("button", name=re.compile("^Info"))
    expect(info).to_have_text(re.compile(r"^Info \d+$"))
    info.click()
    page.get_by_role("button", name=re.compile("^Debug")).click()
    page.get_by_role("button", name=re.compile("^Warnings")).click()
    shown = log.locator(".log-line[data-line]")
    expect(shown.filter(has_text="squared")).to_have_count(0)
    assert all("is-error" in (line.get_attribute("class") or "") for line in shown.all())
    expect(page.locator(".log-standing")).to_contain_text(re.compile(r"\d+ of 17 lines"))
    # Lines keep their numbers.
    expect(shown.first).to_have_attribute("data-line", "5")
    page.get_by_role("searchbox").fill("mean squared")
    expect(page.locator(".log-count")).to_have_text("no match")
    info.click()
    expect(page.locator(".log-count")).to_have_text("1 match")


def test_new_lines_are_filtered_too(page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot) -> None:
    job_id = running(sandbox, make_snapshot, "[INFO] one\n[ERROR] two\n")
    log = opened(page, web, job_id)
    page.get_by_role("button", name=re.compile("^Info")).click()
    sandbox.change_job(job_id, logs="[INFO] one\n[ERROR] two\n[INFO] three\n[ERROR] four\n")
    expect(log.locator('[data-line="4"]')).to_be_visible(timeout=ASKED_AGAIN)
    assert log.inner_text().splitlines() == ["[ERROR] two", "[ERROR] four"]


def test_an_address_leads_to_its_lines(page: Page, web: str, make_job: MakeJob, complaints: list[str]) -> None:
    job = ended_with(make_job, numbered(20_000))
    log = opened(page, web, job, "#L12000-L12002")
    expect(log.locator(".is-chosen")).to_have_count(3)
    assert {12_000, 12_001, 12_002} <= set(lines_in_view(log))
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".log-standing")).to_contain_text("chosen: L12000-L12002")
    page.evaluate("location.hash = '#L5'")
    expect(log.locator(".is-chosen")).to_have_attribute("data-line", "5")
    assert 5 in lines_in_view(log)
    page.evaluate("location.hash = '#L99999'")
    expect(page.locator(".log-standing")).to_contain_text("there is no line 99999")


def test_a_lines_number_is_a_link_and_with_shift_a_range(page: Page, web: str, make_job: MakeJob) -> None:
    log = opened(page, web, ended_with(make_job, numbered(30)), "#L1")
    log.locator('[data-number="3"]').click()
    assert page.url.endswith("/logs#L3")
    log.locator('[data-number="6"]').click(modifiers=["Shift"])
    assert page.url.endswith("/logs#L3-L6")
    expect(log.locator(".is-chosen")).to_have_count(4)
    log.locator('[data-number="5"]').click()
    log.locator('[data-number="5"]').click()
    assert page.url.endswith("/logs")
    expect(log.locator(".is-chosen")).to_have_count(0)
    page.get_by_role("searchbox").fill("line 17")
    expect(log.locator(".is-current")).to_have_attribute("data-line", "17")
    log.focus()
    page.keyboard.press("l")
    assert page.url.endswith("/logs#L17")


def test_all_or_a_part_is_copied(page: Page, context: BrowserContext, web: str, make_job: MakeJob) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=web)
    log = opened(page, web, ended_with(make_job, "first\n\x1b[31msecond\x1b[0m\n 10%\r 20%\nfourth\n"))
    copy, read = page.get_by_role("button", name="Copy", exact=True), "navigator.clipboard.readText()"

    def copied() -> str:
        copy.click()
        expect(page.locator(".toast-text").last).to_have_text("Copied")
        return str(page.evaluate(read))

    assert copied() == "first\nsecond\n 20%\nfourth"
    log.locator('[data-number="2"]').click()
    log.locator('[data-number="3"]').click(modifiers=["Shift"])
    assert copied() == "second\n 20%"
    page.evaluate(
        "getSelection().selectAllChildren(document.querySelector('.log-line[data-line=\"1\"]'))",
    )
    assert copied().strip() == "first", "without its number"


def test_a_very_long_line_is_cut_in_view_only(page: Page, web: str, make_job: MakeJob) -> None:
    log = opened(page, web, ended_with(make_job, "x" * 500_000 + "needle\nend\n"))
    assert len(log.locator('[data-line="1"] .log-text').inner_text()) < 9000
    expect(log.locator(".log-more")).to_have_attribute("data-words", "… 492006 more characters")
    assert lines_in_view(log)[-1] == 2


def test_a_page_says_when_the_end_of_the_log_has_been_saved(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot, complaints: list[str]
) -> None:
    job_id = running(sandbox, make_snapshot, "step 1\n")
    log = opened(page, web, job_id)
    badge = page.locator("[data-logs-state]")
    expect(badge).to_have_text("Live")
    at = datetime.now(UTC) - timedelta(minutes=2)
    sandbox.change_job(job_id, status="succeeded", completed_at=at.isoformat(), logs="step 1\ndone\n")
    ended = make_snapshot(external_id=job_id, status="completed", raw_status="succeeded", completed_at=at)
    apply_snapshot(ended, source=Source.WEBHOOK)
    expect(badge).to_have_text("Saved", timeout=ASKED_AGAIN)
    expect(log).to_contain_text("done")


def test_trouble_with_the_provider_is_told_beside_the_copy(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot
) -> None:
    job_id = running(sandbox, make_snapshot, "step 1\n")
    log = opened(page, web, job_id)
    sandbox.fault("status", status=500)
    problem = page.get_by_role("status").filter(has_text="This is the copy saved here.")
    expect(problem).to_be_visible(timeout=2 * ASKED_AGAIN)
    expect(log).to_have_text("step 1")
    sandbox.clear_faults()


def test_without_a_script_the_end_of_the_log_can_be_read(browser: Browser, web: str, make_job: MakeJob) -> None:
    job = ended_with(make_job, numbered(600) + "\x1b[31m<b>red</b>\x1b[0m\n")
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    page = context.new_page()
    page.goto(f"{web}/jobs/{job.job_id}/logs")
    shown = page.locator(".log").inner_text().splitlines()
    assert (shown[-1], len(shown)) == ("<b>red</b>", 500)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    for name in ("Follow", "Wrap", "Copy", "Errors"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("searchbox")).to_have_count(0)
    context.close()


def test_times_of_lines_are_hidden_and_shown(page: Page, web: str, make_job: MakeJob, complaints: list[str]) -> None:
    lines = (
        "2026-11-25T08:00:00.123Z begins",
        "[2026-11-25 08:00:01] [INFO] \x1b[32mgoes\x1b[0m on",
        "11/25/2026 08:00:02 - INFO - a logger",
        "08:00:03 short",
        "3 of 4 at 08:00",
    )
    log = opened(page, web, ended_with(make_job, "\n".join(lines) + "\n"))
    button = page.get_by_role("button", name="Times")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("t")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(log.locator("[data-line] .log-text")).to_have_text(
        ["begins", "[INFO] goes on", "INFO - a logger", "short", "3 of 4 at 08:00"]
    )
    expect(log.locator(".ansi-fg-2")).to_have_text("goes")
    button.click()
    expect(log.locator("[data-line] .log-text").first).to_have_text("2026-11-25T08:00:00.123Z begins")


def test_switches_that_a_log_has_no_use_for_are_off_and_say_so(page: Page, web: str, make_job: MakeJob) -> None:
    log = opened(page, web, ended_with(make_job, numbered(5)))
    for name in ("No times", "No groups"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    page.keyboard.press("t")
    page.keyboard.press("e")
    expect(log.locator("[data-line]")).to_have_count(5)


def test_groups_and_bars_are_folded_and_unfolded(
    page: Page, web: str, make_job: MakeJob, complaints: list[str]
) -> None:
    bars = [f"Steps: {number}%|██    | {number}/100 [00:0{number}<01:00]" for number in range(6)]
    lines = ["start", "::group::Setup", "one", "two", "::endgroup::", *bars, "Validation: 10%|█   | 1/10", "end"]
    log = opened(page, web, ended_with(make_job, "\n".join(lines) + "\n"))
    expect(log.locator(".log-fold")).to_have_count(2)
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Fold")).to_have_attribute("aria-pressed", "true")
    shown = log.locator("[data-line] .log-text")
    # Of a bar its last drawing stays; lines keep their numbers.
    expect(shown).to_have_text(["start", "::group::Setup", bars[5], "Validation: 10%|█   | 1/10", "end"])
    assert log.locator("[data-line]").evaluate_all("lines => lines.map(({dataset}) => dataset.line)") == [
        *("1", "2", "11", "12", "13")
    ]
    expect(page.locator(".log-standing")).to_contain_text("5 of 13 lines")
    log.locator(".log-fold").first.click()
    expect(shown).to_have_count(8)
    log.locator(".log-fold").first.click()
    expect(shown).to_have_count(5)
    # A line's address leads to it also where it was folded away.
    page.evaluate("location.hash = '#L3'")
    expect(log.locator('[data-line="3"]')).to_have_class(re.compile("is-chosen"))
    expect(shown).to_have_count(13)


def test_bars_that_go_on_stay_folded(
    page: Page, sandbox: RunningSandbox, web: str, make_snapshot: MakeSnapshot
) -> None:
    bars = [f"Steps: {number}%|██    | {number}/100\n" for number in range(6)]
    job = running(sandbox, make_snapshot, "".join(bars[:3]))
    log = opened(page, web, job)
    page.keyboard.press("e")
    shown = log.locator("[data-line] .log-text")
    expect(shown).to_have_text([bars[2].strip()])
    sandbox.change_job(job, logs="".join(bars))
    expect(shown).to_have_text([bars[5].strip()], timeout=ASKED_AGAIN)


def test_key_downloads_what_was_saved(page: Page, web: str, make_job: MakeJob) -> None:
    opened(page, web, ended_with(make_job, numbered(3)))
    with page.expect_download() as download:
        page.keyboard.press("d")
    assert download.value.path().read_text() == numbered(3)


def first_line_comes_near(log: Locator, line: float, within: float) -> None:
    """Wait for it; in the moment between a drag and its drawing there is no line."""
    until(log.page, lambda: any(abs(first - line) <= within for first in lines_in_view(log)[:1]))


def test_a_log_higher_than_a_browser_can_draw_is_reached_to_its_end(page: Page, web: str, make_job: MakeJob) -> None:
    # 600,000 lines are 11 million pixels; the scroller is 8 million high.
    log = opened(page, web, ended_with(make_job, "x\n" * 599_999 + "last\n"))
    assert log.evaluate("log => log.scrollHeight") < 8_100_000
    expect(log.locator('[data-line="600000"]')).to_be_visible()
    assert lines_in_view(log)[-1] == 600_000
    # A turn of the wheel moves the lines by as many pixels as ever.
    log.hover()
    for _ in range(3):
        height = log.locator("[data-line]").first.evaluate("line => line.offsetHeight")
        goal = lines_in_view(log)[0] - 400 / height
        page.mouse.wheel(0, -400)
        first_line_comes_near(log, goal, 1)
    # A drag goes through all of it.
    for share in (0.5, 0.25, 0.0):
        log.evaluate("(log, share) => { log.scrollTop = (log.scrollHeight - log.clientHeight) * share; }", share)
        first_line_comes_near(log, 600_000 * share, 600)
    assert lines_in_view(log)[0] == 1
    page.evaluate("location.hash = '#L400000'")
    expect(log.locator('[data-line="400000"]')).to_be_visible()
    assert 400_000 in lines_in_view(log)
    # What stands at the scroller's own beginning is not the log's: one can go on upwards from there.
    page.evaluate("location.hash = '#L300'")
    expect(log.locator('[data-line="300"]')).to_be_visible()
    log.hover()
    for _ in range(12):
        page.mouse.wheel(0, -600)
        page.wait_for_timeout(120)
    until(page, lambda: lines_in_view(log)[:1] == [1])
    page.keyboard.press("End")
    until(page, lambda: lines_in_view(log)[-1:] == [600_000])
