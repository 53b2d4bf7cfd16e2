"""IPv4 and IPv6 headers of a whole batch at once."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensor.decode.gather import gather, number, pick, word
from sensor.decode.link import Located

MAX_EXTENSIONS = 16
"""IPv6 extension headers that are walked; a packet with more keeps the next one's number as its protocol."""

REFUSE_BEYOND_FRAME = False
"""Whether an IP length beyond the end of the frame on the wire makes a packet undecodable.

Captures whose frames were cut without a note of it look like that; so they count by what their header says.
"""

PADDED = 46
"""Bytes that Ethernet pads a shorter packet to (IEEE 802.3 section 3.2.8)."""

EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)
"""IPv6 headers that another one follows (IANA "IPv6 Extension Header Types", without ESP)."""

_FRAGMENT, _AUTHENTICATION, _NO_NEXT, _JUMBO = 44, 51, 59, 0xC204
_IS_EXTENSION = np.zeros(256, np.bool_)
_IS_EXTENSION[list(EXTENSIONS)] = True

_PLAIN_BITS, _PLAIN = np.uint64(0xFF3F_0000_0000_00FF), np.uint64(0x45)
"""Of the first eight bytes: version and header length; more-fragments and fragment offset. No fragment, no options."""


@dataclass(slots=True)
class Networks:
    """What the IP headers say; rows as in `Located`."""

    protocol: NDArray[np.uint8]
    """[n] of the header after IP and its extensions."""
    start: NDArray[np.int64]
    """[n] where that header starts in the buffer."""
    size: NDArray[np.int64]
    """[n] bytes from there to the packet's end by the IP length; 0 where there is no such header to read."""
    length: NDArray[np.int64]
    """[n] bytes from the IP header to the packet's end."""
    six: NDArray[np.int64]
    """[m] rows of IPv6."""
    tail: NDArray[np.uint64]
    """[3, m] as in `Packets`."""
    refused: list[NDArray[np.int64]] = field(default_factory=list)
    """Rows that are undecodable."""
    fragments: list[NDArray[np.int64]] = field(default_factory=list)
    """Rows that are fragments, refused ones not among them."""
    beyond: list[NDArray[np.int64]] = field(default_factory=list)
    """Rows whose length reaches beyond the frame, refused ones not among them."""
    cut: int = 0
    """Of the refused: the fixed header is not whole."""
    long_chains: int = 0
    """Packets with more than MAX_EXTENSIONS."""


def read_networks(buffer: NDArray[np.uint8], where: Located, *, live: bool) -> Networks:
    """Reads the outermost IP headers, completes words 2 and 3 of `where.words`; `live`: not out of a file."""
    found = _nothing(len(where.row)) if where.six.all() else _read_four(where)
    families: NDArray[np.uint64] | int = 4 << 8
    if where.six.any():
        _read_six(buffer, where, found)
        families = where.six * np.uint64(2 << 8)
        families += 4 << 8
    if live:
        # The kernel hands over whole packets: a length beyond one is a lie that would count as traffic.
        for rows in found.beyond:
            found.length[rows] = where.wire[rows]
    where.words[3] |= found.protocol
    where.words[3] |= families
    return found


def _nothing(n: int) -> Networks:
    start, size, length = np.zeros((3, n), np.int64)
    return Networks(np.zeros(n, np.uint8), start, size, length, np.empty(0, np.int64), np.empty((3, 0), np.uint64))


def _read_four(where: Located) -> Networks:
    """Reads every row as IPv4; what that makes of the IPv6 rows is overwritten later, which is cheaper than to sort."""
    head = where.head
    total = number(head, 2)
    where.words[2] = word(head, 12)
    found = _nothing(0)
    found.protocol, found.start, found.size, found.length = head[:, 9].copy(), where.start + 20, total - 20, total
    odd = (word(head, 0) & _PLAIN_BITS) != _PLAIN
    odd |= total > where.wire
    odd |= total < 20
    odd |= where.room < 20
    odd &= ~where.six
    if odd.any():
        rows = np.flatnonzero(odd)
        # Wireshark reads what an Ethernet type wrongly calls IPv4 by its version, too.
        where.six[rows] |= (head[rows, 0] >> 4 == 6) & (where.room[rows] > 0)
        rows = rows[~where.six[rows]]
        _read_odd_four(head[rows], rows, where, found)
    return found


