"""Putting wishes to providers: asking for the end of jobs, and writing down what came of it."""

import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import as_completed
from datetime import datetime

import redis
import structlog
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services.cancel_wishes import note_wish, source_of
from jobs.services.failed_checks import JOB_TROUBLE, apply_fit, record_failure, record_refusal
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.provider_calls import asking
from providers.errors import ProviderError, RemoteJobNotFound
from providers.pool import ContextThreadPool
from providers.snapshots import JobSnapshot

logger = structlog.get_logger(__name__)

CONCURRENT_CALLS = 4
# Of one provider in one tick.
JOBS_PER_TICK = 40
TICK_SECONDS = 10.0
LEASE_SECONDS = 60.0
# A wish is put to its provider again after a pause that grows with its age.
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5, 300
# One that the provider has taken is only reminded of.
SHORTEST_REMINDER_SECONDS = 60

Answer = JobSnapshot | ProviderError


def put_to_providers(jobs: Sequence[UnifiedJob], *, seconds: float = TICK_SECONDS) -> dict[int, ProviderError | None]:
    """Ask for the end of jobs, several at once, and apply what is answered; returns the trouble with each, by its key.

    Providers are asked beside each other. One in trouble is asked no more, and what would take longer than ``seconds``
    is not begun: jobs that were not asked for are missing in the result.
    """
    grouped: dict[str, list[UnifiedJob]] = defaultdict(list)
    for job in jobs:
        _pause(job)
        grouped[job.provider].append(job)
    outcome: dict[int, ProviderError | None] = {}
    deadline = time.monotonic() + seconds
    if not grouped:
        return outcome
    with ContextThreadPool(len(grouped), thread_name_prefix="cancel") as pool:
        asked = {pool.submit(_ask_one_provider, some, deadline): some for some in grouped.values()}
        for done in as_completed(asked):
            outcome |= _take(list(zip(asked[done], done.result(), strict=False)))
    return outcome


def pursue_cancellations() -> int:
    """Put wishes to their providers that were not heard, or not confirmed; returns how many were asked for.

    One process at a time does so. Raises ``redis.RedisError`` if Redis is away.
    """
    with coordination.lease("cancellations", seconds=LEASE_SECONDS) as renew:
        if renew is None:
            return 0
        wished = UnifiedJob.objects.active().filter(cancel_requested_at__isnull=False)
        for pk in wished.filter(external_id__isnull=True).values_list("pk", flat=True)[:JOBS_PER_TICK]:
            _end_here(pk)
        known = wished.at_providers().due_for_check(timezone.now()).order_by("cancel_requested_at", "pk")
        due = _due(list(known))
        return len(put_to_providers(due)) if due else 0


def _end_here(pk: int) -> None:
    """End a job that went back to the queue, with its wish, before it was sent."""
    try:
        note_wish(None, pk)
    except (InvalidState, JobNotFound) as error:
        logger.info("nothing left to cancel here", job=pk, reason=str(error))


def _ask_one_provider(jobs: Sequence[UnifiedJob], deadline: float) -> list[Answer]:
    """Answers in the order of the jobs, as far as it came. In a thread of its own: no database here."""
    answers: list[Answer] = []
    with ContextThreadPool(CONCURRENT_CALLS, thread_name_prefix="cancel") as pool:
        # The first alone: if its provider is down, the others would only wait for the same answer.
        size = 1
        while len(answers) < len(jobs) and time.monotonic() < deadline:
            some = list(pool.map(_ask, jobs[len(answers) : len(answers) + size]))
            answers += some
            if any(isinstance(answer, ProviderError) and not isinstance(answer, JOB_TROUBLE) for answer in some):
                break
            size = CONCURRENT_CALLS
    return answers


def _ask(job: UnifiedJob) -> Answer:
    try:
        with asking(job.provider) as provider:
            return provider.cancel(job.reference)
    except ProviderError as error:
        return error


def _take(answered: Sequence[tuple[UnifiedJob, Answer]]) -> dict[int, ProviderError | None]:
    outcome: dict[int, ProviderError | None] = {}
    snapshots: dict[Source, list[JobSnapshot]] = defaultdict(list)
    jobs = {job.external_id: job for job, _ in answered}
    for job, answer in answered:
        outcome[job.pk] = answer if isinstance(answer, ProviderError) else None
        if not isinstance(answer, ProviderError):
            snapshots[source_of(job.cancel_requested_by)].append(answer)
    for source, some in snapshots.items():
        _applied, unfit = apply_fit(some, source=source)
        outcome |= {jobs[failure.external_id].pk: failure.error for failure in unfit if failure.external_id in jobs}
    now = timezone.now()
    taken = [pk for pk, error in outcome.items() if error is None]
    heard = UnifiedJob.objects.filter(pk__in=taken)
    heard.exclude(cancel_error="").update(cancel_error="")
    heard.active().filter(cancel_accepted_at__isnull=True).update(cancel_accepted_at=now)
    for job, _ in answered:
        if (error := outcome[job.pk]) is not None:
            _record(job, error)
        else:
            job.cancel_accepted_at = job.cancel_accepted_at or now
            _pause(job)
    logger.info("ends asked for", jobs=len(answered), heard=len(taken))
    return outcome


def _record(job: UnifiedJob, error: ProviderError) -> None:
    """Write down why the wish was not heard. That a cancellation was refused puts off no check of the job."""
    UnifiedJob.objects.active().filter(pk=job.pk).exclude(cancel_error=error.message).update(cancel_error=error.message)
    if isinstance(error, RemoteJobNotFound):
        record_refusal(job, error)
    elif UnifiedJob.objects.active().filter(pk=job.pk).exists():
        record_failure([job.pk], error.message)


def _due(jobs: Sequence[UnifiedJob]) -> list[UnifiedJob]:
    """Those whose pause is over, a few of each provider."""
    if not jobs:
        return []
    pausing = coordination.client().mget([_key(job.pk) for job in jobs])
    chosen: dict[str, list[UnifiedJob]] = defaultdict(list)
    for job, is_pausing in zip(jobs, pausing, strict=True):
        if not is_pausing and len(chosen[job.provider]) < JOBS_PER_TICK:
            chosen[job.provider].append(job)
    return [job for some in chosen.values() for job in some]


def _pause(job: UnifiedJob) -> None:
    """Let nobody but a person ask for the same again at once. Without Redis there are no ticks either."""
    try:
        coordination.client().set(_key(job.pk), 1, ex=pause_seconds(job, timezone.now()))
    except redis.RedisError as error:
        logger.warning("pause not noted: Redis is away", error=str(error))


def pause_seconds(job: UnifiedJob, now: datetime) -> int:
    """How long a wish rests before it is put to its provider again."""
    age = (now - (job.cancel_requested_at or now)).total_seconds()
    shortest = SHORTEST_REMINDER_SECONDS if job.cancel_accepted_at else SHORTEST_PAUSE_SECONDS
    return int(min(max(age / 2, shortest), LONGEST_PAUSE_SECONDS))


def _key(pk: int) -> str:
    return coordination.key(f"cancel:{pk}")
