"""Asking a provider: whether it may be asked now, and what came of it.

Whether a call may go out is decided below, by ``jobs.services.call_governor``. Here is noted how a provider's calls
went, for all processes through Redis.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import redis
import structlog
from django.utils import timezone

from jobs import coordination
from jobs.circuit_breaker import BreakerState
from jobs.services.call_governor import BreakerFacts, breaker_state
from providers import registry
from providers.base import Provider
from providers.calls import CallReport
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRejected,
    RemoteJobNotFound,
    UnknownProvider,
)

logger = structlog.get_logger(__name__)

# What this process last heard of the providers' clocks. It is told to the others with the next success.
_clocks_ahead: dict[str, float] = {}
# And of the calls that they themselves say are left.
_counts_left: dict[str, int] = {}

# These say something of the request, not of the provider: it was reached, and it answered.
ANSWERS = (RemoteJobNotFound, ProviderRejected)


@dataclass(frozen=True, slots=True)
class ProviderState:
    """How a provider's last calls went, and whether it is asked at present.

    ``clock_ahead_seconds``: by how much its clock is ahead of ours; negative if it is behind.
    ``calls_left``: by its own count after the last call that it answered; ``None`` if it does not say.
    """

    last_success_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str = ""
    breaker: BreakerFacts = field(default_factory=BreakerFacts)
    clock_ahead_seconds: float = 0.0
    calls_left: int | None = None

    @property
    def resting_until(self) -> datetime | None:
        return self.breaker.resting_until

    @property
    def is_failing(self) -> bool:
        if self.breaker.state is not BreakerState.CLOSED:
            return True
        if self.last_error_at is None:
            return False
        return self.last_success_at is None or self.last_error_at > self.last_success_at


@contextmanager
def asking(name: str) -> Iterator[Provider]:
    """Give the provider, and note how the calls inside went.

    Raises ``ProviderError``; it says ``without_call`` if the provider is to be left alone.
    """
    provider = registry.get_provider(name)
    try:
        yield provider
    except ProviderError as error:
        note_failure(name, error)
        raise
    note_success(name)


def note_success(name: str) -> None:
    """Remember that the provider answered."""
    ahead = _clocks_ahead.get(name, 0.0)
    facts: dict[Any, Any] = {
        "last_success_at": timezone.now().isoformat(),
        "clock_ahead_seconds": round(ahead, 1),
    }
    if name in _counts_left:
        facts["calls_left"] = _counts_left[name]
    _note(name, facts)


def note_clock(name: str, report: CallReport) -> None:
    """Remember what one call told of the provider's clock."""
    if report.clock_ahead_seconds is not None:
        _clocks_ahead[name] = report.clock_ahead_seconds


def note_count(name: str, report: CallReport) -> None:
    """Remember how many calls the provider says are left."""
    if report.remaining is not None:
        _counts_left[name] = report.remaining


def forget_clocks() -> None:
    """Drop what this process has heard of the providers' clocks and counts."""
    _clocks_ahead.clear()
    _counts_left.clear()


def note_failure(name: str, error: ProviderError) -> None:
    """Remember a failed call."""
    if error.without_call or isinstance(error, UnknownProvider | ProviderNotConfigured):
        return
    if isinstance(error, ANSWERS):
        note_success(name)
        return
    # A refused token is told by the breaker, once.
    log = logger.info if isinstance(error, ProviderAuthError) else logger.warning
    log("provider call failed", provider=name, kind=type(error).__name__, error=error.message)
    _note(name, {"last_error_at": timezone.now().isoformat(), "last_error": error.message})


def provider_state(name: str) -> ProviderState:
    """What all processes together know of a provider; what this one knows if Redis is away."""
    breaker = breaker_state(name)
    try:
        facts = cast("dict[str, str]", coordination.client().hgetall(_state_key(name)))
    except redis.RedisError as error:
        logger.warning("provider state unknown: Redis is away", provider=name, error=str(error))
        return ProviderState(breaker=breaker)
    return ProviderState(
        last_success_at=_time(facts.get("last_success_at")),
        last_error_at=_time(facts.get("last_error_at")),
        last_error=facts.get("last_error", ""),
        breaker=breaker,
        clock_ahead_seconds=float(facts.get("clock_ahead_seconds", 0.0)),
        calls_left=int(facts["calls_left"]) if "calls_left" in facts else None,
    )


def _note(name: str, facts: dict[Any, Any]) -> None:
    try:
        coordination.client().hset(_state_key(name), mapping=facts)
    except redis.RedisError as error:
        logger.warning("provider state not shared: Redis is away", provider=name, error=str(error))


def _state_key(name: str) -> str:
    return coordination.key(f"provider:{name}")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
