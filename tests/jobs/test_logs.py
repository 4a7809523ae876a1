"""Reading, keeping and capturing logs: jobs.services.logs and jobs.services.log_standing."""

from datetime import timedelta

import pytest
import time_machine
from django.db import DataError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs import coordination, tasks
from jobs.access import SYSTEM
from jobs.lifecycle import Source
from jobs.models import JobLog, ProviderSettings, UnifiedJob
from jobs.pricing import PriceBook
from jobs.services import cancelling, logs, sync
from jobs.services.snapshots import apply_snapshot, apply_snapshots
from providers.replicate import mapping
from providers.snapshots import JobSnapshot
from simpletuner_cloud.enterprise import EnterpriseConfig
from tests.conftest import MakeJob, MakeSnapshot
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


def save_log(job: UnifiedJob, text: str, *, is_final: bool = False) -> None:
    log = JobLog(job=job)
    log.replace(text, is_final=is_final)
    log.save()


def discovered(sandbox: RunningSandbox, **plan: object) -> UnifiedJob:
    sandbox.add_job(**({"kind": "training", "created_offset": -120, "durations": {"queue": 10, "train": 9e5}} | plan))
    sync.discover_jobs("replicate")
    sandbox.reset_requests()
    return UnifiedJob.objects.get()


def ended(sandbox: RunningSandbox, *, minutes_ago: float = 1.0, **values: object) -> UnifiedJob:
    """A job whose end we have heard of from a list, which carries no logs."""
    added = sandbox.add_job(kind="training", created_offset=-9000, durations={"queue": 10, "train": 9e5})
    at = timezone.now() - timedelta(minutes=minutes_ago)
    sandbox.change_job(added["id"], **({"status": "succeeded", "completed_at": at.isoformat()} | values))
    sync.discover_jobs("replicate")
    sandbox.reset_requests()
    return UnifiedJob.objects.get(external_id=added["id"])


def captured(after: timedelta = timedelta(seconds=11)) -> int:
    """A tick of the capturing so much later; the sandbox's clock stays."""
    with time_machine.travel(timezone.now() + after):
        return logs.capture_due_logs()


def state_of(job: UnifiedJob) -> tuple[str, bool]:
    """The state of its log, and whether its provider is to be asked for it again."""
    job.refresh_from_db()
    return job.logs_state, job.next_log_capture_at is not None


# Reading.


def test_log_of_a_running_job_is_the_providers_and_is_kept(sandbox: RunningSandbox, client: Client) -> None:
    job = discovered(sandbox, logs="step 1/10\nstep 2/10")
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    saved_at = answer.pop("saved_at")
    assert answer == {
        "job_id": job.job_id,
        "logs": "step 1/10\nstep 2/10",
        "source": "provider",
        "is_final": False,
        "problem": None,
        "logs_state": "live",
        "cut": False,
        "characters": 19,
    }
    assert saved_at.endswith("Z")
    assert JobLog.objects.get().text == "step 1/10\nstep 2/10"


def test_log_removed_at_the_provider_is_served_from_our_copy_which_says_so(sandbox: RunningSandbox) -> None:
    job = discovered(sandbox, logs="step 1/10\nstep 2/10")
    logs.read_log(job.job_id)
    sandbox.change_job(
        job.job_id, status="succeeded", completed_at="2026-11-20T10:00:00Z", logs="", output=None, data_removed=True
    )
    coordination.client().flushdb()
    for _ in range(2):
        log = logs.read_log(job.job_id)
        assert (log.text, log.problem) == ("step 1/10\nstep 2/10", None)
        assert (log.source, log.state, log.is_final) == ("store", "partial", True)


def test_copy_that_was_saved_outlives_the_hour_that_the_provider_keeps_its_own(
    sandbox: RunningSandbox, client: Client
) -> None:
    lengths = {"train": 600.0}
    job = discovered(sandbox, kind="prediction", created_offset=-2000, durations=lengths, source="api")
    assert captured() == 1
    before = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    sandbox.advance(61 * 60)
    assert sandbox.get(f"/predictions/{job.external_id}")["data_removed"] is True
    sync.discover_jobs("replicate")
    sync.refresh_job(job, source=Source.PROGRESS)
    after = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    assert len(before["logs"]) > 100
    assert after == before
    assert (after["source"], after["logs_state"], after["is_final"]) == ("store", "saved", True)


