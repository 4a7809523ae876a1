import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from jobs.pricing import Price, PriceBook

H100 = "gpu-h100"
STARTED_AT = datetime(2026, 6, 15, 23, 59, 59, tzinfo=UTC)


def price(day: str, usd: str, *, hardware: str = H100, provider: str = "replicate") -> Price:
    return Price(provider, hardware, date.fromisoformat(day), Decimal(usd))


@pytest.fixture
def book() -> PriceBook:
    return PriceBook(
        [
            price("2026-06-01", "0.001400"),
            price("2025-01-01", "0.001525"),
            price("2026-07-01", "0.001300"),
            price("2025-01-01", "0.000975", hardware="gpu-l40s"),
            price("2025-01-01", "9", provider="elsewhere"),
        ],
        {("replicate", "acme/trainer"): "gpu-2x-l40s"},
    )


def cost(
    book: PriceBook,
    seconds: float | None,
    started_at: datetime | None = STARTED_AT,
    hardware: str | None = H100,
) -> Decimal | None:
    return book.cost(provider="replicate", hardware=hardware, started_at=started_at, run_seconds=seconds)


@pytest.mark.parametrize(
    ("day", "usd"),
    [
        pytest.param("2024-12-31", None, id="before the first price"),
        pytest.param("2025-01-01", "0.001525", id="the first day of the first price"),
        pytest.param("2026-05-31", "0.001525", id="the last day of the first price"),
        pytest.param("2026-06-01", "0.001400", id="the first day of the second price"),
        pytest.param("2026-07-01", "0.001300", id="the third price"),
        pytest.param("2030-01-01", "0.001300", id="long after the last change"),
    ],
)
def test_price_is_the_one_in_force_on_the_day(book: PriceBook, day: str, usd: str | None) -> None:
    found = book.price("replicate", H100, date.fromisoformat(day))
    assert (found and found.usd_per_second) == (usd and Decimal(usd))


@pytest.mark.parametrize(
    ("provider", "hardware"), [("replicate", "gpu-b200"), ("replicate", None), ("runpod", H100), ("replicate", "")]
)
def test_unknown_machine_has_no_price(book: PriceBook, provider: str, hardware: str | None) -> None:
    assert book.price(provider, hardware, date(2026, 6, 15)) is None


def test_run_is_charged_at_the_price_of_the_day_it_started(book: PriceBook) -> None:
    before_the_change = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
    assert cost(book, 7200, before_the_change) == Decimal("10.08")
    assert cost(book, 7200, datetime(2026, 7, 1, tzinfo=UTC)) == Decimal("9.36")


@pytest.mark.parametrize(
    ("seconds", "usd"),
    [
        pytest.param(1800.507958653, "2.520711", id="a fraction"),
        pytest.param(0.1, "0.000140", id="what a binary float cannot hold"),
        pytest.param(3e-06, "0.000000", id="cancelled at once"),
        pytest.param(0, "0", id="zero"),
        pytest.param(-5, "0", id="a clock that ran backwards"),
        pytest.param(1_000_000, "1400", id="many days"),
    ],
)
def test_cost_is_exact_to_the_millionth(book: PriceBook, seconds: float, usd: str) -> None:
    found = cost(book, seconds)
    assert found is not None
    assert found == Decimal(usd)
    assert found.as_tuple().exponent == -6


def test_ten_tenths_of_a_second_cost_exactly_one_second(book: PriceBook) -> None:
    tenths = [cost(book, 0.1) for _ in range(10)]
    assert sum(filter(None, tenths)) == cost(book, 1) == Decimal("0.0014")


@pytest.mark.parametrize(
    ("seconds", "started_at", "hardware"),
    [
        pytest.param(60, STARTED_AT, None, id="hardware not told"),
        pytest.param(60, STARTED_AT, "gpu-b200", id="hardware not known"),
        pytest.param(60, datetime(2024, 12, 31, tzinfo=UTC), H100, id="before the first price"),
        pytest.param(None, STARTED_AT, H100, id="run time not told"),
        pytest.param(60, None, H100, id="start not told"),
        pytest.param(None, None, H100, id="not started"),
        pytest.param(math.nan, STARTED_AT, H100, id="not a number"),
        pytest.param(math.inf, STARTED_AT, H100, id="infinite"),
    ],
)
def test_unknown_cost_is_not_guessed(
    book: PriceBook, seconds: float | None, started_at: datetime | None, hardware: str | None
) -> None:
    assert cost(book, seconds, started_at, hardware) is None


@pytest.mark.parametrize("hardware", [None, "gpu-b200", H100])
def test_run_that_never_started_costs_nothing_on_any_machine(book: PriceBook, hardware: str | None) -> None:
    assert cost(book, 0.0, None, hardware) == 0


@pytest.mark.parametrize(
    ("provider", "model", "hardware"),
    [
        ("replicate", "acme/trainer", "gpu-2x-l40s"),
        ("replicate", "acme/other", None),
        ("runpod", "acme/trainer", None),
        ("replicate", "", None),
        ("replicate", None, None),
    ],
)
def test_operator_may_name_the_machine_of_a_model(
    book: PriceBook, provider: str, model: str | None, hardware: str | None
) -> None:
    assert book.hardware_of(provider, model) == hardware


def test_empty_book_knows_nothing() -> None:
    book = PriceBook([])
    assert cost(book, 60) is None
    assert book.hardware_of("replicate", "acme/trainer") is None
