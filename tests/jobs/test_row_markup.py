"""Kept lines of the list are everybody's, and yet each reader gets the own token, look and times."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs.lifecycle import Origin
from jobs.models import UnifiedJob
from jobs.templatetags import jobs_display
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]*)"')


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    jobs_display._row_markup.cache_clear()


def fragment(client: Client) -> str:
    return client.get("/fragments/jobs").content.decode()


def kept() -> tuple[int, int]:
    """How many lines were made, and how many were there already."""
    info = jobs_display._row_markup.cache_info()
    return info.misses, info.hits


def test_lines_that_did_not_change_are_not_made_again(make_job: MakeJob) -> None:
    for _ in range(5):
        make_job(status="completed", completed_at=timezone.now(), created_at=timezone.now() - timedelta(days=30))
    UnifiedJob.objects.update(last_synced_at=timezone.now() - timedelta(days=20))
    first = fragment(Client())
    assert kept() == (5, 0)
    assert fragment(Client()) == first
    assert kept() == (5, 5)
    changed = UnifiedJob.objects.order_by("pk")[0]
    UnifiedJob.objects.filter(pk=changed.pk).update(config_name="another <name>")
    again = fragment(Client())
    assert kept() == (6, 9)
    assert "another &lt;name&gt;" in again


def test_each_reader_gets_the_own_token_in_a_kept_line(make_job: MakeJob) -> None:
    make_job(status="failed", origin=Origin.SUBMITTED, metadata={"input": {"config": "{}"}})
    readers = [Client(enforce_csrf_checks=True) for _ in range(2)]
    tokens = []
    for reader in readers:
        reader.get("/")
        page = fragment(reader)
        assert jobs_display.TOKEN_PLACE not in page
        found = TOKEN.findall(page)
        assert found
        tokens.append(found[0])
    assert kept()[1] >= 1
    assert tokens[0] != tokens[1]
    job = UnifiedJob.objects.get()
    # The first reader's token, from a line that was made for the second, is taken from the first alone.
    for reader, token, status in ((readers[0], tokens[0], 302), (readers[0], tokens[1], 403)):
        answer = reader.post(f"/jobs/{job.job_id}/retry", {"csrfmiddlewaretoken": token, "key": f"{job.job_id}-0"})
        assert (answer.status_code == 403) == (status == 403)


def test_a_kept_line_is_of_one_look(make_job: MakeJob) -> None:
    make_job(status="completed", created_at=timezone.now() - timedelta(days=2))
    relative, absolute = Client(), Client()
    absolute.post("/look", {"times": "absolute"})
    assert "2 d ago" in fragment(relative)
    assert "2 d ago" not in fragment(absolute)
    assert "2 d ago" in fragment(relative)
