"""Link headers one frame at a time: the link types and wrappers that are too rare to be worth arrays."""

from collections.abc import Callable
from struct import error, unpack_from
from typing import NamedTuple

MAX_DEPTH = 8
"""VLAN tags on a frame, or link layers inside each other; a frame with more is undecodable."""

VLAN_TYPES = (0x8100, 0x88A8, 0x9100, 0x9200)
"""802.1Q, 802.1ad, and two that were used for stacked tags before it."""

FABRIC_PATH = 0x8903
"""Cisco's: a two-byte tag and the whole frame; the outer addresses name switches, not MACs."""

WRAPPER_TYPES = (0x6558, 0x8847, 0x8848, 0x880B, 0x88E7, FABRIC_PATH, 0x8926, 0x893F, 0x894F)
"""Ethernet types, besides VLAN and PPPoE, that `walk` can look into."""

NON_IP, CUT, TOO_DEEP = 0, -1, -2
"""Families of frames without an IP header: carries none, ends before it, lies too deep."""


class Inner(NamedTuple):
    """Where a frame's IP header is."""

    family: int
    """4, 6, or one of the three above."""
    at: int = 0
    """Offset in the frame."""
    source: bytes = b""
    """Six bytes, or none where the link has no such address."""
    destination: bytes = b""
    vlan: int = 0
    """The outermost VLAN id."""


_NOTHING = Inner(NON_IP)


def walk(frame: bytes, link: int) -> Inner:
    """The outermost IP header of one frame of one of `LINKS`; never raises."""
    try:
        return LINKS[link](frame, 0, MAX_DEPTH)
    except (IndexError, error):
        return Inner(CUT)


def _u16(frame: bytes, at: int) -> int:
    value: int = unpack_from(">H", frame, at)[0]
    return value


def _by_nibble(frame: bytes, at: int, depth: int) -> Inner:
    """An IP header that nothing announces."""
    version = frame[at] >> 4
    return Inner(version, at) if version in (4, 6) else _NOTHING


def _always(family: int) -> Callable[[bytes, int, int], Inner]:
    return lambda frame, at, depth: Inner(family, at)


def _by_type(frame: bytes, kind: int, at: int, depth: int) -> Inner:
    """What an Ethernet type announces at `at`."""
    if kind in (0x0800, 0x86DD):
        return Inner(4 if kind == 0x0800 else 6, at)
    if kind == 0x8864:
        return _pppoe(frame, at, depth)
    inside = _llc if kind < 0x0600 else _INSIDE.get(kind)
    if inside is None:
        return _NOTHING
    return inside(frame, at, depth - 1) if depth > 0 else Inner(TOO_DEEP)


def _vlan(frame: bytes, at: int, depth: int) -> Inner:
    return _by_type(frame, _u16(frame, at + 2), at + 4, depth)._replace(vlan=_u16(frame, at) & 0x0FFF)


def _ethernet(frame: bytes, at: int, depth: int) -> Inner:
    kind = _u16(frame, at + 12)
    if kind == FABRIC_PATH:
        return _ethernet(frame, at + 16, depth - 1) if depth > 0 else Inner(TOO_DEEP)
    inner = _by_type(frame, kind, at + 14, depth)
    return inner._replace(source=frame[at + 6 : at + 12], destination=frame[at : at + 6])


def _llc(frame: bytes, at: int, depth: int) -> Inner:
    """LLC (IEEE 802.2); SNAP names an Ethernet type (RFC 1042)."""
    if frame[at] == 0x06 and frame[at + 1] == 0x06:
        return Inner(4, at + 3)
    if frame[at : at + 3] == b"\xaa\xaa\x03" and frame[at + 3 : at + 6] in (b"\0\0\0", b"\0\0\xf8"):
        return _by_type(frame, _u16(frame, at + 6), at + 8, depth)
    return _NOTHING


def _pppoe(frame: bytes, at: int, depth: int) -> Inner:
    return _ppp_protocol(frame, at + 6, depth) if frame[at + 1] == 0 else _NOTHING


