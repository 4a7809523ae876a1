"""What was measured, held against what was promised."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. ``is_kept``: whether the target was reached; ``None``: told for its own sake."""

    what: str
    target: str
    measured: str
    is_kept: bool | None = None


def at_most(what: str, value: float, limit: float, *, unit: str = "", digits: int = 2) -> Result:
    """A number that must not be larger."""
    return Result(what, f"≤ {limit:g}{unit}", f"{value:.{digits}f}{unit}", value <= limit)


def at_least(what: str, value: float, limit: float, *, unit: str = "", digits: int = 2) -> Result:
    """A number that must not be smaller."""
    return Result(what, f"≥ {limit:g}{unit}", f"{value:.{digits}f}{unit}", value >= limit)


def told(what: str, measured: str) -> Result:
    """Something without a target."""
    return Result(what, "", measured)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def table(results: Iterable[Result]) -> str:
    """The results as aligned text."""
    words = {True: "kept", False: "MISSED", None: ""}
    rows = [("what", "target", "measured", "verdict")]
    rows += [(result.what, result.target, result.measured, words[result.is_kept]) for result in results]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
