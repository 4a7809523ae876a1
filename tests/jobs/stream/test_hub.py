"""The reader of the history: ``jobs.stream.hub``, where the database or Redis behaves oddly."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from jobs.models import StatusChange
from jobs.services import history
from jobs.stream.hub import EventHub
from tests.jobs.stream.conftest import Change, Listen
from tests.web_server import running_web


def history_ids() -> list[int]:
    return list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.parametrize("error", [OperationalError("locked"), InterfaceError("connection already closed")])
def test_reader_that_came_while_the_history_could_not_be_read_is_told_to_read_anew_and_then_goes_on(
    transactional_db: None, listen: Listen, change: Change, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is not told the whole history either, as one that begins at its beginning would be."""
    monkeypatch.setattr("jobs.stream.hub.LOOK_WHILE_DEAF_SECONDS", 0.1)
    for _ in range(3):
        change()
    readable = history.latest_id
    away = True

    def latest_id() -> int:
        if away:
            raise error
        return readable()

    monkeypatch.setattr(history, "latest_id", latest_id)
    with running_web() as url:
        readers = [listen(url), listen(url, headers={"Last-Event-ID": str(history_ids()[0])})]
        assert [reader.status for reader in readers] == [200, 200]
        away = False
        for reader in readers:
            assert reader.wait_for(1) == [{"type": "resync"}]
        change()
        for reader in readers:
            reader.wait_for(2)
            assert reader.ids == history_ids()[-2:]


@pytest.mark.parametrize("error", [OperationalError("locked"), InterfaceError("connection already closed")])
def test_history_that_cannot_be_read_for_a_while_delays_events_and_loses_none(
    transactional_db: None, listen: Listen, change: Change, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("jobs.stream.hub.LOOK_WHILE_DEAF_SECONDS", 0.1)
    readable = history.events_after
    failures = iter([error] * 3)

    def events_after(*arguments: Any) -> Sequence[history.Event]:
        if failure := next(failures, None):
            raise failure
        return readable(*arguments)

    with running_web() as url:
        reader = listen(url)
        monkeypatch.setattr(history, "events_after", events_after)
        change()
        change()
        reader.wait_for(2)
        assert reader.ids == history_ids()


def test_reader_of_the_history_that_ended_by_a_defect_is_replaced(
    transactional_db: None, listen: Listen, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = EventHub._deliver

    async def defective(self: EventHub) -> None:
        raise ZeroDivisionError

    with running_web() as url:
        first = listen(url)
        monkeypatch.setattr(EventHub, "_deliver", defective)
        change()
        assert first.is_over.wait(10), "nobody is left waiting for what never comes"
        monkeypatch.setattr(EventHub, "_deliver", deliver)
        again = listen(url, headers={"Last-Event-ID": str(first.cursor)})
        again.wait_for(1)
        change()
        again.wait_for(2)
        assert again.ids == history_ids()


def test_keep_alives_come_by_the_clock_also_during_a_burst(
    transactional_db: None, listen: Listen, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.stream.endpoint.KEEP_ALIVE_SECONDS", 0.2)
    with running_web() as url:
        idle = listen(url)
        deadline = time.monotonic() + 10
        while len(idle.keep_alives) < 3 and time.monotonic() < deadline:
            change()
        assert len(idle.keep_alives) >= 3
        assert idle.events, "there were events in between"
