"""The list's address, from end to end: filters, orders, pages by place, attention, rows that stay, the file."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.http import QueryDict
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from jobs.models import AuditEntry, StatusChange, UnifiedJob
from jobs.presentation.job_csv import DANGEROUS, cell, csv_chunks
from jobs.presentation.list_state import ListState, Place
from tests.conftest import MakeAccount, MakeJob
from tests.jobs.test_list_plan import sorts

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def names_of(client: Client, address: str) -> list[str]:
    html = client.get(address).content.decode()
    return re.findall(r'<bdi class="job-name">([^<]*)</bdi>', html)


def link_of(client: Client, address: str, relation: str) -> str:
    found = re.search(rf'rel="{relation}" href="([^"]+)"', client.get(address).content.decode())
    return f"/{unescape(found[1])}" if found else ""


def rows_of(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("hardware=gpu-h100", ["march", "may"]),
        ("from=2026-03-10", ["may", "march"]),
        ("to=2026-03-10", ["march", "january"]),
        ("from=2026-03-10&to=2026-03-10", ["march"]),
        ("from=2026-03-11&to=2026-03-10", []),
        ("provider=replicate&hardware=gpu-h100&to=2026-04-01", ["march"]),
        ("sort=oldest", ["january", "march", "may"]),
        ("sort=cost", ["january", "may", "march"]),
        ("sort=started", ["march", "january", "may"]),
        ("sort=progress", ["may", "january", "march"]),
        ("sort=duration", ["january", "march", "may"]),
        ("q=m&sort=oldest", ["march", "may"]),
    ],
)
def test_filters_and_orders_do_what_they_say(client: Client, make_job: MakeJob, query: str, found: list[str]) -> None:
    def add(name: str, at: datetime, **fields: Any) -> None:
        make_job(status="completed", config_name=name, created_at=at, external_id=f"id-{at.month}", **fields)

    add(
        "january",
        NOW - timedelta(days=60),
        cost_usd=Decimal("9"),
        progress=50.0,
        started_at=NOW - timedelta(days=1),
        completed_at=NOW,
    )
    add(
        "march",
        NOW.replace(hour=23, minute=59),
        hardware_type="gpu-h100",
        started_at=NOW,
        completed_at=NOW + timedelta(hours=1),
    )
    add("may", NOW + timedelta(days=60), hardware_type="gpu-h100", cost_usd=Decimal("1"), progress=60.0)
    shown = names_of(client, f"/?{query}")
    assert (shown if "sort" in query else sorted(shown)) == (found if "sort" in query else sorted(found))


def test_pages_by_place_hold_every_job_once_in_both_orders_and_back(client: Client, make_job: MakeJob) -> None:
    # Many of one moment, so that the key decides.
    for number in range(120):
        make_job(status="completed", config_name=f"job {number}", created_at=NOW + timedelta(seconds=number // 7))
    for sort in ("newest", "oldest"):
        pages, address = [], f"/?sort={sort}"
        addresses = []
        while address:
            addresses.append(address)
            pages.append(names_of(client, address))
            address = link_of(client, address, "next")
        assert [len(page) for page in pages] == [50, 50, 20]
        everything = [name for page in pages for name in page]
        expected = [f"job {number}" for number in range(120)]
        assert everything == (expected if sort == "oldest" else expected[::-1])
        back = link_of(client, addresses[2], "prev")
        assert "before=" in back
        assert names_of(client, back) == pages[1]
        assert names_of(client, link_of(client, back, "prev")) == pages[0]


def test_numbered_links_stay_good_and_sorted_pages_have_them(client: Client, make_job: MakeJob) -> None:
    for number in range(60):
        make_job(status="completed", config_name=f"job {number}", created_at=NOW, cost_usd=Decimal(number))
    assert len(names_of(client, "/?page=2")) == 10
    following = link_of(client, "/?sort=cost", "next")
    assert following == "/?sort=cost&page=2"
    assert names_of(client, following) == [f"job {number}" for number in range(9, -1, -1)]
    assert link_of(client, following, "prev") == "/?sort=cost"


def test_an_order_without_an_index_is_for_small_results_only(
    client: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.presentation.list_pages.MOST_SORTED_ROWS", 2)
    for number in range(3):
        make_job(status="completed" if number else "failed", cost_usd=Decimal(number))
    assert "narrow the list down first" in client.get("/?sort=cost").content.decode()
    assert "narrow the list down" not in client.get("/?sort=cost&status=completed").content.decode()


@pytest.mark.parametrize("query", ["", "&status=running", "&sort=oldest", "&owner=mine", "&from=2026-01-01", "&page=3"])
@pytest.mark.parametrize("place", ["", "&after={}", "&before={}"])
def test_pages_by_place_are_read_in_the_order_of_an_index(
    client: Client, make_job: MakeJob, query: str, place: str
) -> None:
    job = make_job()
    place = place.format(Place(job.created_at, job.pk))
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"/fragments/jobs?x=1{query}{place}").status_code == 200
    pages = [entry["sql"] for entry in captured if "LIMIT 51" in entry["sql"] and "ORDER BY" in entry["sql"]]
    assert pages
    for page in pages:
        assert not sorts(page)


def test_counts_cost_no_scan_unless_a_filter_asks_for_one(client: Client, make_job: MakeJob) -> None:
    make_job()
    client.get("/")
    with CaptureQueriesContext(connection) as captured:
        client.get("/fragments/jobs?provider=replicate&owner=mine&status=running")
    assert not [entry["sql"] for entry in captured if "GROUP BY" in entry["sql"] and "jobs_unifiedjob" in entry["sql"]]


@pytest.mark.parametrize(
    ("wants", "fields"),
    [
        (True, {"lost_at": NOW}),
        (True, {"failed_checks": 1}),
        (True, {"cancel_requested_at": timezone.now() - timedelta(minutes=2)}),
        (False, {"cancel_requested_at": timezone.now() + timedelta(minutes=5)}),
        (True, {"origin": "discovered"}),
        (False, {"origin": "discovered", "ignored_at": NOW}),
        (False, {"origin": "discovered", "status": "completed"}),
        (True, {"status": "completed", "logs_state": "lost"}),
        (True, {"status": "failed", "logs_state": "partial"}),
        (False, {"status": "completed", "logs_state": "lost", "created_at": timezone.now() - timedelta(days=30)}),
        (False, {}),
    ],
)
def test_attention_is_for_what_somebody_can_do_something_about(
    client: Client, make_job: MakeJob, wants: bool, fields: dict[str, Any]
) -> None:
    make_job(**({"origin": "submitted", "config_name": "it"} | fields))
    make_job(origin="submitted", config_name="other")
    html = client.get("/").content.decode()
    assert ("Needs attention" in html) == wants
    assert names_of(client, "/?attention=any") == (["it"] if wants else [])
    if wants:
        assert re.search(r'Needs attention <span class="chip-count">1<', html)


def test_a_row_says_how_fresh_it_is_and_who_brought_its_last_change(client: Client, make_job: MakeJob) -> None:
    job = make_job(last_synced_at=timezone.now())
    StatusChange.objects.create(job=job, status="queued", source="poller")
    StatusChange.objects.create(job=job, previous="queued", status="running", source="webhook")
    html = client.get("/").content.decode()
    assert "seen-fresh" in html
    assert re.search(r'class="seen-by"[^>]*>Webhook<', html)
    UnifiedJob.objects.update(last_synced_at=timezone.now() - timedelta(minutes=5))
    assert "seen-ageing" in client.get("/").content.decode()
    UnifiedJob.objects.update(last_synced_at=None)
    assert "seen-stale" in client.get("/").content.decode()
    UnifiedJob.objects.update(status="completed")
    assert "seen-settled" in client.get("/").content.decode()


def test_rows_that_are_shown_stay_and_what_came_since_is_told(client: Client, make_job: MakeJob) -> None:
    old, gone = make_job(config_name="old"), make_job(config_name="gone", created_at=NOW)
    shown = f"shown={old.pk},{gone.pk}"
    assert names_of(client, f"/fragments/jobs?{shown}") == ["old", "gone"]
    assert "data-shows-news" not in client.get(f"/fragments/jobs?{shown}").content.decode()
    make_job(config_name="new")
    html = client.get(f"/fragments/jobs?{shown}").content.decode()
    assert "1 new job —" in html
    assert names_of(client, f"/fragments/jobs?{shown}") == ["old", "gone"]
    UnifiedJob.objects.filter(config_name="new").delete()
    UnifiedJob.objects.filter(pk=gone.pk).update(status="failed")
    html = client.get(f"/fragments/jobs?status=running&{shown}").content.decode()
    assert "1 job belongs here no longer —" in html
    assert 'data-status="failed"' in html


@pytest.fixture
def people(make_account: MakeAccount, make_job: MakeJob, with_accounts: None) -> Callable[[str], Client]:
    """Ada and Bea are researchers, each with a job; there is a lead, too."""
    for name in ("ada", "bea"):
        make_job(config_name=f"of-{name}", owner=make_account(name, "researcher"), job_id=f"job-{name}")
    make_account("lead", "lead")
    make_job(config_name="of-nobody")

    def client_of(name: str) -> Client:
        client = Client()
        assert client.login(username=name, password=f"{name}-password")
        return client

    return client_of


def test_owners_are_for_those_who_see_everybodys_jobs(people: Callable[[str], Client]) -> None:
    lead, ada = people("lead"), people("ada")
    assert sorted(names_of(lead, "/")) == ["of-ada", "of-bea", "of-nobody"]
    assert names_of(lead, "/?owner=bea") == ["of-bea"]
    assert names_of(lead, "/?owner=mine") == []
    page = lead.get("/").content.decode()
    assert '<option value="bea">bea</option>' in page
    assert "<bdi>ada</bdi>" in page
    for query in ("", "?owner=mine", "?owner=bea", "?owner=everyone", "?attention=any"):
        assert "of-bea" not in ada.get(f"/{query}").content.decode()
    assert "You see your own jobs only." in ada.get("/?owner=bea").content.decode()
    assert 'name="owner"' not in ada.get("/").content.decode()


def test_accounts_may_be_named_like_the_words_of_the_filter(
    people: Callable[[str], Client], make_account: MakeAccount, make_job: MakeJob
) -> None:
    for name in ("mine", "everyone", "@mine"):
        make_job(config_name=f"of-{name}", owner=make_account(name, "researcher"))
    lead = people("lead")
    page = lead.get("/").content.decode()
    for name in ("mine", "everyone", "@mine"):
        option = re.search(rf'<option value="([^"]*)">{name}</option>', page)
        assert option is not None
        assert names_of(lead, f"/?owner={option[1]}") == [f"of-{name}"]
    assert names_of(lead, "/?owner=mine") == []
    assert len(names_of(lead, "/?owner=everyone")) == 6


def test_another_ones_rows_are_not_shown_by_their_keys(people: Callable[[str], Client]) -> None:
    keys = ",".join(str(pk) for pk in UnifiedJob.objects.values_list("pk", flat=True))
    assert names_of(people("ada"), f"/fragments/jobs?shown={keys}") == ["of-ada"]


def test_the_file_holds_what_its_reader_may_see_and_the_filters_let_through(people: Callable[[str], Client]) -> None:
    lead, ada = people("lead"), people("ada")
    assert {row["name"] for row in rows_of(lead.get("/jobs.csv"))} == {"of-ada", "of-bea", "of-nobody"}
    assert [(row["name"], row["owner"]) for row in rows_of(lead.get("/jobs.csv?owner=bea"))] == [("of-bea", "bea")]
    assert [row["name"] for row in rows_of(ada.get("/jobs.csv?owner=bea"))] == ["of-ada"]
    assert rows_of(lead.get("/jobs.csv?status=failed")) == []
    assert AuditEntry.objects.filter(action="jobs.export", actor="lead").count() == 3
    assert Client().get("/jobs.csv").status_code == 302


def test_the_file_has_a_name_times_in_utc_and_no_secrets(client: Client, make_job: MakeJob) -> None:
    make_job(
        status="completed",
        config_name="=cmd()",
        created_at=NOW,
        started_at=NOW,
        completed_at=NOW + timedelta(minutes=1),
        cost_usd=Decimal("1.5"),
        error_message="token r8_secretsecret",
        metadata={"input": {"hf_token": "hf_secret"}, "model": "owner/trainer"},
    )
    response = client.get("/jobs.csv?sort=cost")
    assert re.fullmatch(r'attachment; filename="jobs-\d{4}-\d\d-\d\d\.csv"', response["Content-Disposition"])
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    [row] = rows_of(response)
    assert row["name"] == "'=cmd()"
    assert row["created_at"] == "2026-03-10T12:00:00Z"
    assert row["duration_seconds"] == "60"
    assert row["cost_usd"] == "1.500000"
    assert row["model"] == "owner/trainer"
    assert "secret" not in str(row)


@pytest.mark.parametrize("sort", ["newest", "oldest"])
def test_a_long_file_is_read_in_pieces_and_ends_where_it_must(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr("jobs.presentation.job_csv.ROWS_AT_ONCE", 2)
    ids = [make_job(created_at=NOW).job_id for _ in range(5)]
    chunks = list(csv_chunks(UnifiedJob.objects.all(), ListState(sort=sort), NOW))
    found = [line.partition(",")[0] for chunk in chunks[1:] for line in chunk.splitlines()]
    assert found == (ids if sort == "oldest" else ids[::-1])
    assert len(chunks) == 4
    monkeypatch.setattr("jobs.presentation.job_csv.MOST_ROWS", 3)
    assert sum(chunk.count("\n") for chunk in csv_chunks(UnifiedJob.objects.all(), ListState(sort=sort), NOW)) == 4


def test_the_file_keeps_its_order_where_the_page_can_not(
    client: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.presentation.list_pages.MOST_SORTED_ROWS", 2)
    monkeypatch.setattr("jobs.presentation.job_csv.ROWS_AT_ONCE", 2)
    costs = ("2", None, "9", "5", "7")
    for cost in costs:
        make_job(config_name=f"cost-{cost}", cost_usd=cost and Decimal(cost))
    html = client.get("/?sort=cost&page=1").content.decode()
    assert "shown by age only" in html
    address = re.search(r'href="(/jobs\.csv[^"]*)" data-export', html)
    assert address is not None
    ordered = [f"cost-{cost}" for cost in ("9", "7", "5", "2", None)]
    assert [row["name"] for row in rows_of(client.get(unescape(address[1])))] == ordered
    monkeypatch.setattr("jobs.presentation.job_csv.MOST_ROWS", 3)
    assert [row["name"] for row in rows_of(client.get("/jobs.csv?sort=cost"))] == ordered[:3]


def test_the_server_streams_the_file_without_holding_up_others(make_job: MakeJob) -> None:
    job = make_job()

    async def read() -> bytes:
        response: Any = await AsyncClient().get("/jobs.csv")
        assert response.is_async
        return b"".join([chunk async for chunk in response.streaming_content])

    assert job.job_id in async_to_sync(read)().decode()


@given(st.text())
def test_no_text_is_a_formula_and_none_is_lost(text: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerow([cell(text), "end"])
    [[read, end]] = csv.reader(io.StringIO(written.getvalue(), newline=""))
    assert not read.startswith(DANGEROUS)
    assert read in (text, f"'{text}")
    assert end == "end"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_what_begins_like_a_formula_is_marked_as_text(sign: str) -> None:
    assert cell(f"{sign}1+1") == f"'{sign}1+1"


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 10**17))
def test_a_place_is_read_as_it_was_written(created_at: datetime, pk: int) -> None:
    assert Place.parse(str(Place(created_at, pk))) == Place(created_at, pk)


@given(
    st.dictionaries(
        st.sampled_from(["status", "attention", "q", "provider", "owner", "hardware", "from", "to", "sort", "page"]),
        st.text() | st.sampled_from(["running", "any", "replicate", "mine", "2026-02-03", "cost", "7"]),
    )
)
def test_any_address_is_understood_and_leads_to_one_that_says_the_same(parameters: dict[str, str]) -> None:
    state = ListState.read(parameters)
    again = ListState.read(QueryDict(state.parameters).dict())
    assert again.notes == ()
    assert again.parameters == state.parameters


def test_a_form_without_script_asks_for_the_number(people: Callable[[str], Client]) -> None:
    ada = people("ada")
    UnifiedJob.objects.update(external_id=None, status="pending")
    jobs = {"job_id": ["job-ada", "job-bea", "unknown", "x\x00"], "next": "/?status=pending"}
    page = ada.post("/jobs/cancel", jobs).content.decode()
    assert "Cancel 1 job?" in page
    assert "of-bea" not in page
    assert "Nothing was cancelled" in ada.post("/jobs/cancel", jobs | {"count": "2"}).content.decode()
    assert not UnifiedJob.objects.filter(status="cancelled").exists()
    answer = ada.post("/jobs/cancel", jobs | {"count": "1"})
    assert answer.headers["Location"] == "/?status=pending"
    assert UnifiedJob.objects.get(status="cancelled").job_id == "job-ada"
    assert ada.get("/jobs/cancel").headers["Location"] == "/"
