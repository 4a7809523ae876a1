"""What can go wrong between us and a provider, in our words.

Only ``providers.http`` turns a transport's trouble into these; nothing above it sees ``requests``.
None of them ever becomes a job's status (SPEC B2.2).
"""


class ProviderError(Exception):
    """A provider could not be asked, refused, or answered something that cannot be used.

    ``without_call``: it was not even asked now, because of what was learnt before; so this tells nothing new of it.
    ``unsent``: no connection came about. In either case nothing reached it.
    """

    retryable = False

    def __init__(self, message: str, *, without_call: bool = False, unsent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.without_call = without_call
        self.unsent = unsent or without_call


class ProviderUnavailable(ProviderError):
    """No usable answer: connection refused or lost, or the provider's own 5xx."""

    retryable = True


class ProviderTimeout(ProviderUnavailable):
    """The provider did not answer within the time allowed."""


class ProviderNotThere(ProviderUnavailable):
    """Somebody answers at the provider's address, but not with its API."""


class ProviderRateLimited(ProviderError):
    """The provider asks us to slow down; ``retry_after`` is in seconds, ``None`` if it named no time."""

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, without_call: bool = False) -> None:
        super().__init__(message, without_call=without_call)
        self.retry_after = retry_after


class ProviderAuthError(ProviderError):
    """The provider refused the credentials (401 or 403)."""


class ProviderRejected(ProviderError):
    """The provider understood the request and refused it (402, 409, 422 and other 4xx)."""


class RemoteJobNotFound(ProviderError):
    """The provider does not know the thing asked for (404)."""


class UnexpectedPayload(ProviderError):
    """The provider answered, but not in a form that its API allows."""


class UnknownProvider(ProviderError):
    """No provider of that name exists here."""


class ProviderNotConfigured(ProviderError):
    """The provider exists here but has no credentials."""


class InvalidWebhook(ProviderError):
    """A delivery is not signed as the provider signs. ``may_be_rotated``: it is in order, but by no secret we have."""

    def __init__(self, message: str, *, may_be_rotated: bool = False) -> None:
        super().__init__(message)
        self.may_be_rotated = may_be_rotated
