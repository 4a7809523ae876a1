"""Everything that the product promises, measured in one run: ``make bench``, or ``python -m benchmarks``.

Each database is measured in a process of its own, with its own web process, Redis and sandbox on loopback.
``--peer URL`` names another server with the same API, that you have started with a store of as many jobs: its list,
``sync`` and ``sync_active`` are then measured in the same run, and told as ratios. On a machine that does something
else the numbers say little, the counts as much as ever.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace

from benchmarks import parse_log
from benchmarks.results import Result, at_most, table
from benchmarks.sizes import QUICK, Sizes
from benchmarks.stack import Stack, running

DATABASES = ("sqlite", "postgresql")
CASES = ("parser", "listeners", "sync", "sync_active", "poll", "progress", "webhooks", "peer", "lists", "footprint")
ONCE = ("parser", "footprint")
QUICK_LEFT_OUT = ("footprint",)


def main(arguments: list[str]) -> int:
    """Measure; returns 1 if a target was missed."""
    options = _options(arguments)
    if len(options.database) > 1:
        # A process sets Django up for one database, once.
        codes = []
        for number, database in enumerate(options.database):
            print(f"== {database}", flush=True)
            left_out = [word for case in ONCE for word in ("--without", case)] if number else []
            command = [sys.executable, "-m", "benchmarks", *arguments, "--database", database, *left_out]
            codes.append(subprocess.run(command, check=False).returncode)
        return max(codes)
    sizes = QUICK if options.quick else Sizes()
    if options.stores:
        sizes = replace(sizes, stores=tuple(options.stores))
    chosen = [case for case in options.only or CASES if case not in options.without]
    if options.quick:
        chosen = [case for case in chosen if case not in QUICK_LEFT_OUT]
    _allow_many_files()
    results = []
    for result in measure(options.database[0], chosen, sizes, options.peer):
        print(f"  {result.what}: {result.measured}", flush=True)
        results.append(result)
    print(table(results), flush=True)
    return int(any(result.is_kept is False for result in results) and not options.quick)


def measure(database: str, chosen: Iterable[str], sizes: Sizes, peer: str | None) -> Iterator[Result]:
    """Every chosen case, one after another."""
    chosen = tuple(chosen)
    if "parser" in chosen:
        yield from parser(sizes)
    if set(chosen) - set(ONCE):
        with running(database, latency_seconds=sizes.latency_seconds) as stack:
            yield from _on_a_stack(stack, chosen, sizes, peer)
    if "footprint" in chosen:
        from benchmarks.footprint import footprint

        yield from footprint()


def parser(sizes: Sizes) -> Iterator[Result]:
    """A megabyte of the text that takes longest."""
    texts = [parse_log.filled(text, parse_log.MEGABYTE) for text in parse_log.TEXTS.values()]
    slowest = max(parse_log.best_milliseconds(text, runs=sizes.parser_runs) for text in texts)
    yield at_most("progress parser, 1 MB of the slowest text", slowest, 50, unit=" ms", digits=0)


def listeners(stack: Stack, sizes: Sizes) -> Iterator[Result]:
    """Readers of ``/api/events``, and changes made here as a worker makes them."""
    from benchmarks.streams import KEPT_CONNECTIONS, run_cases

    port = int(stack.url.rpartition(":")[2])
    found = asyncio.run(
        run_cases(sizes.listeners, port, stack.web_pid, singles=sizes.single_events, burst=sizes.burst_events)
    )
    name = f"{sizes.listeners:,} listeners"
    yield at_most(f"{name}: a change reaches the last, p99", found.single[1], 300, unit=" ms", digits=0)
    yield at_most(f"{name}: threads of the web process", found.threads, 30, digits=0)
    yield at_most(f"{name}: memory for each", found.kb_per_reader_afterwards, 25, unit=" KB", digits=1)
    yield at_most(f"{name}: that missed an event or got one twice", sizes.listeners - found.whole, 0, digits=0)
    yield at_most(f"{name}: connections left behind", found.left_behind, KEPT_CONNECTIONS, digits=0)


def _on_a_stack(stack: Stack, chosen: tuple[str, ...], sizes: Sizes, peer: str | None) -> Iterator[Result]:
    from benchmarks import deliveries, lists, syncing

    # Listeners first: memory is told from what the web process holds before anybody has asked anything.
    if "listeners" in chosen:
        yield from listeners(stack, sizes)
    for case, work in (
        ("sync", syncing.full_sync),
        ("sync_active", syncing.refresh),
        ("poll", syncing.poll),
        ("progress", syncing.progress),
        ("webhooks", deliveries.webhooks),
    ):
        if case in chosen:
            yield from work(stack, sizes)
    if "peer" in chosen and peer:
        yield from lists.against_peer(stack, sizes, peer)
    if "lists" in chosen:
        yield from lists.throughput(stack, sizes, peer)


def _options(arguments: list[str]) -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--database", choices=DATABASES, nargs="+", default=list(DATABASES))
    options.add_argument("--only", choices=CASES, nargs="+", help="these cases alone")
    options.add_argument("--without", choices=CASES, action="append", default=[], help="all but this; may be repeated")
    options.add_argument("--stores", type=int, nargs="+", help="numbers of jobs for the list, smallest first")
    options.add_argument("--peer", metavar="URL", help="another server with the same API")
    options.add_argument("--quick", action="store_true", help="tiny sizes, to see that all of it works")
    return options.parse_args(arguments)


def _allow_many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
