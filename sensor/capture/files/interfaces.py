"""What a pcapng file says about the interfaces it was captured on, and about their clocks."""

from dataclasses import dataclass
from struct import Struct

import numpy as np
from numpy.typing import NDArray

MAX_TIME = (1 << 63) - 1
"""Latest time in nanoseconds (2262); whatever lies outside 0 .. MAX_TIME becomes the nearer end."""

_SECOND = 10**9
_TSRESOL, _TSOFFSET = 9, 14
_RAW = {12: 101, 14: 101}
"""Values that some systems wrote for LINKTYPE_RAW: their own DLT_RAW (libpcap, pcap/dlt.h)."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How an interface counts time (draft-ietf-opsawg-pcapng, section 4.2: if_tsresol, if_tsoffset)."""

    resolution: int = 6
    """The option's byte: 6 is 10^-6 s; with the high bit set, a power of 2."""
    offset: int = 0
    """Seconds to add."""

    def nanoseconds(self, ticks: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Times since 1970, 0 to MAX_TIME, for any ticks, resolution and offset."""
        power = self.resolution & 0x7F
        times = _from_binary(ticks, power) if self.resolution & 0x80 else _from_decimal(ticks, power)
        if self.offset:
            offset = max(-MAX_TIME, min(self.offset * _SECOND, MAX_TIME))
            times = np.minimum(times, MAX_TIME - max(offset, 0)) + offset
            times = np.maximum(times, 0)
        return times


@dataclass(frozen=True, slots=True)
class Interface:
    """One Interface Description Block."""

    link: int
    """LINKTYPE_ value."""
    snap: int
    """Most bytes of a frame that were kept, 0 for no limit."""
    clock: Clock


class Interfaces:
    """The interfaces of one section, as columns."""

    def __init__(self) -> None:
        self.count = 0
        self._link = np.zeros(8, np.int64)
        self._clock = np.zeros(8, np.int64)
        self._clocks: dict[Clock, int] = {}
        self.first_snap = 0
        """The snap length of interface 0, which Simple Packet Blocks go by; 0 for no limit."""

    def add(self, new: Interface) -> None:
        """The next interface."""
        if self.count == len(self._link):
            self._link = np.concatenate((self._link, self._link))
            self._clock = np.concatenate((self._clock, self._clock))
        if not self.count:
            self.first_snap = new.snap
        self._link[self.count] = new.link
        self._clock[self.count] = self._clocks.setdefault(new.clock, len(self._clocks))
        self.count += 1

    def links(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The LINKTYPE_ value for each interface number, all below `count`."""
        links: NDArray[np.int64] = self._link[numbers]
        return links

    def times(self, numbers: NDArray[np.int64], ticks: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Nanoseconds since 1970 for ticks of the given interfaces' clocks."""
        clocks = list(self._clocks)
        if len(clocks) == 1:
            return clocks[0].nanoseconds(ticks)
        used = self._clock[numbers]
        times = np.zeros(len(ticks), np.int64)
        for index in np.unique(used).tolist():
            rows = used == index
            times[rows] = clocks[index].nanoseconds(ticks[rows])
        return times


def link_type(field: int) -> int:
    """The LINKTYPE_ value in a file header's 32-bit field, whose upper bits tell of the FCS and are reserved."""
    link = field & 0x03FFFFFF
    return _RAW.get(link, link)


def interface(order: str, body: bytes) -> Interface | None:
    """From the body of an Interface Description Block, between its two lengths; None when it is too short.

    Options that do not hold what they should are passed over, and a list without an end ends with the block.
    """
    if len(body) < 8:
        return None
    link, _, snap = Struct(order + "HHI").unpack_from(body)
    resolution, offset = 6, 0
    option = Struct(order + "HH").unpack_from
    position = 8
    while position + 4 <= len(body):
        code, size = option(body, position)
        value = body[position + 4 : position + 4 + size]
        if code == 0 or len(value) < size:
            break
        if code == _TSRESOL and size == 1:
            resolution = value[0]
        elif code == _TSOFFSET and size == 8:
            offset = int.from_bytes(value, "little" if order == "<" else "big", signed=True)
        position += 4 + (size + 3 & ~3)
    return Interface(link_type(link), snap, Clock(resolution, offset))


def _from_decimal(ticks: NDArray[np.uint64], power: int) -> NDArray[np.int64]:
    if power > 9:
        divisor = 10 ** (power - 9)
        ticks = ticks // np.uint64(divisor) if divisor < 1 << 64 else np.zeros_like(ticks)
        return np.minimum(ticks, np.uint64(MAX_TIME)).astype(np.int64)
    factor = 10 ** (9 - power)
    times: NDArray[np.int64] = np.minimum(ticks, np.uint64(MAX_TIME // factor)).astype(np.int64) * factor
    return times


def _from_binary(ticks: NDArray[np.uint64], power: int) -> NDArray[np.int64]:
    """The fraction keeps 34 bits: 10^9 times that still fits 64."""
    whole = ticks >> np.uint64(power) if power < 64 else np.zeros_like(ticks)
    part = ticks & np.uint64((1 << power) - 1) if power < 64 else ticks
    if power > 34:
        part = part >> np.uint64(power - 34) if power - 34 < 64 else np.zeros_like(part)
        power = 34
    part = part * np.uint64(_SECOND) >> np.uint64(power)
    whole = np.minimum(whole, np.uint64(MAX_TIME // _SECOND - 1))
    return whole.astype(np.int64) * _SECOND + part.astype(np.int64)
