"""What run time costs (SPEC B3). Pure: the prices are given, the clock is given.

An unknown machine, or a time before its first known price, costs ``None``: unknown, never a guess.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

CENT_FRACTION = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a second for one machine of one provider, from a day on."""

    provider: str
    hardware: str
    effective_from: date
    usd_per_second: Decimal


class PriceBook:
    """All known prices, and the machines that an operator says certain models run on."""

    def __init__(self, prices: Iterable[Price], model_hardware: Mapping[tuple[str, str], str] | None = None) -> None:
        self._prices: dict[tuple[str, str], list[Price]] = {}
        for price in sorted(prices, key=lambda price: price.effective_from):
            self._prices.setdefault((price.provider, price.hardware), []).append(price)
        self._model_hardware = dict(model_hardware or {})

    def hardware_of(self, provider: str, model: str | None) -> str | None:
        """The machine that the operator assigned to a model; ``None`` if nobody did."""
        return self._model_hardware.get((provider, model)) if model else None

    def price(self, provider: str, hardware: str | None, day: date) -> Price | None:
        """The price in force on a day."""
        if hardware is None:
            return None
        known = [price for price in self._prices.get((provider, hardware), ()) if price.effective_from <= day]
        return known[-1] if known else None

    def cost(
        self, *, provider: str, hardware: str | None, started_at: datetime | None, run_seconds: float | None
    ) -> Decimal | None:
        """US dollars for ``run_seconds`` at the price of the day the run started."""
        if run_seconds is None or started_at is None:
            return Decimal(0) if run_seconds == 0 else None
        if not math.isfinite(run_seconds):
            return None
        price = self.price(provider, hardware, started_at.date())
        if price is None:
            return None
        return (price.usd_per_second * Decimal(str(max(run_seconds, 0.0)))).quantize(CENT_FRACTION)
