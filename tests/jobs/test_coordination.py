"""Leases among processes, and what several threads share of Redis: jobs.coordination."""

import gc
import time

import pytest
import redis

from jobs import coordination

LIFE = 0.3


@pytest.fixture(autouse=True)
def _short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordination, "DEAD_HOLDER_SECONDS", LIFE)


def milliseconds_left() -> int:
    left = coordination.client().pttl(coordination.key("lease:x"))
    assert isinstance(left, int)
    return left


def test_a_lease_lives_on_while_its_holder_does_and_no_longer_than_a_dead_one_may_keep_it() -> None:
    with coordination.lease("x", seconds=60) as renew:
        assert renew is not None
        time.sleep(2 * LIFE)
        with coordination.lease("x", seconds=60) as other:
            assert other is None, "it is held, though nobody renewed it"
        assert milliseconds_left() <= LIFE * 1000
    with coordination.lease("x", seconds=60) as other:
        assert other is not None, "it was given back"


def test_a_holder_that_hangs_loses_it() -> None:
    with coordination.lease("x", seconds=2 * LIFE):
        time.sleep(3 * LIFE)
        with coordination.lease("x", seconds=60) as other:
            assert other is not None


def test_a_holder_that_has_lost_it_learns_so_when_it_renews() -> None:
    with coordination.lease("x", seconds=60) as renew:
        assert renew is not None
        renew()
        coordination.client().delete(coordination.key("lease:x"))
        with pytest.raises(redis.RedisError):
            renew()


def test_nothing_renews_a_lease_that_was_given_back() -> None:
    with coordination.lease("x", seconds=60):
        pass
    time.sleep(LIFE)
    assert milliseconds_left() == -2


def test_client_that_lost_the_race_to_be_the_process_s_own_may_finish_what_it_began() -> None:
    connection = coordination.client().connection_pool.get_connection()
    connection.send_command("PING")  # type: ignore[no-untyped-call]
    coordination.client.cache_clear()
    gc.collect()
    assert connection.read_response() in ("PONG", b"PONG")
