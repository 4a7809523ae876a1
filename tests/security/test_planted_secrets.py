"""Secrets are planted wherever the product has one, it is made to say all it can say, and none of them is in it.

A new page is walked by itself (surface.py); a new secret is a line in ``planted``.
"""

import base64
import json
import logging
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import responses
from django.db import connection
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.utils import timezone
from pytest_django import Settings
from requests import PreparedRequest

from jobs import coordination, known_secrets, tasks
from jobs.access import SYSTEM
from jobs.models import AuditEntry, JobLog, QueueEntry, UnifiedJob
from jobs.services import audit, provider_accounts, provider_tokens
from providers import registry
from providers.errors import ProviderError
from providers.sandbox.signing import PUBLISHED_TEST_SECRET
from tests.conftest import MakeJob
from tests.deliveries import body_of, signed
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.security import surface
from tests.security.planted import Haul, secret
from tests.servers import RedisServer

pytestmark = pytest.mark.django_db

REPEATER = "https://replicate.example"
ECHO_ID = "echo{:04d}abcdefghijklmnopqr"

Answer = tuple[int, dict[str, str], str]
Echo = Callable[[str], Answer]

# How a provider may repeat what it was sent; ``said`` is the Authorization header and more.
ECHOES: dict[str, Echo] = {
    "page of HTML": lambda said: (502, {"Content-Type": "text/html"}, f"<h1>{said}</h1>"),
    "no JSON": lambda said: (200, {}, f"{{{said}"),
    "text": lambda said: (200, {}, json.dumps(said)),
    "redirect": lambda said: (302, {"Location": f"https://elsewhere.example/?{said}"}, said),
    "headers": lambda said: (429, {"Retry-After": said.split()[-1], "X-Said": said}, ""),
    "account": lambda said: (200, {}, json.dumps({"username": said, "name": said, "type": said})),
    "job": lambda said: (200, {}, json.dumps(_job(said))),
    "list": lambda said: (200, {}, json.dumps({"results": [_job(said)], "next": None, "previous": None})),
}
PROBLEMS = (400, 401, 402, 403, 404, 409, 422, 429, 500, 503)


def _problem(status: int) -> Echo:
    return lambda said: (status, {}, json.dumps({"detail": said, "title": said}))


ECHOES |= {f"problem {status}": _problem(status) for status in PROBLEMS}


def _job(said: str) -> dict[str, Any]:
    return {
        "id": ECHO_ID.format(len("job")),
        "status": "failed",
        "created_at": "2026-01-01T00:00:00Z",
        "model": "owner/model",
        "version": "abc",
        "error": said,
        "logs": f"{said}\n",
        "input": {"prompt": said, "hf_token": said, said: said},
        "output": f"https://replicate.delivery/{said.split()[-1]}/out.tar",
        "urls": {"web": f"https://replicate.com/p/{said.split()[-1]}"},
        "metrics": {},
    }


@pytest.fixture
def planted() -> dict[str, str]:
    """What is planted, by its name. Each stands for one place where the product has a secret."""
    return {
        "provider's token": secret("provider", "r8_", 37),
        "refused token": secret("refused", "r8_", 37),
        "hub token": secret("hub", "hf_", 34),
        "API key": secret("key", "stk_"),
        "signing key": secret("signing"),
        "credentials key": base64.urlsafe_b64encode(random.Random(7).randbytes(32)).decode(),
        "database password": secret("database"),
        "Redis password": secret("redis"),
        "webhook secret": PUBLISHED_TEST_SECRET,
    }


@pytest.fixture
def haul(planted: dict[str, str]) -> Haul:
    return Haul(planted)


@pytest.fixture
def guarded_redis(settings: Settings, planted: dict[str, str]) -> Iterator["redis.Redis"]:
    """A Redis of the test's own, that asks for its password."""
    server = RedisServer()
    server.start()
    redis.Redis.from_url(server.url).config_set("requirepass", planted["Redis password"])
    settings.REDIS_URL = f"redis://:{planted['Redis password']}@127.0.0.1:{server.port}/0"
    settings.CELERY_BROKER_URL = settings.REDIS_URL
    settings.EVENTSTREAM_REDIS = settings.EVENTSTREAM_REDIS | {
        "port": server.port,
        "password": planted["Redis password"],
    }
    _connect_anew()
    yield redis.Redis.from_url(settings.REDIS_URL)
    _connect_anew()
    server.remove()


