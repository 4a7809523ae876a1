"""Those who ask the same while they wait are told the same, and nobody anything that is older than the question."""

import asyncio
from typing import Any

import pytest

from simpletuner_cloud.shared_answers import SharedAnswers

PATH = "/api/cloud/jobs"
Header = tuple[bytes, bytes]


class Application:
    """Answers with its number when it is let go on, and counts how many it is at at once."""

    def __init__(self, *headers: Header, pieces: int = 1, fails: int = 0) -> None:
        self.headers = [(b"content-type", b"application/json"), *headers]
        self.pieces, self.fails = pieces, fails
        self.asked = self.at_once = self.most_at_once = 0
        self.go_on = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.asked += 1
        number = self.asked
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.go_on.wait()
        self.at_once -= 1
        if number <= self.fails:
            raise RuntimeError("broken")
        headers = [*self.headers, (b"x-correlation-id", b"of-the-first")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        for left in reversed(range(self.pieces)):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": left > 0})


async def ask(front: SharedAnswers, **asked: Any) -> tuple[bytes, bytes]:
    """The body and the correlation id of an answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "query_string": b"limit=50",
    }
    scope |= {"client": ("127.0.0.1", 40000 + len(asked)), "headers": [(b"host", b"localhost")]}
    await front(scope | asked, None, send)  # type: ignore[arg-type]
    return b"".join(message["body"] for message in sent[1:]), dict(sent[0]["headers"])[b"x-correlation-id"]


async def together(front: SharedAnswers, application: Application, *questions: dict[str, Any]) -> list[Any]:
    """The answers to questions that wait behind another one."""
    others = [asyncio.create_task(ask(front, path="/another"))]
    await asyncio.sleep(0)
    asked = [asyncio.create_task(ask(front, **question)) for question in questions]
    await asyncio.sleep(0)
    application.go_on.set()
    await asyncio.gather(*others)
    return await asyncio.gather(*asked, return_exceptions=True)


def test_equal_questions_that_wait_get_one_answer_each_under_an_id_of_its_own() -> None:
    async def run() -> None:
        application = Application()
        answers = await together(SharedAnswers(application, at_once=1), application, *[{}] * 5)
        assert {body for body, _ in answers} == {b"2"}
        assert len({correlation_id for _, correlation_id in answers}) == 5
        assert application.asked == 2

    asyncio.run(run())


def test_an_answer_that_is_being_worked_on_is_not_given_to_who_comes_later() -> None:
    async def run() -> None:
        application = Application()
        front = SharedAnswers(application, at_once=2)
        first = asyncio.create_task(ask(front))
        await asyncio.sleep(0)
        second = asyncio.create_task(ask(front))
        await asyncio.sleep(0)
        assert application.asked == 2
        application.go_on.set()
        assert [(await first)[0], (await second)[0]] == [b"1", b"2"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"query_string": b"limit=51"}, id="another query"),
        pytest.param({"path": PATH + "/"}, id="another path"),
        pytest.param({"client": ("10.0.0.1", 1)}, id="another address"),
        pytest.param({"scheme": "https"}, id="another scheme"),
        pytest.param({"headers": [(b"host", b"localhost"), (b"cookie", b"sessionid=1")]}, id="another session"),
        pytest.param({"headers": [(b"host", b"localhost"), (b"x-api-key", b"k")]}, id="a key"),
        pytest.param({"headers": [(b"host", b"localhost"), (b"content-length", b"2")]}, id="with a body"),
        pytest.param({"method": "POST"}, id="another method"),
    ],
)
def test_what_differs_in_anything_is_answered_for_itself(other: dict[str, Any]) -> None:
    async def run() -> None:
        application = Application()
        answers = await together(SharedAnswers(application, at_once=1), application, {}, other)
        assert sorted(body for body, _ in answers) == [b"2", b"3"]

    asyncio.run(run())


def test_a_body_is_never_shared_however_equal_the_rest() -> None:
    async def run() -> None:
        application = Application()
        posts = [{"method": "GET", "headers": [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]}] * 2
        answers = await together(SharedAnswers(application, at_once=1), application, *posts)
        assert sorted(body for body, _ in answers) == [b"2", b"3"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "application",
    [lambda: Application((b"set-cookie", b"a=1")), lambda: Application(pieces=2)],
    ids=["a cookie", "in pieces"],
)
def test_what_is_for_one_alone_is_not_shared(application: Any) -> None:
    async def run() -> None:
        made = application()
        answers = await together(SharedAnswers(made, at_once=1), made, {}, {}, {})
        assert len({body for body, _ in answers}) == 3

    asyncio.run(run())


def test_a_failure_is_its_askers_own_and_the_others_ask_for_themselves() -> None:
    async def run() -> None:
        application = Application(fails=2)
        front = SharedAnswers(application, at_once=1)
        other = asyncio.create_task(ask(front, path="/another"))
        await asyncio.sleep(0)
        asked = [asyncio.create_task(ask(front)) for _ in range(3)]
        await asyncio.sleep(0)
        application.go_on.set()
        with pytest.raises(RuntimeError, match="broken"):
            await other
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(answer, RuntimeError) for answer in answers] == [True, False, False]
        # Nothing is left behind that later questions would wait for.
        assert (await ask(front))[0] == b"5"

    asyncio.run(run())


def test_an_id_that_was_proposed_is_kept() -> None:
    async def run() -> None:
        application = Application()
        question = {"headers": [(b"host", b"localhost"), (b"x-correlation-id", b"of-the-first")]}
        answers = await together(SharedAnswers(application, at_once=1), application, question, question)
        assert {correlation_id for _, correlation_id in answers} == {b"of-the-first"}

    asyncio.run(run())


def test_no_more_are_worked_on_at_once_than_there_are_threads() -> None:
    async def run() -> None:
        application = Application()
        front = SharedAnswers(application, at_once=2)
        asked = [asyncio.create_task(ask(front, query_string=b"offset=%d" % number)) for number in range(9)]
        await asyncio.sleep(0)
        application.go_on.set()
        await asyncio.gather(*asked)
        assert (application.asked, application.most_at_once) == (9, 2)

    asyncio.run(run())
