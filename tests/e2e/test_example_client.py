"""The example client in JavaScript, in a page of the product."""

from pathlib import Path

from django.conf import settings
from playwright.sync_api import Page, expect

from jobs.services import polling, sync
from tests.sandbox_server import RunningSandbox

MODULE = Path(settings.BASE_DIR) / "docs" / "clients" / "javascript" / "cloud-client.mjs"


def test_module_runs_in_a_browser(page: Page, web: str, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    sync.discover_jobs("replicate")
    page.route(
        "**/static/example.mjs",
        lambda route: route.fulfill(body=MODULE.read_text(encoding="utf-8"), content_type="text/javascript"),
    )
    page.goto(web)
    page.evaluate(
        """async (id) => {
          const { Cloud } = await import("/static/example.mjs");
          const cloud = new Cloud();
          window.listed = (await cloud.jobs()).map((job) => job.job_id);
          cloud.wait(id).then((job) => { document.documentElement.dataset.waited = job.status; });
        }""",
        job["id"],
    )
    assert page.evaluate("window.listed") == [job["id"]]
    sandbox.change_job(job["id"], status="succeeded")
    polling.run_cycle()
    expect(page.locator("html")).to_have_attribute("data-waited", "completed")
