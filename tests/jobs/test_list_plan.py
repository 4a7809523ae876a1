"""The first page of a large store comes from an index: nobody sorts a hundred thousand jobs to show fifty."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("query", ["", "&status=running", "&offset=50", "&cursor=", "&status=failed&cursor="])
def test_pages_are_read_in_the_order_of_an_index(client: Client, make_job: MakeJob, query: str) -> None:
    make_job()
    if query.endswith("cursor="):
        make_job()
        query += client.get("/api/cloud/jobs?limit=1").json()["next_cursor"]
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"/api/cloud/jobs?limit=50{query}").status_code == 200
    pages = [entry["sql"] for entry in captured if "LIMIT 51" in entry["sql"] and "ORDER BY" in entry["sql"]]
    assert pages
    for page in pages:
        assert not sorts(page)


def sorts(sql: str) -> bool:
    """Whether a statement puts its rows in order itself."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            return any("TEMP B-TREE" in str(row) for row in cursor.fetchall())
        # A table of one row is read as a whole and put in order, unless that is forbidden or no index has the order.
        for way in ("seqscan", "bitmapscan", "sort", "incremental_sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN {sql}")
        return any("Sort" in str(row) for row in cursor.fetchall())
