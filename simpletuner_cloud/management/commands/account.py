"""``manage.py account``: make, list and switch off accounts, and make their keys."""

import getpass
import os
import sys
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.access import EVERYTHING, PERMISSIONS, ROLES, Actor
from jobs.services import accounts, api_keys
from jobs.services.accounts import AccountRefused
from jobs.services.api_keys import LONGEST_DAYS, KeyRefused


class Command(BaseCommand):
    """What whoever runs the server does before anybody can log in, and when nobody can any more."""

    help = "Makes, lists and switches off accounts, and makes API keys for them."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        create = commands.add_parser("create", help="make an account; its password is asked for")
        create.add_argument("name")
        create.add_argument("--role", choices=list(ROLES), default=accounts.DEFAULT_ROLE)
        create.add_argument("--team", default="", help="its team; made if there is none of that name")
        create.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        key = commands.add_parser("key", help="make an API key of an account, and print it once")
        key.add_argument("name")
        key.add_argument("--label", default="made on the server", help="what will use it")
        key.add_argument(
            "--scopes", default="", help=f"permissions, separated by commas, of {', '.join(map(_short, PERMISSIONS))}"
        )
        key.add_argument("--days", type=int, help="good for so many days; without it, for ever")
        commands.add_parser("list", help="list all accounts")
        disable = commands.add_parser("disable", help="let nobody in by an account any more")
        disable.add_argument("name")

    def handle(self, *_args: object, command: str, **options: Any) -> None:
        act = {"create": self._create, "key": self._key, "list": self._list, "disable": self._disable}[command]
        try:
            act(options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except (AccountRefused, KeyRefused) as error:
            raise CommandError(str(error)) from error

    def _create(self, options: dict[str, Any]) -> None:
        password = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else _asked_password()
        user = accounts.create_account(
            _operator(), options["name"], password=password, role=options["role"], team=options["team"]
        )
        self.stdout.write(f"{user.get_username()} can log in now ({options['role']}).")

    def _key(self, options: dict[str, Any]) -> None:
        days = options["days"]
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise CommandError(f"--days must lie between 1 and {LONGEST_DAYS}.")
        user = accounts.account_named(options["name"])
        if not user.is_active:
            raise CommandError(f"The account {user.get_username()!r} is switched off.")
        scopes = [f"jobs.{scope.strip()}" for scope in options["scopes"].split(",") if scope.strip()]
        made = api_keys.create_key(_operator(), user, name=options["label"], scopes=scopes, days=days)
        # Alone on its line, for scripts; whatever else is said goes elsewhere.
        self.stderr.write("The key is shown this once:")
        self.stdout.write(made.text)

    def _list(self, _options: dict[str, Any]) -> None:
        for user in get_user_model().objects.order_by("username").prefetch_related("groups"):
            state = "" if user.is_active else "  disabled"
            if user.is_active and not user.has_usable_password():
                state = "  no password"
            self.stdout.write(f"{user.get_username():<30}  {accounts.role_of(user) or 'no role':<10}{state}")

    def _disable(self, options: dict[str, Any]) -> None:
        user = accounts.disable_account(_operator(), options["name"])
        self.stdout.write(f"Nobody can come in as {user.get_username()} any more.")


def _operator() -> Actor:
    """Whoever may run this may read the database and the secret key, and so may do everything."""
    return Actor(user_id=None, name="operator", permissions=EVERYTHING, via="command")


def _asked_password() -> str:
    if not os.isatty(sys.stdin.fileno()):
        raise CommandError("There is no terminal to ask for a password: use --password-stdin.")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Once more: "):
        raise CommandError("The two passwords are not the same.")
    return password


def _short(permission: str) -> str:
    return permission.partition(".")[2]
