"""Full sync, ``sync_active`` and the poller, over the provider's latency; and what browsers' progress costs."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from math import ceil

from benchmarks.engine import bring_in, cost_of
from benchmarks.lists import CLIENTS, PAGE
from benchmarks.load import Answers, Client, load, timed
from benchmarks.results import Result, at_most
from benchmarks.sizes import Sizes
from benchmarks.stack import Stack, fill_store, resident_mb

PROVIDER_PAGE = 100
REFRESH_SECONDS = {10: 0.2, 100: 0.3, 1_000: 1.5}
# Where the answer is shared by those who ask within five seconds.
PROGRESS_SHARED_SECONDS = 5.0


def full_sync(stack: Stack, sizes: Sizes) -> Iterator[Result]:
    """Jobs that are new, and the same once more, in stores of different sizes."""
    from jobs.services import sync

    queries: dict[str, set[int]] = {"new": set(), "known": set()}
    for known in sizes.known:
        provider = stack.new_account(str(sizes.found))
        fill_store(known)
        for kind in queries:
            cost = cost_of(provider, lambda: sync.discover_jobs("replicate"))
            queries[kind].add(cost.queries)
            # Both lists of the account are read side by side.
            own = max(cost.seconds - stack.latency_seconds, 0.0)
            name = f"sync, {sizes.found} {kind} into {known:,}"
            yield at_most(f"{name}: beyond the provider's own time", own, 0.3, unit=" s")
            yield at_most(f"{name}: provider calls", cost.calls, 2, digits=0)
    for kind, counts in queries.items():
        yield at_most(f"sync, {kind}: queries that depend on the store", max(counts) - min(counts), 0, digits=0)


def refresh(stack: Stack, sizes: Sizes) -> Iterator[Result]:
    """``GET /api/cloud/jobs?sync_active=true`` as a browser asks it."""
    for active in sizes.active:
        provider = stack.new_account()
        provider.add_running(active)
        bring_in(active)
        provider.calls()
        started = time.perf_counter()
        status = asyncio.run(Client(stack.url).request(f"{PAGE}&sync_active=true"))
        seconds = time.perf_counter() - started
        name = f"sync_active, {active:,} active"
        yield at_most(f"{name}: seconds", seconds, REFRESH_SECONDS.get(active, 1.5), unit=" s")
        yield at_most(f"{name}: provider calls", provider.calls(), 1 + ceil(active / PROVIDER_PAGE), digits=0)
        yield at_most(f"{name}: failed requests", int(status != 200), 0, digits=0)


def poll(stack: Stack, sizes: Sizes) -> Iterator[Result]:
    """Two cycles of the poller in this process, as in a worker, while others read the list."""
    from jobs.services import polling

    provider = stack.new_account()
    provider.add_running(sizes.polled)
    bring_in(sizes.polled)
    is_over = threading.Event()
    seen: list[Answers] = []

    def read_lists() -> None:
        while not is_over.is_set():
            seen.append(asyncio.run(load(stack.url, lambda _client: PAGE, clients=CLIENTS // 4, seconds=0.5)))

    readers = threading.Thread(target=read_lists)
    readers.start()
    memory, taken = [], []
    for _ in range(2):
        provider.calls()
        started = time.perf_counter()
        done = polling.run_cycle()
        taken.append(time.perf_counter() - started)
        memory.append(resident_mb(os.getpid()))
    is_over.set()
    readers.join()
    name = f"poll over {sizes.polled:,}"
    yield at_most(f"{name}: seconds", max(taken), 15, unit=" s", digits=1)
    yield at_most(f"{name}: jobs that were not refreshed", sizes.polled - (done.refreshed if done else 0), 0, digits=0)
    yield at_most(f"{name}: provider calls", provider.calls(), 1 + ceil(sizes.polled / PROVIDER_PAGE), digits=0)
    yield at_most(f"{name}: memory grown by the second cycle", memory[1] - memory[0], 10, unit=" MB", digits=1)
    slowest = Answers([second for answers in seen for second in answers.seconds])
    yield at_most(f"{name}: list p99 meanwhile", slowest.milliseconds(0.99), 300, unit=" ms", digits=0)


def progress(stack: Stack, sizes: Sizes) -> Iterator[Result]:
    """Browsers that each follow the same running jobs, asking for each of them every few seconds."""
    from jobs.models import UnifiedJob

    provider = stack.new_account()
    provider.add_running(sizes.browser_jobs)
    bring_in(sizes.browser_jobs)
    jobs = list(UnifiedJob.objects.values_list("job_id", flat=True))
    provider.calls()
    answers = Answers()
    started = time.perf_counter()
    asyncio.run(_browse(stack.url, jobs, sizes, answers))
    seconds = time.perf_counter() - started
    name = f"inline progress, {sizes.browsers} browsers × {sizes.browser_jobs} jobs"
    most_calls = len(jobs) * ceil(seconds / PROGRESS_SHARED_SECONDS + 1)
    yield at_most(f"{name}: provider calls", provider.calls(), most_calls, digits=0)
    yield at_most(f"{name}: p99", answers.milliseconds(0.99), 100, unit=" ms", digits=0)
    yield at_most(f"{name}: failures", answers.failures, 0, digits=0)


async def _browse(url: str, jobs: list[str], sizes: Sizes, answers: Answers) -> None:
    pause = sizes.ask_every_seconds / len(jobs)

    async def browse(number: int) -> None:
        client = Client(url)
        await asyncio.sleep(sizes.ask_every_seconds * number / sizes.browsers)
        for _ in range(sizes.rounds):
            for job in jobs:
                began = time.perf_counter()
                await timed(client, f"/api/cloud/jobs/{job}/inline-progress", answers)
                await asyncio.sleep(max(pause - (time.perf_counter() - began), 0.0))
        client.close()

    await asyncio.gather(*(browse(number) for number in range(sizes.browsers)))
