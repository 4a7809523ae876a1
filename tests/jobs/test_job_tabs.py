"""The parts of a job's page: jobs.views.job_tabs and what they present."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import access
from jobs.models import HardwarePrice, JobLog, StatusChange, UnifiedJob, WebhookDelivery
from jobs.presentation.job_config import MASK, comparison, settings_of
from jobs.presentation.job_cost import job_cost
from jobs.presentation.job_events import SHOWN_DELIVERIES
from jobs.presentation.series_table import SHOWN_ROWS, series_tables
from jobs.training_log.series import Point, Series
from providers.replicate import cleaning
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

PARTS = ("", "/logs", "/charts", "/config", "/events", "/cost")
FRAGMENTS = ("", "/facts", "/tail", "/events", "/cost", "/log-state")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks may see their own jobs only, and has none."""
    actor = access.Actor(user_id=4711, name="mallory", permissions=access.VIEWER, via="session")
    monkeypatch.setattr("jobs.views.job_tabs.actor_of", lambda _request: actor)


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, address
    return response.content.decode()


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def deliver(job: UnifiedJob, number: int = 1, **fields: Any) -> WebhookDelivery:
    defaults = {
        "provider": "replicate",
        "webhook_id": f"msg_{number}",
        "sent_at": timezone.now(),
        "verdict": "applied",
        "event": "completed",
        "job": job,
        "body_sha256": "0" * 64,
    }
    return WebhookDelivery.objects.create(**(defaults | fields))


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_there_with_and_without_a_slash(client: Client, make_job: MakeJob, part: str) -> None:
    job = make_job(config_name="portraits")
    for address in (f"/jobs/{job.job_id}{part}", f"/jobs/{job.job_id}{part}/"):
        html = text_of(client, address)
        assert "portraits" in html
        assert html.count('aria-current="page"') == 1
        assert f'href="/jobs/{job.job_id}{part}" aria-current="page"' in html
    assert "There is no such job here" in text_of(client, f"/jobs/nobody{part}", status=404)
    assert client.post(f"/jobs/{job.job_id}{part}").status_code == 405


@pytest.mark.usefixtures("stranger")
def test_no_part_of_anothers_job_is_there(client: Client, make_job: MakeJob) -> None:
    owner = get_user_model().objects.create(username="asha")
    job = make_job(owner=owner, config_name="portraits", metadata={"input": {"prompt": "hidden words"}})
    mine = make_job(owner=get_user_model().objects.create(pk=4711, username="mallory"), config_name="mine")
    for address in [f"/jobs/{job.job_id}{part}" for part in PARTS] + [
        f"/fragments/jobs/{job.job_id}{fragment}" for fragment in ("/facts", "/tail", "/events", "/cost")
    ]:
        assert "portraits" not in text_of(client, address, status=404)
    html = text_of(client, f"/jobs/{mine.job_id}/config?with={job.job_id}")
    assert "There is no job with the id" in html
    assert "hidden words" not in html
    assert "portraits" not in html


def test_no_part_holds_markup_of_others_or_inline_script_or_style(client: Client, make_job: MakeJob) -> None:
    metadata = {"model": HOSTILE, "input": {HOSTILE: [HOSTILE], "text": HOSTILE}}
    job = make_job(config_name=HOSTILE, error_message=HOSTILE, hardware_type=HOSTILE[:64], metadata=metadata)
    other = make_job(config_name=HOSTILE)
    deliver(job, event=HOSTILE[:64], error=HOSTILE, webhook_id=HOSTILE)
    log = JobLog(job=job)
    log.replace(f"step 1/2 loss: 0.5 </pre>{HOSTILE}\n", is_final=True)
    log.save()
    addresses = [f"/jobs/{job.job_id}{part}" for part in PARTS]
    addresses += [f"/fragments/jobs/{job.job_id}{fragment}" for fragment in FRAGMENTS]
    for address in [*addresses, f"/jobs/{job.job_id}/config?with={other.job_id}", f"{addresses[3]}?with={HOSTILE}"]:
        html = text_of(client, address)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert re.search(r"<script(?![^>]*\ssrc=)", html) is None
        assert " style=" not in html
        assert re.search(r"\son\w+=", re.sub(r"&[#\w]+;", "", html).replace("onerror=alert(2)", "")) is None


