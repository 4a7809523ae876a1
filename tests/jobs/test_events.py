"""Sending events: jobs.events."""

import time

import pytest
import redis
from django_eventstream import send_event
from pytest_django import Settings

from jobs import events
from jobs.lifecycle import Source
from jobs.models import StatusChange
from jobs.services.snapshots import apply_snapshots
from simpletuner_cloud.embedded_redis import free_port
from tests.conftest import MakeSnapshot


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
