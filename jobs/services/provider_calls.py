"""Asking a provider: whether it may be asked now, and what came of it.

What is learnt is shared by all processes through Redis; without Redis each call simply goes out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import redis
import structlog
from django.utils import timezone

from jobs import coordination
from providers import registry
from providers.base import Provider
from providers.errors import (
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderRejected,
    RemoteJobNotFound,
    UnknownProvider,
)

logger = structlog.get_logger(__name__)

# When a provider says "slow down" but names no time. Replicate's own texts speak of up to 30 s.
DEFAULT_REST_SECONDS = 30.0
LONGEST_REST_SECONDS = 3600.0
# These say something of the request, not of the provider: it was reached, and it answered.
ANSWERS = (RemoteJobNotFound, ProviderRejected)


@dataclass(frozen=True, slots=True)
class ProviderState:
    """How a provider's last calls went."""

    last_success_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str = ""
    resting_until: datetime | None = None

    @property
    def is_failing(self) -> bool:
        if self.last_error_at is None:
            return False
        return self.last_success_at is None or self.last_error_at > self.last_success_at


@contextmanager
def asking(name: str) -> Iterator[Provider]:
    """Give the provider, unless it asked for rest, and note how the calls inside went.

    Raises ``ProviderError``: ``ProviderRateLimited`` without any call while it rests.
    """
    provider = registry.get_provider(name)
    _refuse_while_resting(name)
    try:
        yield provider
    except ProviderError as error:
        note_failure(name, error)
        raise
    _note(name, {"last_success_at": timezone.now().isoformat()})


def note_failure(name: str, error: ProviderError) -> None:
    """Remember a failed call; after "slow down" nobody asks again before the time."""
    if isinstance(error, UnknownProvider | ProviderNotConfigured):
        return
    now = timezone.now()
    if isinstance(error, ANSWERS):
        _note(name, {"last_success_at": now.isoformat()})
        return
    facts = {"last_error_at": now.isoformat(), "last_error": error.message}
    if isinstance(error, ProviderRateLimited):
        seconds = min(DEFAULT_REST_SECONDS if error.retry_after is None else error.retry_after, LONGEST_REST_SECONDS)
        facts["resting_until"] = (now + timedelta(seconds=seconds)).isoformat()
    logger.warning("provider call failed", provider=name, kind=type(error).__name__, error=error.message)
    _note(name, facts)


def provider_state(name: str) -> ProviderState:
    """What all processes together know of a provider; empty if Redis is away."""
    try:
        facts = cast("dict[str, str]", coordination.client().hgetall(_state_key(name)))
    except redis.RedisError as error:
        logger.warning("provider state unknown: Redis is away", provider=name, error=str(error))
        return ProviderState()
    resting_until = _time(facts.get("resting_until"))
    return ProviderState(
        last_success_at=_time(facts.get("last_success_at")),
        last_error_at=_time(facts.get("last_error_at")),
        last_error=facts.get("last_error", ""),
        resting_until=resting_until if resting_until and resting_until > timezone.now() else None,
    )


def _refuse_while_resting(name: str) -> None:
    until = provider_state(name).resting_until
    if until is None:
        return
    seconds = max((until - timezone.now()).total_seconds(), 0.0)
    label = registry.get_label(name)
    raise ProviderRateLimited(f"{label} asks us to slow down. Next try in {seconds:.0f} s.", retry_after=seconds)


def _note(name: str, facts: dict[Any, Any]) -> None:
    try:
        coordination.client().hset(_state_key(name), mapping=facts)
    except redis.RedisError as error:
        logger.warning("provider state not shared: Redis is away", provider=name, error=str(error))


def _state_key(name: str) -> str:
    return coordination.key(f"provider:{name}")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
