"""Numbers of jobs without counting them: a scan of a million rows takes longer than the page that tells the number.

Triggers of the database keep ``JobTally`` in step with the jobs, within the transaction that changes them. They are put
back after every migration, because SQLite drops them with each table that a migration makes anew.
"""

from collections.abc import Mapping, Sequence

import structlog
from django.db import connection, transaction
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Coalesce

from jobs.access import SYSTEM, VIEW_ALL, VIEW_OWN, Actor
from jobs.lifecycle import JobStatus
from jobs.models import JobTally, UnifiedJob
from jobs.models.tally import NOBODY

logger = structlog.get_logger(__name__)

# Sums of fewer rows are as quick as of one.
MOST_ROWS = 500

JOBS, TALLY = UnifiedJob._meta.db_table, JobTally._meta.db_table
KIND = "provider, status, job_type, owner_key"
COLUMNS = f"{KIND}, jobs"
# What the triggers do has a version, which is part of their names.
INSERTED, DELETED, UPDATED = TRIGGERS = ("job_tally_inserted_1", "job_tally_deleted_1", "job_tally_updated_1")
OWNER = f"COALESCE({{row}}.owner_id, {NOBODY})"


def _sqlite(name: str, event: str, *changes: tuple[str, int], condition: str = "") -> str:
    """A trigger for each row; ``changes``: the row of which one is added or taken away."""
    inserts = " ".join(
        f"INSERT INTO {TALLY} ({COLUMNS}) VALUES "
        f"({row}.provider, {row}.status, {row}.job_type, {OWNER.format(row=row)}, {number});"
        for row, number in changes
    )
    return f"CREATE TRIGGER {name} AFTER {event} ON {JOBS} {condition} BEGIN {inserts} END"


def _postgresql(name: str, event: str, *changes: tuple[str, int]) -> tuple[str, str]:
    """A trigger for each statement, which may be of a hundred rows, and its function."""
    tables = {"OLD": "OLD TABLE AS old_rows", "NEW": "NEW TABLE AS new_rows"}
    rows = " UNION ALL ".join(
        f"SELECT provider, status, job_type, {OWNER.format(row=f'{row.lower()}_rows')} AS owner_key, {number} AS jobs "
        f"FROM {row.lower()}_rows"
        for row, number in changes
    )
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"INSERT INTO {TALLY} ({COLUMNS}) SELECT {KIND}, SUM(jobs) FROM ({rows}) AS changes "
        f"GROUP BY {KIND} HAVING SUM(jobs) <> 0; RETURN NULL; END $$",
        f"CREATE TRIGGER {name} AFTER {event} ON {JOBS} "
        f"REFERENCING {' '.join(tables[row] for row, _ in changes)} FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
    )


IS_OF_ANOTHER_KIND = (
    "WHEN OLD.provider <> NEW.provider OR OLD.status <> NEW.status OR OLD.job_type <> NEW.job_type "
    f"OR {OWNER.format(row='OLD')} <> {OWNER.format(row='NEW')}"
)
STATEMENTS: Mapping[str, Sequence[str]] = {
    "sqlite": (
        _sqlite(INSERTED, "INSERT", ("NEW", 1)),
        _sqlite(DELETED, "DELETE", ("OLD", -1)),
        _sqlite(UPDATED, "UPDATE", ("OLD", -1), ("NEW", 1), condition=IS_OF_ANOTHER_KIND),
    ),
    "postgresql": (
        *_postgresql(INSERTED, "INSERT", ("NEW", 1)),
        *_postgresql(DELETED, "DELETE", ("OLD", -1)),
        *_postgresql(UPDATED, "UPDATE", ("OLD", -1), ("NEW", 1)),
    ),
}
# Every trigger of ours that is there, of this version or an older one.
INSTALLED: Mapping[str, str] = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'job_tally_%%'",
    "postgresql": (
        "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        f"WHERE relname = '{JOBS}' AND relnamespace = CURRENT_SCHEMA()::regnamespace AND tgname LIKE 'job_tally_%%'"
    ),
}


