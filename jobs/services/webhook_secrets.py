"""The secrets that webhooks are signed with: kept in this process's memory only, and through a rotation.

Not in Redis and not in the database: whoever reads them there could sign what he likes.
"""

import threading
import time
from collections.abc import Mapping, Sequence

import structlog

from jobs.known_secrets import remember
from jobs.services.provider_calls import asking
from providers import registry
from providers.errors import InvalidWebhook, ProviderError
from providers.snapshots import SignedDelivery

logger = structlog.get_logger(__name__)

FRESH_SECONDS = 3600.0
# Since it was last said to be the secret: so long deliveries may still be under way that were signed with it.
OVERLAP_SECONDS = 86_400.0
# A flood of bad signatures must not become a flood of calls.
MISMATCH_PAUSE_SECONDS = 60.0
# Shorter than the minute for which Replicate repeats a job's last webhook (its documentation).
RETRY_SECONDS = 5.0


class SecretUnavailable(Exception):
    """No secret is at hand and none can be had; the sender may come again in ``retry_after`` seconds."""

    retry_after = RETRY_SECONDS


class _Secrets:
    """Those of one provider, newest first. Threads that need the same call share it."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._confirmed: dict[str, float] = {}
        self._fetched_at = self._asked_at = self._mismatch_at = float("-inf")

    def usable(self) -> list[str]:
        """Raises ``SecretUnavailable``."""
        found = self._known()
        # With an older one at hand nobody waits: one thread asks, the others go on.
        if not self._is_fresh() and self._lock.acquire(blocking=not found):
            try:
                if not self._is_fresh() and time.time() - self._asked_at >= RETRY_SECONDS:
                    self._ask()
            finally:
                self._lock.release()
            found = self._known()
        if not found:
            raise SecretUnavailable(
                f"The webhook secret of {registry.get_label(self._provider)} cannot be had just now."
            )
        return found

    def after_mismatch(self, tried: Sequence[str]) -> list[str]:
        """What there is beside the secrets that did not fit; asks for it unless that was done a moment ago."""
        with self._lock:
            if self._known() == list(tried) and time.time() - self._mismatch_at >= MISMATCH_PAUSE_SECONDS:
                self._mismatch_at = time.time()
                self._ask()
        return [secret for secret in self._known() if secret not in tried]

    def _known(self) -> list[str]:
        oldest = time.time() - OVERLAP_SECONDS
        confirmed = sorted(self._confirmed.items(), key=lambda item: item[1], reverse=True)
        return [secret for secret, at in confirmed if at >= oldest]

    def _is_fresh(self) -> bool:
        return time.time() - self._fetched_at < FRESH_SECONDS

    def _ask(self) -> None:
        self._asked_at = time.time()
        try:
            with asking(self._provider) as provider:
                secret = provider.webhook_secret()
        except ProviderError as error:
            logger.warning("webhook secret not read", provider=self._provider, error=error.message)
            return
        remember(secret)
        self._fetched_at = time.time()
        if self._confirmed and secret not in self._confirmed:
            logger.info("webhook secret was rotated", provider=self._provider)
        usable = self._known()
        self._confirmed = {old: self._confirmed[old] for old in usable} | {secret: self._fetched_at}


_secrets: dict[str, _Secrets] = {}


def verified(provider: str, headers: Mapping[str, str], body: bytes) -> SignedDelivery:
    """Check a delivery by every secret that may count. Raises ``InvalidWebhook`` or ``SecretUnavailable``."""
    secrets = _secrets.setdefault(provider, _Secrets(provider))
    check = registry.get_provider(provider).verify_webhook
    tried = secrets.usable()
    try:
        return check(headers, body, tried)
    except InvalidWebhook as error:
        if not error.may_be_rotated:
            raise
        new = secrets.after_mismatch(tried)
        if not new:
            raise
    return check(headers, body, new)


def forget_secrets() -> None:
    """Drop what this process knows."""
    _secrets.clear()
