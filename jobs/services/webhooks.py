"""Webhooks: verified, kept, and applied once (SPEC A7; docs/adr/0008-webhooks-are-kept-first.md).

A delivery is committed to the inbox before anything else is done with it. From then on it is ours: whatever fails,
the sender is told that we have it, and the inbox is gone through again until every delivery is settled.
"""

import hashlib
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models import F, QuerySet
from django.utils import timezone

from jobs import coordination
from jobs.client_address import client_address, is_in
from jobs.lifecycle import Source
from jobs.models import JobLog, UnifiedJob, WebhookDelivery, WebhookVerdict
from jobs.services import deleting, telemetry
from jobs.services.provider_calls import asking
from jobs.services.snapshots import Applied, apply_snapshot, apply_snapshots
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
from providers.errors import InvalidWebhook, ProviderError, RemoteJobNotFound, UnexpectedPayload
from providers.snapshots import JobHint, JobRef, JobSnapshot, SignedDelivery

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
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 600.0
# Replicate answers 404 now and then for what exists: only the third is believed.
ATTEMPTS_BEFORE_UNKNOWN = 3
DELIVERIES_PER_PASS = 5_000
PASS_SECONDS = 30.0
# Renewed after each delivery.
LEASE_SECONDS = 30.0

# Beside more than so many others in this process a request keeps its delivery and is done, and the worker applies it.
# To keep one takes a third of the time: so a flood is taken in, however long it takes to be worked off.
MOST_APPLIED_AT_ONCE = 16

# Changes that are worth calling a delivery applied: not our own book-keeping.
NEWS = frozenset(
    {
        "status",
        "provider_status",
        "created_at",
        "started_at",
        "completed_at",
        "run_seconds",
        "error_message",
        "output_url",
        "config_name",
        "hardware_type",
        "stage",
        "progress",
        "last_log",
        "step",
        "loss",
        "last_sync_error",
    }
)
MAX_ERROR_CHARACTERS = 500


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
            _attempt(delivery, body=body)
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
    asker = _Asker()
    settled = 0
    with coordination.lease(f"inbox:{provider}", seconds=LEASE_SECONDS) as renew:
        if renew is None:
            return 0
        for pk in _due_now().filter(provider=provider).values_list("pk", flat=True)[:DELIVERIES_PER_PASS]:
            if time.monotonic() > deadline:
                break
            delivery = _due_now().filter(pk=pk).first()
            if delivery is not None and _claim(delivery):
                _attempt(delivery, asker=asker)
                settled += delivery.verdict != WebhookVerdict.RECEIVED
                renew()
    return settled


def apply_again(pks: Iterable[int]) -> int:
    """Have deliveries tried again that were not understood or whose job was unknown; returns how many."""
    again = WebhookDelivery.objects.filter(pk__in=list(pks)).exclude(content=b"")
    return again.update(
        verdict=WebhookVerdict.RECEIVED, settled_at=None, next_try_at=timezone.now(), attempts=0, error=""
    )


class _JobDeleted(Exception):
    """The record of the job was deleted here: there is nothing to apply a delivery to, now or later."""


class _Asker:
    """The questions of one pass: each job is asked for once, and a provider in trouble not again."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], JobSnapshot | ProviderError] = {}
        self._troubled: dict[str, ProviderError] = {}

    def ask(self, provider: str, job: JobRef) -> JobSnapshot:
        """Raises ``ProviderError``."""
        key = (provider, job.external_id)
        if key not in self._answers:
            self._answers[key] = self._troubled.get(provider) or self._fetch(provider, job)
        answer = self._answers[key]
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    def _fetch(self, provider: str, job: JobRef) -> JobSnapshot | ProviderError:
        try:
            with asking(provider) as source:
                return source.fetch(job)
        except ProviderError as error:
            if not isinstance(error, RemoteJobNotFound | UnexpectedPayload):
                self._troubled[provider] = error
            return error


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
    pause = max(_pause_seconds(delivery.attempts), CLAIM_SECONDS)
    delivery.next_try_at = timezone.now() + timedelta(seconds=pause)
    return bool(as_read.update(attempts=delivery.attempts, next_try_at=delivery.next_try_at))


def _attempt(delivery: WebhookDelivery, *, body: bytes | None = None, asker: _Asker | None = None) -> None:
    """Settle a delivery, or leave it for a later attempt with the reason. Never raises."""
    try:
        _apply(delivery, zlib.decompress(delivery.content) if body is None else body, asker)
    # The delivery is kept: what goes wrong from here on, of whatever kind, is ours to mend and not the sender's to
    # repeat, and one delivery must not hold up those behind it.
    except Exception as error:
        logger.exception("webhook not applied; it is tried again", webhook_id=delivery.webhook_id)
        _leave(delivery, f"{type(error).__name__}: {error}")


def _apply(delivery: WebhookDelivery, body: bytes, asker: _Asker | None) -> None:
    provider = delivery.provider
    try:
        # Of a sender whose clock is ahead: later reports must not seem to be older than this one.
        sent_at = min(delivery.sent_at, delivery.received_at)
        report = registry.get_provider(provider).read_webhook(body, sent_at=sent_at)
        if isinstance(report, JobHint):
            delivery.external_id, delivery.event = report.job_ids[0], report.event
        else:
            delivery.external_id, delivery.event = report.external_id, report.raw_status
    except UnexpectedPayload as error:
        _settle(delivery, WebhookVerdict.UNREADABLE, error=error.message)
        return
    try:
        began = timezone.now()
        applied = _apply_hint(provider, report, asker) if isinstance(report, JobHint) else _apply_report(report, asker)
    except RemoteJobNotFound as error:
        if delivery.attempts >= ATTEMPTS_BEFORE_UNKNOWN:
            _settle(delivery, WebhookVerdict.UNKNOWN, error=error.message)
        else:
            _leave(delivery, error.message)
    except ProviderError as error:
        _leave(delivery, error.message)
    except _JobDeleted:
        _settle(
            delivery,
            WebhookVerdict.STALE,
            error="The record of its job was deleted here, or is older than what is kept.",
        )
    else:
        if applied is None:
            _leave(delivery, "")
        else:
            verdict = WebhookVerdict.APPLIED if _is_news(applied, report, began) else WebhookVerdict.STALE
            _settle(delivery, verdict, job=applied.job)


def _apply_report(report: JobSnapshot, asker: _Asker | None) -> Applied | None:
    """``None``: the job is not known here, and there is nobody to ask, or it is not to be brought in."""
    applied = apply_snapshot(report, source=Source.WEBHOOK)
    if applied is not None or asker is None:
        return applied
    _refuse_deleted(report.provider, [report.external_id])
    # Asked under our own token, so that only a job of this account gets in; what the body says may be newer.
    answer = asker.ask(report.provider, JobRef(external_id=report.external_id))
    return _applied(apply_snapshots([answer, report], source=Source.WEBHOOK, create=True))


def _apply_hint(provider: str, hint: JobHint, asker: _Asker | None) -> Applied | None:
    """What a trainer says of its run is not the provider's word: the provider is asked."""
    if asker is None:
        return None
    _refuse_deleted(provider, hint.job_ids)
    return _applied(apply_snapshots([_ask_any(provider, hint, asker)], source=Source.WEBHOOK, create=True))


