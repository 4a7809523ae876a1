"""The poller's cycle (SPEC A5): who decides, who may run, and what is written down of it."""

import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import PollCycle, ProviderSettings, UnifiedJob
from jobs.policy import RECONCILE_SECONDS, PollingPolicy, polling_policy
from jobs.services.logs import capture_final_logs
from jobs.services.sync import Refresh, refresh_active_jobs
from providers import registry

logger = structlog.get_logger(__name__)

# A holder renews its lease after each batch; the longest batch is bounded by the provider calls' own deadlines.
LEASE_SECONDS = 60.0
CYCLES_KEPT = 2000


def webhook_url(provider: str) -> str:
    """The URL a provider shall call: what was set while running, else the enterprise file's, else empty."""
    stored = ProviderSettings.objects.filter(provider=provider).values_list("webhook_url", flat=True).first()
    return stored or settings.ENTERPRISE.webhook_urls.get(provider, "")


def current_policy() -> PollingPolicy:
    """Whether and how often to poll, as of now."""
    file = settings.ENTERPRISE
    return polling_policy(
        file_enabled=file.job_polling_enabled,
        file_interval=file.job_polling_interval,
        environment_interval=settings.JOB_POLL_INTERVAL,
        webhook_configured=any(webhook_url(name) for name in registry.provider_names()),
    )


def run_cycle() -> Refresh | None:
    """One cycle over all active jobs; ``None`` if it is not to be run, or another process is still at one.

    With webhooks instead of polling, the cycle covers the active jobs that nobody has heard of for five minutes. Logs
    of ended jobs are captured in either case, before their provider deletes them.
    """
    policy = current_policy()
    if not policy.enabled and not policy.reconciles:
        logger.debug("poll skipped", reason=policy.reason)
        return None
    with coordination.lease("poller", seconds=LEASE_SECONDS) as renew:
        if renew is None:
            logger.info("poll skipped: the cycle before is still running")
            return None
        silent_since = None if policy.enabled else timezone.now() - timedelta(seconds=RECONCILE_SECONDS)
        total = None
        if policy.enabled or _are_silent(silent_since):
            total = Refresh()
            for provider in _providers_with_active_jobs():
                total = total.plus(_poll_provider(provider, renew, silent_since))
        capture_final_logs(on_progress=renew)
        return total


def last_cycle() -> PollCycle | None:
    return PollCycle.objects.first()


def _providers_with_active_jobs() -> list[str]:
    active = UnifiedJob.objects.active().at_providers().order_by("provider")
    found = set(active.values_list("provider", flat=True).distinct())
    # A provider without active jobs still gets its line: the poller's age is read from it.
    return sorted(found | {name for name in registry.provider_names() if name in settings.PROVIDERS})


def _are_silent(since: datetime | None) -> bool:
    return UnifiedJob.objects.active().at_providers().not_heard_of_since(since).exists()


def _poll_provider(provider: str, renew: coordination.Renew, silent_since: datetime | None) -> Refresh:
    started_at, started = timezone.now(), time.monotonic()
    refresh = refresh_active_jobs(source=Source.POLLER, provider=provider, silent_since=silent_since, on_progress=renew)
    cycle = PollCycle.objects.create(
        provider=provider,
        started_at=started_at,
        seconds=time.monotonic() - started,
        active_jobs=refresh.active,
        refreshed=refresh.refreshed,
        changed=refresh.changed,
        failed=refresh.failed,
        error="; ".join(refresh.errors),
    )
    if cycle.pk % 100 == 0:
        PollCycle.objects.filter(pk__lte=cycle.pk - CYCLES_KEPT).delete()
    return refresh
