"""When an account at a provider is to be left alone (a circuit breaker).

Pure: the caller brings the clock and the dice. Times are seconds since the epoch, by one clock that all who share a
breaker read.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

# So many calls in a row without an answer mean that the provider is gone.
CALLS_WITHOUT_ANSWER = 5
FIRST_PAUSE_SECONDS = 5.0
SHORTEST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
# After that, a probe whose sender died is given up; a call's own deadline is well below.
PROBE_SECONDS = 30.0
# A provider that stumbles may refuse a good token for a moment: jobs must not run unseen for a quarter of an hour then.
FIRST_REFUSED_PAUSE_SECONDS = 120.0
REFUSED_PAUSE_SECONDS = 900.0
# Between two checks that people ask for.
CHECK_PAUSE_SECONDS = 5.0
# When a provider says "slow down" but names no time. Replicate's own texts speak of up to 30 s.
DEFAULT_REST_SECONDS = 30.0
LONGEST_REST_SECONDS = 3600.0
SEVERAL = "*"

Dice = Callable[[float, float], float]


class BreakerState(StrEnum):
    """``refused``: the provider does not take the token. ``half_open``: one call is trying whether it is back."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What the last calls of an account taught.

    ``silent``: calls in a row without an answer. ``subject``: the one job they were about, ``SEVERAL`` if they were
    about more. ``openings`` in a row, or refusals by a probe.
    ``is_probing`` a refused token. ``until``: nobody calls before. ``rest_until``: the provider asked for rest.
    """

    state: BreakerState = BreakerState.CLOSED
    silent: int = 0
    subject: str = ""
    openings: int = 0
    since: float | None = None
    until: float | None = None
    tried_at: float | None = None
    reason: str = ""
    rest_until: float | None = None
    is_probing: bool = False

    def is_resting(self, now: float) -> bool:
        """Whether the provider's "slow down" still holds."""
        return self.rest_until is not None and now < self.rest_until

    def admit(self, now: float, *, is_check: bool = False) -> "Breaker | None":
        """What it is once one more call has gone out; ``None``: none may. ``is_check``: a person wants to know."""
        if self.is_resting(now):
            return None
        if self.state is BreakerState.CLOSED:
            return self
        is_due = self.until is None or now >= self.until
        if is_check and self.state is not BreakerState.HALF_OPEN:
            is_due = is_due or self.tried_at is None or now >= self.tried_at + CHECK_PAUSE_SECONDS
        if not is_due:
            return None
        if self.state is BreakerState.REFUSED:
            return replace(self, tried_at=now, until=now + PROBE_SECONDS, is_probing=True)
        return replace(self, state=BreakerState.HALF_OPEN, tried_at=now, until=now + PROBE_SECONDS)

    def after_answer(self, now: float) -> "Breaker":
        """An answer closes it, whatever it says of the thing asked for."""
        return Breaker(rest_until=self.rest_until if self.is_resting(now) else None)

    def after_slow_down(self, now: float, seconds: float | None) -> "Breaker":
        """A provider that asks for rest is there. Of two times the later one holds."""
        pause = min(DEFAULT_REST_SECONDS if seconds is None else seconds, LONGEST_REST_SECONDS)
        return Breaker(rest_until=max(now + pause, self.rest_until or 0.0))

    def after_silence(self, now: float, reason: str, *, subject: str, dice: Dice) -> "Breaker":
        """No answer. ``subject``: the one job that the call was about, empty if it was about the account.

        A single job that gets no answer, however often, does not speak for its provider.
        """
        if self.state is BreakerState.HALF_OPEN:
            return self._opened(now, reason, dice)
        if self.state is not BreakerState.CLOSED:
            return self
        suspect = self._suspecting(subject)
        return suspect._opened(now, reason, dice) if suspect._is_proven else suspect

    def after_refusal(self, now: float, reason: str, *, subject: str) -> "Breaker":
        """The token was refused; with a ``subject`` it may be that the token does for all but this one job."""
        if self.state is BreakerState.REFUSED:
            if not self.is_probing:
                # A call that was under way when the first one was refused.
                return self
            pause = min(FIRST_REFUSED_PAUSE_SECONDS * 2.0 ** min(self.openings + 1, 30), REFUSED_PAUSE_SECONDS)
            return replace(self, reason=reason, openings=self.openings + 1, until=now + pause, is_probing=False)
        if subject and self.state is BreakerState.CLOSED:
            suspect = self._suspecting(subject)
            if not suspect._is_proven:
                return suspect
        return Breaker(
            state=BreakerState.REFUSED,
            since=now,
            until=now + FIRST_REFUSED_PAUSE_SECONDS,
            tried_at=now,
            reason=reason,
            rest_until=self.rest_until,
        )

    def to_json(self) -> str:
        """Empty for a breaker that holds nothing back and suspects nothing."""
        return "" if self == Breaker() else json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "Breaker":
        """What was stored; a closed one for what another version of this program stored."""
        if not text:
            return cls()
        try:
            facts = json.loads(text)
            return cls(**(facts | {"state": BreakerState(facts["state"])}))
        except (ValueError, TypeError, KeyError):
            return cls()

    @property
    def _is_proven(self) -> bool:
        return self.silent >= CALLS_WITHOUT_ANSWER and self.subject == SEVERAL

    def _suspecting(self, subject: str) -> "Breaker":
        is_first_or_same = subject and self.subject in ("", subject)
        return replace(
            self,
            silent=min(self.silent + 1, CALLS_WITHOUT_ANSWER),
            subject=subject if is_first_or_same else SEVERAL,
        )

    def _opened(self, now: float, reason: str, dice: Dice) -> "Breaker":
        """Back-off with full jitter: anything up to a limit that doubles each time."""
        limit = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.openings, 30), LONGEST_PAUSE_SECONDS)
        return Breaker(
            state=BreakerState.OPEN,
            openings=self.openings + 1,
            since=self.since if self.since is not None else now,
            until=now + max(dice(0.0, limit), SHORTEST_PAUSE_SECONDS),
            tried_at=now,
            reason=reason,
            rest_until=self.rest_until,
        )
