"""Classic pcap files (draft-ietf-opsawg-pcap) and their relatives."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from sensor.capture.files.interfaces import link_type
from sensor.capture.files.walk import Chain, Layout
from sensor.capture.files.window import MAX_CAPTURED, Broken, Window
from sensor.model.frames import HEAD, FrameBatch


@dataclass(frozen=True, slots=True)
class Kind:
    """What the magic number tells."""

    order: str
    """"<" or ">"."""
    tick: int
    """Nanoseconds of the smaller unit of time."""
    record_head: int = 16
    file_head: int = 24


def _kinds() -> dict[bytes, Kind]:
    kinds = {}
    for order in "<>":
        number = Struct(order + "I").pack
        kinds[number(0xA1B2C3D4)] = Kind(order, 1000)
        kinds[number(0xA1B23C4D)] = Kind(order, 1)
        # Kuznetzov's patch to libpcap: interface, protocol and packet type follow the usual record header.
        kinds[number(0xA1B2CD34)] = Kind(order, 1000, record_head=24)
        # Ixia's lcap, hardware and software: the size of all records follows the usual file header.
        kinds[number(0x1C0001AC)] = Kind(order, 1, file_head=28)
        kinds[number(0x1C0001AB)] = Kind(order, 1000, file_head=28)
    return kinds


KINDS = _kinds()
"""By the first four bytes of the file."""


def batches(window: Window, frames: int) -> Iterator[FrameBatch]:
    """The frames of a file whose first four bytes, at `window.low`, are in KINDS. Raises Broken.

    A wire length below the captured length is a lie (or the file was written by AIX): the captured length counts.
    """
    memory = window.memory
    kind = KINDS[memory.map[window.low : window.low + 4]]
    if not window.need(kind.file_head):
        raise Broken(window.offset(window.high), f"the file header of {kind.file_head} bytes is cut")
    link = link_type(Struct(kind.order + "I").unpack_from(memory.map, window.low + 20)[0])
    window.low += kind.file_head
    # The mark is the upper half of the seconds: it changes every 18 hours.
    chain = Chain(memory, Layout(kind.order, 8, kind.record_head, 2 if kind.order == "<" else 0, 2))
    # A frame's headers lie beside its record's: reading both at once costs one visit to memory that no cache holds.
    records = memory.unaligned(f"V{kind.record_head + HEAD}")
    while window.low < window.high or window.more():
        starts, end = chain.walk(window.low, window.high)
        for first in range(0, len(starts), frames):
            rows = starts[first : first + frames]
            heads = records[rows].view(np.uint8).reshape(len(rows), -1)
            words = np.ascontiguousarray(heads[:, :16]).view(kind.order + "u4").T.astype(np.int64, "C")
            usable = _usable(words[2])
            if usable:
                yield _batch(window, rows[:usable], words[:, :usable], heads[:usable, kind.record_head :], kind, link)
            if usable < len(rows):
                raise Broken(window.offset(int(rows[usable])), f"a frame of {words[2, usable]} bytes cannot be")
        window.low = end
        if not len(starts):
            _read_on(window, kind)


def _usable(captured: NDArray[np.int64]) -> int:
    """How many records there are before the first that cannot be."""
    wrong = captured > MAX_CAPTURED
    return int(wrong.argmax()) if wrong.any() else len(captured)


def _batch(
    window: Window,
    starts: NDArray[np.int64],
    words: NDArray[np.int64],
    heads: NDArray[np.uint8],
    kind: Kind,
    link: int,
) -> FrameBatch:
    seconds, parts, captured, length = words
    return FrameBatch(
        buffer=window.memory.array,
        offset=starts + kind.record_head,
        captured=captured,
        length=np.maximum(length, captured),
        time=seconds * 1_000_000_000 + parts * kind.tick,
        link=link,
        heads=heads,
    )


def _read_on(window: Window, kind: Kind) -> None:
    """There is no whole record in the window: have more of the file in it."""
    if window.high - window.low >= 16:
        (captured,) = Struct(kind.order + "I").unpack_from(window.memory.map, window.low + 8)
        if captured > MAX_CAPTURED:
            raise Broken(window.offset(window.low), f"a frame of {captured} bytes cannot be")
    if not window.more() and window.low < window.high:
        raise Broken(window.offset(window.low), "the last record is cut", cut=True)
