"""The unread stretch of a byte stream, held in reused memory."""

import mmap
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensor.model.frames import PADDING, FrameBatch

MAX_CAPTURED = 1 << 20
"""Most bytes that a frame may hold. Kernels hand over up to 512 KiB (BIG TCP); Wireshark reads up to 256 KiB."""

MAX_RECORD = MAX_CAPTURED + (1 << 16)
"""Most bytes of a record that must be held in one piece: a frame, its header and its options."""

CHUNK = 8 << 20
"""Bytes read at a time when the memory allows."""

MIN_CHUNK = 64 << 10
"""Bytes read at a time when many files are open."""


class Broken(Exception):
    """The stream stops making sense at `offset`; what came before is good."""

    def __init__(self, offset: int, text: str, *, cut: bool = False) -> None:
        super().__init__(text)
        self.offset = offset
        self.text = text
        self.cut = cut
        """The stream ended in the middle of a record, as it does when a disk is full."""


class Bytes(Protocol):
    """Something to read from."""

    def readinto(self, target: memoryview) -> int:
        """Fill the start of `target`; how many bytes, 0 at the end. Does not raise."""
        ...


class Memory:
    """`regions` equal stretches of one anonymous mapping; a page costs RAM only once it is written."""

    def __init__(self, regions: int, chunk: int) -> None:
        self.chunk = chunk
        self._region = MAX_RECORD + chunk
        size = regions * self._region + PADDING
        self.map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if regions == 1:
            # Headers are far apart: with small pages nearly each costs a miss of the TLB. Many regions would cost RAM.
            with suppress(OSError):  # a kernel may be built without large pages
                self.map.madvise(mmap.MADV_HUGEPAGE)
        self.view = memoryview(self.map)
        self.array: NDArray[np.uint8] = np.frombuffer(self.map, np.uint8)
        self._free = [index * self._region for index in reversed(range(regions))]

    def take(self) -> tuple[int, int] | None:
        """Start and end of an unused region; None when all are in use."""
        if not self._free:
            return None
        start = self._free.pop()
        return start, start + self._region

    def give_back(self, start: int) -> None:
        """The region that begins at `start` is unused again."""
        self._free.append(start)

    def unaligned(self, dtype: str) -> NDArray[np.void]:
        """The whole memory as items of `dtype` that start at every byte."""
        kind = np.dtype(dtype)
        return np.ndarray((len(self.map) - kind.itemsize + 1,), kind, self.map, 0, (1,))


class Window:
    """Positions `low` to `high` of `memory` hold the bytes of `stream` that are read but not consumed."""

    def __init__(self, stream: Bytes, memory: Memory, region: tuple[int, int]) -> None:
        self.memory = memory
        self._stream = stream
        self._start, self._end = region
        self.low = self.high = self._start
        self._shift = -self._start

    def offset(self, position: int) -> int:
        """Where in the (unpacked) file the byte at `position` is."""
        return self._shift + position

    def more(self) -> bool:
        """Move the unread bytes to the front and read on; False when nothing came. Positions change."""
        rest = self.high - self.low
        view = self.memory.view
        if self.low > self._start:
            view[self._start : self._start + rest] = view[self.low : self.high]
            self._shift += self.low - self._start
            self.low, self.high = self._start, self._start + rest
        before = self.high
        end = min(self.high + self.memory.chunk, self._end)
        while self.high < end:
            got = self._stream.readinto(view[self.high : end])
            if not got:
                break
            self.high += got
        return self.high > before

    def need(self, size: int) -> bool:
        """Whether `size` bytes (at most MAX_RECORD) are there, after reading on if they were not."""
        while self.high - self.low < size:
            if not self.more():
                return False
        return True

    def skip(self, size: int) -> bool:
        """Consume `size` bytes, however many; False when the stream ends before."""
        while self.high - self.low < size:
            size -= self.high - self.low
            self.low = self.high
            if not self.more():
                return False
        self.low += size
        return True


def cut(batch: FrameBatch, frames: int) -> Iterator[FrameBatch]:
    """The same frames in batches of at most `frames`."""
    for row in range(0, len(batch), frames):
        part = slice(row, row + frames)
        yield FrameBatch(
            batch.buffer, batch.offset[part], batch.captured[part], batch.length[part], batch.time[part], batch.link
        )
