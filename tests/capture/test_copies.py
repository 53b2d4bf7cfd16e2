"""Matching frames that were queued in full with their slots."""

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from sensor.capture import copies
from sensor.capture.copies import Copies
from sensor.model.frames import FrameBatch

HEADER = bytes(10)
"""virtio_net_hdr"""


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    kernel, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    reader.setblocking(False)
    with kernel, reader:
        yield kernel, reader


def batch_of(*frames: bytes, slot: int = 174) -> FrameBatch:
    buffer = b"".join(frame[:slot].ljust(512, b"\0") for frame in frames)
    lengths = [len(frame) for frame in frames]
    count = np.arange(len(frames), dtype=np.int64)
    return FrameBatch(
        buffer=np.frombuffer(buffer, np.uint8),
        offset=count * 512,
        captured=np.minimum(lengths, slot).astype(np.int64),
        length=np.array(lengths, np.int64),
        time=count,
        link=1,
        stride=512,
    )


def test_copies_come_in_the_order_of_their_slots(ends: tuple[socket.socket, socket.socket]) -> None:
    first, second, third = b"a" * 300, b"b" * 60, b"c" * 900
    for frame in (first, third):
        ends[0].send(HEADER + frame)
    found = Copies(ends[1]).take(batch_of(first, second, third), np.array([0, 2]))
    assert found == {0: first, 2: third}


def test_headers_rewritten_by_nat_are_taken_from_the_slot(ends: tuple[socket.socket, socket.socket]) -> None:
    frame = bytes(range(200)) * 3
    ends[0].send(HEADER + b"rewritten" * 6 + frame[54:])
    assert Copies(ends[1]).take(batch_of(frame), np.array([0])) == {0: frame}


def test_another_frame_is_not_taken_for_the_copy(ends: tuple[socket.socket, socket.socket]) -> None:
    frames = b"a" * 300, b"b" * 300, b"c" * 300
    ends[0].send(HEADER + b"a" * 301)
    ends[0].send(HEADER + b"x" * 300)
    ends[0].send(HEADER + frames[2])
    reader = Copies(ends[1])
    assert reader.take(batch_of(*frames), np.arange(3)) == {2: frames[2]}
    assert reader.mismatched == 2


def test_beyond_the_limits_copies_are_thrown_away_in_step(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "BATCH_COPIES", 2)
    frames = [bytes([65 + number]) * 300 for number in range(4)]
    reader = Copies(ends[1])
    for frame in frames:
        ends[0].send(HEADER + frame)
    assert list(reader.take(batch_of(*frames), np.arange(4))) == [0, 1]
    ends[0].send(HEADER + frames[3])
    assert reader.take(batch_of(frames[3]), np.arange(1)) == {0: frames[3]}


def test_a_missing_copy_is_counted_and_harmless(ends: tuple[socket.socket, socket.socket]) -> None:
    reader = Copies(ends[1])
    assert reader.take(batch_of(b"a" * 300), np.array([0])) == {}
    assert reader.failed == 1
