"""The list of jobs under 16 clients, in stores of different sizes; and the same requests to another server.

Clients that ask the same at the same time share an answer (``simpletuner_cloud.shared_answers``), so that they are
measured twice: all with one request, and each with one that differs from the others'.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.load import Answers, Client, load
from benchmarks.results import Result, at_least, at_most, told
from benchmarks.sizes import Sizes
from benchmarks.stack import Stack, empty_store, fill_store

CLIENTS = 16
PAGE = "/api/cloud/jobs?limit=50"
REPEATS = 5
# Turns of either server when one is measured beside the other.
PEER_TURNS = 7


def throughput(stack: Stack, sizes: Sizes, peer: str | None) -> Iterator[Result]:
    """First page with all clients, then pages at any depth with one."""
    first_page_ms = 0.0
    for count in sizes.stores:
        fill_store(count)
        for how, path in (("each its own", _different), ("all the same", _same)):
            answers = _load(stack.url, path, sizes.seconds)
            name = f"list, {count:,} jobs, {CLIENTS} clients, {how}"
            yield told(f"{name}: requests/s", f"{answers.per_second:.0f} (p50 {answers.milliseconds(0.5):.0f} ms)")
            yield at_most(f"{name}: p99", answers.milliseconds(0.99), 100, unit=" ms", digits=0)
            if answers.failures:
                yield at_most(f"{name}: failures", answers.failures, 0, digits=0)
        depths = (0, count // 2, max(count - 50, 0))
        slowest = max(_page_ms(stack.url, f"{PAGE}&cursor={_cursor(depth)}", sizes) for depth in depths)
        if not first_page_ms:
            first_page_ms = _page_ms(stack.url, PAGE, sizes)
        else:
            ratio = slowest / first_page_ms
            yield at_most(f"list, {count:,} jobs: slowest page / first page of {sizes.stores[0]:,}, p50", ratio, 1.5)
    if peer:
        fill_store(sizes.stores[0])
        for how, path in (("each its own", _different), ("all the same", _same)):
            yield from _beside_peer(stack.url, peer, how, path, sizes.seconds)
    empty_store()


def _beside_peer(own: str, peer: str, how: str, path: Callable[[int], str], seconds: float) -> Iterator[Result]:
    """Both in turns, and the median of the turns' ratios: what the machine does besides slows them alike."""
    turns = [tuple(_load(url, path, seconds / PEER_TURNS * 2) for url in (own, peer)) for _ in range(PEER_TURNS)]
    ours, theirs = (median(answers.per_second for answers in side) for side in zip(*turns, strict=True))
    yield told(f"list, {how}, in turns: requests/s of ours, of the peer", f"{ours:.0f}, {theirs:.0f}")
    ratio = median(mine.per_second / max(its.per_second, 1e-9) for mine, its in turns)
    yield at_least(f"list, {how}: our requests/s / the peer's", ratio, 4)


def against_peer(stack: Stack, sizes: Sizes, peer: str) -> Iterator[Result]:
    """``sync`` and ``sync_active`` here and there, the peer's account being whatever it was started with."""
    provider = stack.new_account()
    provider.add_running(sizes.active[-1])
    for name, path, method in (
        ("sync", "/api/cloud/jobs/sync", "POST"),
        ("sync_active", f"{PAGE}&sync_active=true", "GET"),
    ):
        turns = [[asyncio.run(_seconds(url, path, method)) for url in (stack.url, peer)] for _ in range(PEER_TURNS)]
        ours, theirs = (median(side) for side in zip(*turns, strict=True))
        yield told(f"{name}, seconds: ours, the peer's", f"{ours:.3f}, {theirs:.3f}")
        yield told(f"{name}: the peer's seconds / ours", f"{median(its / mine for mine, its in turns):.1f}")


def _cursor(depth: int) -> str:
    """What the API would have given for the page that begins behind so many jobs; empty for the first."""
    from jobs.api.serializers import encode_cursor
    from jobs.models import UnifiedJob

    if not depth:
        return ""
    created_at, pk = UnifiedJob.objects.newest_first().values_list("created_at", "pk")[depth - 1]
    return encode_cursor(created_at, pk)


def _same(_client: int) -> str:
    return PAGE


def _different(client: int) -> str:
    return f"{PAGE}&offset={client}"


def _load(url: str, path: Callable[[int], str], seconds: float) -> Answers:
    # A short one before, in which connections are made and code is loaded.
    asyncio.run(load(url, path, clients=CLIENTS, seconds=seconds / 10))
    return asyncio.run(load(url, path, clients=CLIENTS, seconds=seconds))


def _page_ms(url: str, path: str, sizes: Sizes) -> float:
    """The best median of several: what else the machine does makes a page slower, never quicker."""

    def once() -> float:
        return asyncio.run(load(url, lambda _client: path, clients=1, seconds=sizes.seconds / 10)).milliseconds(0.5)

    return min(once() for _ in range(REPEATS))


async def _seconds(url: str, path: str, method: str) -> float:
    client = Client(url)
    started = time.perf_counter()
    status = await client.request(path, method=method)
    taken = time.perf_counter() - started
    client.close()
    if status != 200:
        raise RuntimeError(f"{url}{path} answered {status}")
    return taken
