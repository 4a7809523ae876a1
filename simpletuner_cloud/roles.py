"""Which processes make up a deployment on one machine, and what to tell the person who started it."""

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from jobs.services.accounts import has_accounts
from jobs.services.provider_tokens import token_standing
from simpletuner_cloud import env
from simpletuner_cloud.embedded_redis import free_port, redis_program
from simpletuner_cloud.processes import Program
from simpletuner_cloud.refusals import CannotStart
from simpletuner_cloud.store_mode import VARIABLE

ROLES = ("redis", "sandbox", "web", "worker", "beat")
HEALTH_PATH = "/api/cloud/health/live"
# A provider that hangs holds one for each kind of work: poll, logs, history, inbox, dispatch. The rest goes on.
WORKER_THREADS = 8


@dataclass(frozen=True, slots=True)
class Deployment:
    """What to run, and how its parts reach each other. ``redis_url`` may hold a password."""

    programs: tuple[Program, ...]
    redis_url: str
    has_embedded_redis: bool

    def banner(self) -> str:
        """Return the few lines that say where everything is; never a token or a password."""
        lines = {
            "Page": page_url(),
            "Account": describe_account(),
            "Database": describe_database(),
            "Redis": ("embedded, " if self.has_embedded_redis else "") + without_credentials(self.redis_url),
            "Home": str(settings.HOME),
            "Log": str(settings.LOG_FILE),
        }
        text = [f"SimpleTuner Cloud {settings.VERSION} is running."]
        text += [f"  {name:<10}{value}" for name, value in lines.items()]
        if not settings.SINGLE_USER and not has_accounts():
            text.append(
                "Nobody can log in yet. Make the first account: python manage.py account create NAME --role admin"
            )
        return "\n".join(["", *text, "Press Ctrl-C to stop.", ""])


def deployment(only: Collection[str] = ROLES) -> Deployment:
    """Choose programs, ports and addresses. Servers that the environment names are used instead of our own."""
    embedded: list[Program] = []
    redis_url, sandbox_url = env.text("REDIS_URL"), env.text("SIMPLETUNER_SANDBOX_URL")
    has_embedded_redis = not redis_url
    if has_embedded_redis:
        _require_role("redis", only, instead_of="REDIS_URL")
        redis, redis_url = redis_program(settings.STORE_DIR / "redis")
        embedded.append(redis)
    if settings.IS_SANDBOX and not sandbox_url:
        _require_role("sandbox", only, instead_of="SIMPLETUNER_SANDBOX_URL")
        sandbox, sandbox_url = sandbox_program()
        embedded.append(sandbox)
    ours = [program for program in our_programs() if program.name in only]
    # A process that is started again must not find itself in the other store because a token was stored meanwhile.
    store = {VARIABLE: settings.STORE_MODE.value}
    shared = {"REDIS_URL": redis_url, "SIMPLETUNER_SANDBOX_URL": sandbox_url, **store, **python_environment()}
    programs = (
        replace(program, environment={**shared, **program.environment, "SIMPLETUNER_PROCESS": program.name})
        for program in [*embedded, *ours]
    )
    return Deployment(tuple(programs), redis_url, has_embedded_redis)


def our_programs() -> tuple[Program, ...]:
    """The web server, the worker and beat."""
    # System checks load every view; they are for developers and for CI, not for each start of a worker.
    celery = (sys.executable, "-m", "celery", "--quiet", "-A", "simpletuner_cloud.celery", "--skip-checks")
    worker = ("worker", "--pool", "threads", "--concurrency", str(WORKER_THREADS), "--without-gossip")
    web_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)
    return (
        Program(
            name="web",
            command=(sys.executable, "-m", "simpletuner_cloud.web"),
            host=web_host,
            port=settings.PORT,
            health_path=HEALTH_PATH,
        ),
        Program(name="worker", command=(*celery, *worker, "--without-mingle", "--loglevel", "INFO")),
        Program(name="beat", command=(*celery, "beat", "--pidfile=", "--loglevel", "INFO")),
    )


def sandbox_program() -> tuple[Program, str]:
    """Return the simulated Replicate and its URL. Its account outlives it in a file."""
    speed = env.number("SIMPLETUNER_SANDBOX_SPEED", None, minimum=0.01, maximum=100_000)
    population = env.text("SIMPLETUNER_SANDBOX_POPULATION", "demo")
    if population not in ("demo", "none") and not population.isdecimal():
        raise ImproperlyConfigured(
            f'SIMPLETUNER_SANDBOX_POPULATION must be "demo", "none" or a number of jobs; it is {population!r}.'
        )
    port = free_port()
    command = [sys.executable, "-m", "providers.sandbox", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--state", str(settings.STORE_DIR / "account.json"), "--population", population]
    if speed is not None:
        command += ["--speed", f"{speed:g}"]
    program = Program(
        name="sandbox",
        command=tuple(command),
        environment={"SANDBOX_TOKEN": settings.SANDBOX_TOKEN},
        port=port,
        # Calls that are under way when everything stops shall still be answered.
        is_foundation=True,
    )
    return program, f"http://127.0.0.1:{port}"


def python_environment() -> dict[str, str]:
    """Return what lets ``python -m`` find our packages from any working directory, and logs appear at once."""
    paths = [str(settings.BASE_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def page_url() -> str:
    host = "localhost" if settings.HOST in ("0.0.0.0", "::") else settings.HOST
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}"


def describe_account() -> str:
    """Say whose jobs these are, and which token is in use by its end."""
    try:
        standing = token_standing("replicate")
    except DatabaseError:
        standing = None
    if settings.IS_SANDBOX:
        if standing and standing.is_waiting:
            return f"sandbox; the token {standing.masked} that was stored is used from the next start on"
        return "sandbox: a simulated Replicate account; set REPLICATE_API_TOKEN or store a token to use a real one"
    account = f"Replicate, {without_credentials(settings.REPLICATE_API_BASE_URL)}"
    if standing is None:
        return account
    if standing.problem:
        return f"{account}; {standing.problem}"
    return f"{account}, token {standing.masked} ({standing.origin.value})"


def describe_database() -> str:
    """Name the engine and the place of the database."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"SQLite, {values['NAME']}"
    host = values["HOST"] or values["OPTIONS"].get("host") or "localhost"
    return f"{connection.display_name}, {host}:{values['PORT'] or 5432}/{values['NAME']}"


def without_credentials(url: str) -> str:
    """Return a URL as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _require_role(role: str, only: Collection[str], *, instead_of: str) -> None:
    if role not in only:
        raise CannotStart(f"{instead_of} must be set, or the role {role} started too.")
