"""What a load takes, from what its parts cost: ``python -m benchmarks.capacity``.

The unit costs are measured (docs/performance.md, under the heading that each names). The model adds them up; it
reproduces the points that they were taken from (tests/test_capacity.py), and goes on from there. docs/capacity.md has
its answers, and what to do when something breaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import ceil

SECONDS_PER_DAY = 86_400
MB, GB = 1e6, 1e9


@dataclass(frozen=True, slots=True)
class Cost:
    """A measured number, and the heading of docs/performance.md that it stands under."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What one of each costs, on one of the two cores of the machine that it was measured on."""

    # Of a refresh: a list page's answer is waited for, then its jobs are written.
    page_wait_seconds: Cost = Cost(0.05, "Syncing")
    page_work_seconds: Cost = Cost(0.0125, "Syncing")
    import_seconds_per_job: Cost = Cost(1 / 565, "Importing a history")
    event_wire_bytes: Cost = Cost(210, "Importing a history")
    web_mb: Cost = Cost(93, "Event streams")
    listener_kb: Cost = Cost(21, "Event streams")
    delivery_seconds: Cost = Cost(0.13 / 500_000, "Event streams")
    worker_mb: Cost = Cost(89, "Processes")
    beat_mb: Cost = Cost(83, "Processes")
    job_bytes: Cost = Cost(1_050, "Sizes in the database")
    event_bytes: Cost = Cost(120, "Sizes in the database")
    log_bytes: Cost = Cost(97_000, "Sizes in the database")
    fetches_per_second: Cost = Cost(1.6, "Importing a history")
    list_seconds: Cost = Cost(1 / 650, "Web servers")
    fragment_seconds: Cost = Cost(0.02, "The list in a browser")


MEASURED = Costs()

# What is set, not measured.
PAGE_JOBS = 100
CALLS_PER_MINUTE = 2_400
IMPORT_JOBS_PER_SECOND = 400
CAPTURES_PER_SECOND = 50 / 30
LISTENERS_PER_WEB = 2_000
WORKER_THREADS, WEB_CONNECTIONS = 8, 21
EVENTS_PER_JOB = 3
# Beyond these, something else is wanted than more of the same.
CONNECTIONS_OF_POSTGRESQL = 400
HISTORY_READS_PER_SECOND = 5_000
WEB_CORES = 64
BUSY_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the system. ``lists_per_second``: requests of programs for the list.

    ``seen_share``: of all events those that a listener is told of, whose page then fetches its list.
    """

    jobs: int
    active: int
    ended_per_day: int
    listeners: int
    lists_per_second: float = 0.0
    seen_share: float = 1.0
    poll_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What it takes."""

    cycle_seconds: float
    calls_per_minute: float
    calls_share: float
    logs_share: float
    fetches_per_second: float
    web_cores: float
    webs: int
    web_mb: float
    workers: int
    memory_gb: float
    connections: int
    history_reads_per_second: float
    database_gb: float
    growth_gb_per_month: float
    import_hours: float
    breaks: tuple[str, ...]


def pages(jobs: int) -> int:
    return ceil(jobs / PAGE_JOBS)


def refresh_seconds(active: int, costs: Costs = MEASURED) -> float:
    """One round over the active jobs of one list: its pages are read one after another."""
    return pages(active) * (costs.page_wait_seconds.value + costs.page_work_seconds.value)


def import_seconds(jobs: int, costs: Costs = MEASURED) -> float:
    """A walk through a history: the slower of its work and of the pages that a tick may read."""
    return max(jobs * costs.import_seconds_per_job.value, jobs / IMPORT_JOBS_PER_SECOND)


def web_memory_mb(listeners: int, costs: Costs = MEASURED) -> float:
    """One web process with so many open streams."""
    return costs.web_mb.value + listeners * costs.listener_kb.value * 1_000 / MB


