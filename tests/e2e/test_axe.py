"""What axe-core finds on every page, in both colour schemes, on a wide and on a narrow screen.

A page is loaded once: its width and its colours are changed in place, as they are by people.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, Page

from jobs import models
from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services.heartbeats import Pulse, Role
from tests.conftest import MakeAccount, MakeJob
from tests.sandbox_server import RunningSandbox

VENDOR = Path(__file__).parent / "vendor" / "axe-core"
INTEGRITY = "sha256-KTSJmUUM3yhJqOcLeRL8LahahJ2jnA0NU5T1HUqe2Vw="
WIDTHS = (1280, 360)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Minor findings are matters of taste.
COUNTED = ("moderate", "serious", "critical")
RUN = """async ([type, values, exclude]) => {
  const found = await axe.run({exclude}, {resultTypes: ["violations"], runOnly: {type, values}});
  return found.violations.map((violation) => ({
    rule: violation.id, impact: violation.impact,
    nodes: violation.nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary.split("\\n")[1] ?? ""}`)}));
}"""
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Another colour scheme changes nothing but colours.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
# Django's own, and made by its scripts: a question mark with a label but no role, beside lists to choose from.
NOT_OURS = [".selector .help-tooltip"]
# Colours that are on their way are not the ones that are meant.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"


class Eyes:
    """A page, and what axe-core finds on it."""

    def __init__(self, page: Page, web: str) -> None:
        self.page, self.web = page, web
        self.findings: list[str] = []
        self.looked_at = 0

    def look(self, path: str, state: str = "", *, go: bool = True, status: int = 200) -> None:
        """Load a page, unless it is there, and have it looked at in every width and colour scheme."""
        if go:
            answer = self.page.goto(f"{self.web}{path}")
            assert answer is not None
            assert answer.status == status, path
        self.page.evaluate("document.fonts.ready")
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                self._run(f"{path} {state}".strip(), width, scheme)
        self.page.set_viewport_size({"width": WIDTHS[0], "height": 900})

    def _run(self, name: str, width: int, scheme: str) -> None:
        if not self.page.evaluate("'axe' in window"):
            self.page.add_script_tag(path=VENDOR / "axe.min.js")
            self.page.add_style_tag(content=STILL)
        self.looked_at += 1
        rules = ["tag", TAGS] if scheme == SCHEMES[0] else ["rule", COLOUR_RULES]
        for found in self.page.evaluate(RUN, [*rules, NOT_OURS]):
            if found["impact"] in COUNTED:
                self.findings += [
                    f"{name} at {width}, {scheme}: {found['rule']} ({found['impact']}): {node}"
                    for node in found["nodes"]
                ]


@pytest.fixture
def eyes(browser: Browser, web: str) -> Iterator[Eyes]:
    """A browser that lets axe-core in, which the content security policy keeps out of real ones."""
    with looking(browser, web) as found:
        yield found
        assert found.looked_at
        assert not found.findings, "\n".join(found.findings)


@contextmanager
def looking(browser: Browser, web: str) -> Iterator[Eyes]:
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900}, bypass_csp=True)
    context.set_default_timeout(10_000)
    yield Eyes(context.new_page(), web)
    context.close()


@pytest.fixture
def jobs(make_job: MakeJob, sandbox: RunningSandbox) -> list[UnifiedJob]:
    """A job in each status, with something of everything that a row may say."""
    now = timezone.now()
    made = [
        make_job(config_name="portrait", progress=45.0, stage="training", last_log="step 45/100", started_at=now),
        make_job(status="queued"),
        make_job(status="completed", started_at=now, completed_at=now, cost_usd=7, hardware_type="gpu-h100"),
        make_job(status="failed", started_at=now, completed_at=now, error_message="CUDA out of memory"),
        make_job(status="cancelled", completed_at=now),
        make_job(status="pending", external_id=None, origin="submitted"),
        make_job(status="uploading", external_id=None, origin="submitted"),
        make_job(config_name="leaving", cancel_requested_at=now, cancel_error="It stumbled."),
        make_job(config_name="lost", lost_at=now, last_sync_error="not found", failed_checks=3),
    ]
    for job in made:
        models.StatusChange.objects.create(job=job, status=job.status, source=Source.POLLER, provider_time=now)
    log = models.JobLog(job=made[2])
    log.replace("".join(f"step: {n}/90, loss: 0.{n}, lr: 1e-4\n" for n in range(90)) + "ERROR: no\n", is_final=True)
    log.save()
    for job in made[5:7]:
        models.QueueEntry.objects.create(job=job, reason="2 of 2 places are taken")
    models.JobSubmission.objects.create(
        job=made[2], config={"model": "flux", "hf_token": "x"}, hardware_profile="1x-l40s"
    )
    models.TrainingConfig.objects.create(name="example", config={"a": 1})
    models.WebhookDelivery.objects.create(provider="replicate", webhook_id="msg_1", sent_at=now, job=made[2])
    models.PollCycle.objects.create(provider="replicate", error="One was missed.")
    models.HistoryWalk.objects.create(provider="replicate", state="completed")
    models.AuditEntry.objects.create(actor="owner", via="owner", action="job.cancel", target=made[4].job_id)
    Pulse(Role.WORKER).beat()
    return made


def test_axe_is_the_file_that_was_published() -> None:
    digest = hashlib.sha256((VENDOR / "axe.min.js").read_bytes()).digest()
    assert f"sha256-{base64.b64encode(digest).decode()}" == INTEGRITY
    assert INTEGRITY in (VENDOR / "README.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("sandbox")
def test_empty_list(eyes: Eyes) -> None:
    eyes.look("/")


def test_list_of_jobs_in_its_states(eyes: Eyes, jobs: list[UnifiedJob]) -> None:
    page = eyes.page
    eyes.look("/")
    row = page.locator(f'tr[data-key="job-{jobs[0].job_id}"]')
    row.get_by_role("checkbox").check()
    eyes.look("/", "with a selection", go=False)
    row.locator(".row-menu summary").click()
    eyes.look("/", "with an open menu", go=False)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Cancel jobs…").click()
    page.get_by_role("dialog").wait_for()
    eyes.look("/", "with the question", go=False)
    eyes.look("/?q=nothing-like-this&provider=replicate")


def test_pages_of_a_job(eyes: Eyes, jobs: list[UnifiedJob]) -> None:
    done, running = jobs[2], jobs[0]
    for tab in ("", "/logs", "/charts", "/config", "/events", "/cost"):
        eyes.look(f"/jobs/{done.job_id}{tab}")
    eyes.look(f"/jobs/{running.job_id}")
    eyes.page.get_by_role("link", name="Cancel job").click()
    eyes.page.get_by_role("dialog").wait_for()
    eyes.look(f"/jobs/{running.job_id}", "with the question", go=False)
    eyes.look(f"/jobs/{running.job_id}/cancel")
    eyes.look(f"/jobs/{done.job_id}/delete")


@pytest.mark.parametrize(
    "paths",
    [
        ("/queue", "/providers", "/spend"),
        ("/trends", "/activity", "/jobs/new"),
        ("/configs", "/configs/new", "/configs/example/edit", "/configs/example/delete"),
    ],
    ids=lambda paths: paths[0],
)
def test_other_pages(eyes: Eyes, jobs: list[UnifiedJob], paths: tuple[str, ...]) -> None:
    for path in paths:
        eyes.look(path)


@pytest.mark.usefixtures("with_accounts", "sandbox")
def test_login_account_and_refusals(eyes: Eyes, make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    page = eyes.page
    eyes.look("/login")
    make_account("ada", "researcher")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").first.wait_for()
    eyes.look("/login", "refused", go=False)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("ada-password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Jobs", exact=True).wait_for()
    eyes.look("/account")
    page.get_by_label("Name").fill("nightly")
    page.get_by_role("button", name="Make key").click()
    page.locator(".new-key-text").wait_for()
    eyes.look("/account", "with a new key", go=False)
    eyes.look("/account/password")
    eyes.look("/providers", status=403)
    eyes.look("/nowhere", status=404)
    monkeypatch.setattr("jobs.views.trends.day_charts", None)
    eyes.look("/trends", status=500)


ADMIN = (
    "",
    "system/",
    "jobs/unifiedjob/",
    "jobs/unifiedjob/?q=nothing-like-this",
    "jobs/unifiedjob/{job}/change/",
    "jobs/unifiedjob/{job}/delete/",
    "jobs/webhookdelivery/",
    "jobs/auditentry/?outcome__exact=done",
    "jobs/hardwareprice/",
    "jobs/hardwareprice/add/",
    "jobs/providersettings/add/",
    "jobs/providercredential/add/",
    "jobs/trainingconfig/{config}/change/",
    "auth/user/{user}/change/",
)


@pytest.mark.parametrize("part", [0, 1])
def test_administration(eyes: Eyes, jobs: list[UnifiedJob], part: int) -> None:
    eyes.page.goto(f"{eyes.web}/admin/")
    keys = {
        "job": jobs[2].pk,
        "config": models.TrainingConfig.objects.get().pk,
        "user": User.objects.get().pk,
    }
    for path in ADMIN[part::2]:
        eyes.look(f"/admin/{path.format(**keys)}")
