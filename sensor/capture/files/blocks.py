"""Packet blocks of a pcapng file as columns (draft-ietf-opsawg-pcapng, sections 4.3, 4.4 and appendix A)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.capture.files.window import MAX_CAPTURED

OLD_PACKET, SIMPLE_PACKET, PACKET = 2, 3, 6
PACKETS = (OLD_PACKET, SIMPLE_PACKET, PACKET)
"""Types of the blocks that hold a frame."""

HEAD = 28
"""Bytes at the start of a packet block that are looked at."""


@dataclass(slots=True)
class PacketBlocks:
    """[n] for each column."""

    offset: NDArray[np.int64]
    """Where the frame starts."""
    number: NDArray[np.int64]
    """Of the interface."""
    captured: NDArray[np.int64]
    length: NDArray[np.int64]
    """On the wire, never below `captured`: where the block says so, it lies."""
    ticks: NDArray[np.uint64]
    simple: NDArray[np.bool_]
    """The block has no time."""
    wrong: NDArray[np.bool_]
    """The frame does not fit its block, or is too long to be one."""

    def __len__(self) -> int:
        return len(self.offset)


def packet_blocks(
    starts: NDArray[np.int64], sizes: NDArray[np.int64], words: NDArray[np.uint32], first_snap: int
) -> PacketBlocks:
    """`words` [n, 7] are the first HEAD bytes of the blocks at `starts`, in the byte order that its dtype says."""
    kinds = words[:, 0]
    number, captured, length = (words[:, column].astype(np.int64) for column in (2, 5, 6))
    offset, room = starts + 28, sizes - 32
    old, simple = kinds == OLD_PACKET, kinds == SIMPLE_PACKET
    if old.any():
        # Its interface number has 16 bits, and a count of drops follows in the other 16.
        little = words.dtype.newbyteorder("<") == words.dtype
        number = np.where(old, number & 0xFFFF if little else number >> 16, number)
    if simple.any():
        offset, room = np.where(simple, starts + 12, offset), np.where(simple, sizes - 16, room)
        length = np.where(simple, number, length)
        most = np.minimum(room, first_snap or MAX_CAPTURED)
        captured = np.where(simple, np.minimum(length, most), captured)
        number = np.where(simple, 0, number)
    ticks = words[:, 3].astype(np.uint64) << np.uint64(32) | words[:, 4]
    wrong = (captured > room) | (captured > MAX_CAPTURED) | (captured < 0)
    return PacketBlocks(offset, number, captured, np.maximum(length, captured), ticks, simple, wrong)
