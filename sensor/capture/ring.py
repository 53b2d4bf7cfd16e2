"""The kernel's packet ring (AF_PACKET, TPACKET_V2) on one interface, read in batches."""

import os
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from sensor.capture import packet_socket
from sensor.capture.base import BATCH_FRAMES
from sensor.capture.copies import Copies
from sensor.capture.filters import Appetite, Layout, program
from sensor.capture.packet_socket import BLOCK, NETWORK_OFFSET, SLOT, InterfaceGone
from sensor.capture.ring_memory import RingMemory
from sensor.errors import CaptureError
from sensor.model.frames import FROM_FILE, OUTGOING, FrameBatch

__all__ = ["InterfaceGone", "Ring", "RingStatistics"]

LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101
"""The two link types that a ring yields (www.tcpdump.org/linktypes.html)."""

_READY, _COPIED, _TAGGED = 0x1, 0x2, 0x10
"""TP_STATUS_USER, TP_STATUS_COPY, TP_STATUS_VLAN_VALID (linux/if_packet.h)."""

_ETHERNET_HEADER = 14


@dataclass(slots=True)
class RingStatistics:
    """What one or several rings have seen; every number only grows."""

    frames: int = 0
    """Frames the kernel offered, dropped ones included."""
    dropped: int = 0
    """Frames for which the ring had no room."""
    copies: int = 0
    """Frames handed over in full because they may carry a message."""
    copies_skipped: int = 0
    """Wanted in full, but the copy queue was full or a batch had too many: only their headers were read."""
    copies_mismatched: int = 0
    """Copies that the network stack had changed beyond recognition before they were read."""
    misaligned: int = 0
    """Frames with a link header of unusual length, moved into place."""
    undirected: int = 0
    """Frames of a packet type that is none of the network's (above PACKET_OUTGOING); their direction is unknown."""
    narrowed: int = 0
    """Times the filter was made to ask for fewer frames in full."""