def total(actor: Actor = SYSTEM, **filters: str) -> int:
    """How many jobs there are that ``actor`` may see, of a ``provider``, ``status`` or ``job_type`` if one is named."""
    conditions = _conditions(actor, filters)
    if conditions is None:
        return 0
    where = " AND ".join(f"{name} = %s" for name in conditions) or "1 = 1"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COALESCE(SUM(jobs), 0) FROM {TALLY} WHERE {where}", list(conditions.values()))
        return int(cursor.fetchone()[0])


def by_status(actor: Actor = SYSTEM, **filters: str) -> dict[str, int]:
    """The same for each status."""
    found = _tallies(actor, filters).values_list("status").annotate(total=Sum("jobs"))
    return dict.fromkeys(JobStatus.values, 0) | dict(found)


def make_compact() -> bool:
    """Make the rows of each kind one, if they have become many; returns whether they had."""
    if not JobTally.objects.all()[MOST_ROWS : MOST_ROWS + 1].exists():
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # In one statement, so that rows that are added meanwhile are neither counted here nor deleted.
            cursor.execute(
                f"WITH gone AS (DELETE FROM {TALLY} RETURNING {COLUMNS}) INSERT INTO {TALLY} ({COLUMNS}) "
                f"SELECT {KIND}, SUM(jobs) FROM gone GROUP BY {KIND} HAVING SUM(jobs) <> 0"
            )
        else:
            # SQLite has one writer.
            cursor.execute(f"SELECT {KIND}, SUM(jobs) FROM {TALLY} GROUP BY {KIND} HAVING SUM(jobs) <> 0")
            sums = cursor.fetchall()
            cursor.execute(f"DELETE FROM {TALLY}")
            cursor.executemany(f"INSERT INTO {TALLY} ({COLUMNS}) VALUES (%s, %s, %s, %s, %s)", sums)
    return True


def ensure_counted(**_: object) -> None:
    """Put the triggers in place and count once, unless they are there."""
    with transaction.atomic(), connection.cursor() as cursor:
        if JobTally._meta.db_table not in connection.introspection.table_names(cursor):
            # A migration back to before there were any.
            return
        cursor.execute(INSTALLED[connection.vendor])
        there = {name for (name,) in cursor.fetchall()}
        if there == set(TRIGGERS):
            if not UnifiedJob.objects.exists():
                # Whoever empties all tables may have come to the jobs after the numbers.
                JobTally.objects.all().delete()
            return
        if connection.vendor == "postgresql":
            # Nobody writes between the count and the first trigger.
            cursor.execute(f"LOCK TABLE {JOBS} IN SHARE ROW EXCLUSIVE MODE")
        for name in sorted(there):
            cursor.execute(f"DROP TRIGGER {name}" + (f" ON {JOBS}" if connection.vendor == "postgresql" else ""))
        for statement in STATEMENTS[connection.vendor]:
            cursor.execute(statement)
        _count_all()
    logger.info("jobs were counted", jobs=total())


def _count_all() -> None:
    JobTally.objects.all().delete()
    kinds = (
        UnifiedJob.objects.order_by()
        .values("provider", "status", "job_type", owner_key=Coalesce("owner_id", NOBODY))
        .annotate(jobs=Count("pk"))
    )
    JobTally.objects.bulk_create(JobTally(**kind) for kind in kinds)


def _tallies(actor: Actor, filters: Mapping[str, str]) -> QuerySet[JobTally]:
    conditions = _conditions(actor, filters)
    return JobTally.objects.none() if conditions is None else JobTally.objects.order_by().filter(**conditions)


def _conditions(actor: Actor, filters: Mapping[str, str]) -> dict[str, str | int] | None:
    """The columns that rows must agree with, and their values; ``None``: there is nothing to see."""
    conditions: dict[str, str | int] = {name: value for name, value in filters.items() if value}
    if not actor.can(VIEW_ALL):
        if actor.user_id is None or not actor.can(VIEW_OWN):
            return None
        conditions["owner_key"] = actor.user_id
    return conditions