def needs(load: Load, costs: Costs = MEASURED) -> Needs:
    """Add it all up."""
    cycle = refresh_seconds(load.active, costs)
    ended_per_second = load.ended_per_day / SECONDS_PER_DAY
    # Each end is asked for singly once, and once more for its log.
    per_minute = pages(load.active) * 60 / max(load.poll_seconds, cycle) + 2 * ended_per_second * 60
    events_per_second = ended_per_second * EVENTS_PER_JOB
    by_streams = ceil(load.listeners / LISTENERS_PER_WEB)
    deliveries = events_per_second * load.listeners * costs.delivery_seconds.value
    fetches = load.listeners * min(events_per_second * load.seen_share, costs.fetches_per_second.value)
    lists = load.lists_per_second * costs.list_seconds.value + fetches * costs.fragment_seconds.value
    web_cores = (lists + deliveries) / BUSY_SHARE
    by_cpu = ceil(web_cores)
    webs = max(2, by_streams, by_cpu)
    # The work of the cycle, which a worker does between the answers; two, so that one may be lost.
    busy = pages(load.active) * costs.page_work_seconds.value / max(load.poll_seconds, cycle)
    workers = max(2, ceil(busy / BUSY_SHARE))
    each_web = web_memory_mb(ceil(load.listeners / webs), costs)
    # Each web process reads each event once, or when nothing happens once in five seconds.
    reads = webs * max(events_per_second, 0.2)
    per_job = costs.job_bytes.value + EVENTS_PER_JOB * costs.event_bytes.value + costs.log_bytes.value
    connections = workers * WORKER_THREADS + webs * WEB_CONNECTIONS + 2
    return Needs(
        cycle_seconds=cycle,
        calls_per_minute=per_minute,
        calls_share=per_minute / CALLS_PER_MINUTE,
        logs_share=ended_per_second / CAPTURES_PER_SECOND,
        fetches_per_second=fetches,
        web_cores=web_cores,
        webs=webs,
        web_mb=each_web,
        workers=workers,
        memory_gb=(webs * each_web + workers * costs.worker_mb.value + 2 * costs.beat_mb.value) * MB / GB,
        connections=connections,
        history_reads_per_second=reads,
        database_gb=load.jobs * per_job / GB,
        growth_gb_per_month=load.ended_per_day * 30 * per_job / GB,
        import_hours=import_seconds(load.jobs, costs) / 3600,
        breaks=tuple(_breaks(load, cycle, per_minute, ended_per_second, connections, reads, web_cores)),
    )


def _breaks(
    load: Load,
    cycle: float,
    per_minute: float,
    ended_per_second: float,
    connections: int,
    reads: float,
    web_cores: float,
) -> list[str]:
    """What does not hold any more, in words that docs/capacity.md explains."""
    limits = (
        ("pages fetch their lists too often", web_cores, WEB_CORES),
        ("poll cycle longer than its interval", cycle, load.poll_seconds),
        ("calls beyond the provider's budget", per_minute, CALLS_PER_MINUTE),
        ("logs end faster than they are captured", ended_per_second, CAPTURES_PER_SECOND),
        ("connections beyond PostgreSQL's", connections, CONNECTIONS_OF_POSTGRESQL),
        ("history read too often", reads, HISTORY_READS_PER_SECOND),
    )
    return [what for what, value, limit in limits if value > limit]


SCENARIOS = {
    "one team": Load(jobs=10_000, active=100, ended_per_day=200, listeners=50, lists_per_second=5),
    "10⁵ jobs, 10⁴ listeners": Load(
        jobs=100_000, active=1_000, ended_per_day=2_000, listeners=10_000, lists_per_second=100
    ),
    "10⁷ jobs, 10⁶ listeners": Load(
        jobs=10_000_000, active=100_000, ended_per_day=200_000, listeners=1_000_000, lists_per_second=10_000
    ),
    "the same, each told of its own": Load(
        jobs=10_000_000,
        active=100_000,
        ended_per_day=200_000,
        listeners=1_000_000,
        lists_per_second=10_000,
        seen_share=1e-4,
    ),
}


def table() -> str:
    """The needs of each scenario, as a table in Markdown."""
    found = {name: needs(load) for name, load in SCENARIOS.items()}
    rows: list[tuple[str, Sequence[str]]] = [
        ("active jobs / ended a day", [f"{load.active:,} / {load.ended_per_day:,}" for load in SCENARIOS.values()]),
        ("poll cycle", [f"{need.cycle_seconds:.1f} s" for need in found.values()]),
        (
            "provider calls a minute (of the budget)",
            [f"{need.calls_per_minute:,.0f} ({need.calls_share:.0%})" for need in found.values()],
        ),
        ("log captures (of what is possible)", [f"{need.logs_share:.0%}" for need in found.values()]),
        (
            "lists fetched by pages a second, cores for it",
            [f"{need.fetches_per_second:,.0f}, {need.web_cores:,.1f}" for need in found.values()],
        ),
        ("web processes, memory of each", [f"{need.webs:,}, {need.web_mb:.0f} MB" for need in found.values()]),
        ("workers", [f"{need.workers}" for need in found.values()]),
        ("memory of all processes", [f"{need.memory_gb:,.1f} GB" for need in found.values()]),
        ("connections to PostgreSQL", [f"{need.connections:,}" for need in found.values()]),
        ("reads of the history a second", [f"{need.history_reads_per_second:,.0f}" for need in found.values()]),
        (
            "database, growth a month",
            [f"{need.database_gb:,.1f} GB, {need.growth_gb_per_month:,.1f} GB" for need in found.values()],
        ),
        ("import of all from the provider", [f"{need.import_hours:,.1f} h" for need in found.values()]),
        ("what breaks", ["; ".join(need.breaks) or "nothing" for need in found.values()]),
    ]
    lines = ["| | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    return "\n".join(lines + [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows])


def sources(costs: Costs = MEASURED) -> set[str]:
    """The headings of docs/performance.md that the costs stand under."""
    return {getattr(costs, field.name).source for field in fields(costs)}


if __name__ == "__main__":
    print(table())