class Ring:
    """Frames of one interface as batches that lie in the ring itself. Not for several threads."""

    def __init__(self, interface: str, link: int = LINKTYPE_ETHERNET, *, size: int = 8 << 20, loopback: bool = False):
        self.interface = interface
        self.link = link
        self.statistics = RingStatistics()
        self.appetite = Appetite()
        self.more = False
        """The last batch ended at a limit: frames are probably waiting."""
        self.slots = max(size // BLOCK, 1) * BLOCK // SLOT
        """Frames that the ring holds."""
        self._start = NETWORK_OFFSET - (0 if link == LINKTYPE_RAW else _ETHERNET_HEADER)
        self._layout = Layout(SLOT - self._start, raw=link == LINKTYPE_RAW, loopback=loopback)
        self._head = 0
        self._held = slice(0, 0)
        self._open = False

    def open(self) -> None:
        """Let frames in. Raises InterfaceGone, CaptureError."""
        self._socket = packet_socket.open_socket(self.slots, program(self._layout))
        try:
            self._memory = RingMemory(self._socket, self.slots * SLOT)
            self._index = packet_socket.bind(self._socket, self.interface)
        except CaptureError:
            self._socket.close()
            raise
        except OSError as error:
            self._socket.close()
            raise CaptureError(f"cannot map the packet ring: {error.strerror}") from error
        self._lay_columns()
        self._copies = Copies(self._socket)
        self._open = True

    def set_promiscuous(self, wanted: bool) -> None:
        """Ask for frames to anyone, or take the wish back. Raises InterfaceGone."""
        try:
            packet_socket.set_promiscuous(self._socket, self._index, wanted)
        except OSError as error:
            raise InterfaceGone(f"interface {self.interface}: {error.strerror}") from error

    def poll(self) -> FrameBatch | None:
        """The next frames, at most BATCH_FRAMES, None when there are none; gives back those of the batch before.

        Raises InterfaceGone when the interface is down or gone and all its frames have been read.
        """
        self.release()
        count = self._ready()
        offered, dropped = packet_socket.read_statistics(self._socket)  # also orders status before data
        self.statistics.frames += offered
        self.statistics.dropped += dropped
        if not count:
            self.more = False
            self._adapt(0)
            self._check_alive()
            return None
        rows = self._held = slice(self._head, self._head + count)
        self._head = rows.stop % self.slots
        self.more = count == BATCH_FRAMES or self._head == 0
        return self._batch(rows)

    def release(self) -> None:
        """Give the slots of the last batch back to the kernel: its arrays are no longer valid."""
        if self._held.stop > self._held.start:
            self._status[self._held] = 0
            self._held = slice(0, 0)

    def close(self) -> None:
        """End the capture; statistics stay. May be called at any time, also twice."""
        if not self._open:
            return
        self._open = False
        offered, dropped = packet_socket.read_statistics(self._socket)
        self.statistics.frames += offered
        self.statistics.dropped += dropped
        self._memory.close()
        self._socket.close()

    def _lay_columns(self) -> None:
        """One strided view per field over all slots: struct tpacket2_hdr, sockaddr_ll at 32, virtio_net_hdr."""
        slots = self._slot_bytes = self._memory.bytes[: self.slots * SLOT].reshape(self.slots, SLOT)

        words, halves = slots.view(np.uint32), slots.view(np.uint16)
        self._status, self._length, self._snapped = words[:, 0], words[:, 1], words[:, 2]
        self._seconds, self._nanoseconds = words[:, 4], words[:, 5]
        self._mac, self._tag, self._gso_size = halves[:, 6], halves[:, 12], halves[:, 38]
        self._type, self._gso_type = slots[:, 42], slots[:, 73]
        self._offsets = np.arange(self.slots, dtype=np.int64) * SLOT + self._start

    def _ready(self) -> int:
        """How many slots in a row from the head on hold a frame, within one batch and the ring's end."""
        status = self._status[self._head : self._head + BATCH_FRAMES]
        if not status[0] & _READY:
            return 0
        ready = status & _READY
        first_empty = int(ready.argmin())
        return len(ready) if ready[first_empty] else first_empty

    def _batch(self, rows: slice) -> FrameBatch:
        status = self._status[rows].copy()
        flags = int(np.bitwise_or.reduce(status))
        snapped = self._snapped[rows].astype(np.int64)
        if (self._mac[rows] != self._start).any():
            self._align(rows, snapped)
        time = self._seconds[rows].astype(np.int64)
        time *= 1_000_000_000
        time += self._nanoseconds[rows]
        batch = FrameBatch(
            buffer=self._memory.bytes,
            offset=self._offsets[rows],
            captured=snapped,
            length=self._length[rows].astype(np.int64),
            time=time,
            link=self.link,
            direction=self._directions(rows),
            stride=SLOT,
        )
        if flags & _TAGGED:
            batch.vlan = np.where(status & _TAGGED, self._tag[rows] & 0xFFF, 0).astype(np.uint16)
        gso = self._gso_size[rows]
        if gso.any():
            batch.gso_size, batch.gso_type = gso.copy(), self._gso_type[rows].copy()
        self._adapt(self._take_copies(batch, status, flags))
        return batch

    def _align(self, rows: slice, snapped: NDArray[np.int64]) -> None:
        """Move frames that start elsewhere in their slot to where all others start; few lengths, so few rounds."""
        starts = self._mac[rows]
        odd = np.flatnonzero(starts != self._start)
        self.statistics.misaligned += len(odd)
        slots = self._slot_bytes[rows]
        for start in np.unique(starts[odd]).tolist():
            which = odd[starts[odd] == start]
            room = min(SLOT - self._start, SLOT - start)
            slots[which, self._start : self._start + room] = slots[which, start : start + room]
            snapped[which] = np.minimum(snapped[which], max(room, 0))

    def _take_copies(self, batch: FrameBatch, status: NDArray[np.uint32], flags: int) -> int:
        """Fetch the frames queued in full; how many were wanted, whether or not they could be had.

        The filter cuts dull frames below the room of a slot: what fills it was wanted in full.
        """
        room = self._layout.room
        wanted = int(np.count_nonzero((batch.captured >= room) & (batch.length > room)))
        if flags & _COPIED:
            marked = np.flatnonzero(status & _COPIED)
            wanted = max(wanted, len(marked))
            mismatched = self._copies.mismatched
            batch.copies = self._copies.take(batch, marked)
            self.statistics.copies += len(batch.copies)
            self.statistics.copies_mismatched += self._copies.mismatched - mismatched
            wanted_in_vain = wanted - len(batch.copies) - (self._copies.mismatched - mismatched)
        else:
            wanted_in_vain = wanted
        self.statistics.copies_skipped += wanted_in_vain
        return wanted

    def _adapt(self, wanted: int) -> None:
        """Ask for fewer frames in full when they are too many, for more when it has been calm."""
        if self.appetite.changes(wanted, monotonic()):
            packet_socket.attach(self._socket, program(self._layout, narrow=self.appetite.narrow))
            self.statistics.narrowed += self.appetite.narrow

    def _directions(self, rows: slice) -> NDArray[np.uint8]:
        directions = self._type[rows] + np.uint8(1)
        if int(directions.max()) > OUTGOING:
            foreign = directions > OUTGOING
            self.statistics.undirected += int(np.count_nonzero(foreign))
            directions[foreign] = FROM_FILE
        return directions

    def _check_alive(self) -> None:
        if self._copies.error is not None:
            raise InterfaceGone(f"interface {self.interface}: {os.strerror(self._copies.error)}")
        packet_socket.pending(self._socket)