def test_the_overview_has_the_newest_lines(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    assert "No log has been saved yet." in text_of(client, f"/jobs/{job.job_id}")
    log = JobLog(job=job)
    log.replace("".join(f"line {number}\n" for number in range(100)), is_final=False)
    log.save()
    for address in (f"/jobs/{job.job_id}", f"/fragments/jobs/{job.job_id}/tail"):
        html = text_of(client, address)
        assert "line 99" in html
        assert "line 80" not in html


def test_events_tell_every_change_and_every_delivery(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="completed")
    at = timezone.now() - timedelta(hours=1)
    StatusChange.objects.create(job=job, status="running", source="webhook", provider_time=at)
    StatusChange.objects.create(job=job, previous="running", status="completed", source="poller")
    deliver(job, 1, event="start", repeats=2)
    deliver(job, 2, verdict="unreadable", event="", error="No JSON")
    deliver(make_job(), 3, event="of another job")
    words = plain(text_of(client, f"/jobs/{job.job_id}/events"))
    assert words.index("Running Completed Poller") < words.index("new here Running Webhook")
    assert f"{at:%H:%M:%S} UTC" in words
    assert "Not understood No JSON –" in words
    assert re.search(r"Applied start .* UTC .* UTC 2 msg_1", words)
    assert "of another job" not in words


def test_of_many_deliveries_the_newest_are_listed_at_the_same_cost(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    deliver(job, 0)
    with CaptureQueriesContext(connection) as few:
        client.get(f"/jobs/{job.job_id}/events")
    for number in range(1, SHOWN_DELIVERIES + 5):
        deliver(job, number)
    with CaptureQueriesContext(connection) as many:
        html = text_of(client, f"/jobs/{job.job_id}/events")
    assert "5 older deliveries are not shown." in html
    assert f"msg_{SHOWN_DELIVERIES + 4}<" in html
    assert "msg_4<" not in html
    assert len(many) <= len(few) + 1
    assert not any('"content"' in query["sql"] for query in many)


def priced(make_job: MakeJob, **fields: Any) -> UnifiedJob:
    start = timezone.now() - timedelta(seconds=1000)
    return make_job(**({"hardware_type": "gpu-h100", "started_at": start} | fields))


def test_the_cost_of_an_ended_job_is_seconds_times_the_price_of_its_day(client: Client, make_job: MakeJob) -> None:
    today = timezone.now().date()
    HardwarePrice.objects.create(
        provider="replicate",
        hardware="gpu-h100",
        usd_per_second=Decimal("9"),
        effective_from=today + timedelta(days=1),
        source="of tomorrow",
    )
    ended = timezone.now()
    job = priced(make_job, status="completed", run_seconds=1000.5, cost_usd=Decimal("1.525763"), completed_at=ended)
    words = plain(text_of(client, f"/jobs/{job.job_id}/cost"))
    assert "$1.53 Final cost." in words
    assert "16 m 40 s 1,000.5 seconds, as billed by Replicate" in words
    assert "$0.001525 per second $5.49 per hour in force since" in words
    assert "source: replicate.com/pricing" in words
    assert "Run time × price $1.53" in words
    assert "of tomorrow" not in words
    assert "has since been changed" not in words


def test_the_cost_of_a_running_job_is_about_so_much(make_job: MakeJob) -> None:
    cost = job_cost(priced(make_job, cost_usd=Decimal("1.5")))
    assert cost.cost.text.startswith("≈ $1.50")
    assert (cost.is_active, cost.run_time_source, cost.run_time) == (True, "from its start until now", "16 m 40 s")
    assert cost.product == "$1.53"
    assert cost.ticks_since


def test_a_cost_that_the_price_does_not_explain_says_so(client: Client, make_job: MakeJob) -> None:
    job = priced(make_job, status="completed", run_seconds=1000.0, cost_usd=Decimal("7"))
    assert "has since been changed" in text_of(client, f"/jobs/{job.job_id}/cost")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"hardware_type": None}, "unknown It is not known which hardware", id="no hardware"),
        pytest.param({"hardware_type": "abacus"}, "unknown No price is known for abacus.", id="no price"),
        pytest.param({"started_at": None, "status": "queued"}, "– The job has not started", id="not started"),
    ],
)
def test_an_unknown_cost_is_said_to_be_unknown(
    client: Client, make_job: MakeJob, fields: dict[str, Any], words: str
) -> None:
    html = plain(text_of(client, f"/jobs/{priced(make_job, **fields).job_id}/cost"))
    assert words in html
    assert "Run time × price" not in html
    assert "Price unknown" in html


