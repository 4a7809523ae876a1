import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import responses
import time_machine

from providers import http as http_module
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
from providers.http import ApiClient
from simpletuner_cloud.embedded_redis import free_port

ORIGIN = "https://api.replicate.com"
TOKEN = "r8_0123456789abcdefghijklmnopqrstuvwxyz"
SENT_AT = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
SENT_AT_HEADER = "Fri, 20 Nov 2026 10:00:00 GMT"

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def client() -> ApiClient:
    return ApiClient(label="Replicate", base_url=ORIGIN, token=TOKEN)


@contextmanager
def server(answer: Answer) -> Iterator[ApiClient]:
    """A real HTTP server whose every answer is written by ``answer``, and a client of it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield ApiClient(label="Replicate", base_url=f"http://127.0.0.1:{listening.server_address[1]}", token=TOKEN)
        finally:
            listening.shutdown()
            thread.join()


def head(handler: BaseHTTPRequestHandler, /, **headers: str) -> None:
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def refusal(client: ApiClient, http: responses.RequestsMock, **answer: Any) -> ProviderError:
    """The error that this answer becomes."""
    http.get(f"{ORIGIN}/v1/account", **answer)
    with pytest.raises(ProviderError) as caught:
        client.get("/v1/account")
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, ProviderRejected, id="400 is a refusal"),
        pytest.param(401, ProviderAuthError, id="401 concerns the token"),
        pytest.param(402, ProviderRejected, id="402 is a refusal"),
        pytest.param(403, ProviderAuthError, id="403 concerns the token"),
        pytest.param(404, RemoteJobNotFound, id="404 is not found"),
        pytest.param(408, ProviderTimeout, id="408 is a time-out"),
        pytest.param(409, ProviderRejected, id="409 is a refusal"),
        pytest.param(413, ProviderRejected, id="413 is a refusal"),
        pytest.param(422, ProviderRejected, id="422 is a refusal"),
        pytest.param(429, ProviderRateLimited, id="429 asks us to slow down"),
        pytest.param(500, ProviderUnavailable, id="500 is the provider's trouble"),
        pytest.param(502, ProviderUnavailable, id="502 is the provider's trouble"),
        pytest.param(503, ProviderUnavailable, id="503 is the provider's trouble"),
        pytest.param(504, ProviderTimeout, id="504 is a time-out"),
        pytest.param(520, ProviderUnavailable, id="Cloudflare's own 520 is the provider's trouble"),
        pytest.param(300, UnexpectedPayload, id="300 was not asked for"),
        pytest.param(302, UnexpectedPayload, id="302 without a place is no answer"),
    ],
)
def test_each_status_becomes_its_own_error(
    client: ApiClient, http: responses.RequestsMock, status: int, kind: type[ProviderError]
) -> None:
    error = refusal(client, http, status=status, json={"id": "x"})
    assert type(error) is kind
    assert "Replicate" in error.message


@pytest.mark.parametrize(
    ("kind", "is_retryable"),
    [
        (ProviderUnavailable, True),
        (ProviderTimeout, True),
        (ProviderRateLimited, True),
        (ProviderAuthError, False),
        (ProviderRejected, False),
        (RemoteJobNotFound, False),
        (UnexpectedPayload, False),
    ],
)
def test_only_passing_trouble_is_retryable(kind: type[ProviderError], is_retryable: bool) -> None:
    assert kind.retryable is is_retryable


def test_problem_detail_is_told_on_one_line(client: ApiClient, http: responses.RequestsMock) -> None:
    error = refusal(client, http, status=422, json={"title": "Invalid", "detail": "No such\n   version."})
    assert error.message == "Replicate refused the request: No such version."


def test_problem_title_stands_in_for_a_missing_detail(client: ApiClient, http: responses.RequestsMock) -> None:
    assert refusal(client, http, status=402, json={"title": "Insufficient credit"}).message.endswith(
        "Insufficient credit."
    )


@pytest.mark.parametrize("body", ["", "[]", "null", '{"detail": 5}', '{"detail": {}}', "{" * 100_000, "<html>"])
def test_error_without_a_readable_body_still_names_its_status(
    client: ApiClient, http: responses.RequestsMock, body: str
) -> None:
    assert "404" in refusal(client, http, status=404, body=body).message


def test_long_detail_is_cut(client: ApiClient, http: responses.RequestsMock) -> None:
    assert len(refusal(client, http, status=400, json={"detail": "x" * 10_000}).message) < 400


def test_detail_is_safe_to_store_and_to_log(client: ApiClient, http: responses.RequestsMock) -> None:
    error = refusal(client, http, status=400, body=r'{"detail": "a\u0000b\ud800c\u001b[31md\u202ee"}')
    assert error.message.endswith("a\ufffdb\ufffdc\ufffd[31md\ufffde.")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("120", 120.0, id="seconds"),
        pytest.param(" 7 ", 7.0, id="seconds among blanks"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param("Fri, 20 Nov 2026 10:00:45 GMT", 45.0, id="a date"),
        pytest.param("Fri Nov 20 10:00:45 2026", 45.0, id="a date in the old C format"),
        pytest.param("Fri, 20 Nov 2026 09:00:00 GMT", 0.0, id="a date that has passed"),
        pytest.param("9" * 400, 86_400.0, id="more than a float holds"),
        pytest.param("Fri, 20 Nov 9999 10:00:45 GMT", 86_400.0, id="a date in a far future"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="a word"),
        pytest.param("٣", None, id="a digit of another script"),
        pytest.param("Fri, 20 Nov 2026 10:00:45 +99999999999999999999", None, id="a zone that does not exist"),
    ],
)
def test_retry_after_header_is_read(
    client: ApiClient, http: responses.RequestsMock, header: str, seconds: float | None
) -> None:
    error = refusal(client, http, status=429, headers={"Retry-After": header, "Date": SENT_AT_HEADER})
    assert isinstance(error, ProviderRateLimited)
    assert error.retry_after == seconds


@time_machine.travel(SENT_AT + timedelta(minutes=10), tick=False)
def test_retry_after_date_is_measured_by_the_providers_clock(client: ApiClient, http: responses.RequestsMock) -> None:
    headers = {"Retry-After": "Fri, 20 Nov 2026 10:00:30 GMT", "Date": SENT_AT_HEADER}
    error = refusal(client, http, status=429, headers=headers)
    assert isinstance(error, ProviderRateLimited)
    assert error.retry_after == 30.0


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        pytest.param(
            {"detail": "Request was throttled. Expected available in 1 second."},
            1.0,
            id="the older text, in the singular",
        ),
        pytest.param({"detail": "Request was throttled. Expected available in 42 seconds."}, 42.0, id="the older text"),
        pytest.param({"detail": "Request was throttled. Your rate limit resets in ~30s."}, 30.0, id="the newer text"),
        pytest.param({"detail": "Request was throttled.", "retry_after": 7}, 7.0, id="a key of the body"),
        pytest.param({"detail": "Request was throttled.", "retry_after": None}, None, id="a key without a value"),
        pytest.param({"detail": "Request was throttled.", "retry_after": -1}, None, id="a negative key"),
        pytest.param({"detail": "There are 30 steps."}, None, id="another number"),
        pytest.param([], None, id="no object"),
    ],
)
def test_retry_time_is_read_from_the_body_if_no_header_names_it(
    client: ApiClient, http: responses.RequestsMock, body: object, seconds: float | None
) -> None:
    error = refusal(client, http, status=429, json=body)
    assert isinstance(error, ProviderRateLimited)
    assert error.retry_after == seconds


def test_html_of_a_proxy_is_trouble_and_never_quoted(client: ApiClient, http: responses.RequestsMock) -> None:
    error = refusal(client, http, status=502, body="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
    assert type(error) is ProviderUnavailable
    assert "<" not in error.message


@pytest.mark.parametrize("body", ["<html>Please wait…</html>", "", '{"id": "x"', "{" * 100_000, "1" * 10_000])
def test_success_that_is_no_json_is_refused(client: ApiClient, http: responses.RequestsMock, body: str) -> None:
    assert type(refusal(client, http, status=200, body=body)) is UnexpectedPayload


def test_raw_control_characters_inside_json_are_read(client: ApiClient, http: responses.RequestsMock) -> None:
    http.get(f"{ORIGIN}/v1/account", body='{"logs": "10%\r20%\n\x1b[0mdone\x00"}')
    assert client.get("/v1/account").payload == {"logs": "10%\r20%\n\x1b[0mdone\x00"}


def test_numbers_that_are_none_become_null(client: ApiClient, http: responses.RequestsMock) -> None:
    http.get(f"{ORIGIN}/v1/account", body='{"a": NaN, "b": Infinity, "c": -Infinity, "d": 1.5}')
    assert client.get("/v1/account").payload == {"a": None, "b": None, "c": None, "d": 1.5}


def test_broken_utf8_does_not_spoil_an_answer(client: ApiClient, http: responses.RequestsMock) -> None:
    http.get(f"{ORIGIN}/v1/account", body=b'{"logs": "50\xff%"}')
    assert client.get("/v1/account").payload == {"logs": "50\ufffd%"}


def test_token_and_parameters_are_sent(client: ApiClient, http: responses.RequestsMock) -> None:
    http.get(
        f"{ORIGIN}/v1/trainings",
        json={},
        match=[
            responses.matchers.header_matcher({"Authorization": f"Bearer {TOKEN}"}),
            responses.matchers.query_param_matcher({"cursor": "a+b="}),
        ],
    )
    assert client.get("/v1/trainings", {"cursor": "a+b="}).payload == {}


def test_post_sends_json(client: ApiClient, http: responses.RequestsMock) -> None:
    http.post(
        f"{ORIGIN}/v1/predictions",
        status=201,
        json={"id": "x"},
        match=[responses.matchers.json_params_matcher({"input": {"prompt": "a boat"}})],
    )
    assert client.post("/v1/predictions", {"input": {"prompt": "a boat"}}).payload == {"id": "x"}


def test_post_is_not_sent_twice(client: ApiClient, http: responses.RequestsMock) -> None:
    answer = http.post(f"{ORIGIN}/v1/predictions", status=503)
    with pytest.raises(ProviderUnavailable):
        client.post("/v1/predictions", {})
    assert answer.call_count == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(client: ApiClient, http: responses.RequestsMock, status: int) -> None:
    error = refusal(client, http, status=status, headers={"Location": "https://elsewhere.example/"}, json={"id": "x"})
    assert type(error) is UnexpectedPayload
    assert len(http.calls) == 1


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        pytest.param(requests.ConnectTimeout(), ProviderTimeout, id="connecting takes too long"),
        pytest.param(requests.ReadTimeout(), ProviderTimeout, id="answering takes too long"),
        pytest.param(requests.ConnectionError(), ProviderUnavailable, id="no connection"),
        pytest.param(requests.exceptions.SSLError(), ProviderUnavailable, id="a bad certificate"),
        pytest.param(requests.exceptions.ChunkedEncodingError(), ProviderUnavailable, id="a broken transfer"),
    ],
)
def test_transports_trouble_becomes_ours(
    client: ApiClient, http: responses.RequestsMock, trouble: Exception, kind: type[ProviderError]
) -> None:
    assert type(refusal(client, http, body=trouble)) is kind


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"body": requests.ConnectionError(f"{ORIGIN}?token={TOKEN}")}, id="the transport repeats it"),
        pytest.param({"status": 401, "json": {"detail": f"{TOKEN} is no valid token"}}, id="the refusal repeats it"),
        pytest.param({"status": 429, "json": {"title": f"Slow down, {TOKEN}"}}, id="the rate limit repeats it"),
        pytest.param({"status": 422, "json": {"detail": "x" * 290 + TOKEN}}, id="it would be cut in the middle"),
        pytest.param({"status": 200, "body": f"<html>{TOKEN}</html>"}, id="a page repeats it"),
    ],
)
def test_token_never_appears_in_an_error(
    client: ApiClient, http: responses.RequestsMock, answer: dict[str, Any]
) -> None:
    error = refusal(client, http, **answer)
    assert TOKEN[:8] not in f"{error} {error!r} {error.message}"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("r8_abc\ndef", id="two lines"),
        pytest.param("r8_abc def", id="a blank"),
        pytest.param("r8_abc–def", id="a dash of a word processor"),
    ],
)
def test_token_that_cannot_be_sent_is_refused_without_being_told(token: str) -> None:
    with pytest.raises(ProviderNotConfigured) as caught:
        ApiClient(label="Replicate", base_url=ORIGIN, token=token)
    assert "r8_abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "as_of"),
    [
        pytest.param({"Date": SENT_AT_HEADER}, SENT_AT, id="the provider's clock"),
        pytest.param({"Date": "Fri, 20 Nov 2026 15:30:00 +0530"}, SENT_AT, id="another zone"),
        pytest.param({"Date": "Fri Nov 20 10:00:00 2026"}, SENT_AT, id="no zone"),
        pytest.param({"Date": "yesterday"}, SENT_AT + timedelta(minutes=5), id="ours, if theirs cannot be read"),
        pytest.param({}, SENT_AT + timedelta(minutes=5), id="ours, if they do not say"),
    ],
)
@time_machine.travel(SENT_AT + timedelta(minutes=5), tick=False)
def test_answer_knows_the_providers_time(
    client: ApiClient, http: responses.RequestsMock, header: dict[str, str], as_of: datetime
) -> None:
    http.get(f"{ORIGIN}/v1/account", json={}, headers=header)
    answer = client.get("/v1/account")
    assert answer.as_of == as_of
    assert answer.as_of.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        pytest.param(f"{ORIGIN}/v1/trainings?cursor=x", True, id="our origin"),
        pytest.param("http://api.replicate.com/v1/trainings", False, id="another scheme"),
        pytest.param("https://api.replicate.com.evil.example/v1/trainings", False, id="a longer host"),
        pytest.param("https://api.replicate.com:8443/v1/trainings", False, id="another port"),
        pytest.param("https://api.replicate.com@evil.example/v1/trainings", False, id="our host as a user name"),
        pytest.param("//evil.example/v1/trainings", False, id="no scheme"),
        pytest.param("/v1/trainings?cursor=x", False, id="a path"),
        pytest.param("https://[", False, id="no URL at all"),
    ],
)
def test_only_our_own_origin_is_ours(client: ApiClient, url: str, is_ours: bool) -> None:
    assert client.owns(url) is is_ours


def test_slash_after_the_base_url_does_no_harm(http: responses.RequestsMock) -> None:
    http.get(f"{ORIGIN}/v1/account", json={})
    ApiClient(label="Replicate", base_url=f"{ORIGIN}/", token=TOKEN).get("/v1/account")


def test_real_answer_is_read_whole() -> None:
    body = json.dumps({"logs": "é" * 300_000}).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, Content_Length=str(len(body)))
        handler.wfile.write(body)

    with server(answer) as client:
        assert client.get("/").payload == {"logs": "é" * 300_000}


def test_chunked_answer_is_read_whole() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, Transfer_Encoding="chunked")
        for part in (b'{"logs": "', b"x" * 100_000, b'"}'):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    with server(answer) as client:
        assert client.get("/").payload == {"logs": "x" * 100_000}


def test_connection_serves_many_answers() -> None:
    connections = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        connections.add(handler.client_address)
        head(handler, Content_Length="2")
        handler.wfile.write(b"{}")

    with server(answer) as client:
        for _ in range(3):
            client.get("/")
    assert len(connections) == 1


def test_compressed_bomb_is_refused_by_its_unpacked_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MAX_BODY_BYTES", 1024**2)
    bomb = gzip.compress(b'"' + b"x" * 20_000_000 + b'"')

    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, Content_Encoding="gzip", Content_Length=str(len(bomb)))
        handler.wfile.write(bomb)

    with server(answer) as client, pytest.raises(UnexpectedPayload, match="more than 1 MiB"):
        client.get("/")


def test_body_over_the_limit_is_refused_before_it_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MAX_BODY_BYTES", 1024**2)
    sent = 0

    def answer(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        head(handler, Connection="close")
        try:
            while sent < 200 * 1024**2:
                handler.wfile.write(b"x" * 65_536)
                sent += 65_536
        except OSError:
            handler.close_connection = True

    with server(answer) as client, pytest.raises(UnexpectedPayload, match="more than 1 MiB"):
        client.get("/")
    assert sent < 100 * 1024**2


def test_broken_off_body_is_unavailability() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, Content_Length="1000", Connection="close")
        handler.wfile.write(b'{"id": ')
        handler.close_connection = True

    with server(answer) as client, pytest.raises(ProviderUnavailable) as caught:
        client.get("/")
    assert type(caught.value) is ProviderUnavailable


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Content_Length": "100000"}, id="length told"),
        pytest.param({"Connection": "close"}, id="length not told"),
    ],
)
def test_dripping_answer_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    monkeypatch.setattr(http_module, "ANSWER_DEADLINE_SECONDS", 0.5)
    stop = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, **headers)
        try:
            while not stop.wait(0.05):
                handler.wfile.write(b" ")
        except OSError:
            pass
        handler.close_connection = True

    with server(answer) as client:
        before = time.monotonic()
        with pytest.raises(ProviderTimeout):
            client.get("/")
        assert 0.4 < time.monotonic() - before < 2
        stop.set()


def test_answer_that_stops_half_way_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "ANSWER_DEADLINE_SECONDS", 0.4)
    stop = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, Content_Length="1000")
        handler.wfile.write(b'{"id": ')
        stop.wait(10)

    with server(answer) as client:
        before = time.monotonic()
        with pytest.raises(ProviderTimeout):
            client.get("/")
        assert time.monotonic() - before < 2
        stop.set()


def test_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "READ_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = ApiClient(label="Replicate", base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", token=TOKEN)
        with pytest.raises(ProviderTimeout):
            client.get("/")


def test_closed_port_is_unavailability() -> None:
    client = ApiClient(label="Replicate", base_url=f"http://127.0.0.1:{free_port()}", token=TOKEN)
    with pytest.raises(ProviderUnavailable) as caught:
        client.get("/")
    assert type(caught.value) is ProviderUnavailable


def test_environment_neither_adds_a_proxy_nor_swaps_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        head(handler, Content_Length="2")
        handler.wfile.write(b"{}")

    with server(answer) as client:
        client.get("/")
    assert seen == [f"Bearer {TOKEN}"]


def test_body_that_tells_its_size_is_refused_before_a_byte_is_read() -> None:
    sent = 0

    def answer(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        head(handler, Content_Length=str(60_000_000))
        try:
            while sent < 60_000_000:
                handler.wfile.write(b"x" * 65_536)
                sent += 65_536
        except OSError:
            handler.close_connection = True

    with server(answer) as client, pytest.raises(UnexpectedPayload, match="more than 32 MiB"):
        client.get("/")
    assert sent < 30_000_000


def test_compressed_bomb_is_not_unpacked_into_memory() -> None:
    bomb = gzip.compress(b"0" * 100_000_000)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        head(handler, Content_Encoding="gzip", Content_Length=str(len(bomb)))
        handler.wfile.write(bomb)

    with server(answer) as client:
        tracemalloc.start()
        try:
            with pytest.raises(UnexpectedPayload, match="more than 32 MiB"):
                client.get("/")
            assert tracemalloc.get_traced_memory()[1] < 64_000_000
        finally:
            tracemalloc.stop()
