"""The administration's page on the system: how each part is doing, in one place. No provider is asked for it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import redis
from django.conf import settings
from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import coordination
from jobs.circuit_breaker import BreakerState
from jobs.models import HistoryWalk, WebhookDelivery, WebhookVerdict
from jobs.presentation.formats import Moment, duration, moment
from jobs.presentation.providers_page import ProviderCard, providers_page
from jobs.services import background_switch, health, history_walk, retention, webhook_facts
from jobs.services.call_governor import BreakerFacts, CallsLeft, breaker_state, calls_left
from jobs.services.health import Health
from jobs.services.heartbeats import Heartbeat, Role
from jobs.services.polling import current_policy
from jobs.services.webhook_facts import DUPLICATE, NO_SECRET, REFUSED

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One part as health tells of it. ``tone``: ``success``, ``warning`` or ``danger``."""

    name: str
    tone: str
    word: str
    message: str
    latency: str


@dataclass(frozen=True, slots=True)
class Process:
    """One process that does background work."""

    role: str
    host: str
    pid: int
    version: str
    is_alive: bool
    heard: str
    last_work: str
    running: str


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The server, and how many messages wait in each queue of Celery's."""

    version: str
    memory: str
    clients: int
    queues: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A provider's card with what operators want to know beyond it."""

    card: ProviderCard
    next_poll: Moment | None
    next_poll_word: str
    breaker: BreakerFacts
    tone: str
    open_since: Moment | None
    calls: CallsLeft | None
    verdicts: list[tuple[str, int]]
    walk: HistoryWalk | None
    walk_started: Moment | None
    walk_next: Moment | None
    walk_notes: list[str]


@dataclass(frozen=True, slots=True)
class Retention:
    """The last run that deleted what is old."""

    ended: Moment | None
    took: str
    is_done: bool
    gone: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class SystemPage:
    """Everything. What Redis would have told is ``None`` while it is away."""

    word: str
    tone: str
    parts: list[Part]
    polling: str
    is_switched_on: bool
    processes: list[Process] | None
    redis: RedisFacts | None
    providers: list[ProviderState]
    unapplied: int
    oldest_unapplied: Moment | None
    retention: Retention | None
    kept: list[tuple[str, str]]
    version: str
    store: str
    database: str
    uptime: str


def system_page(now: datetime | None = None) -> SystemPage:
    """A few dozen queries, whatever is in the store."""
    now = now or timezone.now()
    report = health.report()
    shared = _if_redis_answers(health.read_shared_state)
    page = providers_page(now)
    inbox = WebhookDelivery.objects.filter(verdict=WebhookVerdict.RECEIVED).aggregate(
        count=Count("pk"), oldest=Min("received_at")
    )
    return SystemPage(
        word=_health_word(report.status),
        tone=TONES[report.status],
        parts=[
            Part(
                name=_part_name(part.name, page.cards),
                tone=TONES[part.status],
                word=_health_word(part.status),
                message=part.message,
                latency=f"{part.latency_ms:.1f} ms" if part.latency_ms is not None else "",
            )
            for part in report.components
        ],
        polling=page.polling,
        is_switched_on=background_switch.is_running(),
        processes=[_process(heartbeat) for heartbeat in shared.heartbeats] if shared else None,
        redis=_if_redis_answers(lambda: _redis_facts(dict(shared.depths))) if shared else None,
        providers=[_provider(card, now) for card in page.cards],
        unapplied=inbox["count"],
        oldest_unapplied=moment(inbox["oldest"], now),
        retention=_if_redis_answers(lambda: _retention(now)),
        kept=_kept(),
        version=settings.VERSION,
        store=_("sandbox") if settings.IS_SANDBOX else _("real account"),
        database=connection.display_name,
        uptime=duration(report.uptime_seconds),
    )


TONES = {Health.HEALTHY: "success", Health.DEGRADED: "warning", Health.UNHEALTHY: "danger"}
BREAKER_TONES = {
    BreakerState.CLOSED: "success",
    BreakerState.HALF_OPEN: "warning",
    BreakerState.OPEN: "danger",
    BreakerState.REFUSED: "danger",
}


