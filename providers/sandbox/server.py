"""The sandbox as an ASGI application, and how uvicorn runs it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .account import Account
from .answers import on_http_exception, problem_answer
from .api import Api
from .control import Control
from .faults import FaultBook
from .files import Files
from .interference import Interference
from .options import Options
from .payloads import problem
from .status_page import StatusPage
from .traffic import Traffic
from .webhooks import Webhooks


class RequireToken:
    """ASGI: refuses requests below `/v1` whose `Authorization` is not `Bearer` or, as of old, `Token` with ours."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1") and not self._is_known(Request(scope)):
            body = problem(401, "You did not pass a valid authentication token", "Unauthenticated")
            await problem_answer(body, 401)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_known(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() in ("bearer", "token") and hmac.compare_digest(token.strip().encode(), self._token)


def create_app(options: Options | None = None) -> ASGIApp:
    """A sandbox of its own; nothing is shared between two of them but a state file, if they are given the same."""
    options = options or Options()
    account, faults, traffic = Account(options), FaultBook(), Traffic()
    webhooks = Webhooks(account)
    routes = [
        *Api(account).routes(),
        *Files(account.clock).routes(),
        *StatusPage(account.clock).routes(),
        *Control(account, faults, traffic, webhooks).routes(),
    ]

    @asynccontextmanager
    async def telling_webhooks(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(webhooks.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = Starlette(
        routes=routes,
        lifespan=telling_webhooks,
        middleware=[Middleware(RequireToken, token=options.token)],
        exception_handlers={HTTPException: on_http_exception},
    )
    # Replicate's paths have no trailing slash, and it redirects nobody.
    app.router.redirect_slashes = False
    return Interference(
        app,
        faults=faults,
        traffic=traffic,
        template=lambda scope: path_template(routes, scope),
        latency=options.latency_seconds,
        now=account.clock.now,
    )


def uvicorn_config(app: ASGIApp, **settings: Any) -> uvicorn.Config:
    """Quiet, and quick to end: a request that a fault keeps hanging must not hold up the end of the server."""
    return uvicorn.Config(
        app,
        **{"log_level": "warning", "access_log": False, "timeout_graceful_shutdown": 1, "ws": "none", **settings},
    )


def path_template(routes: list[Route], scope: Scope) -> str:
    """The path with names in place of ids, as in `/v1/trainings/{id}`; `unknown` if there is no such path."""
    best: BaseRoute | None = None
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return route.path
        if match is Match.PARTIAL:
            best = route
    return best.path if isinstance(best, Route) else "unknown"
