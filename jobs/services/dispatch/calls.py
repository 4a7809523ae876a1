"""Calls to providers side by side: HTTP in threads, the database in the thread that asked, claims kept meanwhile."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import TypeVar

import structlog

from jobs.services.queue import Claim
from providers.errors import ProviderError, UnexpectedPayload
from providers.pool import ContextThreadPool

logger = structlog.get_logger(__name__)

THREADS = 8
LOOK_EVERY_SECONDS = 0.5
RENEW_EVERY_SECONDS = 5.0

Key = TypeVar("Key")
T = TypeVar("T")


@contextmanager
def call_threads() -> Iterator[ContextThreadPool]:
    """Threads for one pass. They are not waited for in the end: what a late one says comes too late."""
    pool = ContextThreadPool(THREADS, thread_name_prefix="dispatch")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def answers(
    calls: Mapping[Future[T], Key],
    *,
    deadline: float,
    claims: Sequence[Claim] = (),
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[tuple[Key, T | ProviderError]]:
    """The answers as they come, until all are there or the deadline (``time.monotonic``) is over.

    ``claims`` are renewed while others are waited for; ``meanwhile`` is called now and then.
    """
    pending: set[Future[T]] = set(calls)
    renewed_at = time.monotonic()
    while pending and time.monotonic() < deadline:
        done, pending = wait(pending, timeout=LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
        for call in done:
            answer: T | ProviderError = _answer(call)
            yield calls[call], answer
        if time.monotonic() - renewed_at >= RENEW_EVERY_SECONDS:
            renewed_at = time.monotonic()
            renew_all(claims)
        if meanwhile is not None:
            meanwhile()


def renew_all(claims: Iterable[Claim]) -> None:
    """Keep what is still ours; of the others, whoever writes next learns that they are lost."""
    for claim in claims:
        claim.renew()


def _answer(call: Future[T]) -> T | ProviderError:
    error = call.exception()
    if error is None:
        return call.result()
    if isinstance(error, ProviderError):
        return error
    # Ours to mend. One job's call must not end the pass for the others, and what it did at the provider is not known.
    logger.error("call to a provider broke off", exc_info=error)
    return UnexpectedPayload(f"The call broke off here ({type(error).__name__}).")
