"""The pages and their fragments, without a browser: jobs.views and jobs.presentation."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import Settings

from jobs.lifecycle import JobStatus
from jobs.models import JobLog, StatusChange, UnifiedJob
from jobs.presentation.formats import duration, money, relative_time, rough_duration, spoken_time_left
from jobs.presentation.log_text import last_lines
from jobs.services.provider_calls import note_failure
from providers.errors import ProviderUnavailable
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def strict_client() -> Client:
    """A client that checks CSRF tokens, as browsers are checked."""
    return Client(enforce_csrf_checks=True)


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status
    return response.content.decode()


def keys(html: str) -> list[str]:
    return re.findall(r'data-key="job-([^"]+)"', html)


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


@pytest.mark.parametrize("status", JobStatus.values)
def test_every_status_is_shown_in_the_list_and_on_its_page(client: Client, make_job: MakeJob, status: str) -> None:
    job = make_job(status=status, config_name="portraits-v2")
    label = str(JobStatus(status).label)
    for address in ("/", f"/jobs/{job.job_id}", f"/jobs/{job.job_id}/", f"/fragments/jobs/{job.job_id}"):
        html = text_of(client, address)
        assert "portraits-v2" in html
        assert f'data-status="{status}"' in html
        assert f"<span>{label}</span>" in html


def test_hostile_texts_are_never_markup(client: Client, make_job: MakeJob) -> None:
    job = make_job(
        status="failed",
        config_name=HOSTILE,
        error_message=HOSTILE,
        last_log=HOSTILE[:80],
        last_sync_error=HOSTILE,
        hardware_type=HOSTILE[:64],
        output_url="javascript:alert(3)",
        metadata={"model": HOSTILE, "web_url": "https://replicate.com.evil.example/", "input": {HOSTILE: [HOSTILE]}},
    )
    log = JobLog(job=job)
    log.replace(f"</pre>{HOSTILE}\n", is_final=True)
    log.save()
    for address in ("/", f"/?q={HOSTILE}", f"/jobs/{job.job_id}", "/jobs/<script>"):
        html = client.get(address).content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "javascript:" not in html
        assert "evil.example" not in html
        assert "/jobs/<script>" not in html


@pytest.mark.parametrize("metadata", [{}, [], {"input": "text"}, {"input": {"deep": {"a": [None, 1.5]}}, "model": 7}])
def test_any_metadata_can_be_shown(client: Client, make_job: MakeJob, metadata: Any) -> None:
    job = make_job(metadata=metadata)
    text_of(client, "/")
    text_of(client, f"/jobs/{job.job_id}")


def test_pages_hold_no_inline_script_and_no_inline_style(client: Client, make_job: MakeJob) -> None:
    job = make_job(progress=45.0)
    for address in ("/", f"/jobs/{job.job_id}", f"/jobs/{job.job_id}/cancel", "/jobs/unknown"):
        html = client.get(address).content.decode()
        assert re.search(r"<script(?![^>]*\ssrc=)", html) is None
        assert " style=" not in html
        assert "<style" not in html
        assert re.search(r"\son\w+=", html) is None


def test_progress_is_told_as_a_bar_in_words_and_with_the_time_left(client: Client, make_job: MakeJob) -> None:
    now = timezone.now()
    make_job(progress=45.0, stage="Training", last_log="Step 450/1000", eta_seconds=2.25 * 3600 + 30, progress_at=now)
    html = text_of(client, "/")
    assert "45 % · 2 h 15 m left" in html
    assert 'aria-valuetext="45 percent, about 2 hours left"' in html
    assert 'value="45.0"' in html
    assert "Step 450/1000" in html


def test_costs_say_whether_they_are_final_growing_or_unknown(client: Client, make_job: MakeJob) -> None:
    started = timezone.now() - timedelta(hours=1)
    make_job(cost_usd=Decimal("1.234"), started_at=started)
    make_job(status="completed", cost_usd=Decimal("5.678"), started_at=started)
    make_job(status="failed", started_at=started)
    html = text_of(client, "/")
    assert "≈ $1.23<" in html
    assert ">$5.68<" in html
    assert re.search(r'title="It is not known which hardware[^"]+" class="quiet">unknown<', html)


def test_a_failed_look_at_the_provider_is_marked_with_its_reason(client: Client, make_job: MakeJob) -> None:
    job = make_job(last_sync_error="Replicate answered 500.", last_synced_at=timezone.now())
    assert 'title="Replicate answered 500."' in text_of(client, "/")
    assert "Replicate answered 500." in text_of(client, f"/jobs/{job.job_id}")


def test_the_dashboard_costs_the_same_queries_for_any_number_of_jobs(client: Client, make_job: MakeJob) -> None:
    def queries_of(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(client, address)
        return len(queries)

    def add(count: int) -> None:
        for number in range(count):
            status = JobStatus.values[number % len(JobStatus.values)]
            make_job(status=status, metadata={"model": "owner/trainer"}, hardware_type="gpu-h100")

    add(7)
    # Once in a process the owner's account is looked up.
    text_of(client, "/")
    few = [queries_of(address) for address in ("/", "/fragments/jobs", "/?q=trainer")]
    add(43)
    many = [queries_of(address) for address in ("/", "/fragments/jobs", "/?q=trainer")]
    assert many == few
    assert many[1] <= 10


def test_filters_show_what_they_say_and_count_it(client: Client, make_job: MakeJob) -> None:
    jobs = {status: make_job(status=status).job_id for status in JobStatus.values}
    assert set(keys(text_of(client, "/?status=failed"))) == {jobs["failed"]}
    assert set(keys(text_of(client, "/?status=active"))) == {
        jobs[status] for status in ("pending", "uploading", "queued", "running")
    }
    assert set(keys(text_of(client, "/?status=queued"))) == {jobs["pending"], jobs["uploading"], jobs["queued"]}
    assert set(keys(text_of(client, "/?status=pending"))) == {jobs["pending"]}
    html = text_of(client, "/fragments/jobs?status=running")
    assert re.search(r'href="\?status=running" aria-current="true">Running <span class="chip-count">1<', html)
    assert re.search(r'href="\?">All <span class="chip-count">7<', html)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("portrait", True, id="part of the name"),
        pytest.param("PORTRAIT", True, id="capitals"),
        pytest.param("findme", True, id="part of the id"),
        pytest.param("flux-trainer", True, id="part of the model"),
        pytest.param("%", False, id="a wildcard is a plain character"),
        pytest.param("_ortraits", False, id="so is the other one"),
        pytest.param("owner\\", False, id="backslash"),
    ],
)
def test_search_looks_into_name_id_and_model(client: Client, make_job: MakeJob, query: str, found: bool) -> None:
    job = make_job(external_id="findme01", config_name="portraits", metadata={"model": "owner/flux-trainer"})
    make_job(config_name="other", metadata={"model": "owner/nothing"})
    response = client.get("/", {"q": query})
    assert keys(response.content.decode()) == ([job.job_id] if found else [])


@pytest.mark.parametrize(
    ("parameters", "note"),
    [
        ({"status": "sleeping"}, "There is no status “sleeping”"),
        ({"page": "0"}, "There is no page “0”"),
        ({"page": "-1"}, "There is no page “-1”"),
        ({"page": "٣"}, "There is no page “٣”"),
        ({"page": "9" * 5000}, "There is no page “9999"),
        ({"page": "77"}, "There is no page 77: showing the last one."),
        ({"q": "x" * 999}, "The search text was too long"),
        ({"q": "\x00"}, ""),
        ({"sort": "price", "status": ""}, "There is no order “price”"),
        ({"provider": "nobody"}, "There is no provider “nobody”"),
        ({"attention": "please"}, "There is no filter “please”"),
        ({"from": "yesterday"}, "“yesterday” is no day"),
        ({"to": "9999-12-31"}, "“9999-12-31” is no day"),
        ({"from": "0001-01-01"}, "“0001-01-01” is no day"),
        ({"after": "nowhere"}, "There is no page “nowhere”"),
        ({"before": "99999999999999999.1"}, ""),
        ({"after": f"{'9' * 17}.{'9' * 19}"}, "There is no page"),
        ({"owner": "stranger"}, "There is no account “stranger”"),
        ({"owner": "everyone", "sort": "oldest", "from": "2026-01-01", "to": ""}, ""),
        ({"shown": "x,1,,-4,99999999999999999999"}, ""),
    ],
)
def test_what_an_address_says_wrongly_is_left_out_with_a_note(
    client: Client, make_job: MakeJob, parameters: dict[str, str], note: str
) -> None:
    make_job()
    response = client.get("/", parameters)
    assert response.status_code == 200
    assert note in response.content.decode()
    assert ("list-note" in response.content.decode()) == bool(note)


def test_pages_of_fifty(client: Client, make_job: MakeJob) -> None:
    now = timezone.now()
    ids = [make_job(status="failed", created_at=now - timedelta(minutes=number)).job_id for number in range(51)]
    first = text_of(client, "/?status=failed")
    assert keys(first) == ids[:50]
    assert "1–50 of 51 jobs" in first
    found = re.search(r'rel="next" href="([^"]+)"', first)
    assert found is not None
    older = unescape(found[1])
    assert older.startswith("?status=failed&after=")
    assert keys(text_of(client, f"/{older}")) == ids[50:]
    second = text_of(client, "/?status=failed&page=2")
    assert keys(second) == ids[50:]
    assert "51–51 of 51 jobs" in second
    assert 'rel="prev" href="?status=failed"' in second


def test_three_ways_of_being_empty(client: Client, make_job: MakeJob, settings: Settings) -> None:
    assert 'data-emptiness="first"' in text_of(client, "/")
    settings.PROVIDERS = {}
    assert 'data-emptiness="provider"' in text_of(client, "/")
    make_job(status="running")
    html = text_of(client, "/?status=failed")
    assert 'data-emptiness="filter"' in html
    assert "Clear filters" in html
    assert 'data-emptiness="filter"' in text_of(client, "/?q=nothing-like-it")


def test_metric_cards_lead_to_the_jobs_they_count(client: Client, make_job: MakeJob) -> None:
    started = timezone.now() - timedelta(minutes=10)
    make_job(status="running", hardware_type="gpu-h100", started_at=started)
    make_job(status="running", started_at=started)
    make_job(status="queued")
    html = text_of(client, "/fragments/metrics")
    assert re.search(r'href="/\?status=running"[^>]*data-key="metric-running".*?metric-value">2<', html, re.DOTALL)
    assert re.search(r'href="/\?status=queued"[^>]*data-key="metric-queued".*?metric-value">1<', html, re.DOTALL)
    assert "$5.49/h" in html
    assert "+1 of unknown price" in html


def test_an_unknown_job_has_a_page_that_says_so(client: Client) -> None:
    for address in ("/jobs/nobody", "/jobs/nobody/", "/fragments/jobs/nobody", "/jobs/nobody/cancel"):
        html = text_of(client, address, status=404)
        assert "There is no such job here" in html
        assert "nobody" in html
    assert "nothing at this address" in text_of(client, "/no/such/page", status=404)


def test_a_job_is_found_by_the_providers_id_too(client: Client, make_job: MakeJob) -> None:
    make_job(job_id="ours", external_id="theirs")
    assert '<code class="id">ours</code>' in text_of(client, "/jobs/theirs")


def test_the_job_page_tells_who_noticed_each_state(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="completed")
    StatusChange.objects.create(job=job, status="running", source="webhook", provider_time=timezone.now())
    StatusChange.objects.create(job=job, previous="running", status="completed", source="poller")
    html = text_of(client, f"/jobs/{job.job_id}")
    assert html.index("noticed by: Webhook") < html.index("noticed by: Poller")


def test_links_lead_only_where_they_should(client: Client, make_job: MakeJob) -> None:
    job = make_job(
        status="completed",
        output_url="https://replicate.delivery/out.tar",
        metadata={"web_url": "https://replicate.com/p/abc"},
    )
    html = text_of(client, f"/jobs/{job.job_id}")
    assert 'href="https://replicate.com/p/abc" rel="noopener noreferrer"' in html
    assert 'href="https://replicate.delivery/out.tar" rel="noopener noreferrer"' in html


def test_the_stored_log_can_be_read_and_downloaded_without_a_script(client: Client, make_job: MakeJob) -> None:
    job = make_job(job_id="a b\n", external_id="logged")
    log = JobLog(job=job)
    raw = "first\n\x1b[31mred\x1b[0m\n 10%\r 20%\r 30%\nlast & <b>\n"
    log.replace(raw, is_final=True)
    log.save()
    html = text_of(client, "/jobs/logged")
    assert "first\nred\n 30%\nlast &amp; &lt;b&gt;</span></pre>" in html
    response = client.get("/jobs/logged/saved.log")
    assert response.content.decode() == raw
    assert response.headers["Content-Disposition"] == 'attachment; filename="a-b-.log"'
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_the_saved_log_is_a_file_and_never_a_page(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    log = JobLog(job=job)
    log.replace("<script>alert(1)</script>", is_final=True)
    log.save()
    headers = client.get(f"/jobs/{job.job_id}/saved.log").headers
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Disposition"].startswith("attachment; ")
    assert headers["X-Content-Type-Options"] == "nosniff"


HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "kept", "words"),
    [
        pytest.param({"status": "running"}, "", "Live", id="running"),
        pytest.param(
            {"status": "failed"}, "", "Not saved yet The end of the log is still to be read from Replicate.", id="ended"
        ),
        pytest.param({"status": "completed", "logs_state": "saved"}, "step 1", "Saved", id="saved"),
        pytest.param(
            {"status": "completed", "logs_state": "saved"}, "", "Saved The job wrote no log.", id="saved and empty"
        ),
        pytest.param(
            {"status": "cancelled", "logs_state": "saved"},
            "",
            "Saved The job ended before it started: it has no log.",
            id="never ran",
        ),
        pytest.param(
            {"status": "failed", "logs_state": "partial", "completed_at": datetime(2026, 11, 20, 12, tzinfo=UTC)},
            "step 1",
            "Saved in part Replicate deleted it at 20 Nov 2026, 13:00:00 UTC, before its end could be read.",
            id="partial",
        ),
        pytest.param(
            {"status": "failed", "logs_state": "lost", "completed_at": datetime(2026, 11, 20, 12, tzinfo=UTC)},
            "",
            "Lost Replicate deleted it at 20 Nov 2026, 13:00:00 UTC, before it could be read.",
            id="lost",
        ),
        pytest.param(
            {"status": "running", "logs_state": "partial", "lost_at": HOUR_AGO},
            "step 1",
            "Saved in part Replicate does not know this job any more.",
            id="unknown to its provider",
        ),
    ],
)
def test_page_says_where_the_log_is(
    client: Client, make_job: MakeJob, fields: dict[str, object], kept: str, words: str
) -> None:
    job = make_job(**fields)
    if kept:
        log = JobLog(job=job)
        log.replace(kept, is_final=fields.get("logs_state") == "saved")
        log.save()
    fragment = text_of(client, f"/fragments/jobs/{job.job_id}/log-state")
    assert " ".join(strip_tags(fragment).split()) == words
    assert fragment.strip() in text_of(client, f"/jobs/{job.job_id}")


def test_page_says_that_a_log_was_cut(client: Client, make_job: MakeJob, settings: Settings) -> None:
    settings.LOG_ARCHIVE_BYTES = 1000
    job = make_job(status="completed", logs_state="partial")
    log = JobLog(job=job)
    log.replace("line\n" * 1000, is_final=True)
    log.save()
    assert "longer than what is kept of one log" in text_of(client, f"/jobs/{job.job_id}")


def test_fragment_about_an_unknown_jobs_log_is_a_404(client: Client, db: None) -> None:
    assert client.get("/fragments/jobs/nobody/log-state").status_code == 404


def test_list_speaks_of_logs_only_where_some_is_gone(client: Client, make_job: MakeJob) -> None:
    for state in ("live", "saved"):
        make_job(status="completed", logs_state=state)
    assert "log-problem" not in text_of(client, "/fragments/jobs")
    make_job(status="completed", logs_state="partial")
    make_job(status="completed", logs_state="lost")
    html = text_of(client, "/fragments/jobs")
    assert (html.count("Its log was saved in part."), html.count("Its log is lost.")) == (2, 2)


def test_output_that_the_provider_removed_is_named_and_not_linked(client: Client, make_job: MakeJob) -> None:
    url = "https://replicate.delivery/out.tar"
    job = make_job(status="completed", output_url=url, metadata={"data_removed": True})
    html = text_of(client, f"/jobs/{job.job_id}")
    assert "Replicate has removed the output of this job." in html
    assert url in html
    assert f'href="{url}"' not in html


def test_only_the_end_of_a_long_log_is_in_the_page() -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    lines = last_lines(text).split("\n")
    assert (len(lines), lines[0], lines[-1]) == (500, "line 99500", "line 99999")


def test_sync_without_a_script_says_what_the_toast_says(client: Client, sandbox: RunningSandbox) -> None:
    for _ in range(3):
        sandbox.add_job(kind="training", created_offset=-60)
    response = client.post("/sync", {"next": "/?status=running"}, follow=True)
    assert response.redirect_chain == [("/?status=running", 302)]
    assert messages_of(response) == ["Discovered 3 jobs from Replicate"]
    assert UnifiedJob.objects.count() == 3


def test_a_failed_sync_says_why(client: Client, sandbox: RunningSandbox) -> None:
    sandbox.fault("status", status=401)
    response = client.post("/sync", follow=True)
    (message,) = messages_of(response)
    assert "token" in message.lower()
    assert 'class="message message-error" role="alert"' in response.content.decode()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_after_a_sync_one_stays_on_this_site(client: Client, sandbox: RunningSandbox, target: str) -> None:
    assert client.post("/sync", {"next": target}).headers["Location"] == "/"


def test_reloading_the_address_of_the_form_does_nothing(client: Client) -> None:
    assert client.get("/sync").headers["Location"] == "/"


def test_forms_need_their_token(strict_client: Client, make_job: MakeJob) -> None:
    job = make_job()
    assert strict_client.post("/sync").status_code == 403
    assert strict_client.post(f"/jobs/{job.job_id}/cancel").status_code == 403


def test_cancelling_without_a_script_asks_first(strict_client: Client, sandbox: RunningSandbox) -> None:
    plan = sandbox.add_job(kind="training", created_offset=-120, durations={"queue": 1, "train": 100_000})
    strict_client.get("/")
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', text_of(strict_client, "/"))
    assert token
    strict_client.post("/sync", {"csrfmiddlewaretoken": token[1]})
    job = UnifiedJob.objects.get(external_id=plan["id"])
    address = f"/jobs/{job.job_id}/cancel"
    assert f'href="{address}"' in text_of(strict_client, f"/jobs/{job.job_id}")
    question = text_of(strict_client, address)
    assert "Billing goes on until Replicate confirms." in question
    job.refresh_from_db()
    assert job.status == "running"
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', question)
    assert token
    response = strict_client.post(address, {"csrfmiddlewaretoken": token[1]}, follow=True)
    assert response.redirect_chain == [(f"/jobs/{job.job_id}", 302)]
    (message,) = messages_of(response)
    job.refresh_from_db()
    assert (job.status, message) == ("cancelled", "Cancelled, confirmed by Replicate")


@pytest.mark.parametrize("fields", [{"status": "completed"}, {"external_id": None, "provider": ""}])
def test_what_cannot_be_cancelled_offers_no_cancel(client: Client, make_job: MakeJob, fields: dict[str, Any]) -> None:
    job = make_job(**fields)
    assert "/cancel" not in text_of(client, f"/jobs/{job.job_id}")
    response = client.get(f"/jobs/{job.job_id}/cancel", follow=True)
    assert "nothing to cancel" in messages_of(response)[0]
    response = client.post(f"/jobs/{job.job_id}/cancel", follow=True)
    assert len(messages_of(response)) == 1


@pytest.mark.parametrize("is_sandbox", [True, False])
def test_every_page_says_when_the_jobs_are_simulated(
    client: Client, make_job: MakeJob, settings: Settings, is_sandbox: bool
) -> None:
    settings.IS_SANDBOX = is_sandbox
    job = make_job()
    for address in ("/", f"/jobs/{job.job_id}", f"/jobs/{job.job_id}/cancel", "/jobs/unknown", "/nothing"):
        assert ("REPLICATE_API_TOKEN" in client.get(address).content.decode()) == is_sandbox


def test_a_failing_provider_is_told_on_the_page(client: Client) -> None:
    assert "Replicate is away" not in text_of(client, "/")
    note_failure("replicate", ProviderUnavailable("Replicate is away."))
    for address in ("/", "/fragments/notices"):
        assert "Replicate is away." in text_of(client, address)


def test_fragments_are_never_cached_and_pages_always_revalidated(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    for address in ("/fragments/jobs", "/fragments/metrics", "/fragments/notices", f"/fragments/jobs/{job.job_id}"):
        response = client.get(address)
        assert "no-store" in response.headers["Cache-Control"]
        assert b"<html" not in response.content
    assert "no-cache" in client.get("/").headers["Cache-Control"]


def test_the_language_of_the_page_is_set(client: Client) -> None:
    assert '<html lang="en" dir="ltr" ' in text_of(client, "/")


@pytest.mark.parametrize(
    ("seconds", "exact", "rough", "spoken"),
    [
        (0, "0 s", "less than 1 m", "about 1 minute left"),
        (59.9, "59 s", "less than 1 m", "about 1 minute left"),
        (60, "1 m 0 s", "1 m", "about 1 minute left"),
        (3599, "59 m 59 s", "59 m", "about 60 minutes left"),
        (8100, "2 h 15 m", "2 h 15 m", "about 2 hours left"),
        (273_600, "3 d 4 h", "3 d 4 h", "about 3 days left"),
    ],
)
def test_durations_are_told_in_two_units(seconds: float, exact: str, rough: str, spoken: str) -> None:
    assert (duration(seconds), rough_duration(seconds), spoken_time_left(seconds)) == (exact, rough, spoken)


@pytest.mark.parametrize(
    ("ago", "told"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=12), "12 s ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=6, hours=23), "6 d ago"),
    ],
)
def test_times_are_told_as_distance_from_now(ago: timedelta, told: str) -> None:
    now = timezone.now()
    assert relative_time(now - ago, now) == told


@pytest.mark.parametrize(
    ("amount", "told"), [("0", "$0.00"), ("0.004", "< $0.01"), ("1.234", "$1.23"), ("12345.6", "$12,345.60")]
)
def test_money_is_told_to_the_cent(amount: str, told: str) -> None:
    assert money(Decimal(amount)) == told


def test_a_time_is_told_in_full_too_and_in_utc_for_scripts(client: Client, make_job: MakeJob) -> None:
    job = make_job(created_at=datetime(2026, 2, 28, 23, 59, 59, tzinfo=timezone.get_fixed_timezone(-330)))
    for address in ("/", f"/jobs/{job.job_id}"):
        html = text_of(client, address)
        assert 'datetime="2026-03-01T05:29:59.000Z"' in html
        assert "1 Mar 2026, 05:29:59 UTC" in html
