"""The bytes of single frames out of a batch."""

import numpy as np
import pytest

from sensor.model.frames import PADDING, FrameBatch


def batch(buffer: bytes, *places: tuple[int, int], copies: dict[int, bytes] | None = None) -> FrameBatch:
    """`places`: offset and captured bytes of each frame."""
    offset, captured = (np.array(column, np.int64) for column in zip(*places, strict=True))
    return FrameBatch(
        buffer=np.frombuffer(buffer + bytes(PADDING), np.uint8),
        offset=offset,
        captured=captured,
        length=captured + 100,
        time=np.zeros(len(offset), np.int64),
        link=1,
        copies=copies or {},
    )


def test_a_frame_is_what_was_captured_of_it() -> None:
    frames = batch(b"..abc..defg", (2, 3), (7, 4))
    assert len(frames) == 2
    assert [frames.frame(row) for row in range(2)] == [b"abc", b"defg"]


def test_a_copy_of_the_whole_frame_goes_before_the_buffer() -> None:
    frames = batch(b"abcdef", (0, 3), (3, 3), copies={1: b"def and more"})
    assert [frames.frame(row) for row in range(2)] == [b"abc", b"def and more"]


def test_a_part_of_a_frame_ends_where_the_frame_does() -> None:
    frames = batch(b"abcdefghi", (0, 3), (3, 3), copies={1: b"def and more"})
    assert [frames.part(0, 1, size) for size in (1, 2, 9)] == [b"b", b"bc", b"bc"]
    assert [frames.part(0, begin, 2) for begin in (3, 4)] == [b"", b""]
    assert frames.part(1, 4, 20) == b"and more"


def test_a_frame_may_be_empty() -> None:
    assert batch(b"", (0, 0)).frame(0) == b""


@pytest.mark.parametrize("name", ["direction", "vlan", "gso_size", "gso_type"])
def test_what_files_do_not_say_is_none(name: str) -> None:
    assert getattr(batch(b"a", (0, 1)), name) is None
