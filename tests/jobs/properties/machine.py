"""The store against a model of the truth: facts come by every door, late, twice, garbled or never."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest import mock

import time_machine
from django.db import connection, connections, transaction
from django.forms import model_to_dict
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobs import coordination, events
from jobs.lifecycle import ORDER, TERMINAL, JobStatus, Source
from jobs.models import JobLog, StatusChange, UnifiedJob
from jobs.pricing import PriceBook
from jobs.services import call_governor, history_walk, logs, sync, webhook_secrets, webhooks
from jobs.services.snapshots import apply_snapshots
from providers import registry
from providers.errors import InvalidWebhook, ProviderError
from providers.replicate import mapping
from providers.snapshots import JobSnapshot
from tests.deliveries import signed
from tests.jobs.properties.account import Account, Fault
from tests.jobs.properties.truth import TRUTHFUL, Blemish, Life, answer, blemishes, lives

BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
MOST_JOBS = 3
RANKS: list[str] = [*ORDER, *sorted(TERMINAL)]
# These depend on when we asked, not on what was said.
NOT_SAID = ("id", "last_synced_at", "failed_checks", "next_check_at", "lost_at", "next_log_capture_at", "logs_state")
# What an older log adds to, but cannot take back: it depends on which log of several was read first.
HOW_FAR = ("stage", "progress", "last_log", "step", "total_steps", "loss", "eta_seconds", "progress_at")
# Of a job that still runs, the last one who spoke is believed.
TOLD_BY_THE_LAST = ("provider_status", "last_sync_error", "cost_usd")

T = TypeVar("T")
Row = dict[str, Any]
# Longer than any job is known.
MOST_SECONDS = 100_000

ages = st.sampled_from([0, 1, 20, 120, 300, 500, 900, 3600, MOST_SECONDS])
faults = st.none() | st.sampled_from(sorted(Fault))
parts = st.sampled_from(["", "trainings", "predictions", "/job"])
doors = st.sampled_from([Source.POLLER, Source.SYNC_ACTIVE, Source.PROGRESS, Source.WEBHOOK, Source.SYNC])
places = st.integers(0, MOST_JOBS - 1)
# Of which job, how old, how garbled, and whether with its log.
facts = st.tuples(places, ages, blemishes(), st.booleans())
Fact = tuple[int, int, Blemish, bool]


class FactsMachine(RuleBasedStateMachine):
    """A few jobs of one account, and a store that may know less of them than is true, but nothing that is not true.

    Here it is told facts; whom it asks for them, and what may go wrong then, the machine below adds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.heard: dict[str, list[JobSnapshot]] = defaultdict(list)
        self.first_heard: dict[str, datetime] = {}
        self.sent: list[Mapping[str, object]] = []
        self.rows_before: dict[str, Row] = {}
        self.logs_before: dict[str, str] = {}
        self.calls_in_transaction: list[str] = []
        self.deliveries = 0
        self.is_listening = True
        self.last_said: tuple[list[JobSnapshot], Source] | None = None
        self._whole = transaction.atomic()
        self._whole.__enter__()
        # Not the connection of the pool's thread that calls, but that of the thread which waits for it.
        database = connections["default"]
        depth = len(database.savepoint_ids)
        self.account = Account(
            lambda path: self.calls_in_transaction.append(path) if len(database.savepoint_ids) > depth else None
        )
        self._patches = [
            mock.patch.object(events, "send_event", self._event_leaves),
            mock.patch.object(UnifiedJob, "merge", self._listening(UnifiedJob.merge)),
        ]
        for patch in self._patches:
            patch.start()
        self.account.start()
        self._forget_everything_but_the_store()

    def teardown(self) -> None:
        try:
            self._agree_with_the_truth_at_last()
        finally:
            self.account.stop()
            transaction.set_rollback(True)
            self._whole.__exit__(None, None, None)
            connection.run_on_commit.clear()
            for patch in reversed(self._patches):
                patch.stop()

    # What happens in the world.

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.start_a_job(data, is_known=True)
        self.start_a_job(data, is_known=False)

    @precondition(lambda self: len(self.account.lives) < MOST_JOBS)
    @rule(data=st.data(), is_known=st.booleans())
    def start_a_job(self, data: st.DataObject, is_known: bool) -> None:
        life = data.draw(lives(f"job{len(self.account.lives)}abcdefghijklmnopqrstuv", self.now))
        self.account.lives[life.external_id] = life
        if is_known:
            self._say([self._snapshot(life, MOST_SECONDS, TRUTHFUL, with_logs=False)], Source.SYNC)

    @rule(seconds=st.sampled_from([1, 15, 60, 600, 2400, 7200]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    # What we hear of it, and when.

    @rule(facts=st.lists(st.tuples(facts, doors), min_size=1, max_size=5))
    def hear(self, facts: list[tuple[Fact, Source]]) -> None:
        """Facts that come one by one. They may be long out of date: an answer delayed, a webhook overtaken."""
        for (place, age, blemish, with_logs), door in facts:
            for life in self._lives(place):
                self._say([self._snapshot(life, age, blemish, with_logs)], door)
                self.the_store_says_what_was_heard()

    @rule(facts=st.lists(facts, min_size=2, max_size=6), door=doors)
    def hear_many_at_once(self, facts: list[Fact], door: Source) -> None:
        told = [
            self._snapshot(life, age, blemish, with_logs)
            for place, age, blemish, with_logs in facts
            for life in self._lives(place)
        ]
        self._say(told, door)

    @rule(door=doors)
    def hear_the_same_again(self, door: Source) -> None:
        if self.last_said is None:
            return
        snapshots, first_door = self.last_said
        self._say(snapshots, first_door)
        before, changes = self._stored(), StatusChange.objects.count()
        self._say(snapshots, door if door is not Source.SYNC else first_door)
        assert self._stored() == before
        assert StatusChange.objects.count() == changes

    # What must hold after each step.

    @invariant()
    def the_store_says_what_was_heard(self) -> None:
        self._let_events_leave()
        assert self.calls_in_transaction == []
        kept = {log.job_id: log for log in JobLog.objects.all()}
        changes: dict[int, list[StatusChange]] = defaultdict(list)
        for change in StatusChange.objects.select_related("job").order_by("pk"):
            changes[change.job_id].append(change)
        rows = {job.external_id or "": job for job in UnifiedJob.objects.all()}
        assert rows.keys() == set(self.heard)
        for external_id, job in rows.items():
            log = kept.get(job.pk)
            text = log.text if log else ""
            self._check_against_what_was_heard(job, text)
            _check_in_itself(job, changes[job.pk])
            if external_id in self.rows_before:
                _check_against_the_past(self.rows_before[external_id], job)
                assert text.startswith(self.logs_before[external_id]), "a saved log only grows"
            if log and log.is_final:
                assert job.is_terminal
                assert self._heard_the_end_of_the_log(external_id, text), "what counts as the whole log is not"
            self.rows_before[external_id], self.logs_before[external_id] = _row(job), text
        history = sorted((change for some in changes.values() for change in some), key=lambda change: change.pk)
        assert self.sent == [events.payload(change) for change in history], "one change, one row, one event"

    def _check_against_what_was_heard(self, job: UnifiedJob, text: str) -> None:
        heard = self.heard[job.external_id or ""]
        said = [snapshot.status.value for snapshot in heard if snapshot.status]
        status = max([JobStatus.QUEUED.value, *said], key=RANKS.index)
        assert job.status == status
        ends = [snapshot for snapshot in heard if snapshot.status and snapshot.status.value in TERMINAL]
        created = [snapshot.created_at or self.first_heard[snapshot.external_id] for snapshot in heard[:1]]
        assert job.created_at == min([*created, *_told(snapshot.created_at for snapshot in heard)])
        completed_at = min(_told(snapshot.completed_at for snapshot in ends), default=None)
        assert job.completed_at == completed_at
        started_at = min(_told(snapshot.started_at for snapshot in heard), default=None)
        if started_at and completed_at:
            started_at = min(started_at, completed_at)
        assert job.started_at == started_at
        assert job.run_seconds == max(_told(snapshot.run_seconds for snapshot in heard), default=None)
        assert job.error_message == next(iter(_told(snapshot.error for snapshot in ends)), None)
        assert job.output_url == next(iter(_told(snapshot.output_url for snapshot in heard)), None)
        assert text == max((snapshot.logs or "" for snapshot in heard), key=len)

    def _heard_the_end_of_the_log(self, external_id: str, text: str) -> bool:
        """Whether this is the whole log, or its provider said after the end that there is none."""
        life = self.account.lives[external_id]
        assert life.completed_at
        is_told_empty = any(
            snapshot.logs == "" and snapshot.status and snapshot.status.value in TERMINAL
            for snapshot in self.heard[external_id]
        )
        return text == life.log(life.completed_at) or (is_told_empty and not text)

    # The end of it all.

    def _agree_with_the_truth_at_last(self) -> None:
        """One truthful answer for each job, and the row is that of a store which heard everything in its order."""
        self.now += timedelta(seconds=5)
        self._forget_everything_but_the_store()
        self._tell_the_whole_truth()
        self.the_store_says_what_was_heard()
        for job in UnifiedJob.objects.all():
            self._check_against_the_truth(job, self.account.lives[job.external_id or ""])
        facts = [snapshot for heard in self.heard.values() for snapshot in heard]
        in_order = sorted(facts, key=lambda snapshot: snapshot.as_of)
        found = self._stored()
        assert _differences(self._store_that_hears(in_order), found) == {}
        backwards = self._store_that_hears(reversed(in_order))
        for external_id, names in _differences(backwards, found).items():
            is_active = found[external_id]["status"] not in TERMINAL
            assert not names - set(HOW_FAR) - (set(TOLD_BY_THE_LAST) if is_active else set())

    def _tell_the_whole_truth(self) -> None:
        self.account.view = self.now
        self._say(
            [self._snapshot(life, 0, TRUTHFUL, with_logs=True) for life in self.account.lives.values()], Source.SYNC
        )

    def _check_against_the_truth(self, job: UnifiedJob, life: Life) -> None:
        at = self.account.view or self.now
        word = life.word(at)
        assert (job.status, job.provider_status) == (mapping.STATUS[word].value, word)
        assert job.last_sync_error is None
        assert _are_near(job.created_at, life.created_at)
        assert _are_near(job.completed_at, life.completed_at if life.is_over(at) else None)
        assert (job.started_at is None) == (life.started_at is None or life.started_at > at)
        if not life.is_removed(at):
            stored = JobLog.objects.filter(job=job).first()
            assert (stored.text if stored else "") == life.log(at)

    def _store_that_hears(self, snapshots: Iterable[JobSnapshot]) -> dict[str, Row]:
        self.is_listening = False
        UnifiedJob.objects.all().delete()
        with time_machine.travel(self.now, tick=False):
            apply_snapshots(list(snapshots), source=Source.SYNC, create=True)
        connection.run_on_commit.clear()
        return self._stored()

    # Helpers.

    def _lives(self, place: int) -> list[Life]:
        return list(self.account.lives.values())[place : place + 1]

    def _jobs(self, place: int) -> list[UnifiedJob]:
        return list(UnifiedJob.objects.filter(external_id__in=[life.external_id for life in self._lives(place)]))

    def _snapshot(self, life: Life, age: int, blemish: Blemish, with_logs: bool) -> JobSnapshot:
        at = max(self.now - timedelta(seconds=age), life.created_at)
        return mapping.snapshot(
            answer(life, at, blemish=blemish, with_logs=with_logs), as_of=at, kind=life.kind if with_logs else None
        )

    def _say(self, snapshots: list[JobSnapshot], door: Source) -> None:
        self.last_said = (snapshots, door)
        known = set(self.heard)
        with time_machine.travel(self.now, tick=False):
            apply_snapshots(snapshots, source=door, create=door is Source.SYNC)
        # What is heard at the very moment of a question counts as heard behind it.
        self.now += timedelta(seconds=1)
        if door is not Source.SYNC:
            assert set(self.heard) == known, "only a sync brings in unknown jobs"

    def _listening(self, merge: Callable[[UnifiedJob, JobSnapshot, PriceBook], frozenset[str]]) -> Any:
        def merge_and_note(job: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> frozenset[str]:
            if self.is_listening:
                self.first_heard.setdefault(snapshot.external_id, job.created_at)
                self.heard[snapshot.external_id].append(snapshot)
            return merge(job, snapshot, prices)

        return merge_and_note

    def _event_leaves(self, _channel: str, _name: str, body: Mapping[str, object]) -> None:
        if body["type"] == events.STATUS_CHANGED:
            self.sent.append(body)

    def _let_events_leave(self) -> None:
        waiting = [entry[1] for entry in connection.run_on_commit]
        connection.run_on_commit.clear()
        for call in waiting:
            call()

    def _forget_the_process(self) -> None:
        registry.forget_providers()
        coordination.forget_local_answers()
        webhook_secrets.forget_secrets()
        call_governor.forget_own_books()

    def _forget_everything_but_the_store(self) -> None:
        coordination.client().flushdb()
        self._forget_the_process()

    def _stored(self) -> dict[str, Row]:
        texts = {log.job_id: log.text for log in JobLog.objects.all()}
        return {
            job.external_id or "": _without_fields(_row(job), NOT_SAID) | {"log": texts.get(job.pk, "")}
            for job in UnifiedJob.objects.all()
        }


class StoreMachine(FactsMachine):
    """The same with every door: polls, syncs, logs, webhooks, walks through the history; and a provider with faults."""

    @rule()
    def restart(self) -> None:
        """A new process: it has the store, and what is in Redis."""
        self._forget_the_process()

    @rule()
    def lose_redis(self) -> None:
        self._forget_everything_but_the_store()

    @rule(place=places)
    def provider_forgets_or_finds_a_job(self, place: int) -> None:
        for life in self._lives(place):
            self.account.gone ^= {life.external_id}

    @rule(age=ages, blemish=blemishes(), fault=faults, part=parts)
    def poll(self, age: int, blemish: Blemish, fault: Fault | None, part: str) -> None:
        with self._asking(age, blemish, fault, part):
            sync.refresh_active_jobs(source=Source.POLLER)

    @rule(age=ages, blemish=blemishes(), fault=faults, part=parts)
    def press_sync(self, age: int, blemish: Blemish, fault: Fault | None, part: str) -> None:
        with self._asking(age, blemish, fault, part):
            sync.discover_jobs("replicate")

    @rule()
    def press_sync_twice(self) -> None:
        with self._asking(0, TRUTHFUL, None, ""):
            sync.discover_jobs("replicate")
        before, at = self._stored(), self.account.view
        with self._asking(0, TRUTHFUL, None, ""):
            self.account.view = at
            again = sync.discover_jobs("replicate")
            assert (again.found, again.updated) == (0, 0)
        assert self._stored() == before

    @rule(place=places, age=ages, blemish=blemishes(), fault=faults, part=parts)
    def ask_for_one_job(self, place: int, age: int, blemish: Blemish, fault: Fault | None, part: str) -> None:
        for job in self._jobs(place):
            with self._asking(age, blemish, fault, part):
                sync.refresh_job(job, source=Source.PROGRESS)

    @rule(place=places, age=ages, blemish=blemishes(), fault=faults)
    def read_the_log(self, place: int, age: int, blemish: Blemish, fault: Fault | None) -> None:
        for job in self._jobs(place):
            with self._asking(age, blemish, fault, ""):
                logs.read_log(job.job_id)

    @rule(age=ages, blemish=blemishes(), fault=faults)
    def capture_logs(self, age: int, blemish: Blemish, fault: Fault | None) -> None:
        with self._asking(age, blemish, fault, ""):
            logs.capture_due_logs()

    @rule(
        place=places,
        age=st.sampled_from([0, 1, 20, 120, 900]),
        blemish=blemishes(),
        fault=faults,
        times=st.integers(1, 3),
    )
    def webhook_comes(self, place: int, age: int, blemish: Blemish, fault: Fault | None, times: int) -> None:
        """A delivery, signed when its body was written, once or several times under one id."""
        for life in self._lives(place):
            at = max(self.now - timedelta(seconds=age), life.created_at)
            self.deliveries += 1
            body = json.dumps(answer(life, at, blemish=blemish)).encode()
            webhook_id = f"msg_{self.deliveries}"
            for _ in range(times):
                with self._asking(0, TRUTHFUL, fault, ""), suppress(InvalidWebhook, webhooks.SecretUnavailable):
                    webhooks.receive("replicate", signed(body, webhook_id=webhook_id, stamp=int(at.timestamp())), body)

    @rule(age=ages, blemish=blemishes(), fault=faults, part=parts)
    def go_through_the_inbox(self, age: int, blemish: Blemish, fault: Fault | None, part: str) -> None:
        with self._asking(age, blemish, fault, part):
            webhooks.apply_received()

    @rule(age=ages, blemish=blemishes(), fault=faults, part=parts)
    def walk_through_the_history(self, age: int, blemish: Blemish, fault: Fault | None, part: str) -> None:
        with self._asking(age, blemish, fault, part):
            history_walk.start("replicate")
            history_walk.advance()

    def _tell_the_whole_truth(self) -> None:
        self.account.gone.clear()
        with self._asking(0, TRUTHFUL, None, ""):
            sync.discover_jobs("replicate")
            for job in UnifiedJob.objects.all():
                sync.refresh_job(job, source=Source.POLLER)

    @contextmanager
    def _asking(self, age: int, blemish: Blemish, fault: Fault | None, part: str) -> Iterator[None]:
        """Ask the account as it was some time ago; whatever trouble it makes must be told on the jobs it concerns."""
        account = self.account
        account.view, account.blemish = self.now - timedelta(seconds=age), blemish
        account.fault, account.faulty_part = fault, part
        account.asked.clear()
        heard = {external_id: len(facts) for external_id, facts in self.heard.items()}
        with time_machine.travel(self.now, tick=False):
            try:
                yield
            except ProviderError:
                assert fault or account.gone or age or blemish != TRUTHFUL or not account.asked
        for job in UnifiedJob.objects.filter(external_id__in=heard):
            news = self.heard[job.external_id or ""][heard[job.external_id or ""] :]
            if news:
                assert (job.lost_at, job.failed_checks, job.next_check_at) == (None, 0, None)
                assert (job.last_sync_error is None) == (news[-1].status is not None or job.is_terminal)
            elif any((job.external_id or "") in path for path in account.asked):
                assert job.last_sync_error, "a job that was asked for in vain says so"
        # An answer given at the same instant would be shared.
        self.now += timedelta(seconds=1)


def _check_in_itself(job: UnifiedJob, changes: list[StatusChange]) -> None:
    assert job.progress is None or 0 <= job.progress <= 100
    assert job.completed_at is None or job.is_terminal
    assert not (job.started_at and job.completed_at and job.started_at > job.completed_at)
    assert job.cost_usd is None or job.cost_usd >= 0
    told = [(change.previous, change.status) for change in changes]
    assert [previous for previous, _ in told] == [None, *(status for _, status in told[:-1])], "an unbroken chain"
    assert told[-1][1] == job.status
    assert all(previous != status for previous, status in told)


def _check_against_the_past(before: Row, job: UnifiedJob) -> None:
    if before["status"] in TERMINAL:
        assert job.status == before["status"], "the end is final"
    assert RANKS.index(job.status) >= RANKS.index(before["status"]), "status never goes back"
    assert job.created_at <= before["created_at"]
    for name in ("started_at", "completed_at"):
        time: datetime | None = getattr(job, name)
        assert before[name] is None or (time is not None and time <= before[name])
    for name in ("error_message", "output_url", "hardware_type", "config_name"):
        assert before[name] in (None, getattr(job, name)), f"{name} is never erased"
    assert before["metadata"].keys() <= job.metadata.keys()
    if before["cost_usd"] is not None:
        assert job.cost_usd is not None
        assert job.is_terminal or job.cost_usd >= before["cost_usd"], "the cost of a running job only grows"


def _row(job: UnifiedJob) -> Row:
    return model_to_dict(job) | {"job_id": job.job_id}


def _without_fields(row: Row, fields: Iterable[str]) -> Row:
    return {name: value for name, value in row.items() if name not in set(fields)}


def _differences(one: dict[str, Row], other: dict[str, Row]) -> dict[str, set[str]]:
    """The names of the fields in which rows differ."""
    assert one.keys() == other.keys()
    found = {key: {name for name in row if row[name] != other[key][name]} for key, row in one.items()}
    return {key: names for key, names in found.items() if names}


def _told(values: Iterable[T | None]) -> list[T]:
    return [value for value in values if value is not None]


def _are_near(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < timedelta(seconds=1)
