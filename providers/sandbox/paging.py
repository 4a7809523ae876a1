"""Opaque cursors: a place in a list and the side of it that is wanted."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlencode

from .account import PlaceInList

PAGE_SIZE = 100


def encode(place: PlaceInList, *, newer: bool) -> str:
    text = f"{'r' if newer else 'p'}={place[0]!r}|{place[1]}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(cursor: str) -> tuple[PlaceInList, bool]:
    """The place, and whether the page of newer rows is asked for. Raises ValueError for anything we did not make."""
    try:
        side, _, place = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition("=")
        created_at, _, job_id = place.partition("|")
        if side not in ("p", "r"):
            raise ValueError("neither side")
        return (float(created_at), job_id), side == "r"
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ValueError("Invalid cursor") from error


def link(url: str, query: dict[str, str], cursor: str) -> str:
    """The URL of another page with the same filters."""
    return f"{url}?{urlencode({**query, 'cursor': cursor})}"
