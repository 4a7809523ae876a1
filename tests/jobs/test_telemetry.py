"""Counts of all processes together: jobs.services.telemetry."""

from collections.abc import Iterator

import pytest
import redis

from jobs import coordination
from jobs.services import telemetry
from jobs.services.telemetry import Series
from providers.calls import CallReport
from providers.errors import ProviderTimeout


@pytest.fixture(autouse=True)
def _nothing_counted_before() -> Iterator[None]:
    telemetry.flush()
    coordination.client().flushdb()
    yield
    telemetry.flush()


def total(metric: str, part: str = "", **labels: str) -> float:
    telemetry.flush()
    return telemetry.totals().get(Series(metric, tuple(sorted(labels.items())), part), 0.0)


def test_counts_add_up_whoever_counts() -> None:
    telemetry.count("calls", provider="a")
    telemetry.count("calls", provider="a")
    telemetry.count("calls", provider="b")
    assert total("calls", provider="a") == 2
    telemetry.count("calls", 3, provider="a")
    assert (total("calls", provider="a"), total("calls", provider="b")) == (5, 1)


def test_the_order_of_labels_makes_no_difference() -> None:
    telemetry.count("calls", x="1", y="2")
    telemetry.count("calls", y="2", x="1")
    assert total("calls", x="1", y="2") == 2


def test_durations_fall_into_the_first_bucket_that_holds_them() -> None:
    for seconds in (0.05, 0.051, 7, 1000):
        telemetry.observe("took", seconds)
    assert [total("took", part) for part in ("0.05", "0.1", "10.0", telemetry.OVER)] == [1, 1, 1, 1]
    assert total("took", telemetry.SUM) == pytest.approx(1007.101)


def test_a_clock_that_is_behind_makes_no_negative_durations() -> None:
    telemetry.observe("took", -5)
    assert (total("took", telemetry.SUM), total("took", "0.05")) == (0, 1)


@pytest.mark.parametrize("error", [redis.ConnectionError("away"), ValueError("I/O operation on closed file")])
def test_what_cannot_be_written_now_is_written_later(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    telemetry.count("calls")
    monkeypatch.setattr(redis.client.Pipeline, "execute", refuse)
    telemetry.flush()
    telemetry.count("calls")
    monkeypatch.undo()
    assert total("calls") == 2


def test_memory_stays_bounded_when_labels_are_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MOST_SERIES", 3)
    for number in range(10):
        telemetry.count("calls", route=str(number))
    telemetry.flush()
    assert len(telemetry.totals()) <= 3


def test_a_provider_call_is_counted_with_its_duration_and_its_error() -> None:
    telemetry.count_provider_call("p", CallReport(method="GET", route="/v1/x", seconds=0.2, status=200))
    error = ProviderTimeout("late")
    telemetry.count_provider_call("p", CallReport(method="GET", route="/v1/x", seconds=9, error=error))
    assert total("provider_calls", provider="p", method="GET", route="/v1/x", status="200") == 1
    assert total("provider_calls", provider="p", method="GET", route="/v1/x", status="none") == 1
    assert total("provider_call_errors", provider="p", kind="ProviderTimeout") == 1
    assert total("provider_call_duration_seconds", telemetry.SUM, provider="p", method="GET") == pytest.approx(9.2)
