"""Threads that see the context of who asked: providers.pool."""

from contextvars import ContextVar

from providers.pool import ContextThreadPool

asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


def test_a_thread_sees_the_context_of_who_asked_and_of_nobody_before() -> None:
    with ContextThreadPool(1) as pool:
        token = asked_by.set("first")
        first = pool.submit(asked_by.get)
        assert list(pool.map(lambda _: asked_by.get(), range(2))) == ["first", "first"]
        asked_by.reset(token)
        second = pool.submit(asked_by.get)
        assert (first.result(), second.result()) == ("first", "nobody")


def test_what_a_thread_sets_stays_with_it() -> None:
    with ContextThreadPool(1) as pool:
        pool.submit(asked_by.set, "a thread").result()
        assert asked_by.get() == "nobody"
        assert pool.submit(asked_by.get).result() == "nobody"
