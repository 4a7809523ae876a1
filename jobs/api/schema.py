"""What is true of every address and therefore said once in the published schema."""

from collections.abc import Iterator
from typing import Any

SAFE_METHODS = frozenset({"get", "head", "options", "trace"})
JSON = "application/json"
PROBLEM = {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, **PROBLEM}


INVALID = _problem("The request is not understood; errors names what is wrong.")
NOT_SIGNED_IN = _problem("No key and no session, or a key that opens nothing.")
NOT_ALLOWED = _problem("The account or the key does not have the permission.")
NOT_OURS = _problem("The request comes from a page that is not ours.")
NOT_FOUND = _problem("There is nothing of this name.")
WRONG_METHOD = _problem("The address does not take this method; Allow names those that it takes.")
NOT_ACCEPTABLE = _problem("The Accept header leaves out the only type there is.")
TOO_LARGE = _problem("The body is larger than it may be.")
WRONG_TYPE = _problem("The Content-Type is not one that is taken here.")
TOO_MANY = _problem("Too many changes or attempts; Retry-After says how long to wait.")
UNAVAILABLE = _problem("The database does not answer; nothing was changed. Retry-After says how long to wait.")


def add_refusals(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Add the answers that are given before a view is asked, or instead of it; what a view says itself stays."""
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            for status, answer in _refusals(path, method, operation):
                responses.setdefault(status, answer)
            operation["responses"] = dict(sorted(responses.items()))
    return result


def _refusals(path: str, method: str, operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "400", INVALID
    yield "405", WRONG_METHOD
    yield "406", NOT_ACCEPTABLE
    yield "503", UNAVAILABLE
    if any(operation.get("security", ())):
        yield "401", NOT_SIGNED_IN
        yield "403", NOT_ALLOWED
        # Also where nothing is changed: bad keys are counted at every address.
        yield "429", TOO_MANY
    elif method not in SAFE_METHODS:
        yield "403", NOT_OURS
    if "{" in path:
        yield "404", NOT_FOUND
    if "requestBody" in operation:
        yield "413", TOO_LARGE
        yield "415", WRONG_TYPE
