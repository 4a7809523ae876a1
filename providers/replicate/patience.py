"""When a batch of calls gives up on a provider that refuses or is silent."""

from collections.abc import Sequence

from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotThere,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    UnexpectedPayload,
)

# So many calls in a row without any answer mean that the provider is gone, not that single jobs are in trouble.
CALLS_WITHOUT_ANSWER = 5
# So many answers in a row that cannot be read come from something in between, which answers everything alike.
UNREADABLE_ANSWERS = 20


class Patience:
    """How long one batch goes on asking; its threads share it.

    ``lost_to`` is the error that the jobs not yet asked for share, without a call of their own.
    """

    def __init__(self) -> None:
        self.lost_to: ProviderError | None = None
        self._without_answer = 0
        self._unreadable = 0

    def note(self, error: ProviderError | None) -> None:
        """Take account of one call."""
        self._unreadable = self._unreadable + 1 if isinstance(error, UnexpectedPayload) else 0
        if error is not None and error.without_call:
            # Whoever watches over the calls lets none out; the next would fare no better.
            self.lost_to = self.lost_to or error
        elif isinstance(error, ProviderRateLimited):
            self.lost_to = error
        elif self._unreadable >= UNREADABLE_ANSWERS and isinstance(error, UnexpectedPayload):
            self.lost_to = self.lost_to or UnexpectedPayload(error.message, without_call=True)
        elif isinstance(error, ProviderUnavailable | ProviderAuthError):
            self._without_answer += 1
            if self._without_answer >= CALLS_WITHOUT_ANSWER:
                self.lost_to = self.lost_to or error
        else:
            self._without_answer = 0

    def note_lists(self, errors: Sequence[ProviderError | None]) -> None:
        """Take account of the lists.

        If all ran out of time, refused us or do not exist, single calls would only do so again.
        """
        for error in errors:
            self.note(error)
        if errors and all(
            isinstance(error, ProviderTimeout | ProviderAuthError | ProviderNotThere) for error in errors
        ):
            self.lost_to = self.lost_to or errors[0]