def _connect_anew() -> None:
    coordination.client.cache_clear()
    coordination.hasty_client.cache_clear()


@pytest.fixture(params=["environment", "stored", "sandbox"])
def product(
    request: pytest.FixtureRequest,
    settings: Settings,
    planted: dict[str, str],
    guarded_redis: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RunningSandbox]:
    """The product with its secrets, in each of the three ways to have a token."""
    settings.SECRET_KEY = planted["signing key"]
    settings.CREDENTIALS_KEYS = (planted["credentials key"],)
    settings.CREDENTIALS_KEY_FILE = tmp_path / "credentials_key"
    settings.LIVE_STORE_DIR = tmp_path / "live"
    settings.EACH_STORE_HAS_ITS_DATABASE = True
    settings.DATABASE_URL = f"postgres://user:{planted['database password']}@host/name"
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", planted["database password"])
    settings.IS_SANDBOX = request.param == "sandbox"
    token = planted["provider's token"]
    with running_sandbox(token=token) as server:
        given = "" if request.param == "stored" else token
        settings.PROVIDERS = {"replicate": {"token": given, "base_url": server.url}}
        settings.LIVE_PROVIDERS = {"replicate": {"base_url": server.url}}
        if request.param == "stored":
            provider_tokens.set_token(SYSTEM, "replicate", token)
        yield server


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture, settings: Settings) -> Callable[[], list[tuple[str, str]]]:
    """What has been logged since, at the finest level: as it was handed to the log, and as it stands in the file."""
    file = settings.LOG_FILE
    start = file.stat().st_size if file.exists() else 0
    caplog.set_level("DEBUG")

    def read() -> list[tuple[str, str]]:
        with file.open("rb") as log:
            log.seek(start)
            return [("the log", caplog.text), ("server.log", log.read().decode("utf-8", errors="replace"))]

    return read


@pytest.fixture
def rows(make_job: MakeJob, product: RunningSandbox, planted: dict[str, str]) -> UnifiedJob:
    """Jobs whose inputs, logs and errors hold a hub token, as their provider repeats them; and a row of much else."""
    hub = planted["hub token"]
    told = f"huggingface_hub: 401 for token {hub}\nAuthorization: Bearer {hub}"
    for kind, status in (("training", "failed"), ("training", "processing"), ("prediction", "failed")):
        added = product.add_job(
            kind=kind,
            created_offset=-60,
            durations={"queue": 1, "train": 9e5},
            input={"hf_token": hub, "prompt": f"with {hub}", "nested": [{"a": hub}]},
            logs=told,
        )
        product.change_job(added["id"], status=status, error=told if status == "failed" else None)
    job = make_job(status="failed", completed_at=timezone.now(), error_message="failed")
    JobLog.objects.create(job=job)
    QueueEntry.objects.create(job=make_job(status="pending", external_id=None))
    audit.record(SYSTEM, "job.cancel", job.job_id)
    return job


def walk(client: Client, haul: Haul, job: UnifiedJob, *, part: str = "") -> None:
    """Ask for everything whose address holds ``part``, by every method that changes nothing."""
    for path in surface.paths(job.external_id or job.job_id):
        if part not in path:
            continue
        queries = ("", "?include_providers=true&sync_active=true&include_replicate=true")
        for query in queries if path.startswith("/api/cloud/") else queries[:1]:
            add(haul, f"GET {path}{query}", client.get(path + query))
        add(haul, f"OPTIONS {path}", client.options(path))


def add(haul: Haul, place: str, answer: Any) -> None:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    haul.add(place, body)
    haul.add(f"{place}: headers", repr(answer.headers.items()))
    haul.add(f"{place}: cookies", str(answer.cookies))


