"""What operators want to know of webhooks: what became of them, and whether they still come."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import redis
import structlog
from django.utils import timezone

from jobs import coordination
from jobs.models import UnifiedJob, WebhookDelivery
from jobs.services.provider_config import provider_config

logger = structlog.get_logger(__name__)

# Beside the verdicts of the inbox: not signed as it must be, not to be checked for want of the secret, there before.
REFUSED, NO_SECRET, DUPLICATE = "refused", "no_secret", "duplicate"
SILENT_AFTER = timedelta(hours=1)
# While Redis is away each attempt may cost its time limit, which no delivery shall wait for.
PAUSE_AFTER_FAILURE_SECONDS = 5.0
_paused_until = 0.0


@dataclass(frozen=True, slots=True)
class Silence:
    """Jobs run, and nothing is heard. ``last_received_at``: ``None`` if there never was a delivery."""

    provider: str
    last_received_at: datetime | None
    running_jobs: int
    seconds: float


def count(provider: str, verdict: str) -> None:
    """Count a delivery under what became of it; not counted while Redis is away."""
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        coordination.client().hincrby(_counters_key(provider), verdict, 1)
    except redis.RedisError as error:
        _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("webhook not counted: Redis is away", provider=provider, verdict=verdict, error=str(error))


def verdict_counts(provider: str) -> dict[str, int]:
    """How many deliveries ended how, since Redis was new: the inbox's verdicts, and those above."""
    try:
        counted = cast("dict[str, str]", coordination.client().hgetall(_counters_key(provider)))
    except redis.RedisError as error:
        logger.warning("webhook counts unknown: Redis is away", provider=provider, error=str(error))
        return {}
    return {verdict: int(number) for verdict, number in counted.items()}


def last_received_at(provider: str) -> datetime | None:
    """When the newest delivery in the inbox came."""
    rows = WebhookDelivery.objects.filter(provider=provider).order_by("-received_at")
    return rows.values_list("received_at", flat=True).first()


def silence(provider: str) -> Silence | None:
    """Webhooks that should come and do not: a URL is set and jobs run, but for an hour nothing was delivered."""
    if not provider_config(provider).webhook_url:
        return None
    running = UnifiedJob.objects.active().at_providers().filter(provider=provider, started_at__isnull=False)
    first_start = running.order_by("started_at").values_list("started_at", flat=True).first()
    if first_start is None:
        return None
    last = last_received_at(provider)
    quiet = timezone.now() - (max(last, first_start) if last else first_start)
    if quiet < SILENT_AFTER:
        return None
    return Silence(
        provider=provider, last_received_at=last, running_jobs=running.count(), seconds=quiet.total_seconds()
    )


def _counters_key(provider: str) -> str:
    return coordination.key(f"webhooks:verdicts:{provider}")