def _ppp(frame: bytes, at: int, depth: int) -> Inner:
    """PPP, with or without its address and control bytes (RFC 1662)."""
    return _ppp_protocol(frame, at + 2 if frame[at : at + 2] == b"\xff\x03" else at, depth)


def _ppp_protocol(frame: bytes, at: int, depth: int) -> Inner:
    if frame[at] & 1:
        protocol, at = frame[at], at + 1
    else:
        protocol, at = _u16(frame, at), at + 2
    if protocol in (0x21, 0x57):
        return Inner(4 if protocol == 0x21 else 6, at)
    return _mpls(frame, at, depth) if protocol == 0x0281 else _NOTHING


def _ppp_serial(frame: bytes, at: int, depth: int) -> Inner:
    """PPP or Cisco HDLC, told apart by the address byte."""
    return _cisco(frame, at, depth) if frame[at] in (0x0F, 0x8F) else _ppp(frame, at, depth)


def _cisco(frame: bytes, at: int, depth: int) -> Inner:
    return _by_type(frame, _u16(frame, at + 2), at + 4, depth)


def _mpls(frame: bytes, at: int, depth: int) -> Inner:
    """A label stack (RFC 3032); below it IP, or Ethernet after a control word of zeros (RFC 4385)."""
    labels = 0
    while not frame[at + 2] & 1:
        at += 4
        labels += 1
        if labels > MAX_DEPTH:
            return Inner(TOO_DEEP)
    at += 4
    if frame[at] >> 4 == 0 and depth > 0:
        return _ethernet(frame, at + 4, depth - 1)._replace(source=b"", destination=b"")
    return _by_nibble(frame, at, depth)


def _backbone(frame: bytes, at: int, depth: int) -> Inner:
    """802.1ah: a service tag, then the customer's Ethernet frame; the outer MACs are those of the link."""
    return _ethernet(frame, at + 4, depth)


def _nested(frame: bytes, at: int, depth: int) -> Inner:
    return _ethernet(frame, at, depth)


def _extended_tag(frame: bytes, at: int, depth: int) -> Inner:
    """802.1BR E-TAG."""
    return _by_type(frame, _u16(frame, at + 6), at + 8, depth)


def _vn_tag(frame: bytes, at: int, depth: int) -> Inner:
    return _by_type(frame, _u16(frame, at + 4), at + 6, depth)


def _service_header(frame: bytes, at: int, depth: int) -> Inner:
    """NSH (RFC 8300): its length in words, and what follows it."""
    follows, at = frame[at + 3], at + (frame[at + 1] & 0x3F) * 4
    if follows in (1, 2):
        return Inner(4 if follows == 1 else 6, at)
    return _ethernet(frame, at, depth) if follows == 3 else _NOTHING


def _null(frame: bytes, at: int, depth: int) -> Inner:
    """BSD loopback: an address family in the byte order of the writer."""
    family = max(frame[at : at + 4].lstrip(b"\0").rstrip(b"\0") or b"\0")
    frame[at + 3]
    if family == 2:
        return Inner(4, at + 4)
    return Inner(6, at + 4) if family in (10, 23, 24, 28, 30) else _NOTHING


def _cooked(frame: bytes, at: int, depth: int) -> Inner:
    """Linux SLL: only the sender's address."""
    inner = _by_type(frame, _u16(frame, at + 14), at + 16, depth)
    return inner._replace(source=frame[at + 6 : at + 12] if _u16(frame, at + 4) == 6 else b"")


def _cooked_two(frame: bytes, at: int, depth: int) -> Inner:
    """Linux SLL2."""
    inner = _by_type(frame, _u16(frame, at), at + 20, depth)
    return inner._replace(source=frame[at + 12 : at + 18] if frame[at + 11] == 6 else b"")


def _fddi(frame: bytes, at: int, depth: int) -> Inner:
    return _llc(frame, at + 13, depth)


