"""Blind reads: the same few bytes at many unaligned places of one buffer, in one numpy call."""

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray


def gather(buffer: NDArray[np.uint8], at: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """[n, size] the bytes from each of `at` (>= 0) on; what lies past the end of `buffer` reads as 0.

    One indexing of `size`-byte items costs as much as one of single words (about 5 ns a row), so take all at once.
    """
    last = len(buffer) - size
    if not len(at):
        return np.zeros((0, size), np.uint8)
    if int(at.max()) > last:
        return _gather_at_end(buffer, at, size)
    items: NDArray[np.void] = np.ndarray((last + 1,), f"V{size}", buffer, 0, (1,))
    return items[at].view(np.uint8).reshape(len(at), size)


def pick(
    rows: NDArray[np.uint8], which: NDArray[np.int64], at: NDArray[np.int64] | int = 0, size: int = 0
) -> NDArray[np.uint8]:
    """[m, size] the bytes from `at` on of some of `rows` [n, width], all within them; size 0: to the end."""
    width, step = rows.shape[1], rows.strides[0]
    size = size or width
    flat = as_strided(rows[0], ((len(rows) - 1) * step + width,), (1,)) if len(rows) else rows.reshape(-1)
    return gather(flat, which * step + at, size)


def word(rows: NDArray[np.uint8], at: int) -> NDArray[np.uint64]:
    """[n] eight bytes of each row, loaded little-endian; a view."""
    column: NDArray[np.uint64] = rows[:, at : at + 8].view("<u8")[:, 0]
    return column


def number(rows: NDArray[np.uint8], at: int) -> NDArray[np.int64]:
    """[n] a 16-bit field in network order."""
    return rows[:, at : at + 2].view(">u2")[:, 0].astype(np.int64)


def _gather_at_end(buffer: NDArray[np.uint8], at: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """As `gather`, by way of a copy of the buffer's end with zeros behind it."""
    last = max(len(buffer) - size, 0)
    padded = np.concatenate((buffer[last:], np.zeros(size, np.uint8)))
    rows = np.empty((len(at), size), np.uint8)
    late = at >= last
    rows[~late] = gather(buffer, at[~late], size)
    rows[late] = gather(padded, np.minimum(at[late], len(buffer)) - last, size)
    return rows