def work() -> None:
    """What workers do."""
    for task in (
        tasks.poll_active_jobs,
        tasks.process_queue,
        tasks.apply_webhooks,
        tasks.capture_logs,
        tasks.walk_history,
    ):
        task()


def press_everything(client: Client, haul: Haul, planted: dict[str, str], job: UnifiedJob) -> None:
    """Every method that changes something, with bodies that are refused and with tokens where one belongs."""
    wrong = planted["refused token"]
    bodies: list[Any] = [
        {"api_token": f"{wrong} {wrong}", "token": f"{wrong}\u00e9"},
        {"api_token": wrong, "token": wrong},
        {"api_token": [wrong], "token": {"a": wrong}},
        [wrong],
    ]
    for path in surface.paths(job.external_id or job.job_id):
        if path.startswith("/admin/log"):
            continue
        for method in ("post", "put", "patch", "delete"):
            is_token = path.endswith("/token") or "providercredential" in path
            others: list[Any] = [{}, []] if method == "post" else [{}]
            for body in bodies if is_token else others:
                answer = client.generic(method.upper(), path, json.dumps(body), content_type="application/json")
                add(haul, f"{method.upper()} {path}", answer)
        form = {"provider": "replicate", "token": wrong, "check": "on"}
        if "providercredential" in path:
            add(haul, f"form {path}", client.post(path, form, content_type=MULTIPART_CONTENT))


def test_nothing_that_is_said_or_written_holds_a_secret(
    product: RunningSandbox,
    planted: dict[str, str],
    haul: Haul,
    rows: UnifiedJob,
    written: Callable[[], list[tuple[str, str]]],
    guarded_redis: "redis.Redis",
) -> None:
    client = Client(headers={"X-API-Key": planted["API key"]}, raise_request_exception=False)
    add(haul, "sync", client.post("/api/cloud/jobs/sync"))
    add(haul, "history", client.post("/api/cloud/jobs/sync?history=true"))
    work()
    assert UnifiedJob.objects.filter(error_message__contains="huggingface_hub").exists()
    for webhook_id in ("msg_1", "msg_2"):
        body = body_of(rows.external_id or "", "failed", logs=f"told {planted['hub token']}")
        headers = signed(body, webhook_id=webhook_id)
        add(haul, "webhook", client.post("/api/webhooks/replicate", body, "application/json", headers=headers))
    failed = UnifiedJob.objects.exclude(pk=rows.pk).filter(status="failed").first()
    assert failed is not None
    walk(client, haul, rows)
    walk(client, haul, failed, part=str(failed.external_id))
    haul.add_rows()
    press_everything(client, haul, planted, rows)
    work()
    haul.add_rows()
    haul.add_redis(guarded_redis)
    for place, text in written():
        haul.add(place, text)
    assert haul.leaks == []
    # It was no walk through closed doors.
    assert haul.places > 500
    assert AuditEntry.objects.exists()


