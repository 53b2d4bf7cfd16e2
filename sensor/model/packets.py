"""Decoded headers of a whole batch as columns, as `decode` hands them to `account`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.model.flow import FlowKey, unpack

SYN, ACK = 0x02, 0x10
"""TCP flag bits (RFC 9293 section 3.1)."""

TCP, UDP = 6, 17

SOURCE_MAC, DESTINATION_MAC = 1, 2
"""Bits of the `macs` byte in `words[3]`: which of the two MACs the link carries at all."""


@dataclass(slots=True)
class Packets:
    """`n` IP packets in order of arrival; the frames without IP are not among them.

    A flow key is four 64-bit words, seven for IPv6. All fields are loaded little-endian from the
    wire: the first byte on the wire is the lowest byte, so ports and addresses read byte-swapped.

    ===  =======================================================================================
    0    source MAC (48 bits) | source port << 48
    1    destination MAC | destination port << 48
    2    IPv4: source | destination << 32;  IPv6: last 8 bytes of source
    3    protocol | family (4, 6) << 8 | direction << 16 | macs << 24 | VLAN id << 32
    ===  =======================================================================================

    Ports are 0 for anything but TCP, UDP, UDP-Lite, DCCP and SCTP, and in fragments after the first.
    """

    time: NDArray[np.int64]
    """[n] nanoseconds since 1970, as the frame says."""
    words: NDArray[np.uint64]
    """[4, n] the flow key."""
    six: NDArray[np.int64]
    """[m] the rows that are IPv6, ascending."""
    tail: NDArray[np.uint64]
    """[3, m] for those: first 8 bytes of source, first 8 of destination, last 8 of destination."""
    length: NDArray[np.int64]
    """[n] IP-layer bytes on the wire, over all segments of a super-frame."""
    segments: NDArray[np.int64]
    """[n] packets on the wire: 1, or the segments of a super-frame."""
    flags: NDArray[np.uint8]
    """[n] TCP flags; 0 for other protocols, later fragments and cut headers."""
    sequence: NDArray[np.uint32]
    """[n] TCP sequence number in host order; undefined where `flags` is 0."""
    payload: NDArray[np.int64]
    """[n] where the TCP or UDP payload starts, counted from the start of the frame; 0: there is none to read.

    For packets that wrap others (IP in IP, GRE ...): what follows the IP header."""
    payload_length: NDArray[np.int64]
    """[n] bytes of TCP or UDP payload by the IP length (not by what was captured), >= 0."""
    message: NDArray[np.bool_]
    """[n] the packet by itself may carry a message, or wraps one that may: worth a look one by one."""
    row: NDArray[np.int64]
    """[n] the packet's row in the batch."""

    def __len__(self) -> int:
        return len(self.time)

    def keys(self, indices: NDArray[np.int64]) -> list[FlowKey]:
        """The flow keys of some packets, unpacked."""
        tail = np.zeros((3, len(indices)), np.uint64)
        six, found = self.tails(indices)
        tail[:, six] = found
        return unpack(self.words[:, indices], tail)

    def tails(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """([k] which of `indices` are IPv6, [3, k] their columns of `tail`)."""
        spot = np.minimum(np.searchsorted(self.six, indices), max(len(self.six) - 1, 0))
        six = np.flatnonzero(self.six[spot] == indices) if len(self.six) else np.empty(0, np.int64)
        return six, self.tail[:, spot[six]]

    def key(self, index: int) -> FlowKey:
        """The flow key of one packet; `keys` is much cheaper for many."""
        return self.keys(np.array([index]))[0]
