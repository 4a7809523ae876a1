"""Signs of life of workers and beats: jobs.services.heartbeats."""

import json
import os
import socket
import time

import pytest
import redis

from jobs import coordination
from jobs.services import heartbeats
from jobs.services.heartbeats import ALIVE_SECONDS, REMEMBERED_SECONDS, Pulse, Role
from tests.jobs.conftest import Age


def test_a_process_tells_of_itself() -> None:
    Pulse(Role.WORKER).beat()
    (heard,) = heartbeats.heartbeats()
    assert (heard.role, heard.host, heard.pid) == (Role.WORKER, socket.gethostname(), os.getpid())
    assert heard.is_alive
    assert heard.running_seconds < 5
    assert heard.version


def test_a_running_pulse_beats_by_itself_and_takes_it_back_when_it_is_stopped() -> None:
    pulse = Pulse(Role.BEAT, interval_seconds=0.01)
    pulse.start()
    deadline = time.monotonic() + 5
    while not heartbeats.heartbeats() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [heard.role for heard in heartbeats.alive(heartbeats.heartbeats(), Role.BEAT)] == [Role.BEAT]
    assert heartbeats.alive(heartbeats.heartbeats(), Role.WORKER) == []
    pulse.stop()
    assert heartbeats.heartbeats() == []


def test_a_pulse_that_was_stopped_in_the_middle_of_a_beat_is_not_back_afterwards() -> None:
    pulse = Pulse(Role.BEAT)
    pulse.stop()
    pulse.beat()
    assert heartbeats.heartbeats() == []


def test_a_pulse_outlives_an_outage_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(coordination.client(), "eval", refuse)
    pulse = Pulse(Role.WORKER, interval_seconds=0.005)
    pulse.start()
    time.sleep(0.03)
    monkeypatch.undo()
    deadline = time.monotonic() + 5
    while not heartbeats.heartbeats() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert heartbeats.heartbeats()
    pulse.stop()


def test_a_process_that_died_stays_known_for_an_hour_and_counts_as_dead(age_heartbeats: Age) -> None:
    Pulse(Role.WORKER).beat()
    age_heartbeats(ALIVE_SECONDS + 1)
    (heard,) = heartbeats.heartbeats()
    assert not heard.is_alive
    assert heartbeats.alive([heard], Role.WORKER) == []
    age_heartbeats(REMEMBERED_SECONDS)
    Pulse(Role.BEAT).beat()
    assert [heard.role for heard in heartbeats.heartbeats()] == [Role.BEAT]


def test_idle_time_is_counted_from_the_last_piece_of_work() -> None:
    pulse = Pulse(Role.WORKER)
    pulse._last_work -= 100
    pulse.beat()
    assert heartbeats.heartbeats()[0].idle_seconds >= 100
    pulse.note_work()
    pulse.beat()
    assert heartbeats.heartbeats()[0].idle_seconds < 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("worker:1:host", "nonsense"),
        ("worker:1:host", '5 {"version": "1"}'),
        ("worker:x:host", '5 {"version": "1", "running": 1, "idle": 1}'),
        ("cook:1:host", '5 {"version": "1", "running": 1, "idle": 1}'),
        ("", "5 []"),
    ],
)
def test_what_another_version_wrote_is_left_out(field: str, value: str) -> None:
    ours = {"worker:1:h:st": "90 " + json.dumps({"version": "1", "running": 3, "idle": 2})}
    (heard,) = heartbeats.read({field: value, **ours}, now=100)
    assert (heard.host, heard.age_seconds, heard.running_seconds, heard.idle_seconds) == ("h:st", 10, 3, 2)
