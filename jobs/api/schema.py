"""What is true of every address and therefore said once in the published schema."""

from typing import Any

SAFE_METHODS = frozenset({"get", "head", "options", "trace"})
PROBLEM = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
NOT_SIGNED_IN = {"description": "No key and no session, or a key that opens nothing.", **PROBLEM}
NOT_ALLOWED = {"description": "The account or the key does not have the permission.", **PROBLEM}
TOO_MANY = {"description": "Too many changes or attempts; Retry-After says how long to wait.", **PROBLEM}


def add_refusals(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Add the answers to whoever is not known, not allowed, or too quick, where anybody is asked who they are."""
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if not any(operation.get("security", ())):
                continue
            responses = operation["responses"]
            responses.setdefault("401", NOT_SIGNED_IN)
            responses.setdefault("403", NOT_ALLOWED)
            if method not in SAFE_METHODS:
                responses.setdefault("429", TOO_MANY)
    return result
