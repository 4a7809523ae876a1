"""The list's ready-made statements find what the same filters find, for everybody."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.exceptions import ValidationError

from jobs.access import NOBODY, SYSTEM, VIEW_OWN, Actor
from jobs.api import list_page
from jobs.api.list_page import FILTERS, list_query, list_rows
from jobs.api.payloads import COLUMNS
from jobs.lifecycle import JobType
from jobs.models import UnifiedJob
from jobs.services import job_counts
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

NEWEST = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def owner_id(make_job: MakeJob) -> int:
    """A store with jobs of every kind, some made in the same moment; returns who owns a third of them."""
    owner = get_user_model().objects.create_user("asha")
    for number in range(24):
        make_job(
            status=("running", "completed", "failed")[number % 3],
            job_type=(JobType.CLOUD, JobType.LOCAL)[number % 2],
            owner=owner if number % 4 == 0 else None,
            created_at=NEWEST - timedelta(seconds=number // 3),
        )
    return int(owner.pk)


@pytest.mark.parametrize("continued", [False, True], ids=["first", "continued"])
@pytest.mark.parametrize("named", list(product([False, True], repeat=3)), ids=str)
def test_statement_finds_what_the_filters_find(owner_id: int, named: tuple[bool, ...], continued: bool) -> None:
    all_filters = {"provider": "replicate", "status": "running", "job_type": "cloud"}
    filters = {name: all_filters[name] for name, is_named in zip(FILTERS, named, strict=True) if is_named}
    own = Actor(owner_id, "asha", frozenset({VIEW_OWN}), "session")
    for actor in (SYSTEM, own, NOBODY, Actor(None, "x", frozenset({VIEW_OWN}), "session")):
        jobs = UnifiedJob.objects.visible_to(actor).filter(**filters)
        place = None
        if continued:
            middle = UnifiedJob.objects.newest_first()[7]
            place = middle.created_at, middle.pk
            jobs = jobs.older_than(*place)
        for offset, limit in ((0, 5), (2, 50)):
            # The second time by the statement that was made the first time.
            for _ in range(2):
                rows = list_rows(actor, filters, place, offset=offset, limit=limit)
                expected = list(jobs.newest_first()[offset : offset + limit].values_list("pk", flat=True))
                assert [row[COLUMNS.index("pk")] for row in rows] == expected
        if not continued:
            assert job_counts.total(actor, **filters) == jobs.count()


def test_two_who_may_see_their_own_get_their_own_by_one_statement(owner_id: int, make_job: MakeJob) -> None:
    other = get_user_model().objects.create_user("ben")
    mine = make_job(owner=other)
    list_page._statement.cache_clear()
    found = [
        {row[0] for row in list_rows(Actor(pk, "x", frozenset({VIEW_OWN}), "session"), {}, None, offset=0, limit=50)}
        for pk in (owner_id, other.pk)
    ]
    assert found == [set(UnifiedJob.objects.filter(owner_id=owner_id).values_list("pk", flat=True)), {mine.pk}]
    assert list_page._statement.cache_info().misses == 1


def test_an_empty_cursor_is_none_and_a_bad_one_is_refused_every_time(client: Client, make_job: MakeJob) -> None:
    make_job()
    assert client.get("/api/cloud/jobs?cursor=").json()["total"] == 1
    for _ in range(2):
        assert client.get("/api/cloud/jobs?cursor=nonsense").status_code == 400
        with pytest.raises(ValidationError):
            list_query("limit=0")


def test_a_list_is_two_queries(client: Client, make_job: MakeJob) -> None:
    from django.db import connection

    make_job()
    client.get("/api/cloud/jobs")
    with CaptureQueriesContext(connection) as captured:
        client.get("/api/cloud/jobs?limit=7")
    assert len(captured) == 2
