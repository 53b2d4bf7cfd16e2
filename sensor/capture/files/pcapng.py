"""pcapng files (draft-ietf-opsawg-pcapng)."""

from collections.abc import Iterator
from itertools import groupby, pairwise
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from sensor.capture.files.blocks import HEAD, PACKETS, packet_blocks
from sensor.capture.files.interfaces import Interfaces, interface
from sensor.capture.files.walk import PLAIN_RECORDS, Chain, Layout
from sensor.capture.files.window import MAX_RECORD, Broken, Window, cut
from sensor.model.frames import FrameBatch

SECTION = b"\x0a\x0d\x0d\x0a"
"""The first bytes of a file and of each section: a block type that reads the same in both byte orders."""

MAX_BLOCK = 16 << 20
"""Longest block that can be; libpcap and Wireshark draw the line there too."""

MAX_INTERFACES = 1 << 16
"""Interfaces of one section."""

_SECTION, _INTERFACE = 0x0A0D0D0A, 1
_HELD = (_SECTION, _INTERFACE, *PACKETS)
_FIRST_WALK = 64


def batches(window: Window, frames: int) -> Iterator[FrameBatch]:
    """The frames of a file that starts with SECTION at `window.low`. Raises Broken.

    The frame of a Simple Packet Block has no time of its own: it gets that of the frame before it. A wire length
    below the captured length is a lie: the captured length counts.
    """
    file = _File(window)
    while window.low < window.high or window.more():
        broken = None
        try:
            file.advance()
        except Broken as error:
            broken = error
        yield from _cut(file.pieces, frames)
        file.pieces = []
        if broken:
            raise broken


