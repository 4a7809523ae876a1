"""How smooth the log of a job is in Chromium: ``python -m benchmarks.log_viewer``, with a number of lines if wanted.

Runs the product on an empty store with one ended job, whose log has 100,000 lines of what trainers print: redrawn bars,
colours, warnings, tracebacks, lines that wrap. It then scrolls as one would, and counts what the browser draws.
"""

import os
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
# Playwright's synchronous interface keeps an event loop in this thread, which Django would take for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

LINES = 100_000
SCROLLED_SECONDS = 6
JUMPS = 40

FRAMES = """
() => {
  window.frames = [];
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: "longtask" });
  let last = performance.now();
  const tick = (now) => { window.frames.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}
"""
IDLE = """
async ([seconds]) => {
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await new Promise((done) => requestAnimationFrame(done));
  }
  return document.querySelectorAll(".log *").length;
}
"""
SCROLL = """
async ([seconds, pixels]) => {
  const log = document.querySelector(".log");
  const until = performance.now() + seconds * 1000;
  let nodes = 0;
  while (performance.now() < until) {
    log.scrollTop -= pixels;
    await new Promise((done) => requestAnimationFrame(done));
    nodes = Math.max(nodes, log.querySelectorAll("*").length);
  }
  return nodes;
}
"""
JUMP = """
async (jumps) => {
  const log = document.querySelector(".log");
  let nodes = 0;
  for (let jump = 0; jump < jumps; jump += 1) {
    log.scrollTop = log.scrollHeight * ((jump * 0.618) % 1);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    nodes = Math.max(nodes, log.querySelectorAll("*").length);
  }
  return nodes;
}
"""


def log_lines(count: int) -> Iterator[str]:
    """What trainers print, the same each time."""
    dice = random.Random(1)
    number = 0
    while number < count:
        kind = dice.random()
        if kind < 0.01:
            yield f"\x1b[33m2026-11-25 08:00:00 [WARNING] something looks off at {number}\x1b[0m"
        elif kind < 0.012:
            yield "Traceback (most recent call last):"
            yield '  File "/app/train.py", line 12, in <module>'
            yield "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB"
            number += 2
        elif kind < 0.06:
            yield "\x1b[32m[INFO]\x1b[0m a long line " + "of words that goes on and on " * 12 + str(number)
        else:
            bar = "█" * (10 * number // count)
            yield (
                f"\rSteps: {100 * number // count}%|{bar}| {number}/{count}"
                f"\rSteps: {100 * number // count}%|{bar}| {number}/{count} "
                f"[02:40<19:22,  {1.2 + dice.random() / 3:.2f}s/it, step_loss={dice.random():.4f}, lr=1.000e-04]"
            )
        number += 1


def measure(page: Any, address: str) -> None:
    """Open the log and scroll through it; prints one line for each thing."""
    # What was measured before is in no cache any more.
    page.goto("about:blank")
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_function("() => document.querySelectorAll('.log .log-line[data-line]').length > 10")
    opened = time.perf_counter() - start
    page.wait_for_function("() => document.querySelector('.log-standing').textContent.includes('lines')")
    show("from the click to the first lines", f"{1000 * opened:.0f} ms")
    timing = page.evaluate(
        "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/logs?'))"
        ".map((entry) => [entry.responseEnd, entry.encodedBodySize])[0]"
    )
    show("of which until the answer was there", f"{timing[0]:.0f} ms, {timing[1] / 1e6:.1f} MB")
    # Levels are told in the background; what follows is the steady state.
    page.wait_for_timeout(2000)
    page.evaluate(FRAMES)
    session = page.context.new_cdp_session(page)
    # Processor time of the page's main thread, so that other programs on the machine do not count.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    for wrap in (True, False):
        if not wrap:
            page.keyboard.press("w")
        name = "wrapped" if wrap else "not wrapped"
        for what, script, argument in (
            ("no scroll, for comparison", IDLE, [SCROLLED_SECONDS]),
            ("steady scroll", SCROLL, [SCROLLED_SECONDS, 120]),
            ("quick scroll", SCROLL, [SCROLLED_SECONDS, 3000]),
            ("jumps", JUMP, JUMPS),
        ):
            page.wait_for_timeout(200)
            page.evaluate("frames.length = 0; longTasks.length = 0")
            before = busy_seconds(session)
            nodes = page.evaluate(script, argument)
            busy = busy_seconds(session) - before
            frames, tasks = page.evaluate("[frames, longTasks]")
            work = f"{1000 * busy / len(frames):.1f} ms of work a frame"
            show(
                f"{what}, {name}",
                f"{spread(frames)}; {work}; {len(tasks)} tasks over 50 ms{worst(tasks)}; {nodes} nodes",
            )
    page.keyboard.press("/")
    start = time.perf_counter()
    page.keyboard.insert_text("99999")
    page.wait_for_function("() => /of|match/.test(document.querySelector('.log-count').textContent)")
    show("search, from the last key on", f"{1000 * (time.perf_counter() - start):.0f} ms")
    start = time.perf_counter()
    page.locator('[data-level="info"]').click()
    page.wait_for_function("() => document.querySelector('.log-standing').textContent.includes(' of ')")
    show("filter by level", f"{1000 * (time.perf_counter() - start):.0f} ms")


def busy_seconds(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def spread(frames: list[float]) -> str:
    ordered = sorted(frames)
    middle, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"frames p50 {middle:.0f}, p99 {late:.0f}, longest {ordered[-1]:.0f} ms"


def worst(tasks: list[float]) -> str:
    return f" (longest {max(tasks):.0f})" if tasks else ""


def show(what: str, found: str) -> None:
    print(f"{what:42s} {found}", flush=True)


def main() -> None:
    """Build the store, start the product and a browser, measure."""
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from playwright.sync_api import sync_playwright

    from jobs.models import JobLog, UnifiedJob
    from tests.servers import chromium_path
    from tests.web_server import running_web

    # What is measured is the page, not the search for changed files.
    settings.WHITENOISE_AUTOREFRESH = False
    call_command("migrate", verbosity=0)
    text = "\n".join(log_lines(int(sys.argv[1]) if len(sys.argv) > 1 else LINES)) + "\n"
    job = UnifiedJob.objects.create(
        job_id="measured", external_id="measured", provider="replicate", status="completed", logs_state="saved"
    )
    log = JobLog(job=job)
    log.replace(text, is_final=True)
    log.save()
    lines = text.count("\n")
    show("log", f"{lines:,} lines, {len(text.encode()) / 1e6:.1f} MB")
    with running_web() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox", "--disable-gpu"])
        measure(browser.new_page(viewport={"width": 1280, "height": 900}), f"{url}/jobs/measured/logs")
        browser.close()


if __name__ == "__main__":
    main()
