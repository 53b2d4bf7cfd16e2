"""Reading at unaligned places, and never behind the buffer."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor.decode.gather import gather, number, word

BYTES = np.arange(1, 101, dtype=np.uint8)


def test_rows_of_bytes_from_anywhere() -> None:
    rows = gather(BYTES, np.array([0, 13, 92]), 8)
    assert rows.tolist() == [list(range(start + 1, start + 9)) for start in (0, 13, 92)]


def test_words_are_little_endian_and_numbers_big_endian() -> None:
    rows = gather(BYTES, np.array([2]), 10)
    assert word(rows, 1).tolist() == [int.from_bytes(bytes(range(4, 12)), "little")]
    assert number(rows, 1).tolist() == [0x0405]


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(1, 130), st.binary(max_size=100))
def test_behind_the_end_there_are_zeros(places: list[int], size: int, content: bytes) -> None:
    rows = gather(np.frombuffer(content, np.uint8), np.array(places, np.int64), size)
    assert [bytes(row) for row in rows] == [content[at : at + size].ljust(size, b"\0") for at in places]
