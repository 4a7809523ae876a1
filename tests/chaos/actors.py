"""Carries out a schedule on a running system, and counts what it did and what came of it."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import psycopg
import requests

from tests.chaos.schedule import (
    Action,
    DatabaseTrouble,
    Freeze,
    Kill,
    NewJob,
    Outage,
    ProviderTrouble,
    Requests,
    Schedule,
    Traffic,
    WebhookAddress,
    WebhookTrouble,
)
from tests.chaos.system import NotRunning, Start, System
from tests.chaos.verdict import Answer

THREADS = 48
# Longer than any answer of the product may take, with a frozen process in between.
CLIENT_SECONDS = 60.0
RESTART_WAIT_SECONDS = 15.0
LOOK_SECONDS = 0.05


class Actors:
    """Everybody who does something during a run. Close it before the verdict: what it has begun, it ends."""

    def __init__(self, system: System) -> None:
        self.fates: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.answers: list[Answer] = []
        self.restarts: dict[str, list[float | None]] = defaultdict(list)
        self.problems: list[str] = []
        self._system = system
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="actor")
        self._lock = threading.Lock()
        self._jobs: list[str] = []
        self._has_config = True
        self._is_away = threading.Event()
        self._outages = 0

    def perform(self, schedule: Schedule) -> None:
        """Take every step at its time; a late step does not move the others."""
        begun = time.monotonic()
        for step in schedule.steps:
            time.sleep(max(begun + step.at - time.monotonic(), 0.0))
            self._begin(step.action)
        time.sleep(max(begun + schedule.seconds - time.monotonic(), 0.0))

    def close(self) -> None:
        """Wait until everything that was begun has ended; nothing is disturbed any more after that."""
        self._pool.shutdown(wait=True)
        self._system.sandbox.control("DELETE", "/faults")
        deliveries = self._system.sandbox.control("PUT", "/webhooks", {})["deliveries"]
        self.fates = Counter(delivery["fate"] for delivery in deliveries)

    def set_webhook_address(self, url: str) -> int | None:
        """Tell the product where it can be called; empty: nowhere. Returns the status of the answer."""
        return self._ask("PUT", "/api/cloud/providers/replicate/config", "PUT provider config", {"webhook_url": url})

    def _begin(self, action: Action) -> None:
        match action:
            case NewJob():
                self._count("job with our webhook" if action.calls_us else "job without a webhook")
                self._submit(lambda: self._add_job(action))
            case Requests():
                self._count(f"request: {action.traffic}", action.clients)
                for _ in range(action.clients):
                    self._submit(lambda: self._request(action))
            case Kill():
                self._count(f"kill -9 {action.process}")
                self._kill(action.process)
            case Freeze():
                self._count(f"freeze {action.process}")
                self._submit(lambda: self._freeze(action))
            case Outage():
                self._count("whole system killed" if action.is_killed else "whole system restarted")
                self._submit(lambda: self._outage(action))
            case DatabaseTrouble():
                self._count(f"database trouble ({self._system.database.kind})")
                self._submit(lambda: self._database_trouble(action))
            case ProviderTrouble():
                self._count(f"provider: {action.name}")
                self._submit(lambda: self._provider_trouble(action))
            case WebhookTrouble():
                self._count(f"webhooks: {action.name}")
                self._submit(lambda: self._webhook_trouble(action))
            case WebhookAddress():
                self._count("webhook URL set" if action.is_set else "webhook URL removed")
                self._submit(lambda: self._address(action))

    def _submit(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except (requests.RequestException, OSError, psycopg.Error, sqlite3.Error, NotRunning) as error:
                # An actor that stumbles makes a run that proves less than it says.
                self.problems.append(f"{type(error).__name__}: {error}")

        self._pool.submit(run)

    def _count(self, name: str, times: int = 1) -> None:
        with self._lock:
            self.done[name] += times

    # Clients

    def _add_job(self, action: NewJob) -> None:
        plan = {**action.plan, **({"webhook": self._system.webhook_url} if action.calls_us else {})}
        added = self._system.sandbox.control("POST", "/jobs", plan)
        self._jobs.append(added["id"])

    def _request(self, action: Requests) -> None:
        jobs = list(self._jobs)
        job = jobs[int(action.choice * len(jobs))] if jobs else "none"
        newest = jobs[-1 - int(action.choice * min(len(jobs), 20))] if jobs else "none"
        match action.traffic:
            case Traffic.SYNC:
                self._ask("POST", "/api/cloud/jobs/sync")
            case Traffic.HISTORY:
                self._ask("POST", "/api/cloud/jobs/sync?history=true")
            case Traffic.LIST:
                self._ask("GET", "/api/cloud/jobs?limit=50&provider=replicate&sync_active=true")
            case Traffic.PROGRESS:
                self._ask("GET", f"/api/cloud/jobs/{newest}/inline-progress", "GET inline-progress")
            case Traffic.LOGS:
                self._ask("GET", f"/api/cloud/jobs/{job}/logs", "GET logs")
            case Traffic.CANCEL:
                self._ask("POST", f"/api/cloud/jobs/{newest}/cancel", "POST cancel")
            case Traffic.PAGE:
                self._ask("GET", "/")

    def _ask(self, method: str, path: str, name: str | None = None, body: object = None) -> int | None:
        try:
            answer = requests.request(method, self._system.product.url + path, json=body, timeout=CLIENT_SECONDS)
            status: int | None = answer.status_code
        except requests.RequestException:
            status = None  # its web process was killed or frozen
        with self._lock:
            self.answers.append(Answer(name or f"{method} {path}", status))
        return status

    def _address(self, action: WebhookAddress) -> None:
        if not self._has_config:
            return
        status = self.set_webhook_address(self._system.webhook_url if action.is_set else "")
        if status == HTTPStatus.NOT_FOUND:
            self._has_config = False
            self.problems.append("there is no configuration of webhooks: they were not switched on and off")

    # Faults

    def _kill(self, process: str) -> None:
        if self._is_away.is_set():
            return
        outages = self._outages
        killed = self._system.product.signal(process, signal.SIGKILL)
        if killed is not None:
            at = time.monotonic()
            self._submit(lambda: self._note_restart(killed, at, outages))

    def _note_restart(self, killed: Start, at: float, outages: int) -> None:
        while time.monotonic() < at + RESTART_WAIT_SECONDS:
            if self._outages != outages:
                return  # the supervisor itself has gone
            if self._system.product.newest(killed.child) != killed:
                with self._lock:
                    self.restarts[killed.child].append(time.monotonic() - at)
                return
            time.sleep(LOOK_SECONDS)
        with self._lock:
            self.restarts[killed.child].append(None)

    def _freeze(self, action: Freeze) -> None:
        if self._is_away.is_set():
            return
        frozen = self._system.product.signal(action.process, signal.SIGSTOP)
        time.sleep(action.seconds)
        if frozen is not None:
            self._system.product.signal(action.process, signal.SIGCONT, start=frozen)

    def _outage(self, action: Outage) -> None:
        self._outages += 1
        self._is_away.set()
        try:
            code = self._system.product.end(is_killed=action.is_killed)
            if not action.is_killed and code != 0:
                self.problems.append(f"the product ended with {code} when it was asked to end")
            time.sleep(action.seconds)
            self._system.product.start()
        finally:
            self._is_away.clear()

    def _database_trouble(self, action: DatabaseTrouble) -> None:
        self._system.database.trouble(action.seconds)

    def _provider_trouble(self, action: ProviderTrouble) -> None:
        for rule in action.rules:
            self._system.sandbox.control("POST", "/faults", rule)
        time.sleep(action.seconds)
        self._system.sandbox.control("DELETE", "/faults")
        if action.refuses_the_token:
            # What a person does who has repaired the token.
            self._ask("GET", "/api/cloud/providers/replicate/validate")

    def _webhook_trouble(self, action: WebhookTrouble) -> None:
        self._system.sandbox.control("PUT", "/webhooks", action.disorder)
        time.sleep(action.seconds)
        self._system.sandbox.control("PUT", "/webhooks", {})
