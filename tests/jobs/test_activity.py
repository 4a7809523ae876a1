"""What happened lately: for whom, in which order, and how much of it is new."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.lifecycle import Source
from jobs.models import StatusChange, UnifiedJob
from jobs.services.activity import MOST_COUNTED, SHOWN_CHANGES
from tests.conftest import MakeAccount, MakeJob

pytestmark = pytest.mark.django_db


def change(job: UnifiedJob, status: str, previous: str | None = "running") -> StatusChange:
    return StatusChange.objects.create(job=job, previous=previous, status=status, source=Source.POLLER)


def news(client: Client, after: int | str) -> tuple[int, int]:
    told = client.get("/fragments/activity/news", {"after": after}).json()
    return told["count"], told["newest"]


def test_newest_changes_stand_first_and_no_more_than_some(client: Client, make_job: MakeJob) -> None:
    job = make_job(config_name="<b>portrait", status="failed", error_message="Out of memory")
    rows = [change(job, "running", None), *(change(job, "queued") for _ in range(SHOWN_CHANGES)), change(job, "failed")]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = client.get("/fragments/activity").content.decode()
    assert len([q for q in queries if "statuschange" in q["sql"]]) == 1
    assert page.count("<li") == SHOWN_CHANGES
    assert f'data-newest="{rows[-1].pk}"' in page
    assert page.index("Failed") < page.index("Queued")
    assert "Out of memory" in page
    assert "<b>portrait" not in page
    change(make_job(metadata={"model": "owner/flux-trainer"}), "completed")
    assert "<bdi>flux-trainer</bdi>" in client.get("/fragments/activity").content.decode()
    assert client.get("/activity").content.decode().count('<li class="happening"') == SHOWN_CHANGES


def test_only_what_came_after_is_new(client: Client, make_job: MakeJob) -> None:
    assert news(client, 0) == (0, 0)
    job = make_job()
    first, second = change(job, "queued"), change(job, "completed")
    assert news(client, 0) == (2, second.pk)
    assert news(client, first.pk) == (1, second.pk)
    assert news(client, second.pk) == (0, second.pk)
    for _ in range(MOST_COUNTED):
        change(job, "queued")
    assert news(client, 0)[0] == MOST_COUNTED


@pytest.mark.parametrize("after", ["", "x", "-1", "９", "9" * 400, "1e3"])
def test_what_is_no_id_has_no_news(client: Client, make_job: MakeJob, after: str) -> None:
    newest = change(make_job(), "completed")
    assert news(client, after) == (0, newest.pk)


def test_there_is_a_page_before_anything_has_happened(client: Client) -> None:
    assert "Nothing has happened yet." in client.get("/activity").content.decode()


@pytest.mark.usefixtures("with_accounts")
def test_others_jobs_are_neither_told_nor_counted(make_account: MakeAccount, make_job: MakeJob) -> None:
    researcher, lead = make_account("ana", "researcher"), make_account("bo", "lead")
    mine = change(make_job(owner=researcher, config_name="my-portrait"), "completed")
    theirs = change(make_job(config_name="secret-project"), "failed")
    client = Client()
    client.force_login(researcher)
    for path in ("/activity", "/fragments/activity"):
        page = client.get(path).content.decode()
        assert "my-portrait" in page
        assert "secret-project" not in page
    assert news(client, 0) == (1, mine.pk)
    client.force_login(lead)
    assert "secret-project" in client.get("/activity").content.decode()
    assert news(client, 0) == (2, theirs.pk)
    assert Client().get("/fragments/activity/news").status_code == 401
