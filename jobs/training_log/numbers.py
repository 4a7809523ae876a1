"""Numbers as trainers print them. Pure; every function answers None rather than raise."""

import math

_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_MAX_DIGITS = 18


def whole(digits: str) -> int | None:
    """`1500`, `1,500`, `00003`. A number too long to be a count is no count."""
    digits = digits.replace(",", "")
    return int(digits) if digits.isdecimal() and len(digits) <= _MAX_DIGITS else None


def count(text: str) -> int | None:
    """A bar's count with its unit: `750`, `1.50k`, `3.84G`, `6.2MB`."""
    number = text.rstrip("iB")
    scale = _SCALES.get(number[-1:])
    if scale is None and "." not in number:
        return whole(number)
    amount = decimal(number[:-1] if scale else number)
    return None if amount is None else int(amount * (scale or 1))


def decimal(text: str) -> float | None:
    """`0.0234`, `8.15E+00`. A loss of nan or inf is no number to show."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def seconds(clock: str) -> int | None:
    """`37:50`, `1:11:52`, `1:02:03:04`, in seconds; tqdm's `?` is None."""
    parts = clock.split(":")
    if len(parts) < 2 or not all(part.isdecimal() and len(part) <= _MAX_DIGITS for part in parts):
        return None
    units = (1, 60, 3600, 86_400)
    return sum(int(part) * unit for part, unit in zip(reversed(parts), units, strict=False))
