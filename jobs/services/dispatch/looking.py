"""Entries that somebody left while handing a job over: has its provider got the job, or not?

A job is sent again only after it was looked for several times, over at least some minutes since the call, and every
look could read everything. Where a look cannot tell, a person decides.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from jobs.lifecycle import Origin, Source
from jobs.models import JobSubmission, QueueEntry, QueueStatus, UnifiedJob
from jobs.services import queue
from jobs.services.dispatch import calls, endings
from jobs.services.provider_calls import asking
from jobs.services.queue import Claim
from jobs.services.snapshots import apply_snapshots
from providers import registry
from providers.errors import ProviderError, ProviderTimeout
from providers.launch import MarkSearch
from providers.profiles import find_profile
from providers.snapshots import JobSnapshot

logger = structlog.get_logger(__name__)

# Whoever is at work renews a claim every few seconds; after so long without, the worker is taken to be dead.
CLAIM_SECONDS = 60
# Longer than a call to start a job may take: whoever made it has had the answer, or will have none.
LOOK_EVERY = timedelta(seconds=20)
# A look that leaves the question open for long is not worth a call every few seconds.
YOUNG = timedelta(minutes=10)
OLD_LOOK_EVERY = timedelta(minutes=5)
LOOKS_NEEDED = 5
# Lists may show a job late. A job that runs twice costs more than some minutes of waiting.
QUIET = timedelta(minutes=3)
# By so much the clocks of provider and service may differ.
CLOCK_SLACK = timedelta(minutes=15)
SEARCH_SECONDS = 25.0
UNANSWERED = "It is not known whether the job was started."


def release_unsent() -> int:
    """Let entries wait again that somebody took, and left before the provider was asked; returns how many."""
    stale = timezone.now() - timedelta(seconds=CLAIM_SECONDS)
    left = QueueEntry.objects.filter(status=QueueStatus.DISPATCHING, sent_at__isnull=True, claimed_at__lt=stale)
    released = 0
    for entry in left.order_by("pk"):
        claim = queue.take_over(entry)
        if claim is not None and claim.give_back("", at=None, counts=False):
            logger.warning("entry taken back: whoever took it is gone", entry=entry.pk)
            released += 1
    return released


def look_for_sent() -> int:
    """Look for jobs that may have been started; returns how many entries were decided about."""
    now = timezone.now()
    asked = QueueEntry.objects.filter(
        status=QueueStatus.DISPATCHING, sent_at__isnull=False, claimed_at__lt=now - LOOK_EVERY
    ).select_related("job")
    by_provider: dict[str, list[tuple[QueueEntry, Claim]]] = defaultdict(list)
    for entry in asked.order_by("pk"):
        if _is_due(entry, now) and (claim := queue.take_over(entry)) is not None:
            by_provider[entry.job.provider].append((entry, claim))
    return sum(_look(provider, entries) for provider, entries in sorted(by_provider.items()))


def _is_due(entry: QueueEntry, now: datetime) -> bool:
    assert entry.sent_at is not None
    assert entry.claimed_at is not None
    return now - entry.sent_at < YOUNG or entry.claimed_at < now - OLD_LOOK_EVERY


def _look(provider: str, entries: Sequence[tuple[QueueEntry, Claim]]) -> int:
    submissions = {
        found.job_id: found
        for found in JobSubmission.objects.filter(job__in=[entry.job_id for entry, _ in entries]).select_related("job")
    }
    sent_times = [entry.sent_at for entry, _ in entries if entry.sent_at is not None]
    marks = frozenset(submission.mark for submission in submissions.values())
    began = timezone.now()
    search = _search(provider, marks, min(sent_times), [claim for _, claim in entries])
    if isinstance(search, ProviderError):
        for _, claim in entries:
            claim.renew(reason=f"{UNANSWERED} It could not be looked for: {search.message}")
        return 0
    apply_snapshots(search.found, source=Source.QUEUE)
    found = {snapshot.mark for snapshot in search.found}
    unclear = _not_accounted_for(provider, search.hidden)
    decided = len(found)
    for entry, claim in entries:
        submission = submissions.get(entry.job_id)
        if submission is not None and submission.mark not in found:
            decided += _not_found(entry, claim, submission, unclear, began)
    return decided


def _not_found(
    entry: QueueEntry, claim: Claim, submission: JobSubmission, unclear: Sequence[JobSnapshot], began: datetime
) -> bool:
    """Take account of a look that has read everything; whether the question is settled."""
    assert entry.sent_at is not None
    label = registry.get_label(submission.job.provider)
    candidates = [row for row in unclear if _may_be(row, submission, entry.sent_at)]
    if candidates:
        claim.renew(
            reason=f"It may be at {label}: the data of a job of that time ({candidates[0].external_id}) are deleted "
            "there already, so it cannot be told. Look there, and send it again if it is not."
        )
        return False
    looks = entry.looks + 1
    if looks >= LOOKS_NEEDED and began - entry.sent_at >= QUIET:
        logger.warning("job never arrived at its provider", job_id=submission.job.job_id, looks=looks)
        endings.never_arrived(claim, f"{label} did not answer when it was asked to start the job, and has not got it.")
        return True
    claim.renew(looks=looks, reason=f"{UNANSWERED} It is being looked for.")
    return False


def _search(
    provider: str, marks: frozenset[str], since: datetime, claims: Sequence[Claim]
) -> MarkSearch | ProviderError:
    with calls.call_threads() as pool:
        search = {pool.submit(_find_marked, provider, marks, since): provider}
        for _, answer in calls.answers(search, deadline=time.monotonic() + SEARCH_SECONDS, claims=claims):
            return answer
    return ProviderTimeout("The lists could not be read in time.")


def _find_marked(provider: str, marks: frozenset[str], since: datetime) -> MarkSearch:
    with asking(provider) as source:
        return source.find_marked(marks, since=since)


def _not_accounted_for(provider: str, hidden: Sequence[JobSnapshot]) -> list[JobSnapshot]:
    """Jobs whose mark cannot be read any more, but for those of which we know better.

    A job that was seen here while its input was still there had no mark of ours, or it would have been joined.
    """
    if not hidden:
        return []
    known = UnifiedJob.objects.filter(provider=provider, external_id__in=[row.external_id for row in hidden])
    cleared = {
        external_id
        for external_id, origin, metadata in known.values_list("external_id", "origin", "metadata")
        if origin == Origin.SUBMITTED or "input" in metadata
    }
    return [row for row in hidden if row.external_id not in cleared]


def _may_be(row: JobSnapshot, submission: JobSubmission, sent_at: datetime) -> bool:
    model = row.metadata.get("model")
    if model and model != find_profile(submission.job.provider, submission.hardware_profile).model:
        return False
    return row.created_at is None or abs(row.created_at - sent_at) <= CLOCK_SLACK
