"""Who watches over the calls to a provider: may this one go out, and how did it go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from providers.errors import ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """One call as it went. ``route``: the path with ids replaced, for counting.

    ``subject``: the path itself if it is about one thing of many, so that its trouble is not taken for the provider's.
    ``status``: the HTTP status, ``None`` without an answer. ``remaining``, ``reset_seconds``: the provider's own count
    of the calls that are left (``ratelimit-remaining``, ``ratelimit-reset``), where it says so.
    ``clock_ahead_seconds``: by how much the provider's clock is ahead of ours at least; negative if it is behind,
    ``None`` if it was not told.
    """

    method: str
    route: str
    seconds: float
    status: int | None = None
    error: ProviderError | None = None
    subject: str = ""
    remaining: int | None = None
    reset_seconds: float | None = None
    clock_ahead_seconds: float | None = None


class CallGovernor(Protocol):
    """Asked before every call and told after it; shared by all threads of a provider."""

    def admit(self, method: str, route: str) -> Mapping[str, str]:
        """Let a call go out, and give the headers to add to it. Raises ``ProviderError`` if it must not.

        A refusal says ``without_call``. It may come after a short wait; so may the leave to go.
        """

    def report(self, report: CallReport) -> None:
        """Take account of a call. Never raises."""


class Ungoverned:
    """Lets every call go out."""

    def admit(self, method: str, route: str) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def report(self, report: CallReport) -> None:
        pass
