"""HTTP answers in Replicate's manner: JSON, rate-limit headers, and errors as problem+json."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .payloads import problem

REMAINING_CREATES = 599
REMAINING_READS = 59999
REMAINING_OTHERS = 2999
"""One less than the documented budgets a minute, as in the recordings; the sandbox does not enforce them."""


class Problem(HTTPException):
    """An error with the body that Replicate would send."""

    def __init__(self, status: int, detail: str, title: str | None = None) -> None:
        super().__init__(status, detail)
        self.body = problem(status, detail, title)


def not_found() -> Problem:
    return Problem(404, "The requested resource could not be found.")


def answer(payload: Any, *, status: int = 200, remaining: int = REMAINING_OTHERS) -> Response:
    return Response(
        orjson.dumps(payload),
        status,
        media_type="application/json",
        headers={"ratelimit-remaining": str(remaining), "ratelimit-reset": "1"},
    )


def problem_answer(body: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/problem+json", headers=headers)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Every refusal as JSON, also those of the router: unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    # The only answer that was recorded without the rate-limit headers is a 401.
    if error.status_code != 401:
        headers |= {"ratelimit-remaining": str(REMAINING_OTHERS), "ratelimit-reset": "1"}
    if isinstance(error, Problem):
        return problem_answer(error.body, error.status_code, headers)
    if error.status_code == 404:
        return problem_answer(not_found().body, 404, headers)
    if error.status_code == 405:
        return problem_answer(problem(405, f'Method "{request.method}" not allowed.'), 405, headers)
    return problem_answer(problem(error.status_code, error.detail), error.status_code, headers)


async def json_object(request: Request) -> dict[str, Any]:
    """The request's body. Raises Problem unless it is a JSON object."""
    try:
        content = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"JSON parse error - {error}") from error
    if not isinstance(content, dict):
        raise Problem(400, "The body must be a JSON object.")
    return content


def require_this_machine(request: Request) -> None:
    """The control API has no token, so nobody from elsewhere may use it."""
    if request.client is None or not ip_address(request.client.host).is_loopback:
        raise Problem(403, "The control API answers callers on the same machine only.")
