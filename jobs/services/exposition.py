"""What Prometheus scrapes: facts of the database, of Redis, and what all processes have counted together.

Nothing is counted in the scraped process itself: there are several, and a scrape reaches one of them.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import redis
from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jobs import coordination
from jobs.circuit_breaker import BreakerState
from jobs.models import PollCycle, QueueEntry, QueueStatus, UnifiedJob, WebhookDelivery, WebhookVerdict
from jobs.services import health, heartbeats, metrics, polling, telemetry, webhook_facts
from jobs.services.call_governor import breaker_state
from jobs.services.health import SEVERITY
from jobs.services.heartbeats import Role
from jobs.services.telemetry import Series
from providers import registry

# Two scrapers, or a curl beside one, cost the database no more than one.
FRESH_SECONDS = 4.0
SPEND_FRESH_SECONDS = 60.0
PREFIX = "simpletuner_"

LabelValues = tuple[str, ...]
Labels = TypeVar("Labels", bound=LabelValues)


@dataclass(frozen=True, slots=True)
class Description:
    """A metric that is counted by ``jobs.services.telemetry``, and the order of its labels."""

    text: str
    labels: LabelValues


COUNTERS = {
    "provider_calls": Description(
        "Calls to a provider by route (ids replaced) and HTTP status.", ("provider", "method", "route", "status")
    ),
    "provider_call_errors": Description("Calls to a provider that failed, by kind.", ("provider", "kind")),
}
HISTOGRAMS = {
    "provider_call_duration_seconds": Description("How long calls to a provider took.", ("provider", "method")),
    "webhook_transit_seconds": Description(
        "From a webhook's sending, in its own words, to its arrival.", ("provider",)
    ),
    "webhook_apply_seconds": Description("From a webhook's arrival until it was settled.", ("provider",)),
}

_guard = threading.Lock()
_last: tuple[float, bytes] | None = None
_last_spend: tuple[float, Mapping[LabelValues, float]] | None = None


def exposition() -> bytes:
    """All metrics in Prometheus's text format, at most a few seconds old. Never raises for want of a server."""
    global _last
    with _guard:
        if _last is None or time.monotonic() - _last[0] > FRESH_SECONDS:
            collectors = CollectorRegistry(auto_describe=False)
            collectors.register(Everything())
            _last = (time.monotonic(), generate_latest(collectors))
        return _last[1]


def forget() -> None:
    """Let the next scrape look anew."""
    global _last, _last_spend
    _last = _last_spend = None


