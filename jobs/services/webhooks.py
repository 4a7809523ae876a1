"""Webhooks: verified, kept, and applied once (SPEC A7; docs/adr/0008-webhooks-are-kept-first.md).

A delivery is committed to the inbox before anything else is done with it. From then on it is ours: whatever fails,
the sender is told that we have it, and the inbox is gone through again until every delivery is settled.
"""

import hashlib
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from jobs import coordination
from jobs.client_address import client_address, is_in
from jobs.models import WebhookDelivery, WebhookVerdict
from jobs.services import telemetry
from jobs.services.webhook_applying import Asker, attempt, attempt_together, pause_seconds, report_of
from jobs.services.webhook_facts import (
    DUPLICATE,
    NO_SECRET,
    REFUSED,
    Silence,
    count,
    last_received_at,
    silence,
    verdict_counts,
)
from jobs.services.webhook_secrets import SecretUnavailable, verified
from providers import registry
from providers.errors import InvalidWebhook
from providers.snapshots import JobSnapshot, SignedDelivery

__all__ = (
    "Receipt",
    "SecretUnavailable",
    "Silence",
    "apply_again",
    "apply_received",
    "is_allowed_sender",
    "last_received_at",
    "receive",
    "silence",
    "verdict_counts",
)

logger = structlog.get_logger(__name__)

# Logs make bodies large; the quickest level already makes them a tenth.
COMPRESSION_LEVEL = 1
# So long a delivery belongs to the request that brought it, then to the worker that took it.
CLAIM_SECONDS = 30.0
DELIVERIES_PER_PASS = 5_000
PASS_SECONDS = 30.0
# Renewed after each delivery, or each batch of them.
LEASE_SECONDS = 30.0
# So many that came in a flood are applied by one write, and so much of them is in memory. With a hundred, SQLite's one
# writer keeps those who bring more waiting so long that a sixth fewer get in (docs/performance.md).
BATCH_DELIVERIES = 20
BATCH_BYTES = 8 * 1024**2
# After each write as long as it took, and no longer than this: those who bring more write to the same database.
LONGEST_REST_SECONDS = 0.25

