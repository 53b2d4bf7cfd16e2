"""A batch of frames, as `capture` hands it to `decode`."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PADDING = 256
"""Readable bytes that `buffer` must hold after the start of any frame, so that headers can be gathered blindly."""

HEAD = 88
"""Bytes of a frame that hold the headers of nearly all: Ethernet, IPv6 and TCP with 14 bytes of options and more."""

FROM_FILE, HOST, BROADCAST, MULTICAST, OTHER_HOST, OUTGOING = 0, 1, 2, 3, 4, 5
"""Directions: the kernel's packet type + 1 (PACKET_HOST is 0, linux/if_packet.h); 0 where a file does not say."""


@dataclass(slots=True)
class FrameBatch:
    """`n` frames in order of arrival, all of one link type.

    The arrays stay valid only until the next batch is asked for: capture reuses its memory.
    """

    buffer: NDArray[np.uint8]
    """All bytes, flat."""
    offset: NDArray[np.int64]
    """[n] where each frame (its link header) starts in `buffer`."""
    captured: NDArray[np.int64]
    """[n] bytes of the frame that `buffer` holds."""
    length: NDArray[np.int64]
    """[n] bytes of the frame on the wire (of a GRO/TSO super-frame: as the kernel holds it)."""
    time: NDArray[np.int64]
    """[n] nanoseconds since 1970."""
    link: int
    """LINKTYPE_ value of every frame (www.tcpdump.org/linktypes.html)."""
    direction: NDArray[np.uint8] | None = None
    """[n] one of the directions above; None: from a file."""
    vlan: NDArray[np.uint16] | None = None
    """[n] VLAN id that the kernel took out of the frame, 0 for none."""
    gso_size: NDArray[np.uint16] | None = None
    """[n] payload bytes per wire segment of a super-frame, 0 for ordinary frames."""
    gso_type: NDArray[np.uint8] | None = None
    """[n] VIRTIO_NET_HDR_GSO_* (linux/virtio_net.h)."""
    copies: dict[int, bytes] = field(default_factory=dict)
    """Row -> the whole frame, where `buffer` holds only its headers and it may carry a message."""
    heads: NDArray[np.uint8] | None = None
    """[n, HEAD] what `buffer` holds from the start of each frame on, where capture has read it already; decode may
    write to it."""
    stride: int = 0
    """Distance of the frames in `buffer` where it is the same for all (a ring), else 0."""

    def __len__(self) -> int:
        return len(self.offset)

    def frame(self, row: int) -> bytes:
        """The bytes of one frame, as many as were captured."""
        copy = self.copies.get(row)
        return self.part(row, 0, int(self.captured[row])) if copy is None else copy

    def part(self, row: int, begin: int, size: int) -> bytes:
        """Of one frame, `size` bytes from `begin` on, or as many as were captured."""
        copy = self.copies.get(row)
        if copy is not None:
            return copy[begin : begin + size]
        start = int(self.offset[row])
        end = min(begin + size, int(self.captured[row]))
        return self.buffer[start + begin : start + end].tobytes()
