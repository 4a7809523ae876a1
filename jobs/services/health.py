"""How the parts are doing (SPEC B5): what an operator looks at first.

Redis is asked once. If it hangs that costs one of its time limits, and whatever else would have asked it is not known.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import cast

import redis
from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs import coordination
from jobs.circuit_breaker import BreakerState
from jobs.models import QueueEntry, QueueStatus, WebhookDelivery, WebhookVerdict
from jobs.services import background_switch, heartbeats, polling, store, webhook_facts
from jobs.services.heartbeats import Heartbeat, Role
from jobs.services.provider_accounts import validate
from jobs.services.provider_calls import provider_state
from jobs.services.provider_tokens import token_standing
from providers import registry

STARTED = time.monotonic()
# Until then, nobody wonders where the other processes are.
START_SECONDS = 15.0
# Between machines that keep time by NTP it is well below a second.
CLOCK_TOLERANCE_SECONDS = 30.0
LATE_AFTER_INTERVALS = 3
# A worker and a beat that live but have had nothing to do for so long: something ticks every five seconds.
IDLE_SECONDS = 60.0
# A few ticks wait at times; this many are of minutes in which nobody took them.
DEEP_QUEUE = 100
INBOX_PATIENCE = timedelta(minutes=2)
LEAST_FREE_BYTES = 256 * 1024**2


class Health(StrEnum):
    """The words of the health answer; worse is later."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


