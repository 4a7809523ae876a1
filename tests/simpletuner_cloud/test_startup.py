"""What is done before any process is started: the copy of the database before its tables change."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from pytest_django import Settings

from jobs.services import store
from simpletuner_cloud import startup
from simpletuner_cloud.refusals import CannotStart
from tests.conftest import MakeJob

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="a PostgreSQL database is its operator's to back up"),
]


@pytest.fixture(autouse=True)
def _store(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STORE_DIR = tmp_path
    monkeypatch.setattr(store, "has_pending_migrations", lambda: True)


def backups(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "backups").glob("*"))


def test_the_copy_holds_what_was_there_and_is_ours_alone(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job()
    copy = startup.back_up_before_migrating()
    assert copy is not None
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT job_id FROM jobs_unifiedjob").fetchall() == [(job.job_id,)]
    assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o700


def test_only_the_newest_three_are_kept(tmp_path: Path) -> None:
    for day in range(1, 6):
        with time_machine.travel(f"2026-01-0{day}T12:00:00Z", tick=False):
            startup.back_up_before_migrating()
    assert backups(tmp_path) == [f"db-2026010{day}T120000Z.sqlite3" for day in (3, 4, 5)]


def test_nothing_is_copied_when_nothing_changes_or_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "has_tables", lambda: False)
    assert startup.back_up_before_migrating() is None
    monkeypatch.undo()
    monkeypatch.setattr(store, "has_pending_migrations", lambda: False)
    assert startup.back_up_before_migrating() is None
    assert backups(tmp_path) == []


def test_tables_change_only_after_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *_arguments, **_options: done.append(name)

    monkeypatch.setattr(startup, "back_up_before_migrating", note("copy"))
    monkeypatch.setattr(startup, "call_command", note("migrate"))
    monkeypatch.setattr(store, "claim_store", note("claim"))
    monkeypatch.setattr(startup, "collect_static_files", note("collect"))
    startup.prepare_store()
    assert done == ["copy", "migrate", "claim", "collect"]


def test_a_copy_that_cannot_be_made_stops_the_start_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(target: Path) -> None:
        target.write_text("half")
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "copy_sqlite", fill)
    with pytest.raises(CannotStart, match=r"cannot be backed up.*disk is full"):
        startup.back_up_before_migrating()
    assert backups(tmp_path) == []


def test_pending_migrations_are_seen_until_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(store, "_is_up_to_date", False)
    plan: list[object] = ["a migration"]
    monkeypatch.setattr("jobs.services.store.MigrationExecutor.migration_plan", lambda *_: plan)
    assert store.has_pending_migrations()
    plan.clear()
    assert not store.has_pending_migrations()
    monkeypatch.undo()
    assert not store.has_pending_migrations()
