"""What a kept delivery does to its job: read, applied once, and settled or left for later (webhooks.py)."""

import zlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import JobLog, UnifiedJob, WebhookDelivery, WebhookVerdict
from jobs.services import deleting, telemetry
from jobs.services.provider_calls import asking
from jobs.services.snapshots import Applied, apply_snapshot, apply_snapshots
from jobs.services.webhook_facts import count
from providers import registry
from providers.errors import ProviderError, RemoteJobNotFound, UnexpectedPayload
from providers.snapshots import JobHint, JobRef, JobSnapshot

logger = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 600.0
# Replicate answers 404 now and then for what exists: only the third is believed.
ATTEMPTS_BEFORE_UNKNOWN = 3

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


class _JobDeleted(Exception):
    """The record of the job was deleted here: there is nothing to apply a delivery to, now or later."""


class Asker:
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


def attempt(delivery: WebhookDelivery, *, body: bytes | None = None, asker: Asker | None = None) -> None:
    """Settle a delivery, or leave it for a later attempt with the reason. Never raises."""
    try:
        _apply(delivery, zlib.decompress(delivery.content) if body is None else body, asker)
    # The delivery is kept: what goes wrong from here on, of whatever kind, is ours to mend and not the sender's to
    # repeat, and one delivery must not hold up those behind it.
    except Exception as error:
        logger.exception("webhook not applied; it is tried again", webhook_id=delivery.webhook_id)
        _leave(delivery, f"{type(error).__name__}: {error}")


def attempt_together(
    reports: Collection[tuple[WebhookDelivery, JobSnapshot]], asker: Asker, renew: coordination.Renew
) -> None:
    """Apply reports of different jobs by one write. Those of unknown jobs, or all if it fails, are tried one by one."""
    if not reports:
        return
    began = timezone.now()
    try:
        results = apply_snapshots([report for _, report in reports], source=Source.WEBHOOK)
        applied = {result.job.external_id: result for result in results}
        with transaction.atomic():
            for delivery, report in reports:
                if result := applied.get(report.external_id):
                    settle(delivery, _verdict(result, report, began), job=result.job)
        left = [delivery for delivery, report in reports if report.external_id not in applied]
    # Whatever it is, it need not concern all of them.
    except Exception:
        logger.exception("webhooks not applied together; each is tried alone", deliveries=len(reports))
        left = [delivery for delivery, _ in reports]
    renew()
    for delivery in left:
        attempt(delivery, asker=asker)
        renew()


def report_of(delivery: WebhookDelivery) -> JobSnapshot | None:
    """What a delivery says of its job; ``None`` if it says no such thing, or cannot be read."""
    try:
        report = _read(delivery, zlib.decompress(delivery.content))
    # Whatever is wrong with it, the attempt that it gets of its own meets that too, and says so.
    except Exception:
        logger.debug("webhook not read with others", webhook_id=delivery.webhook_id, exc_info=True)
        return None
    return report if isinstance(report, JobSnapshot) else None


def _apply(delivery: WebhookDelivery, body: bytes, asker: Asker | None) -> None:
    provider = delivery.provider
    try:
        report = _read(delivery, body)
    except UnexpectedPayload as error:
        settle(delivery, WebhookVerdict.UNREADABLE, error=error.message)
        return
    try:
        began = timezone.now()
        applied = _apply_hint(provider, report, asker) if isinstance(report, JobHint) else _apply_report(report, asker)
    except RemoteJobNotFound as error:
        if delivery.attempts >= ATTEMPTS_BEFORE_UNKNOWN:
            settle(delivery, WebhookVerdict.UNKNOWN, error=error.message)
        else:
            _leave(delivery, error.message)
    except ProviderError as error:
        _leave(delivery, error.message)
    except _JobDeleted:
        settle(
            delivery,
            WebhookVerdict.STALE,
            error="The record of its job was deleted here, or is older than what is kept.",
        )
    else:
        if applied is None:
            _leave(delivery, "")
        else:
            settle(delivery, _verdict(applied, report, began), job=applied.job)


def _read(delivery: WebhookDelivery, body: bytes) -> JobSnapshot | JobHint:
    """What a delivery says, noted in it too. Raises ``UnexpectedPayload``."""
    # Of a sender whose clock is ahead: later reports must not seem to be older than this one.
    sent_at = min(delivery.sent_at, delivery.received_at)
    report = registry.get_provider(delivery.provider).read_webhook(body, sent_at=sent_at)
    if isinstance(report, JobHint):
        delivery.external_id, delivery.event = report.job_ids[0], report.event
    else:
        delivery.external_id, delivery.event = report.external_id, report.raw_status
    return report


def _apply_report(report: JobSnapshot, asker: Asker | None) -> Applied | None:
    """``None``: the job is not known here, and there is nobody to ask, or it is not to be brought in."""
    applied = apply_snapshot(report, source=Source.WEBHOOK)
    if applied is not None or asker is None:
        return applied
    _refuse_deleted(report.provider, [report.external_id])
    # Asked under our own token, so that only a job of this account gets in; what the body says may be newer.
    answer = asker.ask(report.provider, JobRef(external_id=report.external_id))
    return _applied(apply_snapshots([answer, report], source=Source.WEBHOOK, create=True))


def _apply_hint(provider: str, hint: JobHint, asker: Asker | None) -> Applied | None:
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


def _ask_any(provider: str, hint: JobHint, asker: Asker) -> JobSnapshot:
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


def _verdict(applied: Applied, report: JobSnapshot | JobHint, began: datetime) -> WebhookVerdict:
    return WebhookVerdict.APPLIED if _is_news(applied, report, began) else WebhookVerdict.STALE


def _is_news(applied: Applied, report: JobSnapshot | JobHint, began: datetime) -> bool:
    """Whether a delivery told something of the job; one that is behind it did not, even if it filled a gap."""
    status = report.status if isinstance(report, JobSnapshot) else None
    if status is not None and status.value != applied.job.status:
        return False
    if applied.created or applied.changed & NEWS:
        return True
    return JobLog.objects.filter(job=applied.job, saved_at__gte=began).exists()


def settle(
    delivery: WebhookDelivery, verdict: WebhookVerdict, *, job: UnifiedJob | None = None, error: str = ""
) -> None:
    """Note what came of a delivery, for good; one that somebody else settled meanwhile stays as that left it."""
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
    pause = pause_seconds(delivery.attempts) if error else 0.0
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


def pause_seconds(attempts: int) -> float:
    """How long to wait after so many attempts: from 5 seconds, twice as long each time, to 10 minutes."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(max(attempts - 1, 0), 10), LONGEST_PAUSE_SECONDS)


def _storable(error: str) -> str:
    return error.replace("\x00", "\ufffd")[:MAX_ERROR_CHARACTERS]
