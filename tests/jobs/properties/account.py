"""A Replicate account over mocked HTTP: it shows its jobs as they were at some moment, or fails as it is told."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

import requests
import responses

from providers.sandbox.signing import PUBLISHED_TEST_SECRET
from tests.jobs.properties.truth import COLLECTIONS, TRUTHFUL, Blemish, Life, answer

API = "https://replicate.invalid"
# Small, so that a few jobs make several pages.
PAGE_ROWS = 2
Reply = tuple[int, dict[str, str], str | Exception]


class Fault(StrEnum):
    """What a provider may do instead of answering."""

    TIMEOUT = "timeout"
    RESET = "reset"
    TROUBLE = "HTTP 500"
    GATEWAY = "HTTP 504"
    HURRY = "HTTP 429"
    REFUSED = "HTTP 401"
    PAGE = "HTML with 200"
    NULL = "null"
    LIST = "[]"
    HALF = "half an answer"
    OTHER = "another job"


class Account:
    """What the provider shows. ``fault`` is suffered by calls whose path contains ``faulty_part``."""

    def __init__(self, before_call: Callable[[str], None]) -> None:
        self.lives: dict[str, Life] = {}
        self.gone: set[str] = set()
        self.view: datetime | None = None
        self.blemish: Blemish = TRUTHFUL
        self.fault: Fault | None = None
        self.faulty_part = ""
        self.asked: list[str] = []
        self._before_call = before_call
        self._mock = responses.RequestsMock(assert_all_requests_are_fired=False)

    def start(self) -> None:
        self._mock.start()
        self._mock.add_callback("GET", re.compile(r"https://replicate\.invalid/.*"), callback=self._reply)

    def stop(self) -> None:
        self._mock.stop(allow_assert=False)

    def tell_the_truth(self, at: datetime) -> None:
        self.view, self.blemish, self.fault, self.faulty_part = at, TRUTHFUL, None, ""

    def _reply(self, request: requests.PreparedRequest) -> Reply:
        url = urlsplit(request.url or "")
        path = url.path
        self._before_call(path)
        self.asked.append(path)
        assert self.view is not None
        headers = {"Date": format_datetime(self.view, usegmt=True)}
        if self.fault and self.faulty_part in path:
            return self._fail(self.fault, headers)
        *_, last = path.split("/")
        if path in COLLECTIONS.values():
            cursor = int(parse_qs(url.query).get("cursor", ["0"])[0])
            rows = [answer(life, self.view, blemish=self.blemish, with_logs=False) for life in self._listed(path)]
            end = cursor + PAGE_ROWS
            following = f"{API}{path}?cursor={end}" if end < len(rows) else None
            return 200, headers, json.dumps({"results": rows[cursor:end], "next": following})
        if last == "secret":
            return 200, headers, json.dumps({"key": PUBLISHED_TEST_SECRET})
        life = self.lives.get(last)
        if life is None or last in self.gone or self._is_to_come(life):
            return 404, headers, json.dumps({"detail": "The requested resource could not be found.", "status": 404})
        return 200, headers, json.dumps(answer(life, self.view, blemish=self.blemish))

    def _listed(self, path: str) -> list[Life]:
        """The jobs of one list, newest first."""
        shown = [
            life
            for life in self.lives.values()
            if COLLECTIONS[life.kind] == path and life.external_id not in self.gone and not self._is_to_come(life)
        ]
        return sorted(shown, key=lambda life: life.created_at, reverse=True)

    def _is_to_come(self, life: Life) -> bool:
        return self.view is not None and life.created_at > self.view

    def _fail(self, fault: Fault, headers: dict[str, str]) -> Reply:
        if fault is Fault.TIMEOUT:
            return 200, headers, requests.ReadTimeout()
        if fault is Fault.RESET:
            return 200, headers, requests.ConnectionError()
        if fault.value.startswith("HTTP"):
            return int(fault.value[5:]), headers, json.dumps({"detail": "Not now."})
        texts = {
            Fault.PAGE: "<html>Welcome</html>",
            Fault.NULL: "null",
            Fault.LIST: "[]",
            Fault.HALF: '{"id": "x", "status": "succ',
            Fault.OTHER: json.dumps({"id": "another-job", "status": "failed", "results": 17}),
        }
        return 200, headers, texts[fault]
