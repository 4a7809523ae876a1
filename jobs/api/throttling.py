"""How much one actor may change in a minute."""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from jobs.access import Actor
from jobs.services import rate_limits

if TYPE_CHECKING:
    # Which asks for this class while it is imported.
    from rest_framework.views import APIView

WRITES, PERIOD_SECONDS = 120, 60.0
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class WritesThrottle(BaseThrottle):
    """Generous for people and programs, a wall for a loop gone wild. An owner alone on the machine has none."""

    _wait: float | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:  # noqa: ARG002
        if settings.SINGLE_USER or request.method in SAFE_METHODS or not isinstance(request.auth, Actor):
            return True
        self._wait = rate_limits.take(f"writes:{request.auth.user_id}:{request.auth.via}", WRITES, PERIOD_SECONDS)
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait
