"""How much of everything."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes that the targets speak of."""

    parser_runs: int = 7
    stores: tuple[int, ...] = (100, 10_000, 1_000_000)
    seconds: float = 10.0
    active: tuple[int, ...] = (10, 100, 1_000)
    known: tuple[int, ...] = (0, 100_000)
    found: int = 100
    polled: int = 10_000
    browsers: int = 500
    browser_jobs: int = 10
    rounds: int = 3
    ask_every_seconds: float = 5.0
    listeners: int = 2_000
    single_events: int = 50
    burst_events: int = 500
    deliveries_per_second: int = 300
    delivery_seconds: float = 60.0
    latency_seconds: float = 0.05


# Nothing of it says anything: it shows that the harness still works.
QUICK = Sizes(
    parser_runs=1,
    stores=(20, 100),
    seconds=0.1,
    active=(3,),
    known=(0, 30),
    found=10,
    polled=5,
    browsers=3,
    browser_jobs=2,
    rounds=1,
    ask_every_seconds=0.1,
    listeners=3,
    single_events=1,
    burst_events=5,
    deliveries_per_second=50,
    delivery_seconds=0.2,
    latency_seconds=0.0,
)