def test_settings_are_readable_also_where_they_are_json_in_a_text(make_job: MakeJob) -> None:
    inputs = {"steps": 5, "backend": '[{"id": "photos"}]', "note": "[not json", "key": MASK, "text": "two\nlines"}
    shown = {setting.name: setting for setting in settings_of(make_job(metadata={"input": inputs}))}
    assert shown["steps"].value == "5"
    assert shown["backend"].value == '[\n  {\n    "id": "photos"\n  }\n]'
    assert shown["backend"].is_block
    assert shown["note"].value == "[not json"
    assert shown["key"].value == MASK == cleaning.MASK
    assert shown["text"].is_block


def test_differences_are_found_however_deep_they_lie(make_job: MakeJob) -> None:
    one = {"lr": 0.1, "optimizer": {"betas": [0.9, 0.99]}, "backend": '[{"id": "a", "crop": true}]', "token": MASK}
    other = {"lr": 0.1, "optimizer": {"betas": [0.9, 0.999]}, "backend": [{"id": "a"}], "token": MASK, "seed": None}
    found = comparison(make_job(metadata={"input": other, "model": "a/new"}), make_job(metadata={"input": one}))
    assert [
        (difference.name, difference.kind, difference.before, difference.after) for difference in found.differences
    ] == [
        ("Model", "added", None, "a/new"),
        ("optimizer.betas[1]", "changed", "0.99", "0.999"),
        ("seed", "added", None, "null"),
        ("backend[0].crop", "removed", "true", None),
    ]
    assert (found.same, found.hidden) == (3, 1)


def test_masked_settings_are_never_called_equal(client: Client, make_job: MakeJob) -> None:
    job, other = (make_job(metadata={"input": {"hf_token": MASK}}) for _ in range(2))
    words = plain(text_of(client, f"/jobs/{job.job_id}/config?with={other.job_id}"))
    assert "0 settings differ" in words
    assert "0 are the same. 1 secret is masked in both and cannot be compared." in words


@pytest.mark.parametrize("asked", ["nobody", "%00", "x" * 5000, "' OR 1=1 --"])
def test_a_job_that_is_not_here_is_not_compared_with(client: Client, make_job: MakeJob, asked: str) -> None:
    html = text_of(client, f"/jobs/{make_job().job_id}/config?with={asked}")
    assert "There is no job with the id" in html


def test_a_job_is_not_compared_with_itself(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    assert "This is the job itself." in text_of(client, f"/jobs/{job.job_id}/config?with={job.external_id}")


@pytest.mark.parametrize("metadata", [{}, [], {"input": "text"}, {"input": {"deep": {"a": [None, 1.5]}}, "model": 7}])
def test_any_metadata_can_be_shown_and_compared(client: Client, make_job: MakeJob, metadata: Any) -> None:
    job, other = make_job(metadata=metadata), make_job(metadata={"input": {"deep": "[" * 5000}})
    text_of(client, f"/jobs/{job.job_id}/config?with={other.job_id}")
    text_of(client, f"/jobs/{other.job_id}/config?with={job.job_id}")


def test_the_table_behind_a_chart_has_its_newest_points_first() -> None:
    points = tuple(Point(float(step), 1 / step, None, 1500.0) for step in range(1, 201))
    loss, learning_rate, speed = series_tables(Series("epoch", points))
    assert (loss.latest, loss.least, loss.count, loss.x_label) == ("0.005", "0.005", 200, "Epoch")
    assert (len(loss.rows), loss.rows[0], loss.is_partial) == (SHOWN_ROWS, ("200", "0.005"), True)
    assert (learning_rate.rows, learning_rate.latest) == ([], "")
    assert speed.rows[0] == ("200", "1,500")
