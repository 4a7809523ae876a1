"""The one place that speaks HTTP to providers: base URL, token, time limits, and errors in our words."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RemoteJobNotFound,
    UnexpectedPayload,
)

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 6.0
# A server that drips a byte now and then never trips the read timeout: the whole answer has a limit too.
ANSWER_DEADLINE_SECONDS = 9.0
MAX_BODY_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MAX_DETAIL_CHARACTERS = 300

# "Expected available in 1 second.", "Your rate limit resets in ~30s." (Replicate, as reported by its users)
RETRY_TEXT = re.compile(r"(?:available|resets?)\s+in\s+~?(\d{1,6}(?:\.\d{1,3})?)\s*(?:s\b|sec)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """A decoded JSON body and the provider's clock (its ``Date`` header, else ours) when it was sent."""

    payload: Any
    as_of: datetime


class ApiClient:
    """A JSON API behind a bearer token. Safe to share between threads."""

    def __init__(self, *, label: str, base_url: str, token: str, pool_size: int = 32) -> None:
        self.label = label
        self.base_url = base_url.rstrip("/")
        self._session = requests.Session()
        # No proxy or .netrc look-up per request: it costs a tenth of the throughput, and .netrc could swap the token.
        self._session.trust_env = False
        self._session.headers.update(
            {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "simpletuner-cloud"}
        )
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=pool_size)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> ApiAnswer:
        """Read ``path`` (below the base URL)."""
        return self._send("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> ApiAnswer:
        """Write to ``path``. Never retried: nobody knows what a lost answer stood for."""
        return self._send("POST", path, body=body)

    def owns(self, url: str) -> bool:
        """Whether ``url`` lies on this API's own origin, so that the token may be sent there."""
        ours, theirs = urlsplit(self.base_url), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _send(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> ApiAnswer:
        deadline = time.monotonic() + ANSWER_DEADLINE_SECONDS
        try:
            with self._session.request(
                method,
                f"{self.base_url}{path}",
                params=params,
                json=body,
                timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                text = self._read(response, deadline)
        except requests.Timeout as error:
            raise ProviderTimeout(f"{self.label} did not answer in time.") from error
        except requests.RequestException as error:
            # The exception's own text can hold the URL with its query: name the kind of trouble only.
            raise ProviderUnavailable(f"{self.label} cannot be reached ({type(error).__name__}).") from error
        if not response.ok or response.is_redirect:
            raise self._error(response, text)
        return ApiAnswer(self._decode(text), _provider_time(response.headers))

    def _read(self, response: requests.Response, deadline: float) -> str:
        size, chunks = 0, []
        for chunk in response.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise UnexpectedPayload(f"{self.label} sent more than {MAX_BODY_BYTES // 1024**2} MiB.")
            if time.monotonic() > deadline:
                raise ProviderTimeout(f"{self.label} did not finish its answer in time.")
            chunks.append(chunk)
        return b"".join(chunks).decode("utf-8", errors="replace")

    def _decode(self, text: str) -> Any:
        try:
            # strict=False: logs have been seen with raw control characters inside JSON strings.
            # NaN and Infinity are no JSON, and no amount of money or time either.
            return json.loads(text, strict=False, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            raise UnexpectedPayload(f"{self.label} answered something that is not JSON.") from error

    def _error(self, response: requests.Response, text: str) -> ProviderError:
        status = response.status_code
        detail = _detail(text)
        said = f": {detail}" if detail else f" (HTTP {status})."
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ProviderAuthError(f"{self.label} refused the token{said}")
        if status == HTTPStatus.NOT_FOUND:
            return RemoteJobNotFound(f"{self.label} does not know this{said}")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            retry_after = _retry_after(response.headers.get("Retry-After"), text)
            return ProviderRateLimited(f"{self.label} asks us to slow down{said}", retry_after=retry_after)
        if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT):
            return ProviderTimeout(f"{self.label} ran out of time (HTTP {status}).")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ProviderUnavailable(f"{self.label} has trouble of its own (HTTP {status}).")
        if status >= HTTPStatus.BAD_REQUEST:
            return ProviderRejected(f"{self.label} refused the request{said}")
        return UnexpectedPayload(f"{self.label} answered with an unexpected HTTP {status}.")


def _detail(text: str) -> str:
    """The ``detail`` (or ``title``) of a problem body; empty if there is none, as on a proxy's HTML page."""
    try:
        body = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict):
        return ""
    detail = body.get("detail") or body.get("title")
    return " ".join(detail.split())[:MAX_DETAIL_CHARACTERS] if isinstance(detail, str) else ""


def _retry_after(header: str | None, text: str) -> float | None:
    """Seconds to wait, from the header (seconds or a date, RFC 9110 10.2.3) or from the message's text."""
    if header:
        if header.strip().isdecimal():
            return float(header)
        try:
            wait = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            pass
        else:
            return max(wait, 0.0)
    match = RETRY_TEXT.search(_detail(text))
    return float(match[1]) if match else None


def _provider_time(headers: Mapping[str, str]) -> datetime:
    try:
        stamp = parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return datetime.now(UTC)
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
