"""How the parts are doing (SPEC B5): what an operator looks at first."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import redis
from django.db import DatabaseError, connection
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import coordination
from jobs.services import background_switch, polling
from jobs.services.provider_accounts import validate
from jobs.services.provider_calls import provider_state
from providers import registry

STARTED = time.monotonic()
LATE_AFTER_INTERVALS = 3


class Health(StrEnum):
    """The words of the health answer; worse is later."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


SEVERITY = (Health.HEALTHY, Health.DEGRADED, Health.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class Component:
    """One part and how it is; ``latency_ms`` where it was asked."""

    name: str
    status: Health
    message: str
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All parts; the whole is as well as its worst part."""

    status: Health
    uptime_seconds: float
    components: tuple[Component, ...]


def report(*, include_providers: bool = False) -> HealthReport:
    """Look at every part. With ``include_providers`` each provider is asked who we are."""
    database = _timed("database", _check_database)
    components = [database, _timed("redis", _check_redis)]
    if database.status is Health.HEALTHY:
        components.append(_poller())
    for name in registry.provider_names():
        components.append(_asked_provider(name) if include_providers else _remembered_provider(name))
    worst = max((component.status for component in components), key=SEVERITY.index)
    return HealthReport(worst, time.monotonic() - STARTED, tuple(components))


def is_ready() -> bool:
    """Whether requests can be served: the database answers."""
    return _timed("database", _check_database).status is Health.HEALTHY


def _timed(name: str, check: Callable[[], None]) -> Component:
    started = time.monotonic()
    try:
        check()
    except DatabaseError as error:
        return Component(name, Health.UNHEALTHY, _("The database does not answer: %(error)s") % {"error": error})
    except redis.RedisError:
        return Component(
            name, Health.DEGRADED, _("Redis does not answer: no background work and no instant events until it does.")
        )
    return Component(name, Health.HEALTHY, "ok", round((time.monotonic() - started) * 1000, 2))


def _check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _check_redis() -> None:
    coordination.client().ping()


def _poller() -> Component:
    policy = polling.current_policy()
    if not policy.enabled:
        return Component("poller", Health.HEALTHY, policy.describe())
    if not background_switch.is_running():
        return Component(
            "poller", Health.DEGRADED, _("The background work is not running: no beat, no worker, or stopped.")
        )
    cycle = polling.last_cycle()
    if cycle is None:
        return Component("poller", Health.HEALTHY, f"{policy.describe()}; the first cycle is still to come")
    age = (timezone.now() - cycle.started_at).total_seconds()
    message = f"{policy.describe()}; last cycle {age:.0f} s ago"
    is_late = age > LATE_AFTER_INTERVALS * policy.interval_seconds
    return Component("poller", Health.DEGRADED if is_late else Health.HEALTHY, message)


def _remembered_provider(name: str) -> Component:
    state = provider_state(name)
    if state.resting_until:
        return Component(
            name,
            Health.DEGRADED,
            _("Asked us to slow down; next call at %(time)s UTC.") % {"time": f"{state.resting_until:%H:%M:%S}"},
        )
    if state.is_failing:
        return Component(name, Health.DEGRADED, state.last_error)
    if state.last_success_at is None:
        return Component(name, Health.HEALTHY, _("not asked yet"))
    return Component(
        name, Health.HEALTHY, _("last answer at %(time)s UTC") % {"time": f"{state.last_success_at:%H:%M:%S}"}
    )


def _asked_provider(name: str) -> Component:
    started = time.monotonic()
    result = validate(name)
    latency = round((time.monotonic() - started) * 1000, 2)
    if result.error is not None:
        return Component(name, Health.DEGRADED, result.error, latency)
    return Component(name, Health.HEALTHY, _("the credentials are good"), latency)
