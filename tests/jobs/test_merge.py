"""Snapshots in any order, repeated or lost, end in the same row: UnifiedJob.merge (SPEC B2.1)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from jobs.lifecycle import ORDER, TERMINAL, JobStatus
from jobs.models import UnifiedJob
from jobs.pricing import Price, PriceBook
from providers.snapshots import JobSnapshot, RemoteStatus

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRICES = PriceBook([Price("replicate", "gpu-h100", START.date(), Decimal("0.001525"))])

seconds = st.integers(min_value=0, max_value=10_000)
moments = st.none() | seconds.map(lambda offset: START + timedelta(seconds=offset))


@st.composite
def life(draw: st.DrawFn) -> list[JobSnapshot]:
    """What a provider may say of one job: queued, then running, then one end, which it repeats."""
    end = draw(st.sampled_from([RemoteStatus.COMPLETED, RemoteStatus.FAILED, RemoteStatus.CANCELLED]))
    end_facts = {
        "completed_at": draw(moments),
        "run_seconds": draw(st.none() | st.floats(min_value=0, max_value=1e5)),
        "error": draw(st.none() | st.just("it failed")),
        "output_url": draw(st.none() | st.just("https://replicate.delivery/w.tar")),
    }
    snapshots = []
    for status in draw(st.lists(st.sampled_from([RemoteStatus.QUEUED, RemoteStatus.RUNNING, None, end]), min_size=1)):
        is_end = status == end
        snapshots.append(
            JobSnapshot(
                provider="replicate",
                external_id="x",
                status=status,
                raw_status=status or "hibernating",
                as_of=START + timedelta(seconds=draw(seconds)),
                created_at=draw(moments),
                started_at=None if status == RemoteStatus.QUEUED else draw(moments),
                hardware=draw(st.none() | st.just("gpu-h100")),
                **(end_facts if is_end else {}),  # type: ignore[arg-type]
            )
        )
    return snapshots


def merged(snapshots: list[JobSnapshot]) -> UnifiedJob:
    job = UnifiedJob(provider="replicate", external_id="x", status="queued", created_at=START + timedelta(days=1))
    for snapshot in snapshots:
        job.merge(snapshot, PRICES)
    return job


def facts(job: UnifiedJob) -> tuple[object, ...]:
    """What must not depend on the order. A running job's cost is an estimate as of the newest snapshot."""
    return (job.status, job.created_at, job.started_at, job.run_seconds, job.hardware_type, job.output_url)


@given(st.data())
def test_any_order_and_any_repeat_end_in_the_same_row(data: st.DataObject) -> None:
    snapshots = data.draw(life())
    shuffled = data.draw(st.permutations(snapshots))
    repeated = data.draw(st.lists(st.sampled_from(snapshots)))
    assert facts(merged(snapshots)) == facts(merged([*shuffled, *repeated]))


@given(life(), st.data())
def test_after_the_end_nothing_reopens_a_job(snapshots: list[JobSnapshot], data: st.DataObject) -> None:
    job = merged(snapshots)
    if job.status not in TERMINAL:
        return
    before, error = job.status, job.error_message
    for snapshot in data.draw(st.permutations(snapshots)):
        job.merge(snapshot, PRICES)
        assert job.status == before
        assert error is None or job.error_message == error


@given(life())
def test_status_only_moves_forward_and_cost_of_a_running_job_only_grows(snapshots: list[JobSnapshot]) -> None:
    job = merged([])
    ranks = [*ORDER, *TERMINAL]
    for snapshot in snapshots:
        rank, cost = ranks.index(JobStatus(job.status)), job.cost_usd
        job.merge(snapshot, PRICES)
        assert ranks.index(JobStatus(job.status)) >= rank
        if job.status not in TERMINAL and cost is not None:
            assert job.cost_usd is not None
            assert job.cost_usd >= cost


@given(life())
def test_merging_twice_changes_nothing_more(snapshots: list[JobSnapshot]) -> None:
    job = merged(snapshots)
    again = job.merge(snapshots[-1], PRICES)
    assert not again - {"last_sync_error", "provider_status"}
    assert not job.merge(snapshots[-1], PRICES)
