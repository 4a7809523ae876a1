"""Alone on the machine: nobody is asked anything, and it costs no more than before there were accounts."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

OF_ACCOUNTS = ("django_session", "auth_group", "auth_permission", "jobs_apikey", "jobs_auditentry")


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("/fragments/jobs", 7),
        ("/fragments/metrics", 10),
        ("/fragments/jobs/{}", 5),
        ("/jobs/{}/saved.log", 2),
        ("/api/cloud/jobs", 2),
        ("/api/cloud/jobs/{}", 2),
        ("/api/cloud/metrics", 9),
        ("/api/cloud/health/live", 0),
    ],
)
def test_owner_pays_for_no_accounts(client: Client, make_job: MakeJob, path: str, queries: int) -> None:
    job = make_job(status="completed")
    # Once in a process the owner's account is looked up.
    client.get("/fragments/jobs")
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path.format(job.job_id)).status_code == 200
    told = [query["sql"] for query in asked]
    assert len(told) == queries, "\n".join(told)
    for sql in told:
        assert not any(table in sql for table in OF_ACCOUNTS), sql
        assert not re.search(r'"owner_id" = \d', sql)


def test_cookies_of_an_owner_are_none(client: Client) -> None:
    assert "sessionid" not in client.get("/").cookies
