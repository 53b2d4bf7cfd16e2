"""Frames that the kernel queued in full beside the ring (PACKET_COPY_THRESH), matched to their slots."""

import socket

import numpy as np
from numpy.typing import NDArray

from sensor.model.frames import FrameBatch

BATCH_COPIES = 1024
"""Most frames fetched in full for one batch; the others are taken off the queue unread."""

BATCH_BYTES = 8 << 20
"""Most bytes fetched in full for one batch."""

FRAME_LIMIT = 65_535 + 64
"""Bytes fetched of one frame: the longest IP packet with its link headers."""

_VNET_HEADER = 10
"""struct virtio_net_hdr: recv() puts it before the frame, as the socket has PACKET_VNET_HDR."""

_NEVER_REWRITTEN = 110
"""From here on a frame holds no MAC, address, port or checksum that NAT could change."""


class Copies:
    """Reads the queue of one ring socket.

    The kernel queues a copy under the lock under which it gives out the slot, and marks the slot: so
    copies come in the order of the marked slots, and a frame that found the queue full has no mark.
    """

    def __init__(self, opened: socket.socket) -> None:
        self.mismatched = 0
        """Copies that were not the frame in the slot any more."""
        self.failed = 0
        """Marked slots without a copy on the queue."""
        self.error: int | None = None
        """The socket's own error, where reading the queue consumed it."""
        self._socket = opened
        self._buffer = bytearray(_VNET_HEADER + FRAME_LIMIT)
        self._view = memoryview(self._buffer)

    def take(self, batch: FrameBatch, rows: NDArray[np.intp]) -> dict[int, bytes]:
        """Row -> whole frame for the marked rows, fewer where limits are reached. Must see every marked row."""
        found: dict[int, bytes] = {}
        taken = 0
        slots = batch.buffer.data
        places = (rows, batch.offset[rows], batch.captured[rows], batch.length[rows])
        for index, (row, start, cut, length) in enumerate(zip(*(each.tolist() for each in places), strict=True)):
            unread = index >= BATCH_COPIES or taken >= BATCH_BYTES
            size = self._receive(_VNET_HEADER if unread else len(self._buffer))
            if size is None:
                self.failed += len(rows) - index
                break
            if unread:
                continue
            frame = self._joined(bytes(slots[start : start + cut]), size) if size == length else None
            if frame is None:
                self.mismatched += 1
            else:
                found[row] = frame
                taken += size
        return found

    def _receive(self, limit: int) -> int | None:
        """The next frame into the buffer; its full size without virtio_net_hdr, None where the queue is empty."""
        for _ in range(2):
            try:
                return self._socket.recv_into(self._buffer, limit, socket.MSG_TRUNC) - _VNET_HEADER
            except BlockingIOError:
                return None
            except OSError as error:
                self.error = error.errno  # reported once and before any data: the frame still waits
        return None

    def _joined(self, head: bytes, size: int) -> bytes | None:
        """The frame as it came by: the head out of the slot, only the rest out of the copy.

        The queue holds a reference to data that the network stack goes on to work with: by now it may
        have put other addresses and MACs into it.
        """
        copy = bytes(self._view[_VNET_HEADER : _VNET_HEADER + min(size, FRAME_LIMIT)])
        if copy.startswith(head):
            return copy
        if copy[_NEVER_REWRITTEN : len(head)] != head[_NEVER_REWRITTEN:]:
            return None
        return head + copy[len(head) :]
