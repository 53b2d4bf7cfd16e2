"""Link headers of a whole batch at once: where each frame's IP header starts, its MACs and VLAN id."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.decode.gather import gather, number, pick, word
from sensor.decode.link_odd import CUT, LINKS, MAX_DEPTH, NON_IP, TOO_DEEP, VLAN_TYPES, WRAPPER_TYPES, walk
from sensor.decode.stats import DecodeStats
from sensor.model.frames import HEAD, FrameBatch
from sensor.model.packets import DESTINATION_MAC, SOURCE_MAC

LINK_BITS = 0x03FFFFFF
"""The part of a capture file's link field that names the link type; above it stands the length of the FCS."""

ETHERNET = 1
IP_HEAD = HEAD - 14
"""Bytes from the start of IP on that are read along with the link header."""

_MAC = np.uint64(0xFFFF_FFFF_FFFF)
_FOUR, _SIX, _PPPOE = 0x0008, 0xDD86, 0x6488
"""Ethernet types, as a little-endian load sees them."""
_PPP_FOUR, _PPP_SIX = 0x21, 0x57
_FIRST_TYPE = 0x0600
"""A smaller Ethernet type is a length, and LLC follows (IEEE 802.3 section 3.2.6)."""

_OTHER, _IP, _TAG, _SESSION, _WRAPPER = range(5)


def _kinds() -> NDArray[np.uint8]:
    kinds = np.zeros(65536, np.uint8)
    wrappers = np.array([*WRAPPER_TYPES, *range(_FIRST_TYPE)], np.uint16)
    kinds[wrappers.byteswap()] = _WRAPPER
    kinds[np.array(VLAN_TYPES, np.uint16).byteswap()] = _TAG
    kinds[[_FOUR, _SIX]] = _IP
    kinds[_PPPOE] = _SESSION
    return kinds


_KIND = _kinds()
"""Ethernet type, as a little-endian load sees it -> what to do with it."""


@dataclass(slots=True)
class Located:
    """The frames of a batch that carry IP, in order."""

    row: NDArray[np.int64]
    """[n] row in the batch."""
    start: NDArray[np.int64]
    """[n] where the IP header starts in the buffer."""
    room: NDArray[np.int64]
    """[n] bytes captured from there on."""
    wire: NDArray[np.int64]
    """[n] bytes on the wire from there on."""
    six: NDArray[np.bool_]
    """[n] announced as IPv6, else as IPv4."""
    words: NDArray[np.uint64]
    """[4, n] the flow key as far as the link says it: MACs in 0 and 1; direction, macs and VLAN id in 3."""
    head: NDArray[np.uint8]
    """[n, IP_HEAD] the bytes from `start` on."""


class _Links:
    """What the link headers of all `n` frames say."""

    def __init__(self, n: int) -> None:
        self.at = np.zeros(n, np.int64)
        """[n] where IP starts in the frame."""
        self.six = np.zeros(n, np.bool_)
        self.rows: NDArray[np.int64] | None = None
        """The rows that carry IP; None for all."""
        self.words = np.zeros((4, n), np.uint64)
        self.head: NDArray[np.uint8] | None = None
        """[n, IP_HEAD] what is at `at`, where it is known already."""


def locate(batch: FrameBatch, stats: DecodeStats) -> Located:
    """Finds the outermost IP header of each frame; frames without one are counted in `stats` and left out."""
    link = batch.link & LINK_BITS
    links = _Links(len(batch))
    if link == ETHERNET:
        _ethernet(batch, links, stats)
    elif link in LINKS:
        _walk_rows(batch, links, np.arange(len(batch)), link, stats)
    else:
        links.rows = np.empty(0, np.int64)
        stats.unknown_link += len(batch)
        stats.undecodable += len(batch)
    _metadata(batch, links.words[3])
    return _compressed(batch, links)


def _ethernet(batch: FrameBatch, links: _Links, stats: DecodeStats) -> None:
    head = gather(batch.buffer, batch.offset, HEAD) if batch.heads is None else batch.heads
    links.head = head[:, 14:]
    np.bitwise_and(word(head, 6), _MAC, out=links.words[0])
    np.bitwise_and(word(head, 0), _MAC, out=links.words[1])
    links.words[3] = (SOURCE_MAC | DESTINATION_MAC) << 24
    links.at[:] = 14
    types = head[:, 12:14].view("<u2")[:, 0].copy()
    np.equal(types, _SIX, out=links.six)
    plain = types == _FOUR
    plain |= links.six
    if len(batch) and int(batch.captured.min()) < 14:
        plain &= batch.captured >= 14
    if not plain.all():
        odd = np.flatnonzero(~plain)
        plain[odd] = _odd_ethernet(batch, links, odd, types[odd].astype(np.int64), stats)
        links.head[odd] = gather(batch.buffer, batch.offset[odd] + links.at[odd], IP_HEAD)
        links.rows = None if plain.all() else np.flatnonzero(plain)


@dataclass(slots=True)
class _Odd:
    """The Ethernet frames whose first type is not IP, while their wrappers are taken off."""

    row: NDArray[np.int64]
    """[n] in the batch; so many rows for the arrays below."""
    type: NDArray[np.int64]
    """As a little-endian load sees it."""
    kind: NDArray[np.uint8]
    cut: NDArray[np.bool_]
    at: NDArray[np.int64]
    """Offset in the frame of what `type` announces."""


