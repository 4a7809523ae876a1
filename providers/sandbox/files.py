"""Replicate's Files API: what is uploaded is measured and forgotten, but for what its answer says."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from email.parser import HeaderParser

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import Problem, answer, not_found
from .clock import Clock, iso
from .payloads import Json

MAX_FILE_BYTES = 100 * 1024 * 1024
KEPT_SECONDS = 86_400.0
BOUNDARY = re.compile(r"multipart/form-data;.*boundary=\"?([^\";]+)", re.IGNORECASE)


class Files:
    """The files of the account, in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: dict[str, Json] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/v1/files", self.create, methods=["POST"]),
            Route("/v1/files", self.list, methods=["GET"]),
            Route("/v1/files/{id}", self.get, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        name, content_type, content = _content(request.headers.get("content-type", ""), await request.body())
        if len(content) > MAX_FILE_BYTES:
            raise Problem(413, "Files must be less than 100MB in size")
        now = self._clock.now()
        # Ids of files are the base64 of a UUID (recorded).
        file_id = base64.urlsafe_b64encode(str(uuid.uuid4()).encode()).decode()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self._files[file_id] = {
            "id": file_id,
            "name": name,
            "content_type": content_type,
            "size": len(content),
            "etag": md5,
            "checksums": {"sha256": hashlib.sha256(content).hexdigest(), "md5": md5},
            "metadata": {},
            "created_at": iso(now),
            "expires_at": iso(now + KEPT_SECONDS),
            "urls": {"get": f"{request.url.scheme}://{request.url.netloc}/v1/files/{file_id}"},
        }
        return answer(self._files[file_id], status=201)

    async def list(self, request: Request) -> Response:  # noqa: ARG002
        newest_first = list(reversed(self._files.values()))
        return answer({"previous": None, "next": None, "results": newest_first})

    async def get(self, request: Request) -> Response:
        file = self._files.get(request.path_params["id"])
        if file is None:
            raise not_found()
        return answer(file)


def _content(content_type: str, body: bytes) -> tuple[str, str, bytes]:
    """The name, the type and the bytes of the form's field `content`. Raises Problem without one."""
    boundary = BOUNDARY.match(content_type)
    parts = body.split(b"--" + boundary[1].encode()) if boundary else []
    for part in parts[1:]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = HeaderParser().parsestr(head.decode("utf-8", errors="replace"))
        if headers.get_param("name", header="content-disposition") == "content":
            content = content.removesuffix(b"\r\n")
            return headers.get_filename() or "", headers.get_content_type(), content
    raise Problem(422, "- content is required\n", "Input validation failed")
