"""Whose store this is, the sandbox's or the real account's (SPEC B1.3), and whether its tables are of this version."""

import sqlite3
from contextlib import closing
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from jobs.models import StoreClaim
from jobs.services import example_configs

_is_up_to_date = False


@transaction.atomic
def claim_store(mode: str, *, with_examples: bool = False) -> None:
    """Claim an unclaimed database for ``mode``. Raises ``ImproperlyConfigured`` if it belongs to the other one.

    ``with_examples``: whoever starts with it finds configurations to submit; once, whatever becomes of them.
    """
    claim = StoreClaim.objects.select_for_update().first()
    if claim is None:
        StoreClaim.objects.create(mode=mode)
        if with_examples:
            example_configs.add_examples()
    elif claim.mode != mode:
        raise ImproperlyConfigured(
            f"This database holds the {claim.mode} store, but we were started for the {mode} one: REPLICATE_API_TOKEN, "
            "a stored token or SIMPLETUNER_STORE decides which. Point DATABASE_URL at another database, or start with "
            "the settings it was made with."
        )


def has_pending_migrations() -> bool:
    """Whether the database's tables are older than this version. Once they are not, that stays so."""
    global _is_up_to_date
    if not _is_up_to_date:
        executor = MigrationExecutor(connection)
        _is_up_to_date = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return not _is_up_to_date


def has_tables() -> bool:
    """Whether there is anything in the database yet."""
    return bool(connection.introspection.table_names())


def copy_sqlite(target: Path) -> None:
    """Copy an SQLite database as of one moment, whoever writes to it meanwhile. Raises ``sqlite3.Error``."""
    connection.ensure_connection()
    with closing(sqlite3.connect(target)) as copy:
        connection.connection.backup(copy)
