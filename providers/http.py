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
import urllib3

from providers.calls import CallGovernor, CallReport, Ungoverned
from providers.connections import TimelyAdapter
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    RemoteJobNotFound,
    UnexpectedPayload,
)
from providers.multipart import FileForm

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 6.0
# A server that drips a byte now and then never trips the read timeout: the whole answer has a limit too.
ANSWER_DEADLINE_SECONDS = 9.0
MAX_BODY_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MAX_DETAIL_CHARACTERS = 300
MAX_RETRY_AFTER_SECONDS = 86_400.0
MASK = "••••"

# "Expected available in 1 second.", "Your rate limit resets in ~30s." (Replicate, as reported by its users)
RETRY_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
HAS_DIGIT = re.compile(r"\d")
NUMBER = re.compile(r"\d{1,15}", re.ASCII)
RETRY_TEXT = re.compile(r"(?:available|resets?)\s+in\s+~?(\d{1,6}(?:\.\d{1,3})?)\s*(?:s\b|sec)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """A decoded JSON body and the provider's clock (its ``Date`` header, else ours) when it was sent."""

    payload: Any
    as_of: datetime


class ApiClient:
    """A JSON API behind a bearer token, or with ``None`` a public one. Safe to share between threads."""

    def __init__(
        self,
        *,
        label: str,
        base_url: str,
        token: str | None,
        pool_size: int = 32,
        governor: CallGovernor | None = None,
        deadline_seconds: float | None = None,
    ) -> None:
        self.label = label
        self._governor = governor or Ungoverned()
        self.base_url = base_url.rstrip("/")
        if token is not None and not _is_token(token):
            # Sent as a header it would fail with an exception that repeats it.
            raise ProviderNotConfigured(f"{label}'s API token holds characters that no token has.")
        self._token = token
        # Shorter than the usual one, if it is given.
        self._deadline_seconds = deadline_seconds
        self._session = requests.Session()
        # No proxy or .netrc look-up per request: it costs a tenth of the throughput, and .netrc could swap the token.
        self._session.trust_env = False
        self._session.headers.update({"Accept": "application/json", "User-Agent": "simpletuner-cloud"})
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"
        adapter = TimelyAdapter(pool_connections=2, pool_maxsize=pool_size)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> ApiAnswer:
        """Read ``path`` (below the base URL); once more if the connection was lost meanwhile.

        A server may close an idle connection just when we use it, and one lost list page costs a hundred single calls.
        """
        try:
            return self._send("GET", path, params=params)
        except ProviderUnavailable as error:
            if not _is_lost_connection(error.__cause__):
                raise
        return self._send("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> ApiAnswer:
        """Write to ``path``. Never retried: nobody knows what a lost answer stood for."""
        return self._send("POST", path, body=body)

    def send_file(self, path: str, form: FileForm) -> ApiAnswer:
        """Write a file to ``path``. Never retried, as any POST."""
        return self._send("POST", path, form=form)

    def owns(self, url: str) -> bool:
        """Whether ``url`` lies on this API's own origin, so that the token may be sent there."""
        try:
            ours, theirs = urlsplit(self.base_url), urlsplit(url)
        except ValueError:
            return False
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        form: FileForm | None = None,
    ) -> ApiAnswer:
        route = _route(path)
        headers = self._governor.admit(method, route)
        started, started_at = time.monotonic(), time.time()
        answered: list[requests.Response] = []
        error: ProviderError | None = None
        try:
            return self._exchange(method, path, params=params, body=body, form=form, headers=headers, answered=answered)
        except ProviderError as problem:
            error = problem
            raise
        finally:
            response = answered[0] if answered else None
            self._governor.report(
                CallReport(
                    method=method,
                    route=route,
                    seconds=time.monotonic() - started,
                    status=response.status_code if response is not None else None,
                    error=error,
                    subject="" if route == path else path,
                    remaining=_count(response, "ratelimit-remaining"),
                    reset_seconds=_count(response, "ratelimit-reset"),
                    clock_ahead_seconds=_clock_ahead(response, started_at, time.time()),
                )
            )

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        form: FileForm | None,
        headers: Mapping[str, str],
        answered: list[requests.Response],
    ) -> ApiAnswer:
        """One request and its answer, which is left in ``answered`` as soon as it has begun."""
        patience = self._deadline_seconds or ANSWER_DEADLINE_SECONDS
        # A file takes its own time; the answer's begins when the file is through.
        deadline = time.monotonic() + patience if form is None else None
        own_headers = {"Content-Type": form.content_type} if form is not None else {}
        try:
            with self._session.request(
                method,
                f"{self.base_url}{path}",
                params=params,
                json=body,
                data=form,
                headers={**headers, **own_headers},
                timeout=(min(CONNECT_TIMEOUT_SECONDS, patience), min(READ_TIMEOUT_SECONDS, patience)),
                allow_redirects=False,
                stream=True,
            ) as response:
                answered.append(response)
                text = self._read(response, deadline or time.monotonic() + ANSWER_DEADLINE_SECONDS)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            is_unsent = isinstance(error, requests.ConnectTimeout)
            raise ProviderTimeout(f"{self.label} did not answer in time.", unsent=is_unsent) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # The exception's own text can hold the URL with its query: name the kind of trouble only.
            raise ProviderUnavailable(
                f"{self.label} cannot be reached ({type(error).__name__}).", unsent=_is_refused_connection(error)
            ) from error
        if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            raise self._error(response, text)
        return ApiAnswer(self._decode(text), _provider_time(response.headers))

    def _read(self, response: requests.Response, deadline: float) -> str:
        if (_count(response, "Content-Length") or 0) > MAX_BODY_BYTES:
            raise self._too_much()
        size, chunks = 0, []
        while True:
            _wait_no_longer_than(response, deadline - time.monotonic())
            # read1 returns what has arrived; iter_content would wait for a full chunk, however slowly it comes.
            chunk = response.raw.read1(CHUNK_BYTES, decode_content=True)
            if not chunk:
                break
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise self._too_much()
            if time.monotonic() > deadline:
                raise ProviderTimeout(f"{self.label} did not finish its answer in time.")
            chunks.append(chunk)
        return b"".join(chunks).decode("utf-8", errors="replace")

    def _too_much(self) -> UnexpectedPayload:
        return UnexpectedPayload(f"{self.label} sent more than {MAX_BODY_BYTES // 1024**2} MiB.")

    def _decode(self, text: str) -> Any:
        try:
            # strict=False: logs have been seen with raw control characters inside JSON strings.
            # NaN and Infinity are no JSON, and no amount of money or time either.
            return json.loads(text, strict=False, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            raise UnexpectedPayload(f"{self.label} answered something that is not JSON.") from error

    def _error(self, response: requests.Response, text: str) -> ProviderError:
        status = response.status_code
        body = _problem(text)
        detail = _detail(body).replace(self._token or MASK, MASK)[:MAX_DETAIL_CHARACTERS]
        said = f": {detail.rstrip('.')}." if detail else f" (HTTP {status})."
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ProviderAuthError(f"{self.label} refused the token{said}")
        if status == HTTPStatus.NOT_FOUND:
            return RemoteJobNotFound(f"{self.label} does not know this{said}")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            retry_after = _retry_after(response.headers, body)
            return ProviderRateLimited(f"{self.label} asks us to slow down{said}", retry_after=retry_after)
        if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT):
            return ProviderTimeout(f"{self.label} ran out of time (HTTP {status}).")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ProviderUnavailable(f"{self.label} has trouble of its own (HTTP {status}).")
        if status >= HTTPStatus.BAD_REQUEST:
            return ProviderRejected(f"{self.label} refused the request{said}")
        return UnexpectedPayload(f"{self.label} answered with an unexpected HTTP {status}.")


