"""Webhooks at a steady rate: every one is taken, and none is lost."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.engine import bring_in
from benchmarks.load import Client
from benchmarks.results import Result, at_least, at_most, told
from benchmarks.sizes import Sizes
from benchmarks.stack import Stack
from providers.sandbox.signing import PUBLISHED_TEST_SECRET, signature

PATH = "/api/webhooks/replicate"
JOBS = 50
CONNECTIONS = 32
SETTLE_SECONDS = 240.0
WORKER = """
import time
import django
django.setup()
from jobs.services.webhooks import apply_received
while True:
    apply_received()
    time.sleep(5)
"""


def webhooks(stack: Stack, sizes: Sizes) -> Iterator[Result]:
    """Send them by the clock, whatever the answers take, and look afterwards for each."""
    from jobs.models import UnifiedJob, WebhookDelivery, WebhookVerdict

    provider = stack.new_account()
    provider.add_running(min(JOBS, sizes.deliveries_per_second))
    bring_in(JOBS)
    jobs = list(UnifiedJob.objects.values_list("external_id", flat=True))
    count = int(sizes.deliveries_per_second * sizes.delivery_seconds)
    with _worker():
        started = time.perf_counter()
        statuses = asyncio.run(_send(stack.url, [str(job) for job in jobs], count, sizes.deliveries_per_second))
        seconds = time.perf_counter() - started
        deadline = time.monotonic() + SETTLE_SECONDS
        unsettled = WebhookDelivery.objects.filter(verdict=WebhookVerdict.RECEIVED)
        while unsettled.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        behind = time.perf_counter() - started - seconds
    name = f"webhooks, {sizes.deliveries_per_second} a second for {sizes.delivery_seconds:g} s"
    # The last is sent one pause before the time is over.
    yield at_least(
        f"{name}: sent and answered per second", count / seconds, sizes.deliveries_per_second * 0.9, digits=0
    )
    yield told(f"{name}: until the worker has applied the rest", f"{behind:.0f} s")
    yield at_most(f"{name}: refused", sum(status != 200 for status in statuses), 0, digits=0)
    yield at_most(f"{name}: lost", count - WebhookDelivery.objects.count(), 0, digits=0)
    yield at_most(f"{name}: not applied", unsettled.count(), 0, digits=0)


@contextmanager
def _worker() -> Iterator[None]:
    """What a worker does of all its work with webhooks, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", WORKER])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _send(url: str, jobs: list[str], count: int, per_second: int) -> list[int]:
    statuses: list[int] = []
    numbers: asyncio.Queue[int] = asyncio.Queue()

    async def post() -> None:
        client = Client(url)
        while True:
            number = await numbers.get()
            body = json.dumps(
                {"id": jobs[number % len(jobs)], "status": "processing", "logs": f"step {number}/100000\n"}
            ).encode()
            stamp, name = int(time.time()), f"bench-{number}"
            headers = (
                f"Content-Type: application/json\r\nwebhook-id: {name}\r\nwebhook-timestamp: {stamp}\r\n"
                f"webhook-signature: {signature(PUBLISHED_TEST_SECRET, name, stamp, body)}\r\n"
            )
            statuses.append(await client.request(PATH, method="POST", body=body, headers=headers))
            numbers.task_done()

    posts = [asyncio.create_task(post()) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(started + number / per_second - time.perf_counter(), 0.0))
        numbers.put_nowait(number)
    done = asyncio.create_task(numbers.join())
    # A post that fails ends its task: then the rest would be waited for in vain.
    await asyncio.wait([done, *posts], return_when=asyncio.FIRST_COMPLETED)
    for task in posts:
        task.cancel()
    for outcome in await asyncio.gather(*posts, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return statuses