@pytest.mark.parametrize("product", ["environment"], indirect=True)
def test_provider_that_repeats_our_token_is_not_repeated(
    product: RunningSandbox,
    planted: dict[str, str],
    haul: Haul,
    make_job: MakeJob,
    settings: Settings,
    written: Callable[[], list[tuple[str, str]]],
    guarded_redis: "redis.Redis",
) -> None:
    settings.PROVIDERS = {"replicate": {"token": planted["provider's token"], "base_url": REPEATER}}
    settings.LIVE_PROVIDERS = {"replicate": {"base_url": REPEATER}}
    client = Client(raise_request_exception=False)
    for name, echo in ECHOES.items():
        job = make_job(external_id=ECHO_ID.format(len(name)), status="running")

        def repeat(request: PreparedRequest, echo: Echo = echo) -> Answer:
            return echo(request.headers["Authorization"])

        with responses.RequestsMock(assert_all_requests_are_fired=False) as http:
            for method in (responses.GET, responses.POST):
                http.add_callback(method, re.compile(f"{re.escape(REPEATER)}/.*"), callback=repeat)
            for part in ("/cancel", "/sync", "/logs", "/inline-progress", "/validate", "/health"):
                # Whatever was learnt of the account: it is asked.
                coordination.client().flushdb()
                for path in surface.paths(job.job_id):
                    if part in path:
                        add(haul, f"POST {path} ({name})", client.post(path))
                        add(haul, f"GET {path} ({name})", client.get(f"{path}?include_providers=true"))
            try:
                registry.trial_provider("replicate", planted["refused token"]).account()
            except ProviderError as error:
                haul.add(f"an error ({name})", f"{error!r} {error} {error.message}")
            coordination.client().flushdb()
            client.post("/api/cloud/jobs/sync?history=true")
            work()
            assert len(http.calls) > 5, name
        walk(client, haul, job, part=job.job_id)
        haul.add_redis(guarded_redis)
        job.delete()
    walk(client, haul, make_job())
    haul.add_rows()
    for place, text in written():
        haul.add(place, text)
    assert haul.leaks == []


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("product", ["environment", "stored"], indirect=True)
def test_error_that_nobody_foresaw_tells_no_secret(
    product: RunningSandbox,
    planted: dict[str, str],
    haul: Haul,
    settings: Settings,
    written: Callable[[], list[tuple[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    debug: bool,
) -> None:
    settings.DEBUG = debug
    known_secrets.remember(
        *(planted[name] for name in planted if name not in ("refused token", "hub token", "API key"))
    )

    def fail(*_: object, **__: object) -> None:
        token = registry.get_token("replicate")
        headers = {"Authorization": f"Bearer {token}"}
        url, key = settings.REDIS_URL, settings.SECRET_KEY
        raise RuntimeError(f"cannot reach {url} with {headers} signed by {key}")

    monkeypatch.setattr(provider_accounts, "overviews", fail)
    monkeypatch.setattr("jobs.presentation.notices.health.report", fail)
    client = Client(raise_request_exception=False)
    for path in ("/", "/fragments/notices", "/api/cloud/providers"):
        answer = client.get(path, headers={"X-API-Key": planted["API key"]} if not debug else {})
        assert answer.status_code == 500
        add(haul, path, answer)
    for place, text in written():
        # What was handed to the log is the error itself; what counts is what the log makes of it.
        if place != "the log":
            assert "RuntimeError" in text
            haul.add(place, text)
    assert haul.leaks == []


def leak_in_a_page(monkeypatch: pytest.MonkeyPatch, planted: dict[str, str]) -> None:
    monkeypatch.setattr(provider_tokens.TokenStanding, "masked", planted["provider's token"])


def leak_in_a_row(monkeypatch: pytest.MonkeyPatch, planted: dict[str, str]) -> None:
    AuditEntry.objects.create(actor="x", via="x", action="x", details={"token": planted["provider's token"][:12]})


def leak_in_redis(monkeypatch: pytest.MonkeyPatch, planted: dict[str, str]) -> None:
    coordination.client().hset(coordination.key("x"), "y", base64.b64encode(planted["hub token"].encode()).decode())


def leak_in_the_log(monkeypatch: pytest.MonkeyPatch, planted: dict[str, str]) -> None:
    logging.getLogger("requests").debug("headers: %s", {"X": planted["API key"]})


@pytest.mark.parametrize(
    ("leak", "place"),
    [
        (leak_in_a_page, "GET /jobs/"),
        (leak_in_a_row, "table jobs.AuditEntry"),
        (leak_in_redis, "Redis "),
        (leak_in_the_log, "the log"),
    ],
)
@pytest.mark.parametrize("product", ["stored"], indirect=True)
def test_search_finds_what_is_leaked(
    product: RunningSandbox,
    planted: dict[str, str],
    haul: Haul,
    rows: UnifiedJob,
    written: Callable[[], list[tuple[str, str]]],
    guarded_redis: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
    leak: Callable[[pytest.MonkeyPatch, dict[str, str]], None],
    place: str,
) -> None:
    leak(monkeypatch, planted)
    walk(Client(raise_request_exception=False), haul, rows, part=rows.job_id)
    haul.add_rows()
    haul.add_redis(guarded_redis)
    for where, text in written():
        haul.add(where, text)
    assert any(f" in {place}" in found for found in haul.leaks)