SEVERITY = (Health.HEALTHY, Health.DEGRADED, Health.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class Component:
    """One part, how it is, and what that means; ``latency_ms`` where it was asked."""

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


@dataclass(frozen=True, slots=True)
class SharedState:
    """What lies in Redis, read in one go. ``depths``: messages that wait for a worker, by queue."""

    heartbeats: list[Heartbeat]
    depths: Mapping[str, int]

    @property
    def depth(self) -> int:
        return sum(self.depths.values())


def report(*, include_providers: bool = False) -> HealthReport:
    """Look at every part; never raises. With ``include_providers`` each provider is asked who we are."""
    database = _database()
    shared, redis_component = _redis()
    components = [database, redis_component]
    if shared is None:
        components += [_unknown(name) for name in ("workers", "beat", "poller", "queue")]
    else:
        components += [_workers(shared), _beat(shared)]
        if database.status is Health.HEALTHY:
            components += [_guarded("poller", _poller), _guarded("queue", partial(_queue, shared))]
    if database.status is Health.HEALTHY:
        components.append(_guarded("webhooks", _webhooks))
    components.append(_disk())
    for name in registry.provider_names():
        if include_providers:
            components.append(_asked_provider(name))
        elif shared is None:
            components.append(_unknown(name))
        else:
            components.append(_guarded(name, partial(_remembered_provider, name)))
    worst = max((component.status for component in components), key=SEVERITY.index)
    return HealthReport(worst, uptime_seconds(), tuple(components))


def is_ready() -> bool:
    """Whether requests can be served: the database answers, and has the tables of this version."""
    return _database().status is Health.HEALTHY


def uptime_seconds() -> float:
    """How long this process has been running."""
    return time.monotonic() - STARTED


def read_shared_state() -> SharedState:
    """What the processes say of themselves, in one exchange. Raises ``redis.RedisError``."""
    pipeline = coordination.hasty_client().pipeline(transaction=False)
    pipeline.time()
    pipeline.hgetall(heartbeats.heartbeats_key())
    for queue in settings.CELERY_TASK_QUEUES:
        pipeline.llen(f"{settings.REDIS_KEY_PREFIX}{queue}")
    (seconds, _microseconds), stored, *depths = pipeline.execute()
    waiting = dict(zip(settings.CELERY_TASK_QUEUES, map(int, depths), strict=True))
    return SharedState(heartbeats.read(cast("dict[str, str]", stored), now=seconds), waiting)


def _database() -> Component:
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        is_outdated = store.has_pending_migrations()
    except DatabaseTrouble as error:
        return Component("database", Health.UNHEALTHY, _("The database does not answer: %(error)s") % {"error": error})
    if is_outdated:
        return Component(
            "database", Health.UNHEALTHY, _("The database's tables are older than this version: run `manage.py up`.")
        )
    return Component("database", Health.HEALTHY, "ok", _milliseconds_since(started))


def _redis() -> tuple[SharedState | None, Component]:
    started = time.monotonic()
    try:
        shared = read_shared_state()
    except redis.RedisError:
        message = _("Redis does not answer: no background work and no instant events until it does.")
        return None, Component("redis", Health.DEGRADED, message)
    return shared, Component("redis", Health.HEALTHY, "ok", _milliseconds_since(started))


def _guarded(name: str, look: Callable[[], Component]) -> Component:
    """Let no trouble of the moment cost the whole report."""
    try:
        return look()
    except DatabaseTrouble as error:
        return Component(name, Health.UNHEALTHY, _("The database does not answer: %(error)s") % {"error": error})
    except redis.RedisError:
        return _unknown(name)


def _unknown(name: str) -> Component:
    return Component(name, Health.DEGRADED, _("Not known while Redis is away."))


def _workers(shared: SharedState) -> Component:
    alive = heartbeats.alive(shared.heartbeats, Role.WORKER)
    if not alive:
        return _silent("workers", Role.WORKER, shared, _("nothing is polled, and the statuses shown may be old"))
    running = ngettext("%(count)d worker", "%(count)d workers", len(alive)) % {"count": len(alive)}
    last_heard = min(heartbeat.age_seconds for heartbeat in alive)
    idle = min(heartbeat.idle_seconds for heartbeat in alive)
    if idle > IDLE_SECONDS:
        message = _("%(running)s, but no work was done for %(seconds)d s: the statuses shown may be old.")
        return Component("workers", Health.DEGRADED, message % {"running": running, "seconds": idle})
    message = _("%(running)s, last heard of %(seconds)d s ago") % {"running": running, "seconds": last_heard}
    return Component("workers", Health.HEALTHY, message)


def _beat(shared: SharedState) -> Component:
    alive = heartbeats.alive(shared.heartbeats, Role.BEAT)
    if not alive:
        return _silent("beat", Role.BEAT, shared, _("no background work is started, and the statuses shown may be old"))
    idle = min(heartbeat.idle_seconds for heartbeat in alive)
    if idle > IDLE_SECONDS:
        message = _("Beat runs, but has sent nothing for %(seconds)d s: the statuses shown may be old.")
        return Component("beat", Health.DEGRADED, message % {"seconds": idle})
    if len(alive) > 1:
        # Each due tick is sent by one of them (simpletuner_cloud/beat.py).
        message = _("%(count)d run, of which all but one stand by; last heard of %(seconds)d s ago")
        return Component("beat", Health.HEALTHY, message % {"count": len(alive), "seconds": alive[0].age_seconds})
    return Component("beat", Health.HEALTHY, _("last heard of %(seconds)d s ago") % {"seconds": alive[0].age_seconds})


def _silent(name: str, role: Role, shared: SharedState, consequence: str) -> Component:
    """A role of which nobody is alive; ``shared`` tells when somebody last was."""
    if uptime_seconds() < START_SECONDS:
        return Component(name, Health.HEALTHY, _("not heard of yet"))
    process = _("The background worker") if role is Role.WORKER else _("The scheduler (beat)")
    ages = [heartbeat.age_seconds for heartbeat in shared.heartbeats if heartbeat.role is role]
    if ages:
        message = _("%(process)s has not been heard of for %(seconds)d s: %(consequence)s.")
        return Component(
            name,
            Health.DEGRADED,
            message % {"process": process, "seconds": min(ages), "consequence": consequence},
        )
    message = _("%(process)s is not running: %(consequence)s.")
    return Component(name, Health.DEGRADED, message % {"process": process, "consequence": consequence})


def _poller() -> Component:
    policy = polling.current_policy()
    if not policy.enabled:
        return Component("poller", Health.HEALTHY, policy.describe())
    if not background_switch.is_running():
        return Component(
            "poller",
            Health.DEGRADED,
            _("The background work is not running: no beat, no worker, or stopped. The statuses shown may be old."),
        )
    cycle = polling.stalest_cycle()
    if cycle is None:
        return Component("poller", Health.HEALTHY, f"{policy.describe()}; the first cycle is still to come")
    age = max((timezone.now() - cycle.started_at).total_seconds(), 0.0)
    if age > LATE_AFTER_INTERVALS * policy.interval_seconds:
        message = _("The last poll was %(age)d s ago, and one is due every %(interval)g s: the statuses shown are old.")
        return Component("poller", Health.DEGRADED, message % {"age": age, "interval": policy.interval_seconds})
    return Component("poller", Health.HEALTHY, f"{policy.describe()}; last cycle {age:.0f} s ago")


def _queue(shared: SharedState) -> Component:
    waiting = QueueEntry.objects.filter(status=QueueStatus.PENDING).count()
    message = _("%(messages)d messages for workers, %(jobs)d jobs waiting") % {
        "messages": shared.depth,
        "jobs": waiting,
    }
    if dispatching := QueueEntry.objects.filter(status=QueueStatus.DISPATCHING).count():
        message = _("%(state)s, %(count)d being handed over") % {"state": message, "count": dispatching}
    if shared.depth <= DEEP_QUEUE:
        return Component("queue", Health.HEALTHY, message)
    return Component("queue", Health.DEGRADED, _("The workers do not keep up: %(state)s.") % {"state": message})


def _webhooks() -> Component:
    now = timezone.now()
    inbox = WebhookDelivery.objects.filter(verdict=WebhookVerdict.RECEIVED).aggregate(
        count=Count("pk"), oldest=Min("received_at")
    )
    if inbox["oldest"] is not None and now - inbox["oldest"] > INBOX_PATIENCE:
        message = _("%(count)d webhooks were received but not applied yet, the oldest %(ago)s ago.")
        return Component(
            "webhooks", Health.DEGRADED, message % {"count": inbox["count"], "ago": _span(now - inbox["oldest"])}
        )
    providers = registry.provider_names()
    for name in providers:
        if silent := webhook_facts.silence(name):
            last_at = silent.last_received_at
            last = _last_webhook(last_at, now)
            message = ngettext(
                "A webhook URL is configured, but there was %(last)s while %(count)d job runs: can %(provider)s reach "
                "the URL?",
                "A webhook URL is configured, but there was %(last)s while %(count)d jobs run: can %(provider)s reach "
                "the URL?",
                silent.running_jobs,
            )
            facts = {"last": last, "count": silent.running_jobs, "provider": registry.get_label(name)}
            return Component("webhooks", Health.DEGRADED, message % facts)
    last_at = max(filter(None, map(webhook_facts.last_received_at, providers)), default=None)
    return Component("webhooks", Health.HEALTHY, _last_webhook(last_at, now))


def _last_webhook(at: datetime | None, now: datetime) -> str:
    return _("the last webhook %(ago)s ago") % {"ago": _span(now - at)} if at else _("no webhook so far")


def _disk() -> Component:
    """The place for the database, if it is SQLite, and for the log."""
    try:
        free = shutil.disk_usage(settings.STORE_DIR).free
    except OSError as error:
        return Component("disk", Health.DEGRADED, _("The home directory cannot be read: %(error)s") % {"error": error})
    megabytes = free // 1024**2
    if free < LEAST_FREE_BYTES:
        message = _("Only %(megabytes)d MB are free below the home directory: soon nothing can be written.")
        return Component("disk", Health.DEGRADED, message % {"megabytes": megabytes})
    return Component("disk", Health.HEALTHY, _("%(megabytes)d MB free") % {"megabytes": megabytes})


def _remembered_provider(name: str) -> Component:
    if problem := token_standing(name).problem:
        return Component(name, Health.DEGRADED, problem)
    state = provider_state(name)
    if state.resting_until:
        return Component(
            name,
            Health.DEGRADED,
            _("Asked us to slow down; next call at %(time)s UTC.") % {"time": f"{state.resting_until:%H:%M:%S}"},
        )
    breaker = state.breaker
    if breaker.state in (BreakerState.OPEN, BreakerState.REFUSED) and breaker.until is not None:
        message = (
            _("The token is refused: nothing is asked until it is changed or checked, or %(time)s UTC. %(reason)s")
            if breaker.state is BreakerState.REFUSED
            else _("Left alone until %(time)s UTC because it does not answer. %(reason)s")
        )
        return Component(
            name, Health.DEGRADED, message % {"time": f"{breaker.until:%H:%M:%S}", "reason": breaker.reason}
        )
    if state.is_failing:
        return Component(name, Health.DEGRADED, state.last_error or breaker.reason)
    if state.last_success_at is None:
        return Component(name, Health.HEALTHY, _("not asked yet"))
    ahead = state.clock_ahead_seconds
    if abs(ahead) >= CLOCK_TOLERANCE_SECONDS:
        text = (
            _("Our clock is %(seconds)d s behind the provider's. Set it: from 5 minutes on webhooks are refused.")
            if ahead > 0
            else _(
                "Our clock is %(seconds)d s ahead of the provider's. Set it: from 5 minutes on webhooks are refused."
            )
        )
        return Component(name, Health.DEGRADED, text % {"seconds": abs(ahead)})
    return Component(
        name, Health.HEALTHY, _("last answer at %(time)s UTC") % {"time": f"{state.last_success_at:%H:%M:%S}"}
    )


def _asked_provider(name: str) -> Component:
    started = time.monotonic()
    result = validate(name)
    latency = _milliseconds_since(started)
    if result.error is not None:
        return Component(name, Health.DEGRADED, result.error, latency)
    return Component(name, Health.HEALTHY, _("the credentials are good"), latency)


def _milliseconds_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 2)


def _span(delta: timedelta) -> str:
    """A time span in its largest unit, for a sentence."""
    seconds = max(int(delta.total_seconds()), 0)
    if seconds < 120:
        return _("%(count)d s") % {"count": seconds}
    if seconds < 7200:
        return _("%(count)d min") % {"count": seconds // 60}
    return _("%(count)d h") % {"count": seconds // 3600}