class _File:
    """What the blocks so far left behind: the section's byte order and interfaces, and frames to hand over."""

    def __init__(self, window: Window) -> None:
        self.pieces: list[FrameBatch] = []
        self._window = window
        self._map = window.memory.map
        self._heads = window.memory.unaligned(f"V{HEAD}")
        self._words = window.memory.unaligned("V4")
        self._last_time = 0
        self._begin_section("<")

    def _begin_section(self, order: str) -> None:
        self._order = order
        self._interfaces = Interfaces()
        self._chain = Chain(self._window.memory, Layout(order, 4, 0, 0, 4))
        # Walks start short: a file that changes its byte order at every block must not be walked to its end each time.
        self._limit = _FIRST_WALK

    def advance(self) -> None:
        """Consume the whole blocks in the window (or some), or have more of the file in it. Raises Broken."""
        window = self._window
        starts, end = self._chain.walk(window.low, window.high, self._limit)
        if not len(starts):
            self._block()
            return
        self._limit = min(self._limit * 2, PLAIN_RECORDS)
        words = self._heads[starts].view(self._order + "u4").reshape(-1, HEAD // 4)
        kinds, sizes = words[:, 0].astype(np.int64), words[:, 1].astype(np.int64)
        sound = (sizes >= 12) & (sizes & 3 == 0)
        ends = np.where(sound, starts + sizes - 4, starts)
        sound &= self._words[ends].view(self._order + "u4") == sizes
        barriers = np.flatnonzero((kinds == _SECTION) | (kinds == _INTERFACE) | ~sound)
        packets = np.isin(kinds, PACKETS)
        for before, barrier in pairwise((-1, *barriers.tolist(), len(starts))):
            rows = before + 1 + np.flatnonzero(packets[before + 1 : barrier])
            if len(rows):
                self._packets(starts[rows], sizes[rows], words[rows])
            if barrier < len(starts):
                window.low = int(starts[barrier])
                if not self._barrier(bool(sound[barrier])):
                    return
        window.low = end

    def _barrier(self, sound: bool) -> bool:
        """Consume the block at `low`, found by a walk; False when the rest of that walk must be forgotten."""
        low = self._window.low
        is_section = self._map[low : low + 4] == SECTION
        if sound and not (is_section and self._section_order(self._window.offset(low)) != self._order):
            self._block()
            return True
        # A closer look may have to read on, which moves the memory that the pieces lie in: let them go first.
        self._limit = _FIRST_WALK
        if not self.pieces:
            self._block()
        return False

    def _packets(self, starts: NDArray[np.int64], sizes: NDArray[np.int64], words: NDArray[np.uint32]) -> None:
        """Sound packet blocks, with no change of the interfaces between them; `words`: their first bytes."""
        blocks = packet_blocks(starts, sizes, words, self._interfaces.first_snap)
        unknown = blocks.number >= self._interfaces.count
        wrong = blocks.wrong | unknown
        usable = int(wrong.argmax()) if wrong.any() else len(blocks)
        if usable:
            times = self._times(blocks.number[:usable], blocks.ticks[:usable], blocks.simple[:usable])
            links = self._interfaces.links(blocks.number[:usable])
            edges = np.flatnonzero(links[1:] != links[:-1]) + 1
            for low, high in pairwise((0, *edges.tolist(), usable)):
                part = slice(low, high)
                columns = (blocks.offset[part], blocks.captured[part], blocks.length[part], times[part])
                self.pieces.append(FrameBatch(self._window.memory.array, *columns, int(links[low])))
        if usable < len(blocks):
            if unknown[usable]:
                text = f"a packet of interface {blocks.number[usable]}, which is not described"
            else:
                text = f"a frame of {blocks.captured[usable]} bytes in a block of {sizes[usable]}"
            raise Broken(self._window.offset(int(starts[usable])), text)

    def _times(
        self, numbers: NDArray[np.int64], ticks: NDArray[np.uint64], simple: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        times = self._interfaces.times(numbers, ticks)
        if simple.any():
            source = np.maximum.accumulate(np.where(simple, -1, np.arange(len(times))))
            times = np.where(source < 0, self._last_time, times[source])
        self._last_time = int(times[-1])
        return times

    def _block(self) -> None:
        """The block at `low`, which is no packet, or not sound, or not wholly in the window yet.

        A sound packet is not consumed: once it is in the window, the walk finds it.
        """
        window = self._window
        at = window.offset(window.low)
        if not window.need(12):
            if window.low < window.high:
                raise Broken(at, "the last block is cut", cut=True)
            return
        order = self._order
        is_section = self._map[window.low : window.low + 4] == SECTION
        if is_section:
            order = self._section_order(at)
        kind, size = Struct(order + "II").unpack_from(self._map, window.low)
        if size < (28 if is_section else 12) or size & 3 or size > (MAX_RECORD if kind in _HELD else MAX_BLOCK):
            raise Broken(at, f"a block of {size} bytes cannot be")
        if size > MAX_RECORD:
            if not window.skip(size):
                raise Broken(at, "the last block is cut", cut=True)
            return
        if not window.need(size):
            raise Broken(at, "the last block is cut", cut=True)
        (again,) = Struct(order + "I").unpack_from(self._map, window.low + size - 4)
        if again != size:
            raise Broken(at, f"a block of {size} bytes that ends as one of {again}")
        if kind not in PACKETS:
            self._take(kind, size, order, at)
            window.low += size

    def _section_order(self, at: int) -> str:
        magic = self._map[self._window.low + 8 : self._window.low + 12]
        if magic == b"\x4d\x3c\x2b\x1a":
            return "<"
        if magic == b"\x1a\x2b\x3c\x4d":
            return ">"
        raise Broken(at, f"a section without a byte order (it says {magic.hex()})")

    def _take(self, kind: int, size: int, order: str, at: int) -> None:
        """What a whole block says about the blocks after it."""
        low = self._window.low
        if kind == _SECTION:
            (major,) = Struct(order + "H").unpack_from(self._map, low + 12)
            if major != 1:
                raise Broken(at, f"a section of version {major}; only version 1 is known")
            limit, same = self._limit, order == self._order
            self._begin_section(order)
            if same:
                self._limit = limit
        elif kind == _INTERFACE:
            described = interface(order, self._map[low + 8 : low + size - 4])
            if described is None or self._interfaces.count == MAX_INTERFACES:
                raise Broken(at, "an interface that is cut, or one too many")
            self._interfaces.add(described)


def _cut(pieces: list[FrameBatch], frames: int) -> Iterator[FrameBatch]:
    """The same frames as batches of at most `frames`, as few as there can be."""
    for link, group in groupby(pieces, key=lambda piece: piece.link):
        parts = list(group)
        whole = parts[0]
        if len(parts) > 1:
            columns = zip(*((part.offset, part.captured, part.length, part.time) for part in parts), strict=True)
            offset, captured, length, time = (np.concatenate(column) for column in columns)
            whole = FrameBatch(whole.buffer, offset, captured, length, time, link)
        yield from cut(whole, frames)
