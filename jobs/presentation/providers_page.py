"""The page on providers: whose account, how its calls go, what is set. No provider is asked for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.circuit_breaker import BreakerState
from jobs.models import PollCycle
from jobs.policy import PollingPolicy
from jobs.presentation.formats import Moment, duration, moment, number
from jobs.presentation.retold import retold_plainly
from jobs.presentation.statuses import StatusBadge
from jobs.services import provider_accounts, webhook_facts
from jobs.services.call_governor import BreakerFacts, CallsLeft, calls_left
from jobs.services.polling import current_policy
from jobs.services.provider_accounts import ProviderOverview
from jobs.services.provider_config import ConfigSource, provider_config
from jobs.services.provider_tokens import TokenSource, TokenStanding, token_standing

SHOWN_CYCLES = 10
# Below this a clock is as right as it need be.
TOLERATED_CLOCK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Cycle:
    """One round of the poller."""

    started: Moment | None
    took: str
    active_jobs: int
    changed: int
    failed: int
    error: str


@dataclass(frozen=True, slots=True)
class ProviderCard:
    """What the page shows of one provider; ``webhook_silence``, ``clock`` and ``held_until`` only if there is any."""

    name: str
    label: str
    standing: StatusBadge
    is_sandbox: bool
    token: TokenStanding
    token_source: str
    can_set_token: bool
    webhook_url: str
    webhook_source: str
    webhook_last: Moment | None
    webhook_silence: str
    last_success: Moment | None
    last_error: Moment | None
    last_error_text: str
    breaker: str
    held_until: Moment | None
    clock: str
    calls_per_minute: int
    calls_left: str
    own_count: str
    status_page: str
    cycles: list[Cycle]


@dataclass(frozen=True, slots=True)
class ProvidersPage:
    """All providers, and what the webhook URLs together mean for polling."""

    cards: list[ProviderCard]
    polling: str


def providers_page(now: datetime | None = None) -> ProvidersPage:
    """A few queries for each provider."""
    now = now or timezone.now()
    return ProvidersPage([_card(each, now) for each in provider_accounts.overviews()], _polling(current_policy()))


def _card(overview: ProviderOverview, now: datetime) -> ProviderCard:
    state, token, config = overview.state, token_standing(overview.name), provider_config(overview.name)
    cycles = PollCycle.objects.filter(provider=overview.name).order_by("-pk")[:SHOWN_CYCLES]
    return ProviderCard(
        name=overview.name,
        label=overview.label,
        standing=_standing(overview),
        is_sandbox=overview.is_sandbox,
        token=token,
        token_source=_token_source(token),
        can_set_token=token.origin is not TokenSource.ENVIRONMENT,
        webhook_url=config.webhook_url,
        webhook_source=_webhook_source(config.webhook_url_source),
        webhook_last=moment(webhook_facts.last_received_at(overview.name), now),
        webhook_silence=_silence(overview.name),
        last_success=moment(state.last_success_at, now),
        last_error=moment(state.last_error_at, now),
        last_error_text=state.last_error,
        breaker=_breaker(state.breaker),
        held_until=_held_until(state.breaker, now),
        clock=_clock(state.clock_ahead_seconds),
        calls_per_minute=settings.PROVIDER_CALLS_PER_MINUTE,
        calls_left=_calls_left(calls_left(overview.name)),
        own_count=_own_count(state.calls_left, overview.label),
        status_page=_status_page(overview.name),
        cycles=[
            Cycle(
                started=moment(cycle.started_at, now),
                took=_("%(seconds)s s") % {"seconds": number(cycle.seconds, 1)},
                active_jobs=cycle.active_jobs,
                changed=cycle.changed,
                failed=cycle.failed,
                error=cycle.error,
            )
            for cycle in cycles
        ],
    )


def _standing(overview: ProviderOverview) -> StatusBadge:
    if not overview.is_configured:
        return StatusBadge(value="unknown", label=_("Not configured"), icon="pending", tone="neutral")
    if overview.state.breaker.state is BreakerState.REFUSED:
        return StatusBadge(value="failed", label=_("Token refused"), icon="failed", tone="danger")
    if overview.state.is_failing:
        return StatusBadge(value="failed", label=_("Not reached"), icon="warning", tone="warning")
    if overview.state.last_success_at is None:
        return StatusBadge(value="pending", label=_("Not asked yet"), icon="pending", tone="neutral")
    return StatusBadge(value="completed", label=_("Answers"), icon="completed", tone="success")


def _token_source(token: TokenStanding) -> str:
    match token.origin:
        case TokenSource.ENVIRONMENT:
            return _("from the environment, where it has to be changed")
        case TokenSource.STORED:
            return _("stored here, encrypted; used from the next start on") if token.is_waiting else _("stored here")
        case TokenSource.NONE:
            return _("none")


def _webhook_source(source: ConfigSource) -> str:
    return {
        ConfigSource.SETTINGS: _("set here"),
        ConfigSource.FILE: _("from the enterprise file; what is set here wins over it"),
        ConfigSource.NONE: "",
    }[source]


def _silence(provider: str) -> str:
    silence = webhook_facts.silence(provider)
    if silence is None:
        return ""
    return _("Jobs run, but for %(time)s no webhook has come. Check that the URL is reached from outside.") % {
        "time": duration(silence.seconds)
    }


def _breaker(facts: BreakerFacts) -> str:
    words = {
        BreakerState.CLOSED: _("Closed: calls go out"),
        BreakerState.OPEN: _("Open: no calls go out"),
        BreakerState.HALF_OPEN: _("Half open: one call tries whether it is back"),
        BreakerState.REFUSED: _("Open: the token was refused"),
    }
    if facts.state is BreakerState.CLOSED and facts.resting_until:
        return _("The provider asked us to slow down")
    return words[facts.state]


def _calls_left(left: CallsLeft | None) -> str:
    """Nothing for a provider that is not asked at all."""
    if left is None:
        return ""
    if left.waiting:
        return ngettext(
            "none at once; %(count)s call waits for its turn",
            "none at once; %(count)s calls wait for their turn",
            left.waiting,
        ) % {"count": left.waiting}
    facts = {"now": left.now, "burst": left.burst, "time": duration(max(left.full_in_seconds, 1.0))}
    if left.now >= left.burst:
        return _("%(now)s of %(burst)s at once") % facts
    return _("%(now)s of %(burst)s at once; all again in %(time)s") % facts


def _own_count(left: int | None, provider: str) -> str:
    if left is None:
        return ""
    return ngettext(
        "%(provider)s itself counts %(count)s more after the last one",
        "%(provider)s itself counts %(count)s more after the last one",
        left,
    ) % {"provider": provider, "count": number(left)}


def _held_until(facts: BreakerFacts, now: datetime) -> Moment | None:
    until = facts.until if facts.state is not BreakerState.CLOSED else facts.resting_until
    return moment(until, now) if until and until > now else None


def _clock(ahead_seconds: float) -> str:
    if abs(ahead_seconds) < TOLERATED_CLOCK_SECONDS:
        return ""
    span = duration(timedelta(seconds=abs(ahead_seconds)).total_seconds())
    if ahead_seconds > 0:
        return _("The provider's clock is %(time)s ahead of ours.") % {"time": span}
    return _("The provider's clock is %(time)s behind ours.") % {"time": span}


def _polling(policy: PollingPolicy) -> str:
    if policy.enabled:
        return _("Active jobs are asked for every %(seconds)s s: %(reason)s.") % {
            "seconds": f"{policy.interval_seconds:g}",
            "reason": retold_plainly(policy.reason),
        }
    if policy.reconcile_seconds:
        return _(
            "Polling is off: %(reason)s. A job that nobody has heard of for %(seconds)s s is asked for all the same."
        ) % {"seconds": f"{policy.reconcile_seconds:g}", "reason": retold_plainly(policy.reason)}
    return _("Polling is off: %(reason)s.") % {"reason": retold_plainly(policy.reason)}


def _status_page(provider: str) -> str:
    parts = urlsplit(str(settings.PROVIDERS.get(provider, {}).get("status_url") or ""))
    return f"{parts.scheme}://{parts.netloc}/" if parts.scheme in ("http", "https") and parts.netloc else ""
