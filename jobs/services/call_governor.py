"""Who watches over all calls to providers: how many may go out, and when an account is left alone.

What is learnt belongs to an account (a provider and a token) and is shared by all processes through Redis. While Redis
is away, every process learns for itself.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import redis
import structlog
from django.conf import settings

from jobs.circuit_breaker import Breaker, BreakerState
from jobs.services.call_books import Book, Budget, OwnBook, SharedBook
from providers import registry
from providers.calls import CallReport
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderUnavailable,
)

logger = structlog.get_logger(__name__)

# A call waits so long for its turn, and is refused if that would not do.
PATIENCE_SECONDS = 2.0
# A Redis that did not answer is not asked again for so long: a call shall not wait for it each time.
REDIS_PAUSE_SECONDS = 5.0
LONGEST_HOLD_SECONDS = 3600.0
PROBE_LOOK_SECONDS = 0.05
CORRELATION_HEADER = "X-Correlation-ID"
LONGEST_CORRELATION = 128

T = TypeVar("T")

# Told of every call that went out, with the provider's name. They must not raise, and should be quick.
observers: list[Callable[[str, CallReport], None]] = []

_is_check: ContextVar[bool] = ContextVar("is_check", default=False)
_own_books: dict[str, OwnBook] = {}
_redis_is_away_until = 0.0


@dataclass(frozen=True, slots=True)
class BreakerFacts:
    """A provider's breaker, for people. ``until``: when the next call may go out; ``reason``: the provider's error."""

    state: BreakerState = BreakerState.CLOSED
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""
    resting_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallsLeft:
    """A provider's budget. ``at_once``: how many calls may go out now, of ``burst`` at most."""

    at_once: int
    burst: int
    per_minute: int


class CallGovernor:
    """The governor of one account; any number of them in any number of processes share what they know."""

    def __init__(self, name: str, token: str) -> None:
        self._name = name
        self._account = _account(name, token)

    def admit(self, method: str, route: str) -> Mapping[str, str]:
        """Take a place among the calls of this minute, and wait for it if it comes soon.

        Raises without a call: ``ProviderUnavailable`` while nobody answers, ``ProviderAuthError`` while the token is
        refused, ``ProviderRateLimited`` while the provider rests or the calls are used up.
        """
        budget = Budget(per_minute=settings.PROVIDER_CALLS_PER_MINUTE)

        def take(book: Book) -> float:
            place = book.take(f"{method} {route}", budget, patience=PATIENCE_SECONDS, is_allowed=False)
            if place.breaker:
                self._pass(book)
                place = book.take(f"{method} {route}", budget, patience=PATIENCE_SECONDS, is_allowed=True)
            if place.short_seconds is not None:
                raise self._used_up(place.short_seconds)
            return place.wait_seconds

        if (wait := _with_book(self._account, take)) > 0:
            time.sleep(wait)
        return _correlation()

    def report(self, report: CallReport) -> None:
        """Learn from a call, and tell the observers."""
        _with_book(self._account, lambda book: self._learn(book, report))
        if report.remaining == 0 and report.reset_seconds:
            seconds = min(report.reset_seconds, LONGEST_HOLD_SECONDS)
            _with_book(self._account, lambda book: book.hold_back(f"{report.method} {report.route}", seconds))
        for observer in observers:
            observer(self._name, report)

    def _pass(self, book: Book) -> None:
        """Go past the breaker, as its one probe if it is not closed. Raises ``ProviderError``.

        While another call is the probe, its outcome is waited for: a round that begins with the probe shall be whole.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            place = book.look()
            before = Breaker.from_json(place.breaker)
            after = before.admit(place.now, is_check=_is_check.get())
            if after is None:
                if before.state is not BreakerState.HALF_OPEN or time.monotonic() > deadline:
                    raise self._refusal(before, place.now)
                time.sleep(PROBE_LOOK_SECONDS)
            elif after == before:
                return
            elif book.replace(place.breaker, after.to_json()):
                logger.info("provider is tried again", provider=self._name, state=before.state.value)
                return

    def _learn(self, book: Book, report: CallReport) -> None:
        while True:
            place = book.look()
            before = Breaker.from_json(place.breaker)
            after = _after(before, report, place.now)
            if after == before:
                return
            if book.replace(place.breaker, after.to_json()):
                self._tell(before, after)
                return

    def _tell(self, before: Breaker, after: Breaker) -> None:
        """One line for each change, in one of the processes."""
        if after.state is before.state:
            return
        if after.state is BreakerState.REFUSED:
            logger.error(
                "provider refused the token; it is not asked any more", provider=self._name, reason=after.reason
            )
        elif after.state is BreakerState.OPEN:
            logger.warning(
                "provider does not answer; it is left alone",
                provider=self._name,
                until=_clock(after.until),
                openings=after.openings,
                reason=after.reason,
            )
        elif after.state is BreakerState.CLOSED:
            logger.info("provider answers again", provider=self._name)

    def _refusal(self, breaker: Breaker, now: float) -> ProviderError:
        label = registry.get_label(self._name)
        if breaker.rest_until is not None and breaker.is_resting(now):
            return ProviderRateLimited(
                f"{label} asks us to slow down. Next try at {_clock(breaker.rest_until)}.",
                retry_after=breaker.rest_until - now,
                without_call=True,
            )
        if breaker.state is BreakerState.REFUSED:
            return ProviderAuthError(
                f"{breaker.reason} It is not asked any more until the token is changed or checked; "
                f"by itself at {_clock(breaker.until)}.",
                without_call=True,
            )
        next_try = "it is being tried now" if breaker.state is BreakerState.HALF_OPEN else _clock(breaker.until)
        return ProviderUnavailable(
            f"{label} has not answered since {_clock(breaker.since)}. Next try: {next_try}. "
            f"The last trouble: {breaker.reason}",
            without_call=True,
        )

    def _used_up(self, seconds: float) -> ProviderRateLimited:
        return ProviderRateLimited(
            f"The calls that {registry.get_label(self._name)} allows are used up for now. "
            f"Next try in {max(round(seconds), 1)} s.",
            retry_after=seconds,
            without_call=True,
        )


@contextmanager
def checking() -> Iterator[None]:
    """Inside, calls are a person's check: a breaker lets them through, though not one right after the other."""
    token = _is_check.set(True)
    try:
        yield
    finally:
        _is_check.reset(token)


