"""When a batch of calls gives up on a provider that refuses or is silent."""

from collections.abc import Sequence

from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
)

# So many calls in a row without any answer mean that the provider is gone, not that single jobs are in trouble.
CALLS_WITHOUT_ANSWER = 5


class Patience:
    """How long one batch goes on asking; its threads share it.

    ``lost_to`` is the error that the jobs not yet asked for share, without a call of their own.
    """

    def __init__(self) -> None:
        self.lost_to: ProviderError | None = None
        self._without_answer = 0

    def note(self, error: ProviderError | None) -> None:
        """Take account of one call."""
        if isinstance(error, ProviderRateLimited):
            self.lost_to = error
        elif isinstance(error, ProviderUnavailable | ProviderAuthError):
            self._without_answer += 1
            if self._without_answer >= CALLS_WITHOUT_ANSWER:
                self.lost_to = self.lost_to or error
        else:
            self._without_answer = 0

    def note_lists(self, errors: Sequence[ProviderError | None]) -> None:
        """Take account of the lists: if all ran out of time or refused us, single calls would only do so again."""
        for error in errors:
            self.note(error)
        if errors and all(isinstance(error, ProviderTimeout | ProviderAuthError) for error in errors):
            self.lost_to = self.lost_to or errors[0]
