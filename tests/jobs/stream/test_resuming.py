"""``Last-Event-ID``: what a returning reader of ``/api/events`` gets."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from jobs.models import StatusChange
from tests.conftest import MakeJob
from tests.jobs.stream.conftest import Change, Listen
from tests.web_server import running_web

RESYNC = {"type": "resync"}


def history_ids() -> list[int]:
    return list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        pytest.param({"Last-Event-ID": "{seen}"}, "", id="Last-Event-ID header"),
        pytest.param({}, "?last_event_id={seen}", id="last_event_id in the query"),
        pytest.param({}, "?x=1&lastEventId={seen}", id="lastEventId in the query"),
        pytest.param({"Last-Event-ID": "{seen}"}, "?last_event_id=0", id="the header is newer than the query"),
        pytest.param({"Last-Event-ID": ""}, "?last_event_id={seen}", id="an empty header"),
    ],
)
def test_returning_reader_gets_what_it_missed_once_and_in_order(
    web: str, listen: Listen, change: Change, headers: dict[str, str], query: str
) -> None:
    for _ in range(5):
        change()
    ids = history_ids()
    seen = ids[1]
    headers = {name: value.format(seen=seen) for name, value in headers.items()}
    listener = listen(web, headers=headers, query=query.format(seen=seen))
    listener.wait_for(3)
    change()
    listener.wait_for(4)
    assert listener.ids == [*ids[2:], *history_ids()[5:]]


def test_reader_that_has_heard_everything_is_told_nothing_again(web: str, listen: Listen, change: Change) -> None:
    change()
    newest = history_ids()[-1]
    listener = listen(web, headers={"Last-Event-ID": str(newest)})
    change()
    listener.wait_for(1)
    assert listener.ids == history_ids()[1:]


def test_reader_that_left_before_its_first_event_is_told_what_it_missed(
    web: str, listen: Listen, change: Change
) -> None:
    change()
    first = listen(web)
    first.close()
    assert first.ids == []
    change()
    again = listen(web, headers={"Last-Event-ID": str(first.cursor)})
    again.wait_for(1)
    assert again.ids == history_ids()[1:]


@pytest.mark.parametrize("how", ["header", "query"])
@pytest.mark.parametrize(
    ("last_id", "is_ours"),
    [
        pytest.param("garbage", False, id="garbage"),
        pytest.param("-1", False, id="negative"),
        pytest.param("+1", False, id="with a sign"),
        pytest.param("1.0", False, id="a fraction"),
        pytest.param("1e3", False, id="an exponent"),
        pytest.param("0x1", False, id="hexadecimal"),
        pytest.param("error", False, id="the word of django-eventstream"),
        pytest.param("jobs:1", False, id="an id of django-eventstream"),
        pytest.param("1,2", False, id="a list"),
        pytest.param("' OR 1=1 --", False, id="SQL"),
        pytest.param("¹", False, id="a digit that is no number"),
        pytest.param("x" * 5000, False, id="long garbage"),
        pytest.param("999999", True, id="of a store that is gone"),
        pytest.param(str(2**63 - 1), True, id="the largest"),
        pytest.param(str(2**63), True, id="larger than the largest"),
        pytest.param("9" * 5000, True, id="thousands of digits"),
    ],
)
def test_id_that_was_never_given_is_no_error_and_repeats_nothing(
    web: str, listen: Listen, change: Change, how: str, last_id: str, is_ours: bool
) -> None:
    """A number gets one ``resync``: its reader knows another world. What is no number is not heeded."""
    change()
    options = (
        {"headers": {"Last-Event-ID": last_id.encode()}}
        if how == "header"
        else {"query": f"?last_event_id={quote(last_id)}"}
    )
    listener = listen(web, **options)
    assert listener.status == 200
    change()
    expected = [RESYNC] if is_ours else []
    listener.wait_for(len(expected) + 1)
    assert listener.events[:-1] == expected
    assert listener.ids == history_ids() if is_ours else history_ids()[1:]


def test_reader_that_missed_too_many_is_told_to_read_anew_once(
    web: str, listen: Listen, make_job: MakeJob, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.services.history.REPLAY_EVENTS", 10)
    job = make_job()
    StatusChange.objects.bulk_create(
        StatusChange(job=job, previous="queued", status="running", source="sync") for _ in range(12)
    )
    ids = history_ids()
    listener = listen(web, headers={"Last-Event-ID": str(ids[0] - 1)})
    assert listener.wait_for(1) == [RESYNC]
    change()
    listener.wait_for(2)
    assert listener.ids == history_ids()[-2:]
    almost = listen(web, headers={"Last-Event-ID": str(ids[3])})
    almost.wait_for(9)
    assert almost.ids == history_ids()[4:]


def test_reader_that_was_away_for_too_long_is_told_to_read_anew_once(web: str, listen: Listen, change: Change) -> None:
    change()
    change()
    ids = history_ids()
    StatusChange.objects.filter(pk=ids[0]).update(recorded_at=timezone.now() - timedelta(hours=25))
    late = listen(web, headers={"Last-Event-ID": str(ids[0] - 1)})
    assert late.wait_for(1) == [RESYNC]
    assert late.ids == [ids[1]]
    in_time = listen(web, headers={"Last-Event-ID": str(ids[0])})
    in_time.wait_for(1)
    assert in_time.ids == [ids[1]]


def test_reader_goes_from_one_server_to_another_and_loses_nothing(web: str, listen: Listen, change: Change) -> None:
    heard: list[int] = []
    cursor = str(change() and history_ids()[0])
    with running_web() as other:
        for url in (web, other, web, other):
            change()
            listener = listen(url, headers={"Last-Event-ID": cursor})
            listener.wait_for(1)
            change()
            listener.wait_for(2)
            listener.close()
            heard += listener.ids
            cursor = str(listener.cursor)
    assert heard == history_ids()[1:]
