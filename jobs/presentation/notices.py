"""What is not well with the service, one line each, for the strip below the page's head."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import VIEW_ALL, Actor
from jobs.circuit_breaker import BreakerState
from jobs.presentation.formats import money, percent
from jobs.presentation.retold import retold_plainly
from jobs.services import at_risk, health
from jobs.services.provider_calls import provider_state
from providers import names

# One line may be put away for so long: then it is told again, if it is still true.
SNOOZE_SECONDS = 3600
SNOOZE_PREFIX = "snoozed_"
# What may be the key of a notice, and the end of a cookie's name.
KEY = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Notice:
    """A part that is not well, and what it says of itself. ``label`` is empty if the message begins with the name."""

    key: str
    label: str
    message: str
    is_grave: bool


# Who does not need to be told of, as the trouble of these explains it.
CAUSES = {
    "workers": ("redis",),
    "beat": ("redis",),
    "queue": ("redis", "workers"),
    "poller": ("redis", "workers", "beat"),
    "replicate": ("redis",),
}


# These tell of everybody's jobs, or of the machine.
FOR_THOSE_WHO_SEE_ALL = frozenset({"queue", "webhooks", "disk"})


def notices(actor: Actor, *, snoozed: Collection[str] = (), now: datetime | None = None) -> list[Notice]:
    """Nothing while all is well. No provider is asked: what is remembered of its last calls is told.

    What is ``snoozed`` is left out, unless it is grave.
    """
    now = now or timezone.now()
    found = [*_of_the_service(actor), *_of_money(actor, now), *_of_logs(actor, now)]
    return [notice for notice in found if notice.is_grave or notice.key not in snoozed]


def snoozed_keys(cookies: Mapping[str, str]) -> frozenset[str]:
    """What a browser has put away for a while."""
    return frozenset(name.removeprefix(SNOOZE_PREFIX) for name in cookies if name.startswith(SNOOZE_PREFIX))


def _of_the_service(actor: Actor) -> Iterator[Notice]:
    troubled = {part.name: part for part in health.report().components if part.status is not health.Health.HEALTHY}
    for component in troubled.values():
        is_for_all = actor.can(VIEW_ALL) or component.name not in FOR_THOSE_WHO_SEE_ALL
        if is_for_all and not any(cause in troubled for cause in CAUSES.get(component.name, ())):
            message = _incident(component.name) or component.message
            yield Notice(
                key=component.name,
                label="" if message.startswith(_label(component.name)) else _label(component.name),
                message=message,
                is_grave=component.status is health.Health.UNHEALTHY,
            )


def _incident(name: str) -> str:
    """A provider's trouble: since when, and what is shown meanwhile. Empty for what is no incident of a provider."""
    if name not in names.LABELS:
        return ""
    state = provider_state(name)
    breaker = state.breaker
    if breaker.state is BreakerState.CLOSED or breaker.since is None:
        return ""
    provider = {
        "provider": names.LABELS[name],
        "since": _clock(breaker.since),
        "reason": retold_plainly(breaker.reason),
    }
    if breaker.state is BreakerState.REFUSED:
        told = _("Since %(since)s the token is refused: nothing is asked until it is changed or checked. %(reason)s")
    else:
        told = _("%(provider)s has not answered since %(since)s. %(reason)s")
    parts = [told % provider]
    if breaker.until is not None and breaker.state is BreakerState.OPEN:
        parts.append(_("It is tried again at %(time)s.") % {"time": _clock(breaker.until)})
    if state.last_success_at is not None:
        parts.append(_("What is shown was read at %(time)s.") % {"time": _clock(state.last_success_at)})
    return " ".join(parts)


def _of_money(actor: Actor, now: datetime) -> Iterator[Notice]:
    for used in at_risk.used_limits(actor, now):
        facts = {
            "provider": names.LABELS.get(used.provider, used.provider),
            "percent": percent(float(used.percent)),
            "spent": money(used.check.spent_usd),
            "limit": money(used.check.limit_usd),
        }
        message = (
            _("The cost limit of %(limit)s for %(provider)s is reached: %(spent)s spent.")
            if used.check.is_reached
            else _("%(percent)s of the cost limit of %(limit)s for %(provider)s are used: %(spent)s spent.")
        )
        yield Notice(key=f"limit-{used.provider}", label=_("Spend"), message=message % facts, is_grave=False)
    if count := len(at_risk.used_budgets(actor)):
        message = ngettext(
            "%(count)s running job has used 80 %% of its budget or more.",
            "%(count)s running jobs have used 80 %% of their budgets or more.",
            count,
        )
        yield Notice(key="budget", label=_("Budgets"), message=message % {"count": count}, is_grave=False)


def _of_logs(actor: Actor, now: datetime) -> Iterator[Notice]:
    vanishing = at_risk.vanishing_logs(actor, now)
    if vanishing is None:
        return
    minutes = max(round((vanishing.soonest_at - now).total_seconds() / 60), 1)
    message = ngettext(
        "%(count)s log could not be read yet, and its provider deletes it in %(minutes)s min.",
        "%(count)s logs could not be read yet, and their provider deletes the first in %(minutes)s min.",
        vanishing.count,
    )
    facts = {"count": vanishing.count, "minutes": minutes}
    yield Notice(key="logs", label=_("Logs"), message=message % facts, is_grave=False)


def _clock(time: datetime) -> str:
    return f"{time:%H:%M} UTC"


def _label(name: str) -> str:
    labels = {
        "database": _("Database"),
        "redis": _("Redis"),
        "workers": _("Background updates"),
        "beat": _("Background updates"),
        "poller": _("Background updates"),
        "queue": _("Queue"),
        "webhooks": _("Webhooks"),
        "disk": _("Disk"),
    }
    return labels.get(name) or names.LABELS.get(name, name)
