"""Sending events: jobs.events."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
import redis
from django.db import transaction
from django_eventstream import send_event
from pytest_django import Settings

from jobs import events
from jobs.channels import jobs_channel
from jobs.lifecycle import Source
from jobs.models import StatusChange
from jobs.services.snapshots import apply_snapshots
from simpletuner_cloud.embedded_redis import free_port
from tests.conftest import MakeSnapshot


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Channel and body of what has left."""
    left: list[tuple[str, Any]] = []
    monkeypatch.setattr(events, "send_event", lambda channel, _name, body: left.append((channel, body)))
    monkeypatch.setattr(events, "_paused_until", 0.0)
    return left


def message(body: object, channel: str | None = None) -> bytes:
    """As django-eventstream publishes it."""
    envelope = {"channel": channel or jobs_channel(), "event_type": "message", "data": json.dumps(body), "pub_id": None}
    return json.dumps(envelope).encode()


@pytest.mark.django_db(transaction=True)
def test_changes_are_written_without_waiting_while_redis_is_away(
    make_snapshot: MakeSnapshot, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = redis.Redis(**(settings.EVENTSTREAM_REDIS | {"port": free_port()}))
    monkeypatch.setitem(send_event.__globals__, "redis_client", away)
    monkeypatch.setattr(events, "_paused_until", 0.0)
    snapshots = [make_snapshot(external_id=f"away{number:03d}") for number in range(100)]
    started = time.monotonic()
    apply_snapshots(snapshots, source=Source.SYNC, create=True)
    assert time.monotonic() - started < 1.5
    assert StatusChange.objects.count() == 100


@pytest.mark.django_db(transaction=True)
def test_announcement_leaves_after_the_commit(sent: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        events.announce("history_sync", {"pages": 3})
        assert sent == []
    assert sent == [("simpletuner:sandbox:jobs", {"type": "history_sync", "pages": 3})]


@pytest.mark.django_db(transaction=True)
def test_announcement_of_what_was_not_committed_never_leaves(sent: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        events.announce("history_sync", {"pages": 3})
        transaction.set_rollback(True)
    assert sent == []


@pytest.mark.parametrize(
    "kind", ["job_status_changed", "resync", "", "History", "a b", "a\n", "x" * 65, "1st", "ünicode"]
)
def test_announcement_cannot_pass_for_what_the_stream_says_itself(kind: str) -> None:
    with pytest.raises(ValueError, match="not an announcement"):
        events.announce(kind, {})


def test_fact_cannot_replace_the_kind() -> None:
    with pytest.raises(ValueError, match="not an announcement"):
        events.announce("history_sync", {"type": "job_status_changed"})


def test_number_that_a_page_could_not_read_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        events.announce("history_sync", {"share": float("nan")})


@pytest.mark.django_db
def test_announcement_that_is_too_large_is_not_sent_and_harms_nobody(sent: list[tuple[str, Any]]) -> None:
    events.announce("history_sync", {"text": "x" * events.LARGEST_ANNOUNCEMENT_BYTES})
    assert sent == []


@pytest.mark.parametrize(
    "facts",
    [{}, {"pages": 3, "done": False, "names": ["a", None]}, {"text": 'quotes " and\nlines ü \u2028 </script>' * 100}],
)
def test_announcement_is_read_as_it_was_sent(facts: Mapping[str, events.JSON]) -> None:
    announcement = events.read_announcement(message({"type": "history_sync", **facts}))
    assert announcement is not None
    line = announcement.line
    assert b"\n" not in line
    assert json.loads(line) == {"type": "history_sync", **facts}


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no channel"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"[" * 60_000, id="deep"),
        pytest.param(message({"type": "history_sync"}, "simpletuner:live:jobs"), id="of the other store"),
        pytest.param(message({"type": "history_sync"}, "jobs"), id="of no store"),
        pytest.param(message({"type": "job_status_changed", "job_id": "forged"}), id="a change of status"),
        pytest.param(message({"type": "resync"}), id="a resync"),
        pytest.param(message({"type": 5}), id="a kind that is a number"),
        pytest.param(message({"type": "<b>"}), id="a kind that is no word"),
        pytest.param(message({}), id="no kind"),
        pytest.param(message(["history_sync"]), id="a list inside"),
        pytest.param(message({"type": "history_sync", "share": float("nan")}), id="NaN"),
        pytest.param(
            json.dumps({"channel": "simpletuner:sandbox:jobs", "data": {"type": "history_sync"}}).encode(),
            id="an object where a string belongs",
        ),
        pytest.param(
            message({"type": "history_sync", "deep": json.loads("[" * 500 + "]" * 500)}), id="too deep to be written"
        ),
        pytest.param(message({"type": "history_sync", "text": "x" * 8192}), id="too large"),
        pytest.param(message({"type": "history_sync", "text": "x" * 1_000_000}), id="much too large"),
    ],
)
def test_anything_else_on_the_channel_is_no_announcement(garbage: bytes) -> None:
    assert events.read_announcement(garbage) is None