def _if_redis_answers(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except redis.RedisError:
        return None


def _health_word(status: Health) -> str:
    return {
        Health.HEALTHY: _("Well"),
        Health.DEGRADED: _("Not well"),
        Health.UNHEALTHY: _("Broken"),
    }[status]


def _part_name(name: str, cards: list[ProviderCard]) -> str:
    """The parts that health knows; a provider by its own name."""
    words = {
        "database": _("Database"),
        "redis": "Redis",
        "workers": _("Workers"),
        "beat": _("Scheduler (beat)"),
        "poller": _("Poller"),
        "queue": _("Queue"),
        "webhooks": _("Webhooks"),
        "disk": _("Disk"),
    }
    return words.get(name) or next((card.label for card in cards if card.name == name), name)


def _process(heartbeat: Heartbeat) -> Process:
    return Process(
        role=_("Worker") if heartbeat.role is Role.WORKER else _("Scheduler (beat)"),
        host=heartbeat.host,
        pid=heartbeat.pid,
        version=heartbeat.version,
        is_alive=heartbeat.is_alive,
        heard=_ago(heartbeat.age_seconds),
        last_work=_ago(heartbeat.age_seconds + heartbeat.idle_seconds),
        running=duration(heartbeat.running_seconds),
    )


def _ago(seconds: float) -> str:
    return _("%(time)s ago") % {"time": duration(seconds)}


def _redis_facts(depths: dict[str, int]) -> RedisFacts:
    told = coordination.hasty_client().info()
    return RedisFacts(
        version=str(told.get("valkey_version") or told.get("redis_version", "")),
        memory=str(told.get("used_memory_human", "")),
        clients=int(told.get("connected_clients", 0)),
        queues=list(depths.items()),
    )


def _provider(card: ProviderCard, now: datetime) -> ProviderState:
    breaker, walk = breaker_state(card.name), history_walk.latest(card.name)
    next_poll, next_poll_word = _next_poll(card, now)
    return ProviderState(
        card=card,
        next_poll=next_poll,
        next_poll_word=next_poll_word,
        breaker=breaker,
        tone="warning" if breaker.resting_until else BREAKER_TONES[breaker.state],
        open_since=moment(breaker.since, now),
        calls=calls_left(card.name),
        verdicts=_verdicts(card.name),
        walk=walk,
        walk_started=moment(walk.started_at, now) if walk else None,
        walk_next=moment(walk.next_try_at, now) if walk and walk.next_try_at and walk.next_try_at > now else None,
        walk_notes=history_walk.notes(walk) if walk else [],
    )


def _next_poll(card: ProviderCard, now: datetime) -> tuple[Moment | None, str]:
    """When the next cycle is due by the last one's beginning; a word instead, where that says nothing."""
    policy = current_policy()
    if not policy.enabled:
        return None, _("not due: polling is off")
    if not card.cycles or card.cycles[0].started is None:
        return None, _("at the scheduler's next tick")
    due = datetime.fromisoformat(card.cycles[0].started.iso) + timedelta(seconds=policy.interval_seconds)
    if due <= now:
        return moment(due, now), _("due since")
    return moment(due, now), _("in %(time)s") % {"time": duration((due - now).total_seconds())}


def _verdicts(provider: str) -> list[tuple[str, int]]:
    """What became of deliveries since Redis was new: words for what is no verdict of the inbox too."""
    words = dict(WebhookVerdict.choices) | {
        REFUSED: _("Refused: bad signature"),
        NO_SECRET: _("Not checked: the secret is not known"),
        DUPLICATE: _("Came again"),
    }
    counts = sorted(webhook_facts.verdict_counts(provider).items())
    return [(str(words.get(name, name)), count) for name, count in counts]


def _retention(now: datetime) -> Retention | None:
    run = retention.last_run()
    if run is None:
        return None
    return Retention(
        ended=moment(run.ended_at, now),
        took=duration(run.seconds),
        is_done=run.is_done,
        gone=[(table, count) for table, count in run.gone.items() if count],
    )


def _kept() -> list[tuple[str, str]]:
    """For how long rows are kept."""
    days = {
        _("Jobs"): settings.RETENTION_DAYS_JOBS,
        _("Logs"): settings.RETENTION_DAYS_LOGS,
        _("Events"): settings.RETENTION_DAYS_EVENTS,
        _("Webhook deliveries"): settings.RETENTION_DAYS_DELIVERIES,
    }
    return [(name, _("%(days)d days") % {"days": count} if count else _("for ever")) for name, count in days.items()]
