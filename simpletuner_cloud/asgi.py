"""The web process: event streams as pure ASGI, everything else Django under WSGI in threads.

Django under ASGI starts a thread and opens a database connection for every request, and keeps both for every stream.
Here threads and connections stay. Requests that may have to wait for a provider have threads of their own, so that a
provider that hangs takes its time from them alone and the plain pages go on (docs/adr/0002-web-stack.md).
"""

import os
from typing import Any

from a2wsgi import WSGIMiddleware
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from django.core.wsgi import get_wsgi_application

from simpletuner_cloud.content_types import Utf8Requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "simpletuner_cloud.settings")
django: Any = Utf8Requests(get_wsgi_application())

# Models can be imported only after Django is set up.
from jobs.api.webhooks import PATH as WEBHOOKS_PATH  # noqa: E402
from jobs.stream import EventStream  # noqa: E402
from simpletuner_cloud.recent_answers import RecentAnswers  # noqa: E402
from simpletuner_cloud.shared_answers import SharedAnswers  # noqa: E402
from simpletuner_cloud.upload_bodies import UploadBodies  # noqa: E402
from simpletuner_cloud.webhook_bodies import WebhookBodies  # noqa: E402
from simpletuner_cloud.wsgi_lane import WsgiLane  # noqa: E402

EVENTS_PATH = "/api/events"
LIST_PATH = "/api/cloud/jobs"
# Few threads: they share one core under the interpreter's lock, and the more of them compute, the slower each is.
PAGE_THREADS = 3
# The job list, which every open page and every program asks for again and again, is read by one thread alone: one by
# one, a hundred lists take half the time that they take at once (docs/performance.md).
LIST_THREADS = 1
PROVIDER_THREADS = 16
# Their own, so that a flood of webhooks and the pages do not wait for each other. More than the cores could use: each
# waits most of its time until the database lets it write.
WEBHOOK_THREADS = 8
PROVIDER_PATHS = (
    "/sync",
    "/inline-progress",
    "/logs",
    "/cancel",
    "/validate",
    "/token",
    "/status",
    "/queue/process",
    # A provider's configuration may hold a URL, whose name is looked up.
    "/config",
)
# Whoever sends a large file slowly keeps a thread as long as it takes.
UPLOAD_THREADS = 4
UPLOAD_PATHS = ("/api/cloud/uploads", "/jobs/new")
# Their actions and forms ask a provider.
ADMIN_PATHS = ("/admin/jobs/unifiedjob", "/admin/jobs/providercredential")


class WebApplication:
    """One port for pages, API and events."""

    def __init__(self) -> None:
        self._events = EventStream()
        self._lists = SharedAnswers(WsgiLane(django, threads=LIST_THREADS, name="list"), at_once=LIST_THREADS)
        self._pages = WsgiLane(django, threads=PAGE_THREADS, name="page")
        self._provider_calls = RecentAnswers(WsgiLane(django, threads=PROVIDER_THREADS, name="provider"))
        self._webhooks = WebhookBodies(WsgiLane(django, threads=WEBHOOK_THREADS, name="webhook"))
        self._uploads = UploadBodies(WSGIMiddleware(django, workers=UPLOAD_THREADS))

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def end_streams(self) -> None:
        """End every event stream: a stream does not end by itself, and a server that stops must not wait for it."""
        await self._events.stop()

    async def _answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["path"].rstrip("/") == EVENTS_PATH:
            await self._events(scope, receive, send)
        elif scope["path"].startswith(WEBHOOKS_PATH):
            await self._webhooks(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"].rstrip("/") in UPLOAD_PATHS:
            await self._uploads(scope, receive, send)
        elif may_wait_for_provider(scope["path"], scope["query_string"]):
            await self._provider_calls(scope, receive, send)
        elif scope["path"].rstrip("/") == LIST_PATH:
            await self._lists(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def _live(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._events.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._events.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def may_wait_for_provider(path: str, query: bytes) -> bool:
    """Whether serving a request may mean asking a provider."""
    path = path.rstrip("/")
    if path.endswith(PROVIDER_PATHS) or path == ADMIN_PATHS[0] or path.startswith(ADMIN_PATHS[1]):
        return True
    return b"sync_active=" in query or b"include_replicate=" in query


application = WebApplication()
