"""Refusing to start, in a sentence for the person at the terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured


class CannotStart(ImproperlyConfigured):
    """Why we do not start, and what to do about it."""


@contextmanager
def plain_refusals() -> Iterator[None]:
    """Turn a bad setting into ``error: <message>`` and exit code 1, instead of a traceback."""
    try:
        yield
    except ImproperlyConfigured as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
