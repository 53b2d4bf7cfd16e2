"""Reading at unaligned places, and never behind the buffer."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor.decode.gather import gather, number, pick, word

BYTES = np.arange(1, 101, dtype=np.uint8)


def test_rows_of_bytes_from_anywhere() -> None:
    rows = gather(BYTES, np.array([0, 13, 92]), 8)
    assert rows.tolist() == [list(range(start + 1, start + 9)) for start in (0, 13, 92)]


def test_parts_of_rows_that_lie_apart() -> None:
    rows = BYTES.reshape(5, 20)[:, 3:]
    picked = pick(rows, np.array([4, 0, 4]), np.array([13, 0, 2]), 4)
    assert picked.tolist() == [rows[4, 13:17].tolist(), rows[0, :4].tolist(), rows[4, 2:6].tolist()]
    assert pick(rows, np.array([1, 3])).tolist() == rows[[1, 3]].tolist()
    assert pick(rows[:0], np.empty(0, np.int64), 0, 4).shape == (0, 4)


def test_words_are_little_endian_and_numbers_big_endian() -> None:
    rows = gather(BYTES, np.array([2]), 10)
    assert word(rows, 1).tolist() == [int.from_bytes(bytes(range(4, 12)), "little")]
    assert number(rows, 1).tolist() == [0x0405]


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(1, 130), st.binary(max_size=100))
def test_behind_the_end_there_are_zeros(places: list[int], size: int, content: bytes) -> None:
    rows = gather(np.frombuffer(content, np.uint8), np.array(places, np.int64), size)
    assert [bytes(row) for row in rows] == [content[at : at + size].ljust(size, b"\0") for at in places]
