"""What a failed call means for the job that was to be handed over, and how long it then waits. No database."""

import random
from datetime import timedelta
from enum import StrEnum

from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderRejected,
    RemoteJobNotFound,
    UnknownProvider,
)

FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 900.0
LONGEST_NAMED_PAUSE_SECONDS = 3600.0
JITTER = 0.2


class Outcome(StrEnum):
    """``refused``: no job, and it was the request's own fault. ``not_asked``: no job, and it is not the request's
    fault: no attempt is used up. ``unknown``: there may be a job."""

    REFUSED = "refused"
    NOT_ASKED = "not_asked"
    UNKNOWN = "unknown"


# It was refused before anybody looked at the request.
AT_THE_DOOR = (ProviderRateLimited, ProviderAuthError, ProviderNotConfigured, UnknownProvider)


def of_launch(error: ProviderError) -> Outcome:
    """What an error says of the call that would have started a job."""
    if isinstance(error, ProviderRejected | RemoteJobNotFound):
        return Outcome.REFUSED
    if error.unsent or isinstance(error, AT_THE_DOOR):
        return Outcome.NOT_ASKED
    return Outcome.UNKNOWN


def of_preparation(error: ProviderError) -> Outcome:
    """What it says of a call that starts nothing, such as a question or an upload."""
    return Outcome.REFUSED if isinstance(error, ProviderRejected | RemoteJobNotFound) else Outcome.NOT_ASKED


def pause_after(error: ProviderError, attempts: int) -> timedelta:
    """How long to wait: as long as the provider asks for, else ever longer after refusals."""
    if isinstance(error, ProviderRateLimited) and error.retry_after is not None:
        named = min(max(error.retry_after, 1.0), LONGEST_NAMED_PAUSE_SECONDS)
        return timedelta(seconds=named * random.uniform(1.0, 1.0 + JITTER))
    doublings = attempts - 1 if of_preparation(error) is Outcome.REFUSED else 0
    seconds = min(FIRST_PAUSE_SECONDS * 2.0 ** min(max(doublings, 0), 10), LONGEST_PAUSE_SECONDS)
    return timedelta(seconds=seconds * random.uniform(1.0 - JITTER, 1.0 + JITTER))
