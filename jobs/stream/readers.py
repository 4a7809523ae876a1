"""Who reads a stream, and whether they still may."""

from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from django.conf import settings

from jobs.access import SYSTEM, Actor
from jobs.services.authentication import Credentials, identify, sent_key

NONE_SHOWN = Credentials()


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who reads. ``credentials``: what they showed; nothing where nobody is asked."""

    actor: Actor
    credentials: Credentials = NONE_SHOWN


# In single-user mode: whoever reaches us.
UNCHECKED = Reader(SYSTEM)


def credentials_of(headers: Iterable[tuple[bytes, bytes]], address: str) -> Credentials:
    """What a request shows: a key in either header, or the cookie of a session. Never anything of its address."""
    found = {"x-api-key": "", "authorization": ""}
    cookies = []
    for name, value in headers:
        text = value.decode("latin-1")
        lowered = name.decode("latin-1").lower()
        if lowered in found:
            found[lowered] = text
        elif lowered == "cookie":
            cookies.append(text)
    return Credentials(
        api_key=sent_key(found["x-api-key"], found["authorization"]),
        session_key=_cookie(cookies, settings.SESSION_COOKIE_NAME),
        address=address,
    )


def reader_of(credentials: Credentials) -> Reader | None:
    """Who that is; ``None`` if it is nobody. Asks the database."""
    found = identify(credentials)
    return Reader(found.actor, credentials) if found else None


def has_changed(reader: Reader) -> bool:
    """Whether the reader is nobody any more, or may do more or less than when they came. Asks the database."""
    return reader_of(reader.credentials) != reader


def _cookie(headers: Iterable[str], name: str) -> str:
    cookies: SimpleCookie = SimpleCookie()
    for header in headers:
        try:
            cookies.load(header)
        except CookieError:
            continue
    return cookies[name].value if name in cookies else ""