def _read_odd_four(head: NDArray[np.uint8], rows: NDArray[np.int64], where: Located, found: Networks) -> None:
    """Options, fragments, no total length (segmentation offload), and lies."""
    total, wire = found.length[rows], where.wire[rows]
    total = np.where(total == 0, wire, total)
    header = (head[:, 0] & 0x0F).astype(np.int64) * 4
    cut = where.room[rows] < 20
    malformed = (head[:, 0] >> 4 != 4) | (header < 20) | (total < header) | (header > wire)
    offset = number(head, 6) & 0x3FFF
    refused = _refuse(found, rows, cut=cut, malformed=malformed, beyond=total > wire)
    found.fragments.append(rows[(offset != 0) & ~refused])
    found.length[rows] = total
    found.start[rows] = where.start[rows] + header
    found.size[rows] = np.where(refused | (offset & 0x1FFF != 0), 0, total - header)


def _read_six(buffer: NDArray[np.uint8], where: Located, found: Networks) -> None:
    found.six = rows = np.flatnonzero(where.six)
    found.tail = np.empty((3, len(rows)), np.uint64)
    start, wire, room = where.start[rows], where.wire[rows], where.room[rows]
    head = pick(where.head, rows, 0, 40)
    where.words[2, rows] = word(head, 16)
    for column, at in enumerate((8, 24, 32)):
        found.tail[column] = word(head, at)
    follows = head[:, 6].copy()
    length = number(head, 4) + 40
    found.protocol[rows] = follows
    found.length[rows] = length
    found.start[rows] = start + 40
    found.size[rows] = length - 40
    odd = _IS_EXTENSION[follows]
    odd |= head[:, 0] >> 4 != 6
    odd |= length == 40
    odd |= length > wire
    odd |= room < 40
    if odd.any():
        _read_odd_six(buffer, rows[odd], where, found)


def _read_odd_six(buffer: NDArray[np.uint8], rows: NDArray[np.int64], where: Located, found: Networks) -> None:
    """Extension headers, no payload length (jumbograms, segmentation offload), and lies."""
    head = gather(buffer, where.start[rows], 48)
    wire, room, length = where.wire[rows], where.room[rows], found.length[rows]
    length = np.where(length == 40, _implied_length(head, room, wire), length)
    refused = _refuse(found, rows, cut=room < 40, malformed=head[:, 0] >> 4 != 6, beyond=length > wire)
    found.length[rows] = length
    found.size[rows] = np.where(refused, 0, length - 40)
    _walk_extensions(buffer, rows[~refused], where, found)


def _implied_length(head: NDArray[np.uint8], room: NDArray[np.int64], wire: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the payload length is 0: that of the jumbo option (RFC 2675) if it comes first, else all of the frame."""
    jumbo = (head[:, 6] == 0) & (room >= 48) & (number(head, 42) == _JUMBO)
    stated = head[:, 44:48].view(">u4")[:, 0].astype(np.int64) + 40
    empty = (head[:, 6] == _NO_NEXT) | (wire <= PADDED)
    return np.where(empty, 40, np.where(jumbo, np.minimum(stated, wire), wire))


def _walk_extensions(buffer: NDArray[np.uint8], rows: NDArray[np.int64], where: Located, found: Networks) -> None:
    """Steps over extension headers, all packets at once, one header at a time."""
    at, follows = found.start[rows], found.protocol[rows]
    end = where.start[rows] + found.length[rows]
    known = np.minimum(end, where.start[rows] + where.room[rows])
    whole = np.ones(len(rows), np.bool_)
    fragment = np.zeros(len(rows), np.bool_)
    for _ in range(MAX_EXTENSIONS):
        now = np.flatnonzero(_IS_EXTENSION[follows] & whole)
        whole[now] = at[now] + 8 <= known[now]
        now = now[whole[now]]
        if not len(now):
            break
        head, code = gather(buffer, at[now], 8), follows[now]
        units = head[:, 1].astype(np.int64)
        size = np.where(code == _AUTHENTICATION, units * 4 + 8, units * 8 + 8)
        at[now] += np.where(code == _FRAGMENT, 8, size)
        follows[now] = head[:, 0]
        offset = np.where(code == _FRAGMENT, number(head, 2), 0)
        fragment[now] |= offset & 0xFFF9 != 0
        whole[now] = offset & 0xFFF8 == 0
    deep = _IS_EXTENSION[follows] & whole
    found.long_chains += int(np.count_nonzero(deep))
    found.fragments.append(rows[fragment])
    found.protocol[rows] = follows
    found.start[rows] = at
    found.size[rows] = np.where(whole & ~deep, np.maximum(end - at, 0), 0)


def _refuse(
    found: Networks,
    rows: NDArray[np.int64],
    *,
    cut: NDArray[np.bool_],
    malformed: NDArray[np.bool_],
    beyond: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Notes which of `rows` are undecodable; returns that."""
    refused = cut | malformed | beyond if REFUSE_BEYOND_FRAME else cut | malformed
    found.cut += int(np.count_nonzero(cut))
    found.refused.append(rows[refused])
    found.beyond.append(rows[beyond & ~refused])
    return refused
