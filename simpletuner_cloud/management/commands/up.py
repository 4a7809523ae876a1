"""``manage.py up``: everything on this machine, in the foreground, until Ctrl-C."""

import os
import signal
import sys
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from simpletuner_cloud import env, startup
from simpletuner_cloud.roles import ROLES, deployment, python_environment
from simpletuner_cloud.supervisor import STOP_SIGNALS, Plan, become_supervisor


class Command(BaseCommand):
    """Prepare the store, then turn into the supervisor of web, worker, beat and, if need be, Redis and sandbox."""

    help = "Prepares the database and runs web, worker, beat, and a Redis and a sandbox unless others are configured."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument(
            "--only",
            metavar="ROLES",
            help=f"run just these, separated by commas ({', '.join(ROLES)}), on a store that is prepared already",
        )
        choice.add_argument("--prepare-only", action="store_true", help="migrate, collect static files, and end")

    def handle(self, *_args: object, only: str | None, prepare_only: bool, **_options: Any) -> None:
        for number in STOP_SIGNALS:
            # Under nohup SIGHUP is ignored, and should stay so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _end_quietly)
        if prepare_only:
            startup.wait_for_database()
            startup.prepare_store()
            return
        roles = _roles(only) if only else ROLES
        if not only:
            startup.lock_home(settings.HOME, address=f"{settings.HOST}:{settings.PORT}")
        if "web" in roles:
            startup.require_free_port(settings.HOST, settings.PORT)
        plan = deployment(roles)
        startup.wait_for_database()
        if env.text("REDIS_URL"):
            startup.wait_for_redis(settings.REDIS_URL)
        if not only:
            startup.prepare_store()
        os.environ.update(python_environment(), SIMPLETUNER_PROCESS="up")
        become_supervisor(Plan(programs=plan.programs, banner=plan.banner(), log_file=str(settings.LOG_FILE)))


def _roles(only: str) -> tuple[str, ...]:
    chosen = {role.strip() for role in only.split(",")}
    if unknown := sorted(chosen - set(ROLES)):
        raise CommandError(f"--only: {unknown[0]!r} is not one of {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in chosen)


def _end_quietly(_number: int, _frame: object) -> NoReturn:
    """Nothing runs yet that would have to be stopped."""
    sys.exit(0)
