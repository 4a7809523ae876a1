"""What ``manage.py up`` sees to before any process is started."""

import errno
import fcntl
import hashlib
import os
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import django
import redis
import structlog
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import Error as DatabaseError
from django.db import connection

from jobs.services import provider_tokens, store
from simpletuner_cloud.refusals import CannotStart

PATIENCE_SECONDS = 8.0
BACKUPS_KEPT = 3

logger = structlog.get_logger(__name__)


def lock_home(home: Path, *, address: str) -> None:
    """Claim the home directory for this process, and for the program it may turn itself into."""
    descriptor = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # The kernel drops this lock with the process, however it ends: a stale file never blocks.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode().strip() or "unknown"
        raise CannotStart(
            f"SimpleTuner Cloud is already running on {home} (process {owner}). Stop it first; or, for a second one, "
            f"set SIMPLETUNER_CLOUD_HOME to another directory and SIMPLETUNER_PORT to another port (now {address})."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    os.set_inheritable(descriptor, True)


def require_free_port(host: str, port: int) -> None:
    """Refuse to start if the web server could not listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"{host}:{port} is already in use. Stop the program that listens there, or set SIMPLETUNER_PORT to "
                "another port."
            ) from None
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise CannotStart(
            f"Cannot listen on {host}:{port}: {reason}. Check SIMPLETUNER_HOST and SIMPLETUNER_PORT."
        ) from None


def wait_for_database(*, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Connect to the database, giving one that is just starting some seconds."""
    # libpq's own default is to wait for ever for a host that swallows packets.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "3")
    is_remote = connection.vendor != "sqlite"
    _wait_for(
        "database (DATABASE_URL)", connection.ensure_connection, DatabaseError, patience_seconds if is_remote else 0.0
    )


def wait_for_redis(url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Reach Redis, giving one that is just starting some seconds."""
    client = redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3)
    _wait_for("Redis server (REDIS_URL)", client.ping, redis.RedisError, patience_seconds)
    client.close()


def prepare_store() -> None:
    """Bring the database's tables up to date, see that it is ours, and collect the page's static files."""
    back_up_before_migrating()
    call_command("migrate", interactive=False, verbosity=0)
    store.claim_store(settings.STORE_MODE.value, with_examples=settings.IS_SANDBOX)
    if not settings.IS_SANDBOX:
        provider_tokens.prepare_tokens()
    collect_static_files()


def back_up_before_migrating() -> Path | None:
    """Keep a copy of an SQLite database whose tables are about to change, and of the newest three only.

    Returns the copy. A PostgreSQL database is its operator's to back up. Raises ``CannotStart`` if it cannot be
    written: then nothing has been changed yet.
    """
    if connection.vendor != "sqlite" or not store.has_pending_migrations() or not store.has_tables():
        return None
    folder = settings.STORE_DIR / "backups"
    copy = folder / f"db-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.sqlite3"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        store.copy_sqlite(copy)
    except (OSError, sqlite3.Error) as error:
        copy.unlink(missing_ok=True)
        raise CannotStart(f"The database cannot be backed up to {copy} before its tables change: {error}.") from error
    logger.info("database backed up before its tables change", copy=str(copy))
    for old in sorted(folder.glob("db-*.sqlite3"))[:-BACKUPS_KEPT]:
        old.unlink()
    return copy


def collect_static_files() -> None:
    """Run ``collectstatic``, unless nothing has changed since it last ran to its end."""
    root = Path(settings.STATIC_ROOT)
    stamp = root.with_name(f"{root.name}.collected")
    fingerprint = _static_fingerprint()
    if root.is_dir() and stamp.is_file() and stamp.read_text(encoding="ascii") == fingerprint:
        return
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(fingerprint, encoding="ascii")


def _static_fingerprint() -> str:
    """Stand for everything that goes into the collected files, without reading them."""
    sources = [
        (path, os.stat(storage.path(path))) for finder in finders.get_finders() for path, storage in finder.list([])
    ]
    facts = sorted(f"{path} {status.st_size} {status.st_mtime_ns}" for path, status in sources)
    facts += [django.__version__, settings.VERSION, str(settings.STORAGES["staticfiles"])]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _wait_for(what: str, attempt: Callable[[], object], refusal: type[Exception], patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    is_first = True
    while True:
        try:
            attempt()
            return
        except refusal as error:
            reason = str(error).strip().partition("\n")[0]
            if time.monotonic() >= deadline:
                raise CannotStart(f"The {what} cannot be reached: {reason}") from error
            if is_first:
                logger.warning("waiting", what=what, reason=reason)
                is_first = False
        time.sleep(0.5)