# Beside more than so many others in this process a request keeps its delivery and is done, and the worker applies it.
# To keep one takes a third of the time: so a flood is taken in, however long it takes to be worked off.
MOST_APPLIED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told. ``job_id``: ours, ``None`` while it is not known which job is meant."""

    verdict: str
    is_duplicate: bool
    job_id: str | None


def is_allowed_sender(peer: str, forwarded_for: Iterable[str]) -> bool:
    """Whether deliveries are taken from that address at all; without a list, from everywhere."""
    allowed = settings.WEBHOOK_ALLOWED_ADDRESSES
    return not allowed or is_in(client_address(peer, forwarded_for, settings.TRUSTED_PROXIES), allowed)


def receive(provider: str, headers: Mapping[str, str], body: bytes, *, beside: int = 0) -> Receipt:
    """Verify a delivery over its raw body, keep it, and apply it if that takes no question to the provider.

    ``beside``: how many others are under way in this process. With too many it is left to the worker.

    Raises ``UnknownProvider``, ``ProviderNotConfigured``, ``SecretUnavailable``, ``InvalidWebhook``, and a database
    error if it could not be kept. Once it is kept nothing is raised.
    """
    registry.get_provider(provider)
    try:
        signed = verified(provider, headers, body)
    except InvalidWebhook as error:
        count(provider, REFUSED)
        logger.warning("webhook refused", provider=provider, reason=error.message)
        raise
    except SecretUnavailable:
        count(provider, NO_SECRET)
        raise
    is_ours = beside <= MOST_APPLIED_AT_ONCE
    delivery, is_new = _keep(provider, signed, body, claim_seconds=CLAIM_SECONDS if is_ours else 0.0)
    if is_new:
        transit = delivery.received_at - delivery.sent_at
        telemetry.observe("webhook_transit_seconds", transit.total_seconds(), provider=provider)
        if is_ours:
            attempt(delivery, body=body)
    else:
        count(provider, DUPLICATE)
    return Receipt(
        verdict=delivery.verdict,
        is_duplicate=not is_new,
        job_id=delivery.job.job_id if delivery.job else None,
    )


def apply_received(provider: str | None = None) -> int:
    """Go through the inbox (of one provider): what a request could not apply, or left behind; returns how many settled.

    One pass at a time for a provider: one that answers slowly must not have all workers wait for it. Raises
    ``redis.RedisError`` if Redis is away.
    """
    return sum(_go_through_inbox(name) for name in ([provider] if provider else registry.provider_names()))


def _go_through_inbox(provider: str) -> int:
    deadline = time.monotonic() + PASS_SECONDS
    asker = Asker()
    settled = 0
    with coordination.lease(f"inbox:{provider}", seconds=LEASE_SECONDS) as renew:
        if renew is None:
            return 0
        due = _due_now().filter(provider=provider).values_list("pk", "body_bytes", "attempts")[:DELIVERIES_PER_PASS]
        for pks in _batches(due):
            began = time.monotonic()
            if began > deadline:
                break
            settled += _take(pks, asker, renew)
            time.sleep(min(time.monotonic() - began, LONGEST_REST_SECONDS))
    return settled


def _batches(due: Iterable[tuple[int, int, int]]) -> Iterator[list[int]]:
    """Keys of ``(key, bytes, attempts)``: what is new goes together as far as it is small.

    What was tried before goes alone. It may be what brings workers down, and must not take others with it for ever.
    """
    batch: list[int] = []
    size = 0
    for pk, body_bytes, attempts in due:
        if batch and (attempts or len(batch) == BATCH_DELIVERIES or size + body_bytes > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(pk)
        size += body_bytes
        if attempts:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _take(pks: Sequence[int], asker: Asker, renew: coordination.Renew) -> int:
    """Claim and try deliveries; returns how many settled. Reports of different jobs are applied together."""
    with transaction.atomic():
        claimed = [delivery for delivery in _due_now().filter(pk__in=pks) if _claim(delivery)]
    together: dict[str, tuple[WebhookDelivery, JobSnapshot]] = {}
    for delivery in claimed:
        report = report_of(delivery) if len(claimed) > 1 else None
        if report is None:
            attempt(delivery, asker=asker)
            renew()
            continue
        if report.external_id in together:
            attempt_together(together.values(), asker, renew)
            together = {}
        together[report.external_id] = (delivery, report)
    attempt_together(together.values(), asker, renew)
    return sum(delivery.verdict != WebhookVerdict.RECEIVED for delivery in claimed)


def apply_again(pks: Iterable[int]) -> int:
    """Have deliveries tried again that were not understood or whose job was unknown; returns how many."""
    again = WebhookDelivery.objects.filter(pk__in=list(pks)).exclude(content=b"")
    return again.update(
        verdict=WebhookVerdict.RECEIVED, settled_at=None, next_try_at=timezone.now(), attempts=0, error=""
    )


def _keep(provider: str, signed: SignedDelivery, body: bytes, *, claim_seconds: float) -> tuple[WebhookDelivery, bool]:
    """Commit a delivery; ``False`` if it was there already, which the database decides.

    For ``claim_seconds`` it is the caller's to apply, and then the worker's.
    """
    same = WebhookDelivery.objects.filter(provider=provider, webhook_id=signed.webhook_id)
    if not same.exists():
        now = timezone.now()
        delivery, is_new = WebhookDelivery.objects.get_or_create(
            provider=provider,
            webhook_id=signed.webhook_id,
            defaults={
                "sent_at": signed.sent_at,
                "received_at": now,
                "next_try_at": now + timedelta(seconds=claim_seconds),
                "body_sha256": hashlib.sha256(body).hexdigest(),
                "body_bytes": len(body),
                "content": zlib.compress(body, COMPRESSION_LEVEL),
            },
        )
        if is_new:
            return delivery, True
    same.update(repeats=F("repeats") + 1)
    return same.defer("content").select_related("job").get(), False


def _due_now() -> QuerySet[WebhookDelivery]:
    """What is to be tried now, in the order in which it came."""
    return WebhookDelivery.objects.filter(verdict=WebhookVerdict.RECEIVED, next_try_at__lte=timezone.now()).order_by(
        "pk"
    )


def _claim(delivery: WebhookDelivery) -> bool:
    """Take a delivery for an attempt; ``False`` if somebody else did since it was read.

    The next attempt is set before this one is made: a delivery that brings a worker down waits as any other.
    """
    as_read = WebhookDelivery.objects.filter(
        pk=delivery.pk,
        verdict=WebhookVerdict.RECEIVED,
        attempts=delivery.attempts,
        next_try_at=delivery.next_try_at,
    )
    delivery.attempts += 1
    pause = max(pause_seconds(delivery.attempts), CLAIM_SECONDS)
    delivery.next_try_at = timezone.now() + timedelta(seconds=pause)
    return bool(as_read.update(attempts=delivery.attempts, next_try_at=delivery.next_try_at))
