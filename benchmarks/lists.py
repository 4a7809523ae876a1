"""The list of jobs under 16 clients, in stores of different sizes; and the same requests to another server.

Clients that ask the same at the same time share an answer (``simpletuner_cloud.shared_answers``), so that they are
measured twice: all with one request, and each with one that differs from the others'.
"""

import asyncio
import time
from collections.abc import Callable, Iterator

from benchmarks.load import Answers, Client, load
from benchmarks.results import Result, at_least, at_most, percentile, told
from benchmarks.sizes import Sizes
from benchmarks.stack import Stack, empty_store, fill_store

CLIENTS = 16
PAGE = "/api/cloud/jobs?limit=50"
REPEATS = 5


def throughput(stack: Stack, sizes: Sizes, peer: str | None) -> Iterator[Result]:
    """First page with all clients, then pages at any depth with one."""
    own: dict[str, Answers] = {}
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
            own.setdefault(how, answers)
        depths = (0, count // 2, max(count - 50, 0))
        slowest = max(_page_ms(stack.url, f"{PAGE}&cursor={_cursor(depth)}", sizes) for depth in depths)
        if not first_page_ms:
            first_page_ms = _page_ms(stack.url, PAGE, sizes)
        else:
            ratio = slowest / first_page_ms
            yield at_most(f"list, {count:,} jobs: slowest page / first page of {sizes.stores[0]:,}, p50", ratio, 1.5)
    for how, path in (("each its own", _different), ("all the same", _same)) if peer else ():
        theirs = _load(str(peer), path, sizes.seconds)
        yield told(
            f"peer's list, {how}: requests/s", f"{theirs.per_second:.0f} (p99 {theirs.milliseconds(0.99):.0f} ms)"
        )
        ratio = own[how].per_second / max(theirs.per_second, 1e-9)
        yield at_least(f"list, {how}: our requests/s / the peer's", ratio, 4)
    empty_store()


def against_peer(stack: Stack, sizes: Sizes, peer: str) -> Iterator[Result]:
    """``sync`` and ``sync_active`` here and there, the peer's account being whatever it was started with."""
    provider = stack.new_account()
    provider.add_running(sizes.active[-1])
    for name, path, method in (
        ("sync", "/api/cloud/jobs/sync", "POST"),
        ("sync_active", f"{PAGE}&sync_active=true", "GET"),
    ):
        ours, theirs = (asyncio.run(_median_seconds(url, path, method)) for url in (stack.url, peer))
        yield told(f"{name}, seconds: ours, the peer's", f"{ours:.3f}, {theirs:.3f}")
        yield told(f"{name}: the peer's seconds / ours", f"{theirs / ours:.1f}")


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


async def _median_seconds(url: str, path: str, method: str) -> float:
    client, taken = Client(url), []
    for _ in range(REPEATS):
        started = time.perf_counter()
        status = await client.request(path, method=method)
        if status != 200:
            raise RuntimeError(f"{url}{path} answered {status}")
        taken.append(time.perf_counter() - started)
    client.close()
    return percentile(taken, 0.5)