def breaker_state(name: str) -> BreakerFacts:
    """The breaker of a provider's present account; a closed one if it is not configured. Asks nobody but Redis."""
    try:
        account = _account(name, registry.get_token(name))
    except ProviderNotConfigured:
        return BreakerFacts()
    place = _with_book(account, lambda book: book.look())
    breaker = Breaker.from_json(place.breaker)
    return BreakerFacts(
        state=breaker.state,
        since=_time(breaker.since),
        until=_time(breaker.until),
        reason=breaker.reason,
        resting_until=_time(breaker.rest_until) if breaker.is_resting(place.now) else None,
    )


def calls_left(name: str) -> CallsLeft | None:
    """The budget of a provider's present account; ``None`` if it is not configured. Asks nobody but Redis."""
    try:
        account = _account(name, registry.get_token(name))
    except ProviderNotConfigured:
        return None
    budget = Budget(per_minute=settings.PROVIDER_CALLS_PER_MINUTE)
    left = _with_book(account, lambda book: book.left(budget))
    return CallsLeft(at_once=max(int(left), 0), burst=int(budget.burst), per_minute=budget.per_minute)


def forget_breaker(name: str, token: str) -> None:
    """Let the account be asked at once, whatever was learnt of it: its token has just been set."""

    def forget(book: Book) -> bool:
        before = book.look().breaker
        return not before or book.replace(before, "")

    _with_book(_account(name, token), forget)


def forget_own_books() -> None:
    """Drop what this process has learnt for itself."""
    global _redis_is_away_until
    _redis_is_away_until = 0.0
    _own_books.clear()


def _after(before: Breaker, report: CallReport, now: float) -> Breaker:
    error = report.error
    if isinstance(error, ProviderRateLimited):
        return before.after_slow_down(now, error.retry_after)
    if isinstance(error, ProviderAuthError):
        # 403 may be about one thing that this token must not see; 401 is about the token.
        subject = report.subject if report.status == 403 else ""
        return before.after_refusal(now, error.message, subject=subject)
    if isinstance(error, ProviderUnavailable):
        return before.after_silence(now, error.message, subject=report.subject, dice=random.uniform)
    return before.after_answer(now) if report.status is not None else before


def _with_book(account: str, use: Callable[[Book], T]) -> T:
    global _redis_is_away_until
    if time.monotonic() >= _redis_is_away_until:
        try:
            return use(SharedBook(account))
        except redis.RedisError as error:
            _redis_is_away_until = time.monotonic() + REDIS_PAUSE_SECONDS
            logger.warning("calls are counted within this process only: Redis is away", error=str(error))
    return use(_own_books.setdefault(account, OwnBook()))


def _account(name: str, token: str) -> str:
    """The name of an account, which tells nothing of its token."""
    return f"{name}:{hashlib.blake2b(token.encode(), digest_size=8, person=b'account').hexdigest()}"


def _correlation() -> Mapping[str, str]:
    value = structlog.contextvars.get_contextvars().get("correlation_id")
    is_fit = isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= LONGEST_CORRELATION
    return {CORRELATION_HEADER: str(value)} if value and is_fit else {}


def _time(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None


def _clock(seconds: float | None) -> str:
    moment = _time(seconds)
    return f"{moment:%H:%M:%S} UTC" if moment else "now"