def _odd_ethernet(
    batch: FrameBatch, links: _Links, rows: NDArray[np.int64], types: NDArray[np.int64], stats: DecodeStats
) -> NDArray[np.bool_]:
    """Finds IP below tags and other wrappers; says which of `rows` carry it."""
    cut = batch.captured[rows] < 14
    odd = _Odd(rows, types, np.where(cut, _OTHER, _KIND[types]), cut, np.full(len(rows), 14))
    for _ in range(MAX_DEPTH):
        tagged = np.flatnonzero(odd.kind == _TAG)
        if not len(tagged):
            break
        _untag(batch, links, odd, tagged)
    sessions = np.flatnonzero(odd.kind == _SESSION)
    if len(sessions):
        _unpack_sessions(batch, odd, sessions)
    found: NDArray[np.bool_] = odd.kind == _IP
    links.at[rows] = odd.at
    links.six[rows] = found & (odd.type == _SIX)
    _count(stats, CUT, int(np.count_nonzero(odd.cut)))
    _count(stats, TOO_DEEP, int(np.count_nonzero(odd.kind == _TAG)))
    _count(stats, NON_IP, int(np.count_nonzero((odd.kind == _OTHER) & ~odd.cut)))
    wrapped = np.flatnonzero(odd.kind == _WRAPPER)
    if len(wrapped):
        found[wrapped] = _walk(batch, links, rows[wrapped], ETHERNET, stats)
    return found


def _untag(batch: FrameBatch, links: _Links, odd: _Odd, tagged: NDArray[np.int64]) -> None:
    """Takes one VLAN tag (IEEE 802.1Q) off the rows `tagged` of `odd`."""
    rows, at = odd.row[tagged], odd.at[tagged]
    tags = gather(batch.buffer, batch.offset[rows] + at, 4)
    cut = batch.captured[rows] < at + 4
    types = tags[:, 2:4].view("<u2")[:, 0].astype(np.int64)
    odd.cut[tagged] = cut
    odd.at[tagged] = at + 4
    odd.type[tagged] = types
    odd.kind[tagged] = np.where(cut, _OTHER, _KIND[types])
    outermost = at == 14
    links.words[3, rows[outermost]] |= (number(tags, 0)[outermost] & 0x0FFF).astype(np.uint64) << 32


def _unpack_sessions(batch: FrameBatch, odd: _Odd, sessions: NDArray[np.int64]) -> None:
    """Takes PPPoE and PPP off (RFC 2516 section 4; the protocol may be one byte, RFC 1661 section 6.5)."""
    rows, at = odd.row[sessions], odd.at[sessions]
    head = gather(batch.buffer, batch.offset[rows] + at, 8)
    brief = head[:, 6] & 1 == 1
    protocol = np.where(brief, head[:, 6], number(head, 6))
    at += np.where(brief, 7, 8)
    cut = batch.captured[rows] < at
    six = protocol == _PPP_SIX
    found = ((protocol == _PPP_FOUR) | six) & (head[:, 1] == 0) & ~cut
    odd.cut[sessions] = cut
    odd.at[sessions] = at
    odd.type[sessions] = np.where(six, _SIX, _FOUR)
    odd.kind[sessions] = np.where(found, _IP, _OTHER)


def _walk_rows(batch: FrameBatch, links: _Links, rows: NDArray[np.int64], link: int, stats: DecodeStats) -> None:
    links.rows = rows[_walk(batch, links, rows, link, stats)]


def _walk(
    batch: FrameBatch, links: _Links, rows: NDArray[np.int64], link: int, stats: DecodeStats
) -> NDArray[np.bool_]:
    """Looks at frames one by one; says which of `rows` carry IP."""
    found = np.zeros(len(rows), np.bool_)
    for index, row in enumerate(rows.tolist()):
        inner = walk(batch.frame(row), link)
        if inner.family <= 0:
            _count(stats, inner.family, 1)
            continue
        found[index] = True
        links.at[row] = inner.at
        links.six[row] = inner.family == 6
        macs = SOURCE_MAC * bool(inner.source) | DESTINATION_MAC * bool(inner.destination)
        links.words[0, row] = int.from_bytes(inner.source, "little")
        links.words[1, row] = int.from_bytes(inner.destination, "little")
        links.words[3, row] = macs << 24 | inner.vlan << 32
    return found


def _count(stats: DecodeStats, reason: int, frames: int) -> None:
    if reason == NON_IP:
        stats.non_ip += frames
        return
    stats.undecodable += frames
    if reason == CUT:
        stats.cut += frames
    elif reason == TOO_DEEP:
        stats.too_deep += frames


def _metadata(batch: FrameBatch, word_three: NDArray[np.uint64]) -> None:
    """What the kernel said beside the frame; its VLAN tag was the outermost."""
    if batch.direction is not None:
        word_three |= batch.direction.astype(np.uint64) << 16
    if batch.vlan is not None and batch.vlan.any():
        rows = np.flatnonzero(batch.vlan)
        word_three[rows] &= np.uint64(0xFFFF_FFFF)
        word_three[rows] |= batch.vlan[rows].astype(np.uint64) << 32


def _compressed(batch: FrameBatch, links: _Links) -> Located:
    rows, at, head = links.rows, links.at, links.head
    if rows is None:
        start, room, wire = batch.offset + at, batch.captured - at, batch.length - at
        head = gather(batch.buffer, start, IP_HEAD) if head is None else head
        return Located(np.arange(len(batch)), start, room, wire, links.six, links.words, head)
    at = at[rows]
    start = batch.offset[rows] + at
    return Located(
        row=rows,
        start=start,
        room=batch.captured[rows] - at,
        wire=batch.length[rows] - at,
        six=links.six[rows],
        words=links.words.take(rows, axis=1),
        head=gather(batch.buffer, start, IP_HEAD) if head is None else pick(head, rows),
    )