class Everything(Collector):
    """Collects at each scrape; what a server that is away would have told is left out."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "Always 1; the label tells the version.", {(settings.VERSION,): 1}, "version")
        yield _gauge(
            "uptime_seconds", "How long the scraped web process has been running.", {(): health.uptime_seconds()}
        )
        yield _gauge(
            "health_severity",
            "How each part is doing: 0 healthy, 1 degraded, 2 unhealthy.",
            {(part.name,): SEVERITY.index(part.status) for part in health.report().components},
            "component",
        )
        yield from _if_up("database", _database_facts)
        yield from _if_up("redis", _redis_facts)


def _if_up(server: str, facts: Callable[[], list[Metric]]) -> Iterator[Metric]:
    try:
        found, is_up = facts(), 1
    except (DatabaseTrouble, redis.RedisError):
        found, is_up = [], 0
    yield _gauge(f"{server}_up", f"Whether the {server} answers: 1 or 0.", {(): is_up})
    yield from found


def _database_facts() -> list[Metric]:
    return [*_poll_facts(), *_job_facts(), *_inbox_facts()]


def _poll_facts() -> Iterator[Metric]:
    policy, now = polling.current_policy(), timezone.now()
    yield _gauge(
        "poll_enabled", "Whether the poller is on: 1, or 0 (webhooks instead, or switched off).", {(): policy.enabled}
    )
    yield _gauge("poll_interval_seconds", "How often the poller is due.", {(): policy.interval_seconds})
    cycles = {
        (name,): cycle
        for name in registry.provider_names()
        if (cycle := PollCycle.objects.filter(provider=name).first()) is not None
    }
    told: tuple[tuple[str, str, Callable[[PollCycle], float]], ...] = (
        (
            "poll_lag_seconds",
            "Since the last poll cycle began.",
            lambda cycle: max((now - cycle.started_at).total_seconds(), 0.0),
        ),
        ("poll_cycle_duration_seconds", "How long the last poll cycle took.", lambda cycle: cycle.seconds),
        ("poll_cycle_active_jobs", "Active jobs in the last poll cycle.", lambda cycle: cycle.active_jobs),
        ("poll_cycle_failed_jobs", "Jobs that the last poll cycle could not refresh.", lambda cycle: cycle.failed),
    )
    for name, text, value in told:
        yield _gauge(name, text, {labels: value(cycle) for labels, cycle in cycles.items()}, "provider")


def _job_facts() -> Iterator[Metric]:
    counts = {(status,): float(count) for status, count in metrics.status_counts().items()}
    yield _gauge("jobs", "Jobs in the store by status.", counts, "status")
    lost = UnifiedJob.objects.active().filter(lost_at__isnull=False).count()
    yield _gauge("jobs_lost", "Active jobs that their provider does not know any more.", {(): lost})
    yield _gauge(
        "spend_usd", "What the jobs in the store have cost so far, as far as it is known.", _spend(), "provider"
    )
    waiting = QueueEntry.objects.filter(status=QueueStatus.PENDING).count()
    yield _gauge("queue_waiting_jobs", "Jobs that wait to be handed to a provider.", {(): waiting})
    dispatching = QueueEntry.objects.filter(status=QueueStatus.DISPATCHING).count()
    yield _gauge("queue_dispatching_jobs", "Jobs that are being handed to a provider.", {(): dispatching})


def _spend() -> Mapping[LabelValues, float]:
    """By provider. It reads every job, and is therefore read less often than the rest."""
    global _last_spend
    if _last_spend is None or time.monotonic() - _last_spend[0] > SPEND_FRESH_SECONDS:
        sums = UnifiedJob.objects.order_by().values_list("provider").annotate(total=Sum("cost_usd"))
        _last_spend = (
            time.monotonic(),
            {(provider,): float(total) for provider, total in sums if total is not None},
        )
    return _last_spend[1]


def _inbox_facts() -> Iterator[Metric]:
    now = timezone.now()
    inbox = WebhookDelivery.objects.filter(verdict=WebhookVerdict.RECEIVED).aggregate(
        count=Count("pk"), oldest=Min("received_at")
    )
    yield _gauge("webhook_inbox", "Webhooks that were received and are not applied yet.", {(): inbox["count"]})
    age = max((now - inbox["oldest"]).total_seconds(), 0.0) if inbox["oldest"] else 0.0
    yield _gauge("webhook_inbox_oldest_seconds", "Since the oldest of them came; 0: there is none.", {(): age})
    last = {
        (name,): at.timestamp()
        for name in registry.provider_names()
        if (at := webhook_facts.last_received_at(name)) is not None
    }
    yield _gauge("webhook_last_received_timestamp_seconds", "When the last webhook came.", last, "provider")


def _redis_facts() -> list[Metric]:
    shared = health.read_shared_state()
    found = [
        _gauge(
            "processes",
            "Background processes that are alive.",
            {(role,): len(heartbeats.alive(shared.heartbeats, role)) for role in Role},
            "role",
        ),
        _gauge(
            "heartbeat_age_seconds",
            "Since a background process was last heard of; those that died stay for an hour.",
            {(beat.role, beat.host, str(beat.pid)): beat.age_seconds for beat in shared.heartbeats},
            "role",
            "host",
            "pid",
        ),
        _gauge("broker_queue_messages", "Messages that wait for a worker.", {(): shared.depth}),
        _gauge("event_streams", "Event streams that are open, in all web processes.", {(): _open_streams()}),
    ]
    breakers = {
        (name, state.value): float(state is breaker_state(name).state)
        for name in registry.provider_names()
        for state in BreakerState
    }
    text = "Whether a provider's circuit breaker is in this state: 1 or 0."
    found.append(_gauge("provider_breaker_state", text, breakers, "provider", "state"))
    verdicts = {
        (name, verdict): float(number)
        for name in registry.provider_names()
        for verdict, number in webhook_facts.verdict_counts(name).items()
    }
    found.append(_counter("webhook_deliveries", "Webhooks by what became of them.", verdicts, "provider", "verdict"))
    return found + _counted(telemetry.totals())


def _open_streams() -> int:
    """The leases that have not expired."""
    client = coordination.hasty_client()
    keys = list(client.scan_iter(match=coordination.key("streams:*"), count=1000))
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.zcount(key, time.time(), "+inf")
    return sum(pipeline.execute())


def _counted(totals: Mapping[Series, float]) -> list[Metric]:
    """What the processes counted together."""
    counters: dict[str, dict[LabelValues, float]] = {name: {} for name in COUNTERS}
    parts: dict[str, dict[LabelValues, dict[str, float]]] = {name: defaultdict(dict) for name in HISTOGRAMS}
    for series, amount in totals.items():
        if series.metric in counters:
            counters[series.metric][series.values(COUNTERS[series.metric].labels)] = amount
        elif series.metric in parts:
            parts[series.metric][series.values(HISTOGRAMS[series.metric].labels)][series.part] = amount
    found: list[Metric] = [
        _counter(name, COUNTERS[name].text, values, *COUNTERS[name].labels) for name, values in counters.items()
    ]
    for name, by_labels in parts.items():
        family = HistogramMetricFamily(PREFIX + name, HISTOGRAMS[name].text, labels=HISTOGRAMS[name].labels)
        for values, amounts in by_labels.items():
            family.add_metric(values, buckets=_cumulative(amounts), sum_value=amounts.get(telemetry.SUM, 0.0))
        found.append(family)
    return found


def _cumulative(amounts: Mapping[str, float]) -> list[tuple[str, float]]:
    """A bucket holds what is not above its bound: also what lies in the buckets below."""
    bounds = [*map(str, telemetry.BUCKETS_SECONDS), telemetry.OVER]
    sums = accumulate(amounts.get(bound, 0.0) for bound in bounds)
    names = (*bounds[:-1], "+Inf")
    return list(zip(names, sums, strict=True))


def _gauge(name: str, text: str, values: Mapping[Labels, float], *labels: str) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _counter(name: str, text: str, values: Mapping[Labels, float], *labels: str) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
