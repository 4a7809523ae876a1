"""Handing claimed jobs over to their providers.

The order of the steps is what keeps a job from being started twice or lost: the intent is committed (``sent_at``), then
the one call is made, outside of any transaction, then its answer is written. Wherever this stops, the entry shows
whether the provider may have been asked.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from jobs.lifecycle import Source
from jobs.models import JobSubmission
from jobs.outgoing_urls import UnsafeUrl, check_at_save, require_public_at_send
from jobs.services.dispatch import calls, endings, outcomes
from jobs.services.dispatch.outcomes import Outcome
from jobs.services.provider_calls import asking
from jobs.services.provider_config import provider_config
from jobs.services.queue import Claim
from jobs.services.snapshots import apply_snapshot
from providers.errors import ProviderError, ProviderRejected, ProviderUnavailable
from providers.launch import TrainingRequest
from providers.pool import ContextThreadPool
from providers.profiles import find_profile
from providers.snapshots import JobSnapshot

logger = structlog.get_logger(__name__)

# One pass begins no call after so long, and then waits for those under way.
BEGIN_SECONDS = 25.0
# Longer than a call may take with its turn in the budget.
ANSWER_SECONDS = 30.0
# A call that has not begun so long after it was announced is not made: others may be looking for its job by then.
STALE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed job, ready to go."""

    claim: Claim
    provider: str
    request: TrainingRequest


def send(claims: Sequence[Claim]) -> int:
    """Hand claimed jobs over; returns how many their providers took. Those that cannot be sent wait again, or end."""
    if not claims:
        return 0
    parcels = _pack(claims)
    deadline = time.monotonic() + BEGIN_SECONDS
    with calls.call_threads() as pool:
        parcels = _safe(pool, parcels, deadline)
        versions = _newest_versions(pool, parcels, deadline)
        return _launch_all(pool, parcels, versions, deadline)


def _pack(claims: Sequence[Claim]) -> list[Parcel]:
    submissions = {
        found.job_id: found
        for found in JobSubmission.objects.filter(job__in=[claim.job_pk for claim in claims]).select_related(
            "job", "archive"
        )
    }
    webhooks: dict[str, str] = {}
    parcels = []
    for claim in claims:
        submission = submissions.get(claim.job_pk)
        if submission is None:
            endings.give_up(claim, "What it was to be started with is not stored here.")
            continue
        provider = submission.job.provider
        if provider not in webhooks:
            webhooks[provider] = provider_config(provider).webhook_url
        try:
            parcels.append(Parcel(claim, provider, _request(submission, webhooks[provider])))
        except ValueError as error:
            endings.give_up(claim, str(error))
    return parcels


def _request(submission: JobSubmission, webhook_url: str) -> TrainingRequest:
    """Raises ``ValueError`` for a profile that does not exist at the provider."""
    return TrainingRequest(
        model=find_profile(submission.job.provider, submission.hardware_profile).model,
        mark=submission.mark,
        config=submission.config,
        dataloader_config=submission.dataloader_config,
        name=submission.job.config_name or "",
        tracker_run_name=submission.tracker_run_name,
        archive_url=submission.archive.provider_url if submission.archive else "",
        webhook_url=webhook_url,
        trainer_webhook_url=submission.webhook_url,
    )


def _safe(pool: ContextThreadPool, parcels: Sequence[Parcel], deadline: float) -> list[Parcel]:
    """Those that tell their provider to call public addresses only, as their names lead there now and not once."""
    under_way = {pool.submit(_check_destinations, parcel.request): parcel for parcel in parcels}
    looked_at, safe = set(), []
    for parcel, answer in calls.answers(under_way, deadline=deadline, claims=[parcel.claim for parcel in parcels]):
        looked_at.add(parcel.claim.entry_pk)
        if isinstance(answer, ProviderError):
            endings.not_started(parcel.claim, answer, outcomes.of_preparation(answer))
        else:
            safe.append(parcel)
    for parcel in parcels:
        if parcel.claim.entry_pk not in looked_at:
            late = ProviderUnavailable("The host of its webhook URL is not found just now.", without_call=True)
            endings.not_started(parcel.claim, late, outcomes.of_preparation(late))
    return safe


def _check_destinations(request: TrainingRequest) -> None:
    """Raises ``ProviderRejected`` in our own name: a provider is not asked to call what it must not."""
    try:
        if request.webhook_url:
            # The operator's own. Where names are not to be had, as in some networks, it goes as it was saved.
            check_at_save(request.webhook_url)
        if request.trainer_webhook_url:
            require_public_at_send(request.trainer_webhook_url)
    except UnsafeUrl as error:
        raise ProviderRejected(f"Its webhook URL {error}.", without_call=True) from error


def _newest_versions(
    pool: ContextThreadPool, parcels: Sequence[Parcel], deadline: float
) -> Mapping[tuple[str, str], str | ProviderError]:
    """The version to start each trainer with, asked once a pass; what did not come in time is missing."""
    trainers = {(parcel.provider, parcel.request.model) for parcel in parcels}
    questions = {pool.submit(_newest_version, *trainer): trainer for trainer in sorted(trainers)}
    claims = [parcel.claim for parcel in parcels]
    found: dict[tuple[str, str], str | ProviderError] = {}
    for trainer, answer in calls.answers(questions, deadline=deadline, claims=claims):
        found[trainer] = answer
    return found


def _launch_all(
    pool: ContextThreadPool,
    parcels: Sequence[Parcel],
    versions: Mapping[tuple[str, str], str | ProviderError],
    deadline: float,
) -> int:
    under_way = {}
    for parcel in parcels:
        version = versions.get((parcel.provider, parcel.request.model))
        if version is None or time.monotonic() > deadline:
            version = ProviderUnavailable("Its provider answers too slowly just now.", without_call=True)
        if isinstance(version, ProviderError):
            endings.not_started(parcel.claim, version, outcomes.of_preparation(version))
        elif endings.begin_sending(parcel.claim):
            under_way[pool.submit(_launch, parcel, version, time.monotonic() + STALE_SECONDS)] = parcel
    sent = [parcel.claim for parcel in under_way.values()]
    taken = 0
    for parcel, answer in calls.answers(under_way, deadline=time.monotonic() + ANSWER_SECONDS, claims=sent):
        taken += settle(parcel.claim, answer)
    return taken


def settle(claim: Claim, answer: JobSnapshot | ProviderError) -> bool:
    """Write down what came of the call; whether its provider took the job.

    The link to the provider's job, the entry and the history are one transaction.
    """
    if isinstance(answer, JobSnapshot):
        applied = apply_snapshot(answer, source=Source.QUEUE)
        if applied is None:
            logger.error("started job has no record here any more", external_id=answer.external_id, mark=answer.mark)
        return applied is not None
    outcome = outcomes.of_launch(answer)
    if outcome is not Outcome.UNKNOWN:
        endings.not_started(claim, answer, outcome)
        return False
    logger.warning("unknown whether a job was started; it is looked for", entry=claim.entry_pk, reason=answer.message)
    claim.renew(reason=f"{answer.message} It is not known whether the job was started. It is being looked for.")
    return False


def _newest_version(provider: str, model: str) -> str:
    with asking(provider) as source:
        return source.newest_version(model)


def _launch(parcel: Parcel, version: str, not_after: float) -> JobSnapshot:
    with asking(parcel.provider) as source:
        if time.monotonic() > not_after:
            raise ProviderUnavailable("The call to start it was held up for too long here.", without_call=True)
        return source.launch(parcel.request, version)
