"""Sandbox or live: decided by the presence of a token, and never mixed (SPEC B1.3)."""

from enum import StrEnum


class StoreMode(StrEnum):
    """Which world a store belongs to."""

    SANDBOX = "sandbox"
    LIVE = "live"


def store_mode(token: str) -> StoreMode:
    """Without a token we run against the bundled sandbox."""
    return StoreMode.LIVE if token else StoreMode.SANDBOX
