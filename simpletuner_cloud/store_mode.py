"""Sandbox or live: decided once, at the start, and never mixed (SPEC B1.3)."""

from enum import StrEnum
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from jobs import waiting_token

VARIABLE = "SIMPLETUNER_STORE"


class StoreMode(StrEnum):
    """Which world a store belongs to."""

    SANDBOX = "sandbox"
    LIVE = "live"


def store_mode(token: str, *, home: Path, chosen: str = "") -> StoreMode:
    """Live with a token, in the environment or stored; otherwise the bundled sandbox. ``chosen`` goes before that:

    by the operator, or by ``manage.py up``, which decides once for all processes that it starts and starts again.
    Raises ``ImproperlyConfigured`` for a choice that is none, or that the token contradicts.
    """
    if chosen and chosen not in list(StoreMode):
        raise ImproperlyConfigured(f"{VARIABLE} must be one of {', '.join(StoreMode)}; it is {chosen!r}.")
    if chosen == StoreMode.SANDBOX and token:
        raise ImproperlyConfigured(f"{VARIABLE} is sandbox, but REPLICATE_API_TOKEN names a real account: unset one.")
    if chosen:
        return StoreMode(chosen)
    has_token = bool(token) or waiting_token.exists_any(home / StoreMode.LIVE.value)
    return StoreMode.LIVE if has_token else StoreMode.SANDBOX
