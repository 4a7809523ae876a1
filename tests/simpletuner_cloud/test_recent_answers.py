"""Hundreds of pages that ask for the same progress cost as much as one."""

import asyncio
from typing import Any

import pytest
from pytest_django import Settings

from simpletuner_cloud import recent_answers
from simpletuner_cloud.recent_answers import RecentAnswers

PATH = "/api/cloud/jobs/abc/inline-progress"


class Application:
    """Counts what reaches it. It answers as told, after having let all others ask."""

    def __init__(self, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.asked: list[str] = []
        self.status = status
        self.headers = [(b"content-type", b"application/json"), (b"age", b"3"), *headers]

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await asyncio.sleep(0)
        headers = [*self.headers, (b"x-correlation-id", b"the-first")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": b"%d" % len(self.asked), "more_body": False})


async def ask(
    front: RecentAnswers, path: str = PATH, *, method: str = "GET", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> tuple[dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"host", b"localhost"), *headers]}
    await front(scope, None, send)  # type: ignore[arg-type]
    return dict(sent[0]["headers"]), sent[1]["body"]


def test_all_who_ask_at_once_are_answered_by_one_question() -> None:
    application = Application()

    async def many() -> list[Any]:
        front = RecentAnswers(application)
        return await asyncio.gather(*(ask(front) for _ in range(500)))

    answers = asyncio.run(many())
    assert application.asked == [PATH]
    assert {body for _, body in answers} == {b"1"}


def test_an_answer_is_repeated_for_a_second_with_its_age_and_the_askers_own_correlation_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application, clock = Application(), [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    async def twice() -> tuple[dict[bytes, bytes], bytes]:
        front = RecentAnswers(application)
        await ask(front)
        clock[0] += 0.9
        again = await ask(front, headers=((b"x-correlation-id", b"mine"),))
        clock[0] += 0.2
        assert (await ask(front))[1] == b"2"
        return again

    headers, body = asyncio.run(twice())
    assert (body, headers[b"age"], headers[b"x-correlation-id"]) == (b"1", b"3", b"mine")
    assert len(application.asked) == 2


@pytest.mark.parametrize(
    ("application", "path", "method"),
    [
        pytest.param(Application(status=404), PATH, "GET", id="not found"),
        pytest.param(Application(headers=((b"set-cookie", b"a=1"),)), PATH, "GET", id="somebody's own"),
        pytest.param(Application(), "/api/cloud/jobs/abc", "GET", id="another address"),
        pytest.param(Application(), "/api/cloud/jobs/a/b/inline-progress", "GET", id="a longer address"),
        pytest.param(Application(), PATH, "POST", id="another method"),
    ],
)
def test_nothing_else_is_repeated(application: Application, path: str, method: str) -> None:
    async def thrice() -> None:
        front = RecentAnswers(application)
        for _ in range(3):
            await ask(front, path, method=method)

    asyncio.run(thrice())
    assert len(application.asked) == 3


def test_those_who_wait_for_an_answer_that_fails_ask_for_themselves() -> None:
    application = Application(status=500)

    async def many() -> None:
        front = RecentAnswers(application)
        await asyncio.gather(*(ask(front) for _ in range(4)))

    asyncio.run(many())
    assert len(application.asked) == 4


def test_where_readers_differ_each_is_answered_by_the_application(settings: Settings) -> None:
    settings.SINGLE_USER = False
    application = Application()

    async def twice() -> None:
        front = RecentAnswers(application)
        await ask(front)
        await ask(front)

    asyncio.run(twice())
    assert len(application.asked) == 2


def test_a_foreign_host_is_left_to_the_application_to_refuse() -> None:
    application = Application()

    async def foreign() -> None:
        front = RecentAnswers(application)
        await ask(front)
        scope = {"type": "http", "method": "GET", "path": PATH, "headers": [(b"host", b"evil.example")]}

        async def send(_message: Any) -> None:
            pass

        await front(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(foreign())
    assert len(application.asked) == 2


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_answers, "MOST_ANSWERS", 10)
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    front = RecentAnswers(Application())

    async def many() -> None:
        for number in range(100):
            clock[0] += 0.5
            await ask(front, f"/api/cloud/jobs/{number}/inline-progress")

    asyncio.run(many())
    assert len(front._recent) <= 10
