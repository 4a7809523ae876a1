"""The content policy in a real browser: nothing of ours breaks under it, and what it is against does not run."""

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page

from jobs.models import AuditEntry, JobLog, ProviderCredential, UnifiedJob
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script><style>body{display:none}</style>'


@pytest.fixture
def complaints(context: BrowserContext) -> list[str]:
    """What the browser complains of: violations of the policy, and errors of scripts."""
    found: list[str] = []

    def hear_message(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.append(message.text)

    def hear_dialog(dialog: Dialog) -> None:
        found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def hear(page: Page) -> None:
        page.on("console", hear_message)
        page.on("pageerror", lambda error: found.append(str(error)))
        page.on("dialog", hear_dialog)

    context.on("page", hear)
    return found


def test_admin_documentation_and_pages_work_under_the_policy(
    web: str, sandbox: RunningSandbox, make_job: MakeJob, complaints: list[str], page: Page
) -> None:
    job = make_job(config_name="portrait", status="cancelled", completed_at=timezone.now())
    JobLog.objects.create(job=job)
    ProviderCredential.objects.create(provider="replicate", ciphertext=b"x", last_four="abcd")
    admin = f"{web}/admin/"
    page.goto(admin)
    links = page.eval_on_selector_all("a[href^='/admin/jobs/'], a[href^='/admin/auth/']", "all => all.map(a => a.href)")
    assert len(set(links)) > 15
    for address in [
        *sorted(set(links)),
        f"{admin}jobs/unifiedjob/{job.pk}/change/",
        f"{web}/",
        f"{web}/jobs/{job.job_id}",
    ]:
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
    # The scripts of the admin are at work: they tick every row.
    page.goto(f"{admin}jobs/unifiedjob/")
    page.check("#action-toggle")
    assert page.is_checked("input.action-select")
    page.goto(f"{web}/api/docs/")
    page.get_by_text("/api/cloud/jobs/sync", exact=True).wait_for()
    assert complaints == []


def test_what_the_policy_is_against_does_not_run(
    web: str, sandbox: RunningSandbox, make_job: MakeJob, complaints: list[str], page: Page
) -> None:
    page.goto(f"{web}/")
    page.evaluate(
        """() => {
            const box = document.createElement("div");
            box.innerHTML = '<img src=x onerror="document.title = 1">';
            document.body.append(box);
            const script = document.createElement("script");
            script.textContent = "document.title = 2";
            document.body.append(script);
        }"""
    )
    page.wait_for_function("() => true")
    assert page.title() not in ("1", "2")
    assert any("Content Security Policy" in complaint for complaint in complaints)


def test_hostile_names_logs_and_errors_are_text_in_every_page(
    web: str, sandbox: RunningSandbox, make_job: MakeJob, complaints: list[str], page: Page
) -> None:
    job = make_job(
        status="failed",
        config_name=HOSTILE,
        error_message=HOSTILE,
        last_sync_error=HOSTILE,
        hardware_type=HOSTILE[:64],
        last_log=HOSTILE[:80],
        metadata={"model": HOSTILE, "input": {HOSTILE: HOSTILE}},
        completed_at=timezone.now(),
    )
    log = JobLog(job=job)
    log.replace(f"</pre>{HOSTILE}\n", is_final=True)
    log.save()
    AuditEntry.objects.create(actor=HOSTILE[:150], via="owner", action="job.cancel", target=HOSTILE)
    assert UnifiedJob.objects.count() == 1
    for path in ("/", f"/jobs/{job.job_id}", f"/admin/jobs/unifiedjob/{job.pk}/change/", "/admin/jobs/unifiedjob/"):
        page.goto(f"{web}{path}")
        assert page.locator("img[src='x']").count() == 0
        assert page.evaluate("() => getComputedStyle(document.body).display") != "none"
    assert complaints == []