def test_nothing_that_was_known_is_erased_by_a_provider_that_removed_its_data(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    url = "https://replicate.delivery/x/weights.tar"
    job = ended(sandbox, status="failed", output={"weights": url}, error="out of memory", logs="step 1")
    captured()
    sandbox.change_job(job.job_id, output=None, error=None, logs=None, metrics={}, data_removed=True)
    sync.refresh_job(job, source=Source.PROGRESS)
    job.refresh_from_db()
    assert (job.output_url, job.error_message, job.logs_state) == (url, "out of memory", "saved")
    assert job.metadata["data_removed"] is True
    assert job.metadata["model"]
    assert JobLog.objects.get(job=job).text == "step 1"


def test_trouble_of_the_provider_never_stands_in_the_log(
    make_job: MakeJob, sandbox: RunningSandbox, client: Client
) -> None:
    job = make_job(status="running")
    save_log(job, "step 1/10")
    sandbox.fault("status", status=500)
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    assert (answer["logs"], answer["source"]) == ("step 1/10", "store")
    assert "HTTP 500" in answer["problem"]


def test_without_any_copy_the_trouble_is_told_as_an_error(
    make_job: MakeJob, sandbox: RunningSandbox, client: Client
) -> None:
    job = make_job(status="running")
    sandbox.fault("status", status=500)
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs")
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_error")


def test_final_log_is_served_without_asking(make_job: MakeJob, sandbox: RunningSandbox) -> None:
    job = make_job(status="completed")
    save_log(job, "done", is_final=True)
    sandbox.reset_requests()
    log = logs.read_log(job.job_id)
    assert (log.text, log.source, log.is_final) == ("done", "store", True)
    assert sandbox.requests()["total"] == 0


def test_readers_of_a_log_that_cannot_be_had_share_the_refusal(
    sandbox: RunningSandbox, make_job: MakeJob, client: Client
) -> None:
    job = make_job(status="running")
    sandbox.fault("status", status=503)
    sandbox.reset_requests()
    answers = [client.get(f"/api/cloud/jobs/{job.job_id}/logs") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [502] * 5
    assert sandbox.requests()["total"] == 1


# Capturing what is due.


def test_log_is_captured_shortly_after_the_end_and_never_asked_for_again(sandbox: RunningSandbox) -> None:
    job = ended(sandbox, logs="step 10/10\ndone")
    assert state_of(job) == ("live", True)
    assert logs.capture_due_logs() == 0, "late output is waited for"
    assert captured() == 1
    log = JobLog.objects.get(job=job)
    assert (log.text, log.is_final) == ("step 10/10\ndone", True)
    assert state_of(job) == ("saved", False)
    sandbox.reset_requests()
    assert captured(timedelta(minutes=41)) == 0
    assert logs.read_log(job.job_id).text == "step 10/10\ndone"
    assert sandbox.requests()["total"] == 0


def test_final_answer_with_the_log_needs_no_capture(sandbox: RunningSandbox) -> None:
    job = discovered(sandbox, logs="step 10/10\ndone")
    sandbox.change_job(job.job_id, status="succeeded", completed_at=timezone.now().isoformat())
    sync.refresh_job(job, source=Source.POLLER)
    assert state_of(job) == ("saved", False)


def test_log_of_a_cancelled_job_is_read_again_for_what_came_late(sandbox: RunningSandbox) -> None:
    job = discovered(sandbox, logs="step 1")
    cancelling.cancel_job(SYSTEM, job.job_id)
    assert state_of(job) == ("live", True)
    at = timezone.now() - timedelta(seconds=30)
    sandbox.change_job(job.job_id, completed_at=at.isoformat(), logs="step 1\nlate word")
    assert captured() == 1
    assert state_of(job) == ("saved", False)
    assert JobLog.objects.get(job=job).text == "step 1\nlate word"


@pytest.mark.parametrize("word", ["webhooks", "file"])
def test_logs_are_captured_whoever_switched_polling_off(sandbox: RunningSandbox, settings: Settings, word: str) -> None:
    job = ended(sandbox, logs="done")
    if word == "webhooks":
        ProviderSettings.objects.create(provider="replicate", webhook_url="https://x.test/hook")
    else:
        settings.ENTERPRISE = EnterpriseConfig(job_polling_enabled=False)
    with time_machine.travel(timezone.now() + timedelta(seconds=11)):
        tasks.capture_logs()
    assert state_of(job) == ("saved", False)


def test_failed_captures_pause_longer_each_time_and_try_again_before_the_provider_deletes(
    sandbox: RunningSandbox,
) -> None:
    job = ended(sandbox, minutes_ago=0, logs="done")
    began = timezone.now()
    sandbox.fault("status", status=500)
    minutes: list[float] = []
    with time_machine.travel(began) as clock:
        for _ in range(12):
            clock.move_to(job.next_log_capture_at or began)
            coordination.client().flushdb()
            logs.capture_due_logs()
            minutes.append((timezone.now() - began).total_seconds() / 60)
            assert state_of(job) == ("live" if minutes[-1] < 56 else "lost", True)
    assert [round(minute) for minute in minutes] == [0, 1, 5, 15, 40, 50, 55, 70, 120, 360, 1440, 1500]


def test_log_that_could_be_had_after_all_is_no_longer_lost(sandbox: RunningSandbox) -> None:
    job = ended(sandbox, minutes_ago=0, logs="done")
    sandbox.fault("status", status=500)
    assert captured(timedelta(minutes=71)) == 0
    assert state_of(job) == ("lost", True)
    sandbox.clear_faults()
    coordination.client().flushdb()
    assert captured(timedelta(hours=2, minutes=1)) == 1
    assert state_of(job) == ("saved", False)


def test_one_log_that_cannot_be_read_does_not_hold_up_the_others(sandbox: RunningSandbox) -> None:
    unreadable = ended(sandbox, minutes_ago=50)
    job = ended(sandbox, logs="x")
    sandbox.change_job(unreadable.job_id, removed=True)
    assert captured() == 1
    assert JobLog.objects.get().job == job
    unreadable.refresh_from_db()
    assert (unreadable.status, unreadable.logs_state) == ("completed", "live")


def test_one_answer_that_no_row_can_take_does_not_hold_up_the_others(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, job = ended(sandbox, minutes_ago=30, logs="x"), ended(sandbox, logs="x")
    merge = UnifiedJob.merge

    def refuse(row: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> frozenset[str]:
        if row.pk == poison.pk:
            raise DataError("value out of range")
        return merge(row, snapshot, prices)

    monkeypatch.setattr(UnifiedJob, "merge", refuse)
    assert captured() == 1
    assert [state_of(job), state_of(poison)] == [("saved", False), ("live", True)]
    assert poison.next_log_capture_at
    assert poison.next_log_capture_at > timezone.now() + timedelta(minutes=5)


def test_provider_that_is_down_is_asked_for_one_log_a_tick(sandbox: RunningSandbox) -> None:
    jobs = [ended(sandbox, logs="x") for _ in range(5)]
    sandbox.fault("status", status=503)
    assert captured() == 0
    assert sandbox.requests()["total"] == 1
    assert not JobLog.objects.filter(job__in=jobs).exists()


def test_a_tick_is_bounded_and_takes_what_is_deleted_next_first(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "CAPTURES_PER_TICK", 3)
    monkeypatch.setattr(logs, "LATE_CAPTURES_PER_TICK", 1)
    old = [ended(sandbox, minutes_ago=600, logs="x") for _ in range(2)]
    soon = ended(sandbox, minutes_ago=55, logs="x")
    fresh = ended(sandbox, minutes_ago=2, logs="x")
    assert captured() == 3
    assert [state_of(job)[0] for job in (soon, fresh)] == ["saved", "saved"]
    assert sorted(state_of(job)[0] for job in old) == ["live", "saved"]


def test_two_workers_do_not_capture_the_same(sandbox: RunningSandbox) -> None:
    ended(sandbox, logs="x")
    with coordination.lease("log-capture:replicate", seconds=10) as renew:
        assert renew
        assert captured() == 0
    assert sandbox.requests()["total"] == 0
    assert captured() == 1


# What state a log is in.


def test_job_that_ended_before_it_started_never_had_a_log(sandbox: RunningSandbox) -> None:
    job = ended(sandbox, status="aborted", started_at=None, metrics={})
    assert state_of(job) == ("saved", False)


def test_job_that_ended_without_a_word_is_asked_for_until_that_is_believed(sandbox: RunningSandbox) -> None:
    job = ended(sandbox, minutes_ago=0.4, logs="")
    assert captured() == 1
    assert state_of(job) == ("live", True), "the log may still be on its way"
    sandbox.change_job(job.job_id, completed_at=(timezone.now() - timedelta(seconds=65)).isoformat())
    assert captured(timedelta(seconds=70)) == 1
    assert state_of(job) == ("saved", False)
    log = logs.read_log(job.job_id)
    assert (log.text, log.is_final, log.saved_at) == ("", True, None)


def test_log_of_the_wrong_type_is_not_an_empty_one(sandbox: RunningSandbox) -> None:
    job = ended(sandbox, minutes_ago=6, logs=["not", "text"])
    captured()
    assert state_of(job) == ("live", True)
    assert job.next_log_capture_at
    assert job.next_log_capture_at > timezone.now() + timedelta(minutes=5), "not asked for again at once"


def test_empty_answer_within_the_hour_does_not_end_the_search_for_the_rest(sandbox: RunningSandbox) -> None:
    job = discovered(sandbox, logs="step 1")
    logs.read_log(job.job_id)
    sandbox.change_job(job.job_id, status="failed", completed_at=timezone.now().isoformat(), logs="")
    sync.discover_jobs("replicate")
    captured(timedelta(minutes=2))
    assert state_of(job) == ("live", True)
    sandbox.change_job(job.job_id, logs="step 1\nstep 2")
    captured(timedelta(minutes=6))
    assert state_of(job) == ("saved", False)
    assert JobLog.objects.get().text == "step 1\nstep 2"


@pytest.mark.parametrize(
    ("copy", "state"), [pytest.param("step 1", "partial", id="something read"), pytest.param("", "lost", id="nothing")]
)
@pytest.mark.parametrize("word", ["removed", "blank", "null"])
def test_log_of_which_no_more_can_be_had_is_what_was_read_of_it(
    sandbox: RunningSandbox, copy: str, state: str, word: str
) -> None:
    job = discovered(sandbox, logs=copy)
    logs.read_log(job.job_id)
    at = timezone.now() - timedelta(minutes=62)
    gone: dict[str, object] = {"logs": None if word == "null" else ""}
    sandbox.change_job(
        job.job_id, status="succeeded", completed_at=at.isoformat(), data_removed=word == "removed", **gone
    )
    sync.discover_jobs("replicate")
    if word != "removed":
        assert state_of(job) == ("live", True), "the provider does not say in lists that it has nothing"
        captured()
    assert state_of(job) == (state, False)
    sandbox.reset_requests()
    assert logs.read_log(job.job_id).text == copy
    assert sandbox.requests()["total"] == 0


def test_job_found_long_after_its_end_is_asked_for_once(sandbox: RunningSandbox) -> None:
    forgotten = ended(sandbox, minutes_ago=3000, logs="")
    kept = ended(sandbox, minutes_ago=3000, logs="a log that this provider kept")
    gone = ended(sandbox, minutes_ago=3000)
    sandbox.change_job(gone.job_id, removed=True)
    assert [state_of(job) for job in (forgotten, kept, gone)] == [("live", True)] * 3
    captured()
    assert [state_of(job) for job in (forgotten, kept, gone)] == [("lost", False), ("saved", False), ("lost", False)]


def test_log_of_a_job_that_its_provider_does_not_know_any_more(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    silent, heard = make_job(lost_at=timezone.now()), make_job(lost_at=timezone.now())
    save_log(heard, "step 1")
    logs.capture_due_logs()
    assert (state_of(silent)[0], state_of(heard)[0]) == ("lost", "partial")
    sandbox.reset_requests()
    assert logs.read_log(heard.job_id).text == "step 1"
    assert sandbox.requests()["total"] == 0


def test_job_that_is_heard_of_again_has_its_log_again(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(logs_state="lost", lost_at=timezone.now())
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
    assert state_of(job) == ("live", False)


def test_late_word_of_a_running_job_does_not_count_as_its_whole_log(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(status="completed", completed_at=timezone.now())
    late = make_snapshot(external_id=job.external_id, status="running", logs="step 1")
    apply_snapshot(late, source=Source.PROGRESS)
    assert state_of(job) == ("live", True)
    assert JobLog.objects.get().is_final is False


def test_log_that_was_cut_is_saved_in_part_only(
    make_job: MakeJob, make_snapshot: MakeSnapshot, settings: Settings, client: Client
) -> None:
    settings.LOG_ARCHIVE_BYTES = 4000
    job = make_job()
    text = "".join(f"line {number}\n" for number in range(1000))
    apply_snapshot(make_snapshot(external_id=job.external_id, status="completed", logs=text), source=Source.WEBHOOK)
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    assert (answer["logs_state"], answer["cut"], answer["is_final"]) == ("partial", True, True)
    assert answer["characters"] == len(text)
    assert answer["logs"].startswith("line 0\nline 1\n")
    assert answer["logs"].endswith("line 998\nline 999\n")
    assert "characters were left out here" in answer["logs"]
    assert len(answer["logs"]) < 4200


def test_job_says_where_its_log_is(make_job: MakeJob, client: Client) -> None:
    job = make_job(status="completed", logs_state="partial")
    assert client.get(f"/api/cloud/jobs/{job.job_id}").json()["job"]["logs_state"] == "partial"


# What a copy costs.


def test_copy_that_tells_nothing_new_is_neither_unpacked_nor_written(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job()
    snapshot = make_snapshot(external_id=job.external_id, logs="step 1\nstep 2\n")
    apply_snapshot(snapshot, source=Source.POLLER)
    with CaptureQueriesContext(connection) as queries:
        apply_snapshot(snapshot, source=Source.POLLER)
    about_logs = [query["sql"] for query in queries if "jobs_joblog" in query["sql"]]
    assert len(about_logs) == 1
    assert "compressed" not in about_logs[0]


def test_copy_that_continues_the_last_is_not_unpacked(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job()
    apply_snapshot(make_snapshot(external_id=job.external_id, logs="step 1\n"), source=Source.POLLER)
    with CaptureQueriesContext(connection) as queries:
        apply_snapshot(make_snapshot(external_id=job.external_id, logs="step 1\nstep 2\n"), source=Source.POLLER)
    reads = [query["sql"] for query in queries if query["sql"].startswith("SELECT") and "joblog" in query["sql"]]
    assert len(reads) == 1
    assert "compressed" not in reads[0]
    assert JobLog.objects.get().text == "step 1\nstep 2\n"


def test_copies_that_contradict_what_is_kept_are_read_in_one_query(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    def queries_for(count: int) -> int:
        jobs = [make_job() for _ in range(count)]
        for word in ("one\n", "two\n"):
            said = [make_snapshot(external_id=job.external_id, logs=f"{word}{job.pk}\n") for job in jobs]
            with CaptureQueriesContext(connection) as queries:
                apply_snapshots(said, source=Source.POLLER)
        assert all("one\n" in log.text and "two\n" in log.text for log in JobLog.objects.filter(job__in=jobs))
        return len(queries)

    assert queries_for(2) == queries_for(20)


def test_whatever_a_log_holds_can_be_stored_and_read_back(
    sandbox: RunningSandbox, client: Client, make_job: MakeJob
) -> None:
    storm = "".join(f"\r{n}%|█" for n in range(2000))
    strange = f"a\x00b\ud800c\udfffd\x1b[31mred\x1b[0m\x9b5m\u202eltr\U0001f680{storm}\nend"
    payload = {"id": "strange0abcdefghijklmnopqr", "status": "succeeded", "logs": strange}
    job = make_job(external_id="strange0abcdefghijklmnopqr")
    apply_snapshot(mapping.snapshot(payload, as_of=timezone.now()), source=Source.WEBHOOK)
    text = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()["logs"]
    assert text == strange.replace("\x00", "\ufffd").replace("\ud800", "?").replace("\udfff", "?")
    job.refresh_from_db()
    assert (job.logs_state, job.last_log) == ("saved", "end")
    assert client.get(f"/jobs/{job.job_id}").status_code == 200


def test_a_follower_is_sent_only_what_came_since(client: Client, sandbox: RunningSandbox) -> None:
    job = discovered(sandbox)
    address = f"/api/cloud/jobs/{job.job_id}/logs"
    sandbox.change_job(job.external_id or "", logs="step 1\n")
    first = client.get(address, {"after": "0"}).json()
    assert (first["logs"], first["continues"]) == ("step 1\n", False)
    sandbox.change_job(job.external_id or "", logs="step 1\nstep 2\n")
    coordination.client().flushdb()
    second = client.get(address, {"after": first["bookmark"]}).json()
    assert (second["logs"], second["continues"]) == ("step 2\n", True)
    third = client.get(address, {"after": second["bookmark"]}).json()
    assert (third["logs"], third["continues"], third["bookmark"]) == ("", True, second["bookmark"])
    assert third["characters"] == len("step 1\nstep 2\n")


def test_a_follower_whose_log_was_replaced_is_told_to_start_over(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="completed", logs_state="saved")
    save_log(job, "step 1\n", is_final=True)
    address = f"/api/cloud/jobs/{job.job_id}/logs"
    bookmark = client.get(address, {"after": "0"}).json()["bookmark"]
    JobLog.objects.all().delete()
    save_log(job, "another log\n", is_final=True)
    answer = client.get(address, {"after": bookmark}).json()
    assert (answer["logs"], answer["continues"]) == ("another log\n", False)


def test_the_plain_answer_knows_nothing_of_following(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="completed", logs_state="saved")
    save_log(job, "step 1\n", is_final=True)
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    assert answer["logs"] == "step 1\n"
    assert not {"continues", "bookmark"} & set(answer)


@pytest.mark.parametrize("after", ["abc", "-1", "1e3", "0-xyz", "0" * 13, "1-" + "A" * 32, "0\x00"])
def test_what_is_no_bookmark_is_refused_by_name(client: Client, make_job: MakeJob, after: str) -> None:
    answer = client.get(f"/api/cloud/jobs/{make_job().job_id}/logs", {"after": after})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["after"]