def _refuse_deleted(provider: str, job_ids: Sequence[str]) -> None:
    if deleting.was_deleted(provider, job_ids):
        raise _JobDeleted


def _applied(results: Sequence[Applied]) -> Applied:
    """What came of it. Only a job whose record was deleted is not brought in."""
    if not results:
        raise _JobDeleted
    return results[0]


def _ask_any(provider: str, hint: JobHint, asker: _Asker) -> JobSnapshot:
    """The job of the first id that leads to one: ours or the provider's."""
    for job_id in hint.job_ids:
        known = UnifiedJob.objects.at_providers().filter(provider=provider).with_id(job_id).first()
        if known is not None:
            return asker.ask(provider, known.reference)
    *others, last = hint.job_ids
    for job_id in others:
        try:
            return asker.ask(provider, JobRef(external_id=job_id))
        except RemoteJobNotFound:
            continue
    return asker.ask(provider, JobRef(external_id=last))


def _is_news(applied: Applied, report: JobSnapshot | JobHint, began: datetime) -> bool:
    """Whether a delivery told something of the job; one that is behind it did not, even if it filled a gap."""
    status = report.status if isinstance(report, JobSnapshot) else None
    if status is not None and status.value != applied.job.status:
        return False
    if applied.created or applied.changed & NEWS:
        return True
    return JobLog.objects.filter(job=applied.job, saved_at__gte=began).exists()


def _settle(
    delivery: WebhookDelivery, verdict: WebhookVerdict, *, job: UnifiedJob | None = None, error: str = ""
) -> None:
    delivery.verdict, delivery.settled_at, delivery.next_try_at = verdict, timezone.now(), None
    delivery.job, delivery.error = job, _storable(error)
    is_done_with = verdict in (WebhookVerdict.APPLIED, WebhookVerdict.STALE)
    if _update(delivery, verdict=verdict, settled_at=delivery.settled_at, job=job, **_emptied(is_done_with)):
        count(delivery.provider, verdict)
        waited = delivery.settled_at - delivery.received_at
        telemetry.observe("webhook_apply_seconds", waited.total_seconds(), provider=delivery.provider)
        # A running job may send two a second: the inbox has them all.
        logger.debug(
            "webhook settled",
            provider=delivery.provider,
            webhook_id=delivery.webhook_id,
            verdict=verdict.value,
            job_id=job.job_id if job else None,
        )


def _leave(delivery: WebhookDelivery, error: str) -> None:
    """For the next pass if the provider is but to be asked, else until a pause is over that grows each time."""
    pause = _pause_seconds(delivery.attempts) if error else 0.0
    delivery.verdict, delivery.settled_at, delivery.job = WebhookVerdict.RECEIVED, None, None
    delivery.error, delivery.next_try_at = _storable(error), timezone.now() + timedelta(seconds=pause)
    try:
        _update(delivery)
    except DatabaseError as problem:
        # What was set when it was kept or claimed stays: it is tried again then.
        logger.warning("webhook left as it was", webhook_id=delivery.webhook_id, error=str(problem))


def _update(delivery: WebhookDelivery, **values: Any) -> bool:
    """Write what was found out, unless somebody else settled it meanwhile."""
    open_row = WebhookDelivery.objects.filter(pk=delivery.pk, verdict=WebhookVerdict.RECEIVED)
    return bool(
        open_row.update(
            external_id=delivery.external_id,
            event=delivery.event,
            error=delivery.error,
            next_try_at=delivery.next_try_at,
            **values,
        )
    )


def _emptied(is_done_with: bool) -> dict[str, bytes]:
    return {"content": b""} if is_done_with else {}


def _pause_seconds(attempts: int) -> float:
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(max(attempts - 1, 0), 10), LONGEST_PAUSE_SECONDS)


def _storable(error: str) -> str:
    return error.replace("\x00", "\ufffd")[:MAX_ERROR_CHARACTERS]
