"""Provider errors as JSON, so that those who share a call share its failure too."""

from collections.abc import Callable
from typing import Any, TypedDict

from providers import errors


class SharedError(TypedDict):
    """A provider error on its way through Redis."""

    kind: str
    message: str
    retry_after: float | None


def dump(error: errors.ProviderError) -> SharedError:
    retry_after = error.retry_after if isinstance(error, errors.ProviderRateLimited) else None
    return SharedError(kind=type(error).__name__, message=error.message, retry_after=retry_after)


def load(shared: SharedError) -> errors.ProviderError:
    if shared["kind"] == errors.ProviderRateLimited.__name__:
        return errors.ProviderRateLimited(shared["message"], retry_after=shared["retry_after"])
    kind = getattr(errors, shared["kind"], errors.ProviderError)
    is_known = isinstance(kind, type) and issubclass(kind, errors.ProviderError)
    error: errors.ProviderError = kind(shared["message"]) if is_known else errors.ProviderError(shared["message"])
    return error


def outcome_of(produce: Callable[[], Any]) -> dict[str, Any]:
    """Return the outcome as JSON, a provider's error too: those who wait shall not knock on the same closed door."""
    try:
        return {"result": produce()}
    except errors.ProviderError as error:
        return {"error": dump(error)}


def result_of(outcome: dict[str, Any]) -> Any:
    """The result of an outcome. Raises its ``ProviderError``."""
    if "error" in outcome:
        raise load(outcome["error"])
    return outcome["result"]
