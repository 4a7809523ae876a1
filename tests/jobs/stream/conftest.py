"""What the tests of event streams share."""

from collections.abc import Callable, Iterator

import pytest

from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.jobs.stream.listener import StreamListener

Listen = Callable[..., StreamListener]
Change = Callable[[], UnifiedJob]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Open streams that are closed at the end of the test."""
    opened: list[StreamListener] = []

    def open_stream(url: str, **options: object) -> StreamListener:
        opened.append(StreamListener(url, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_stream
    for listener in opened:
        listener.close()


@pytest.fixture
def change(make_job: MakeJob, make_snapshot: MakeSnapshot) -> Change:
    """Make one event: a queued job that is now seen running."""

    def see_running() -> UnifiedJob:
        job = make_job(status="queued")
        apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
        return job

    return see_running
