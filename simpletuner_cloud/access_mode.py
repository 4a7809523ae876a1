"""Who may come in: one owner on this machine, or people with accounts."""

from collections.abc import Iterable
from enum import StrEnum

from django.core.exceptions import ImproperlyConfigured

from jobs.webhook_url import LOOPBACK_HOSTS


class AccessMode(StrEnum):
    """The values of SIMPLETUNER_ACCESS."""

    SINGLE_USER = "single-user"
    ACCOUNTS = "accounts"


def access_mode(word: str, *, host: str, is_debug: bool) -> AccessMode:
    """Read the mode. Raises ``ImproperlyConfigured`` for one that would let strangers in."""
    try:
        mode = AccessMode(word.lower())
    except ValueError:
        known = " or ".join(AccessMode)
        raise ImproperlyConfigured(f"SIMPLETUNER_ACCESS must be {known}; it is {word!r}.") from None
    if host in LOOPBACK_HOSTS:
        return mode
    if mode is AccessMode.SINGLE_USER:
        raise ImproperlyConfigured(
            f"SIMPLETUNER_HOST is {host}, which others can reach, and SIMPLETUNER_ACCESS is {mode}, which asks nobody "
            f"who they are. Set SIMPLETUNER_ACCESS={AccessMode.ACCOUNTS}, or leave SIMPLETUNER_HOST at 127.0.0.1."
        )
    if is_debug:
        raise ImproperlyConfigured(
            f"SIMPLETUNER_DEBUG shows settings and code to whoever meets an error, and SIMPLETUNER_HOST is {host}, "
            "which others can reach. Unset one of them."
        )
    return mode


def https_origins(hosts: Iterable[str]) -> list[str]:
    """The origins of pages that are served under these names by TLS; ``.name`` stands for all names below it."""
    return [f"https://{'*' if host.startswith('.') else ''}{host}" for host in hosts if host != "*"]