def _frame_relay(frame: bytes, at: int, depth: int) -> Inner:
    """RFC 2427: two address bytes, control, then the network protocol's id."""
    protocol = frame[at + 3]
    if protocol in (0xCC, 0x8E):
        return Inner(4 if protocol == 0xCC else 6, at + 4)
    return _NOTHING


def _wireless(frame: bytes, at: int, depth: int) -> Inner:
    """802.11 data frames in the clear (IEEE 802.11 section 9.3.2)."""
    control, flags = frame[at], frame[at + 1]
    if control & 0x0C != 0x08 or control & 0x40 or flags & 0x40:
        return _NOTHING
    one, two, three = (frame[at + k : at + k + 6] for k in (4, 10, 16))
    to_station, from_station = flags & 1, flags & 2
    body = at + 24
    destination = three if to_station else one
    source = two
    if from_station:
        source = three
        if to_station:
            source, body = frame[body : body + 6], body + 6
    if control & 0x80:
        body += 2 + 4 * (flags >> 7)
    return _llc(frame, body, depth)._replace(source=source, destination=destination)


def _radiotap(frame: bytes, at: int, depth: int) -> Inner:
    return _wireless(frame, at + int(unpack_from("<H", frame, at + 2)[0]), depth)


def _prism(frame: bytes, at: int, depth: int) -> Inner:
    """A Prism header, or the AVS one that took over its link type."""
    return _avs(frame, at, depth) if frame[at : at + 2] == b"\x80\x21" else _wireless(frame, at + 144, depth)


def _avs(frame: bytes, at: int, depth: int) -> Inner:
    return _wireless(frame, at + int(unpack_from(">I", frame, at + 4)[0]), depth)


def _per_packet(frame: bytes, at: int, depth: int) -> Inner:
    """PPI: a header that names the link type of what follows."""
    return _other_link(frame, int(unpack_from("<I", frame, at + 4)[0]), at, frame[at + 2] | frame[at + 3] << 8, depth)


def _pktap(frame: bytes, at: int, depth: int) -> Inner:
    """Apple's PKTAP, likewise."""
    size, _, link = unpack_from("<III", frame, at)
    return _other_link(frame, link, at, size, depth)


def _other_link(frame: bytes, link: int, at: int, size: int, depth: int) -> Inner:
    decode = LINKS.get(link)
    return decode(frame, at + size, depth - 1) if decode and depth > 0 and size else _NOTHING


def _nflog(frame: bytes, at: int, depth: int) -> Inner:
    """Netfilter log: an address family, then length-type-value items; type 9 is the packet."""
    family, at = {2: 4, 10: 6}.get(frame[at]), at + 4
    for _ in range(64):
        size, kind = unpack_from("<HH", frame, at)
        if kind & 0x7FFF == 9:
            return Inner(family, at + 4) if family else _NOTHING
        at += max(size + 3 & ~3, 4)
    return _NOTHING


_INSIDE: dict[int, Callable[[bytes, int, int], Inner]] = {
    **dict.fromkeys(VLAN_TYPES, _vlan),
    0x6558: _nested,
    0x8847: _mpls,
    0x8848: _mpls,
    0x880B: _ppp_protocol,
    0x88E7: _backbone,
    0x893F: _extended_tag,
    0x8926: _vn_tag,
    0x894F: _service_header,
}

LINKS: dict[int, Callable[[bytes, int, int], Inner]] = {
    0: _null,
    1: _ethernet,
    9: _ppp,
    10: _fddi,
    12: _by_nibble,
    14: _by_nibble,
    50: _ppp_serial,
    51: _pppoe,
    100: _llc,
    101: _by_nibble,
    104: _cisco,
    105: _wireless,
    107: _frame_relay,
    108: _null,
    113: _cooked,
    119: _prism,
    127: _radiotap,
    163: _avs,
    192: _per_packet,
    228: _always(4),
    229: _always(6),
    239: _nflog,
    258: _pktap,
    276: _cooked_two,
}
"""Link types (www.tcpdump.org/linktypes.html) -> their decoder."""
