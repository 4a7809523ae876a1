"""One id for what belongs together: a request, the tasks it starts, and the provider calls of both.

It stands in every log line (structlog's context variables), in the answer, in the task's headers and in what the
provider is sent.
"""

import re
import uuid

from structlog.contextvars import bind_contextvars, get_contextvars, unbind_contextvars

HEADER = "X-Correlation-ID"
# Celery has a correlation_id of its own: the task's.
TASK_HEADER = "x_correlation_id"
NAME = "correlation_id"
# It is written into logs and headers: nothing in it may need quoting.
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def accepted_or_new(proposed: object) -> str:
    """The id that somebody proposed, if it is one, else a new one."""
    if isinstance(proposed, str) and ACCEPTED.fullmatch(proposed):
        return proposed
    return uuid.uuid4().hex


def current() -> str | None:
    """The id of what this thread is at."""
    found = get_contextvars().get(NAME)
    return found if isinstance(found, str) else None


def bind(correlation_id: str) -> None:
    """From now on, this thread works for that id."""
    bind_contextvars(**{NAME: correlation_id})


def unbind() -> None:
    """This thread works for nobody in particular."""
    unbind_contextvars(NAME)
