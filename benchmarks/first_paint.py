"""When the list is first seen in Chromium: ``python -m benchmarks.first_paint``, with a number of jobs if wanted.

A store of 100,000 jobs in SQLite, one web process that has answered before, and a browser on the same machine. From the
start of the navigation to the first contentful paint, as the browser itself tells it: with an empty cache, and as one
who comes back.
"""

import sys
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from benchmarks.stack import fill_store, running
from tests.servers import chromium_path

JOBS = 100_000
LOADS = 20
WARM_UP = 5
SIZE: ViewportSize = {"width": 1280, "height": 900}
TIMES = """async () => {
  const paint = () => performance.getEntriesByName("first-contentful-paint")[0];
  while (!paint()) {
    await new Promise((done) => setTimeout(done, 10));
  }
  const [navigation] = performance.getEntriesByType("navigation");
  return [navigation.responseEnd, paint().startTime, document.querySelectorAll("tr.job").length];
}"""


def load(page: Page, url: str) -> Any:
    """Open the list; milliseconds until its HTML was there and until it was painted, and its rows."""
    page.goto("about:blank")
    page.goto(url)
    return page.evaluate(TIMES)


def with_empty_cache(browser: Browser, url: str) -> Any:
    context = browser.new_context(viewport=SIZE)
    found = load(context.new_page(), url)
    context.close()
    return found


def tell(what: str, found: list[Any]) -> None:
    for name, at in (("HTML there", 0), ("first contentful paint", 1)):
        times = sorted(times[at] for times in found)
        middle, worst = times[len(times) // 2], times[-1]
        print(f"{what}: {name:24s} p50 {middle:4.0f} ms, longest of {len(times)} {worst:4.0f} ms", flush=True)
    print(f"{what}: rows {found[0][2]}", flush=True)


def main() -> None:
    """Fill the store, start the product and a browser, measure."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    with running("sqlite", latency_seconds=0.05) as stack:
        fill_store(jobs)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium_path(), args=["--no-sandbox", "--disable-gpu"]
            )
            for _ in range(WARM_UP):
                with_empty_cache(browser, stack.url)
            tell(f"{jobs:,} jobs, empty cache", [with_empty_cache(browser, stack.url) for _ in range(LOADS)])
            page = browser.new_context(viewport=SIZE).new_page()
            load(page, stack.url)
            tell(f"{jobs:,} jobs, coming back", [load(page, stack.url) for _ in range(LOADS)])
            browser.close()


if __name__ == "__main__":
    main()