def _is_token(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _route(path: str) -> str:
    """The path with every id replaced: its parts that hold a digit and are no version of the API."""
    return "/".join("{id}" if HAS_DIGIT.search(part) and part != "v1" else part for part in path.split("/"))


def _count(response: requests.Response | None, header: str) -> int | None:
    value = response.headers.get(header, "").strip() if response is not None else ""
    return int(value) if NUMBER.fullmatch(value) else None


def _is_lost_connection(cause: BaseException | None) -> bool:
    """Whether a connection that stood was lost: neither refused, nor too slow, nor untrusted."""
    if isinstance(cause, requests.Timeout | requests.exceptions.SSLError):
        return False
    if _is_refused_connection(cause):
        return False
    return isinstance(
        cause,
        requests.ConnectionError | requests.exceptions.ChunkedEncodingError | urllib3.exceptions.ProtocolError,
    )


def _is_refused_connection(cause: BaseException | None) -> bool:
    """Whether no connection came about at all: refused, or the name leads nowhere."""
    reason = cause.args[0] if isinstance(cause, requests.ConnectionError) and cause.args else None
    return isinstance(getattr(reason, "reason", None), urllib3.exceptions.NewConnectionError)


def _clock_ahead(response: requests.Response | None, started_at: float, ended_at: float) -> float | None:
    """How far the ``Date`` of an answer lies outside the call; it is in whole seconds, and a cache's is an old one."""
    if response is None or "Age" in response.headers:
        return None
    date = _http_date(response.headers.get("Date", ""))
    if date is None:
        return None
    stamp = date.timestamp()
    return min(stamp + 1.0 - started_at, 0.0) + max(stamp - ended_at, 0.0)


def _wait_no_longer_than(response: requests.Response, seconds: float) -> None:
    """Let the next read wait for the rest of the answer's time at most."""
    sock = getattr(response.raw.connection, "sock", None)
    if sock is not None:
        sock.settimeout(min(max(seconds, 0.001), READ_TIMEOUT_SECONDS))


def _problem(text: str) -> Mapping[str, Any]:
    """The body of an error; empty if it is no JSON object, as a proxy's HTML page."""
    try:
        body = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _detail(body: Mapping[str, Any]) -> str:
    """The ``detail`` (or ``title``) of a problem body on one line, in characters that can be stored and logged."""
    detail = body.get("detail") or body.get("title")
    if not isinstance(detail, str):
        return ""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(detail.split()))


def _retry_after(headers: Mapping[str, str], body: Mapping[str, Any]) -> float | None:
    """Seconds to wait: from the header (seconds or a date, RFC 9110 10.2.3), else from the body or its text."""
    header = headers.get("Retry-After", "").strip()
    seconds: float | None = None
    if RETRY_SECONDS.fullmatch(header):
        seconds = float(header)
    elif date := _http_date(header):
        # Measured by the clock that set the date, not by ours.
        seconds = (date - _provider_time(headers)).total_seconds()
    elif RETRY_SECONDS.fullmatch(str(body.get("retry_after", ""))):
        seconds = float(str(body["retry_after"]))
    elif match := RETRY_TEXT.search(_detail(body)):
        seconds = float(match[1])
    return None if seconds is None else min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _provider_time(headers: Mapping[str, str]) -> datetime:
    return _http_date(headers.get("Date", "")) or datetime.now(UTC)


def _http_date(text: str) -> datetime | None:
    try:
        stamp = parsedate_to_datetime(text)
        return stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None
