"""A sandbox on a free port, for tests that speak to Replicate over HTTP."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
import uvicorn

from providers.sandbox.options import Options
from providers.sandbox.server import create_app, uvicorn_config

Json = dict[str, Any]

TICK_SECONDS = 0.005


class RunningSandbox:
    """A sandbox that is up. `url` is its origin; Replicate's API is below `url + "/v1"`."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """A request with the token to any path, whatever the answer."""
        return self.session.request(method, self.url + path, timeout=10, **arguments)

    def get(self, path: str, **query: str) -> Any:
        """The JSON that a path below `/v1` answers with; raises for a refusal."""
        answer = self.call("GET", f"/v1{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    def add_job(self, **plan: Any) -> Json:
        """A job by its plan, as Replicate would show it now: `add_job(kind="training", created_offset=-60)`."""
        return self._control("POST", "/jobs", plan)

    def change_job(self, job_id: str, **values: Any) -> Json:
        """Force keys of a job's answer: `change_job(id, status="failed")`; `removed=True` makes it a 404."""
        return self._control("PATCH", f"/jobs/{job_id}", values)

    def fault(self, kind: str, **rule: Any) -> Json:
        """From now on, requests that match suffer this: `fault("status", status=500, path="/v1/trainings*")`."""
        return self._control("POST", "/faults", {"kind": kind, **rule})

    def clear_faults(self) -> None:
        self._control("DELETE", "/faults")

    def requests(self) -> Json:
        """What has been called since the last reset: `counts["GET /v1/trainings/{id}"]`, `total`, `last`."""
        return self._control("GET", "/requests")

    def reset_requests(self) -> None:
        self._control("DELETE", "/requests")

    def disturb_webhooks(self, **disorder: float) -> None:
        """From now on, `drop` or `duplicate` this share of deliveries, wait `delay_seconds`, `shuffle_seconds`."""
        self._control("PUT", "/webhooks", disorder)

    def deliveries(self) -> list[Json]:
        """Webhooks so far, newest last, and what became of each."""
        sent: list[Json] = self._control("GET", "/webhooks")["deliveries"]
        return sent

    def plan_status_page(self, **notes: list[Json]) -> None:
        """What the public status page tells: `plan_status_page(ongoing_incidents=[{"name": "Slow"}])`."""
        self._control("PUT", "/status-page", notes)

    def advance(self, seconds: float) -> None:
        """Jump the sandbox's time ahead."""
        self._control("POST", "/clock", {"advance": seconds})

    def _control(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self.session.request(method, f"{self.url}/_sandbox{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        content: Json = answer.json()
        return content


class PromptServer(uvicorn.Server):
    """uvicorn's server looks ten times a second whether it shall end, and then pauses; this one ends at once.

    As there, a request that is being answered may finish first, within `timeout_graceful_shutdown`.
    """

    async def main_loop(self) -> None:
        # Every tenth tick also renews the `Date` of the answers.
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            await asyncio.sleep(TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:
                    await asyncio.sleep(TICK_SECONDS / 5)
        for task in list(state.tasks):
            task.cancel()
        await self.lifespan.shutdown()


@contextmanager
def running_sandbox(**options: Any) -> Iterator[RunningSandbox]:
    """Run a sandbox with these `Options` in a thread; without options its account is empty and its speed natural."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Options(**{"population": "none", "speed": 1.0, "public_url": url, **options})
    # Below critical, uvicorn complains about requests that a fault still keeps hanging at the end.
    server = PromptServer(uvicorn_config(create_app(settings), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the sandbox did not start"
            time.sleep(0.002)
        sandbox = RunningSandbox(url, settings.token)
        yield sandbox
        sandbox.session.close()
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
