"""What waits for one reader: ``jobs.stream.listener``."""

import asyncio

import pytest

from jobs.stream import listener
from jobs.stream.listener import Listener


def test_frames_are_taken_in_their_order_and_in_few_pieces() -> None:
    async def run() -> None:
        reader = Listener(0)
        frames = [b"%06d" % number for number in range(10_000)]
        for data in frames:
            reader.offer(data)
        pieces: list[bytes] = []
        while sum(len(piece) for piece in pieces) < 60_000:
            pieces.append(await reader.take())
        assert b"".join(pieces) == b"".join(frames)
        assert len(pieces) < 10

    asyncio.run(run())


def test_taking_waits_for_frames() -> None:
    async def run() -> None:
        reader = Listener(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.take(), 0.01)
        reader.offer(b"a")
        assert await reader.take() == b"a"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.take(), 0.01)

    asyncio.run(run())


def test_listener_that_does_not_take_is_cut_off_and_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "QUEUE_BYTES", 100)
    reader = Listener(0)
    reader.offer(b"x" * 100)
    assert not reader.is_cut.is_set()
    reader.offer(b"x")
    assert reader.is_cut.is_set()
    for _ in range(1000):
        reader.offer(b"x" * 100)
    assert reader._waiting_bytes == 0
    assert reader._waiting == []
