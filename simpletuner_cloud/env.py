"""Typed, loud readers of environment variables: a bad value stops the start and names the variable."""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from jobs.token_cipher import is_key

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks; an empty one counts as not set."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    word = text(name).lower()
    if not word:
        return default
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(f"{name} must be one of true, false, 1, 0, yes, no, on, off; it is {word!r}.")


def number(name: str, default: float | None, *, minimum: float, maximum: float) -> float | None:
    word = text(name)
    if not word:
        return default
    try:
        value = float(word)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number; it is {word!r}.") from None
    if not minimum <= value <= maximum:
        raise ImproperlyConfigured(f"{name} must lie between {minimum:g} and {maximum:g}; it is {word!r}.")
    return value


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    value = number(name, default, minimum=minimum, maximum=maximum)
    if value is None or value != int(value):
        raise ImproperlyConfigured(f"{name} must be a whole number; it is {text(name)!r}.")
    return int(value)


def days(name: str, default: int, *, least: int) -> int:
    """An age in whole days, ``least`` or more; 0: for ever."""
    value = integer(name, default, minimum=0, maximum=36_500)
    if 0 < value < least:
        raise ImproperlyConfigured(f"{name} must be 0 (for ever) or at least {least}; it is {value}.")
    return value


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """A comma-separated list."""
    listed = [word.strip() for word in text(name).split(",") if word.strip()]
    return listed or list(default)


def networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """A comma-separated list of addresses and networks, such as ``127.0.0.1, 10.0.0.0/8, ::1``."""
    found = []
    for word in words(name):
        try:
            found.append(ip_network(word, strict=False))
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} must list addresses or networks, such as 10.0.0.0/8; {word!r} is neither."
            ) from None
    return tuple(found)


def keys(name: str) -> tuple[str, ...]:
    """A comma-separated list of keys that tokens are encrypted with; none is ever repeated."""
    found = tuple(words(name))
    if not all(map(is_key, found)):
        raise ImproperlyConfigured(
            f"{name} must hold keys of 32 bytes in URL-safe base64, separated by commas. A new one: "
            'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        )
    return found


def url(name: str, default: str, *, schemes: tuple[str, ...]) -> str:
    value = text(name, default)
    if value and not _is_url(value, schemes):
        # The value may hold a password: it is not repeated.
        raise ImproperlyConfigured(f"{name} must be a URL that starts with {' or '.join(f'{s}://' for s in schemes)}.")
    return value


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    # A database or a socket may be a path; what speaks HTTP has a host.
    place = parts.hostname if parts.scheme in ("http", "https") else parts.netloc or parts.path
    return parts.scheme in schemes and bool(place)
