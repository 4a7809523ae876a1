"""The poller's cycle (SPEC A5): who decides, who may run, and what is written down of it."""

import time
from datetime import datetime, timedelta

import redis
import structlog
from django.conf import settings
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import PollCycle, UnifiedJob
from jobs.policy import PollingPolicy, polling_policy
from jobs.services.provider_config import provider_config
from jobs.services.sync import Refresh, refresh_active_jobs
from providers import registry

logger = structlog.get_logger(__name__)

# A holder renews its lease after each batch; the longest batch is bounded by the provider calls' own deadlines.
LEASE_SECONDS = 60.0


def webhook_url(provider: str) -> str:
    """The URL a provider shall call; empty: none."""
    return provider_config(provider).webhook_url


def current_policy() -> PollingPolicy:
    """Whether and how often to poll, as of now."""
    file = settings.ENTERPRISE
    return polling_policy(
        file_enabled=file.job_polling_enabled,
        file_interval=file.job_polling_interval,
        environment_interval=settings.JOB_POLL_INTERVAL,
        webhook_configured=any(webhook_url(name) for name in registry.provider_names()),
        file_reconcile=file.reconcile_seconds,
        environment_reconcile=settings.RECONCILE_INTERVAL,
    )


def run_cycle(provider: str | None = None) -> Refresh | None:
    """One cycle over a provider's active jobs, or over every provider's in turn; ``None`` if there was nothing to run.

    That is so if the policy says no, or another process is still at that provider: each has a lease of its own, so that
    a slow one holds up no other. With webhooks instead of polling, the cycle covers the active jobs that nobody has
    heard of for a while. A cycle that loses its lease gives up and keeps what it has written. Raises
    ``redis.RedisError`` if Redis is away.
    """
    policy = current_policy()
    if not policy.enabled and not policy.reconciles:
        logger.debug("poll skipped", reason=policy.reason)
        return None
    silent_since = _silent_since(policy)
    total = None
    for name in [provider] if provider else _providers_with_active_jobs():
        done = _run_cycle_at(name, silent_since)
        if done is not None:
            total = (total or Refresh()).plus(done)
    return total


def stalest_cycle() -> PollCycle | None:
    """Of each configured provider's latest cycle the oldest; ``None`` if one had none yet."""
    latest = [PollCycle.objects.filter(provider=name).first() for name in _configured_providers()]
    known = [cycle for cycle in latest if cycle is not None]
    return min(known, key=lambda cycle: cycle.started_at) if known and len(known) == len(latest) else None


def _run_cycle_at(provider: str, silent_since: datetime | None) -> Refresh | None:
    with coordination.lease(f"poller:{provider}", seconds=LEASE_SECONDS) as renew:
        if renew is None:
            logger.info("poll skipped: the cycle before is still running", provider=provider)
            return None
        if silent_since is not None and not _are_silent(provider, silent_since):
            return None
        try:
            return _poll_provider(provider, renew, silent_since)
        except redis.RedisError as error:
            # Frozen for too long, or Redis lost it: somebody else may be at it already.
            logger.warning("poll cycle given up: its lease is lost", provider=provider, error=str(error))
            return Refresh()


def _silent_since(policy: PollingPolicy) -> datetime | None:
    if policy.enabled or policy.reconcile_seconds is None:
        return None
    return timezone.now() - timedelta(seconds=policy.reconcile_seconds)


def _configured_providers() -> list[str]:
    return [name for name in registry.provider_names() if registry.is_configured(name)]


def _providers_with_active_jobs() -> list[str]:
    active = UnifiedJob.objects.active().at_providers().order_by("provider")
    found = set(active.values_list("provider", flat=True).distinct())
    # A provider without active jobs still gets its line: the poller's age is read from it.
    return sorted(found.union(_configured_providers()))


def _are_silent(provider: str, since: datetime) -> bool:
    return UnifiedJob.objects.active().at_providers().filter(provider=provider).not_heard_of_since(since).exists()


def _poll_provider(provider: str, renew: coordination.Renew, silent_since: datetime | None) -> Refresh:
    started_at, started = timezone.now(), time.monotonic()
    refresh = refresh_active_jobs(source=Source.POLLER, provider=provider, silent_since=silent_since, on_progress=renew)
    PollCycle.objects.create(
        provider=provider,
        started_at=started_at,
        seconds=time.monotonic() - started,
        active_jobs=refresh.active,
        refreshed=refresh.refreshed,
        changed=refresh.changed,
        failed=refresh.failed,
        error="; ".join(refresh.errors),
    )
    return refresh
