"""Submitting from the page in a real browser, with and without JavaScript."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from jobs.lifecycle import Source
from jobs.models import DatasetArchive, JobSubmission, TrainingConfig, UnifiedJob
from jobs.services import archives, submitting
from jobs.services.actors import owner_actor
from jobs.services.snapshots import take_own_step
from jobs.services.submission_plans import Request
from tests.jobs.submitting import CONFIG, DATASETS, zip_bytes

pytestmark = pytest.mark.usefixtures("sandbox")

LATER = 8000


@pytest.fixture(autouse=True)
def _clean_folder() -> Iterator[None]:
    yield
    folder = archives.archives_folder()
    for path in folder.iterdir() if folder.is_dir() else ():
        path.unlink()


@pytest.fixture
def archive_file(tmp_path: Path) -> Path:
    path = tmp_path / "mugs.zip"
    path.write_bytes(zip_bytes(3_000_000))
    return path


def overflow(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def submitted() -> JobSubmission:
    return JobSubmission.objects.select_related("job", "archive").get()


def test_job_is_submitted_from_the_list_to_its_page(
    page: Page, web: str, complaints: list[str], archive_file: Path
) -> None:
    TrainingConfig.objects.create(name="mugs", config=CONFIG, dataloader_config=DATASETS)
    page.goto(web)
    page.locator(".empty").get_by_role("link", name="New job").click()
    page.get_by_label("Stored configuration").select_option("mugs")
    page.get_by_role("button", name="Load").click()
    expect(page.get_by_label("Configuration (JSON)")).to_have_value(re.compile("flux"))
    page.get_by_label("Hardware").select_option("l40s")
    page.get_by_label("Budget (USD)").fill("7.02")
    expect(page.locator('[data-part="estimate"]')).to_have_text("The budget lasts for about 2 h 0 m.")
    page.get_by_label("Dataset archive").set_input_files(archive_file)
    expect(page.locator('[data-part="kept"]')).to_contain_text("mugs.zip (2.9 MB) has arrived")
    assert DatasetArchive.objects.get().path.read_bytes() == archive_file.read_bytes()
    page.get_by_role("button", name="Submit job").click()
    expect(page.locator(".message")).to_have_text("Submitted. Place 1 in the queue.")
    expect(page.get_by_role("heading", level=1)).to_have_text("mugs")
    expect(page.get_by_text("Waiting, place 1 in the queue")).to_be_visible()
    found = submitted()
    assert (found.config, found.dataloader_config, found.hardware_profile) == (CONFIG, DATASETS, "l40s")
    assert found.archive == DatasetArchive.objects.get()


def test_progress_of_the_upload_is_shown_and_it_can_be_stopped(page: Page, web: str, archive_file: Path) -> None:
    held: list[Route] = []
    page.route("**/api/cloud/uploads?*", lambda route: held.append(route))
    page.goto(f"{web}/jobs/new")
    page.get_by_label("Dataset archive").set_input_files(archive_file)
    expect(page.locator('[data-part="figures"]')).to_contain_text("of 2.9")
    page.get_by_label("Configuration (JSON)").fill(json.dumps(CONFIG))
    page.get_by_role("button", name="Submit job").click()
    expect(page.locator('[data-part="problem"]')).to_have_text("The archive is still being uploaded.")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator('[data-part="problem"]')).to_have_text("The upload was stopped.")
    expect(page.locator('[data-part="progress"]')).to_be_hidden()
    assert not UnifiedJob.objects.exists()


def test_file_that_is_no_archive_is_refused_in_the_servers_words(page: Page, web: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.zip"
    path.write_text("not an archive")
    page.goto(f"{web}/jobs/new")
    page.get_by_label("Dataset archive").set_input_files(path)
    expect(page.locator('[data-part="problem"]')).to_contain_text("no zip or tar archive")
    expect(page.locator('[data-part="kept"]')).to_be_hidden()


def test_json_is_read_from_a_file_into_the_field(page: Page, web: str, complaints: list[str], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    page.goto(f"{web}/jobs/new")
    page.get_by_label("or from a file").first.set_input_files(path)
    expect(page.get_by_label("Configuration (JSON)")).to_have_value(json.dumps(CONFIG))
    page.get_by_role("button", name="Submit job").click()
    expect(page.locator(".message")).to_contain_text("Submitted.")
    assert submitted().config == CONFIG


@pytest.mark.parametrize("width", [1280, 320])
def test_everything_works_without_a_script(browser: Browser, web: str, archive_file: Path, width: int) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = context.new_page()
    try:
        page.goto(f"{web}/configs/new")
        page.get_by_label("Name").fill("mugs")
        page.get_by_label("Configuration (JSON)").fill('{"model_family": "flux",\n "oops"}')
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#config-error")).to_contain_text("Line 2")
        page.get_by_label("Configuration (JSON)").fill(json.dumps(CONFIG))
        page.get_by_role("button", name="Save").click()
        page.get_by_role("link", name="Submit as a job").click()
        page.get_by_label("Budget (USD)").fill("much")
        page.get_by_label("Dataset archive").set_input_files(archive_file)
        page.get_by_role("button", name="Submit job").click()
        expect(page.locator("#budget_usd-error")).to_contain_text("number")
        expect(page.locator('[data-part="kept"]')).to_contain_text("mugs.zip")
        page.get_by_label("Budget (USD)").fill("5")
        page.get_by_role("button", name="Submit job").click()
        expect(page.locator(".message")).to_contain_text("Submitted.")
        found = submitted()
        assert found.archive is not None
        assert found.archive.path.read_bytes() == archive_file.read_bytes()
        take_own_step(found.job.pk, "failed", source=Source.QUEUE, error="no room")  # type: ignore[arg-type]
        page.reload()
        page.get_by_role("button", name="Retry").click()
        expect(page.locator(".message")).to_contain_text("Submitted.")
        assert found.job.retries.get().archive == found.archive
        page.get_by_role("link", name="Clone").click()
        expect(page.get_by_label("Configuration (JSON)")).to_have_value(re.compile("flux"))
        expect(page.get_by_text("of the earlier job")).to_be_visible()
        page.goto(f"{web}/configs")
        page.get_by_role("link", name="Delete mugs").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No configurations yet.")).to_be_visible()
    finally:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_every_field_has_a_name(browser: Browser, web: str, scheme: str) -> None:
    TrainingConfig.objects.create(name="a-very-long-name-of-a-configuration-" * 3, config=CONFIG | {"x": "y" * 400})
    context = browser.new_context(viewport={"width": 320, "height": 700}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    try:
        for address in ("/jobs/new", "/configs", "/configs/new", f"/configs/{TrainingConfig.objects.get().name}/edit"):
            page.goto(web + address)
            assert overflow(page) == 0, address
            unnamed = page.evaluate(
                """[...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea")]
                   .filter((field) => !field.labels?.length).map((field) => field.name)"""
            )
            assert unnamed == [], address
            small = page.evaluate(
                """[...document.querySelectorAll("main button, main .button, main select, .site-nav a")]
                   .filter((target) => target.getClientRects().length)
                   .filter((target) => target.getBoundingClientRect().height < 24).map((target) => target.outerHTML)"""
            )
            assert small == [], address
    finally:
        context.close()


def test_upload_to_the_provider_moves_while_one_looks(page: Page, web: str, complaints: list[str]) -> None:
    archive = DatasetArchive.objects.create(archive_id="b" * 32, name="s.zip", size_bytes=1000 * 1024, sha256="0" * 64)
    job = submitting.submit(owner_actor(), Request(config=CONFIG)).job
    JobSubmission.objects.filter(job=job).update(archive=archive)
    take_own_step(job.pk, "uploading", source=Source.QUEUE)  # type: ignore[arg-type]
    page.goto(web)
    text = page.locator('[data-part="text"]')
    expect(text).to_have_text("Uploading the dataset: 0 bytes of 1000.0 KB")
    DatasetArchive.objects.update(sent_bytes=500 * 1024)
    expect(text).to_have_text("Uploading the dataset: 500.0 KB of 1000.0 KB", timeout=LATER)
    assert page.locator('[data-part="bar"]').evaluate("bar => bar.value") == 50
