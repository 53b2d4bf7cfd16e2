"""Packets inside packets: what a tunnel frame wraps, so that the messages inside it can be read, too."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sensor.decode import dns
from sensor.model.packets import TCP, UDP

MAX_TUNNEL_DEPTH = 8
"""Tunnels inside tunnels that are opened; what is wrapped deeper stays shut."""

MAX_HEADERS = 8
"""VLAN tags, MPLS labels or IPv6 extension headers in a row that are read."""

IPIP, IPV6_IN_IP, GRE, OLD_IPIP, ETHERIP, UDP_LITE, MPLS_IN_IP = 4, 41, 47, 94, 97, 136, 137
"""IP protocols (IANA)."""

PROTOCOLS = frozenset({IPIP, IPV6_IN_IP, GRE, OLD_IPIP, ETHERIP, MPLS_IN_IP})
"""IP protocols that wrap packets."""


class Inner(NamedTuple):
    """A TCP or UDP packet that came out of a tunnel; the fields of `model.message.Segment`."""

    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    sequence: int
    flags: int
    payload: bytes
    length: int


class TooDeep(Exception):
    """More than MAX_TUNNEL_DEPTH tunnels inside each other."""


def unwrap(protocol: int, source_port: int, destination_port: int, payload: bytes) -> Iterator[Inner]:
    """The TCP and UDP packets that a tunnel packet wraps: none or one today; a wrapped tunnel is opened in turn.

    `payload` is what follows the IP header, for TCP, UDP and UDP-Lite what follows theirs. Raises TooDeep and nothing
    else, for no bytes at all.
    """
    try:
        found = _open(protocol, source_port, destination_port, payload, 0)
    except IndexError:  # cut or no such tunnel
        return
    if found is not None:
        yield found


def is_tunnel(protocol: int, source_port: int, destination_port: int) -> bool:
    """Whether such packets wrap packets. Between port 53 and any other it is DNS: a client may ask from any port."""
    if protocol in (UDP, UDP_LITE):
        ports = (source_port, destination_port)
        return dns.PORT not in ports and (destination_port in _BY_PORT or source_port in _BY_PORT)
    return protocol in PROTOCOLS


def _open(protocol: int, source_port: int, destination_port: int, data: bytes, depth: int) -> Inner | None:
    if depth >= MAX_TUNNEL_DEPTH:
        raise TooDeep
    if protocol in (UDP, UDP_LITE):
        opener = _BY_PORT.get(destination_port) or _BY_PORT.get(source_port)
    else:
        opener = _BY_PROTOCOL.get(protocol)
    return opener(data, 0, depth) if opener is not None else None


def _ip(data: bytes, at: int, depth: int) -> Inner | None:
    version = data[at] >> 4
    if version == 4:
        return _ipv4(data, at, depth)
    return _ipv6(data, at, depth) if version == 6 else None


def _ipv4(data: bytes, at: int, depth: int) -> Inner | None:
    header = (data[at] & 15) * 4
    total = _short(data, at + 2) or len(data) - at
    if header < 20 or total < header or _short(data, at + 6) & 0x1FFF:
        return None
    source, destination = data[at + 12 : at + 16], data[at + 16 : at + 20]
    return _transport(data, (at + header, at + total), data[at + 9], (source, destination), depth)


def _ipv6(data: bytes, at: int, depth: int) -> Inner | None:
    following = data[at + 6]
    end = at + 40 + _short(data, at + 4) if _short(data, at + 4) else len(data)
    source, destination = data[at + 8 : at + 24], data[at + 24 : at + 40]
    at += 40
    for _ in range(MAX_HEADERS):
        if following in (0, 43, 60):  # hop-by-hop, routing, destination options (RFC 8200 section 4)
            following, at = data[at], at + 8 + 8 * data[at + 1]
        elif following == 44:  # fragment
            if _short(data, at + 2) & 0xFFF8:
                return None
            following, at = data[at], at + 8
        else:
            break
    return _transport(data, (at, end), following, (source, destination), depth)


def _transport(
    data: bytes, span: tuple[int, int], protocol: int, ends: tuple[bytes, bytes], depth: int
) -> Inner | None:
    at, end = span
    if protocol == 51:  # authentication header (RFC 4302 section 2), which takes the place of one IPv6 extension
        protocol, at = data[at], at + 8 + 4 * data[at + 1]
    if protocol not in (TCP, UDP):
        return _open(protocol, 0, 0, data[at:end], depth + 1) if protocol in PROTOCOLS else None
    source_port, destination_port = _short(data, at), _short(data, at + 2)
    sequence = flags = 0
    if protocol == TCP:
        sequence, flags = int.from_bytes(data[at + 4 : at + 8], "big"), data[at + 13]
        start = at + max((data[at + 12] >> 4) * 4, 20)
    else:
        start = at + 8
        end = min(end, at + _short(data, at + 4)) if _short(data, at + 4) else end
    if end < start or len(data) < start:
        return None
    if protocol == UDP and is_tunnel(UDP, source_port, destination_port):
        return _open(UDP, source_port, destination_port, data[start:end], depth + 1)
    payload = data[start:end]
    return Inner(*ends, protocol, source_port, destination_port, sequence, flags, payload, end - start)


def _ethernet(data: bytes, at: int, depth: int) -> Inner | None:
    return _typed(data, at + 14, _short(data, at + 12), depth)


def _typed(data: bytes, at: int, kind: int, depth: int) -> Inner | None:
    """What follows an EtherType."""
    for _ in range(MAX_HEADERS):
        if kind not in _TAGS:
            break
        kind, at = _short(data, at + 2), at + 4
    if kind in (0x0800, 0x86DD):
        return _ip(data, at, depth)
    opener = _BY_TYPE.get(kind)
    if opener is None:
        return None
    if depth + 1 >= MAX_TUNNEL_DEPTH:
        raise TooDeep
    return opener(data, at, depth + 1)


def _mpls(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 3032 section 2.1; what lies below the stack is told by its first bits, as routers do."""
    for _ in range(MAX_HEADERS):
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            found = _ip(data, at, depth)
            # RFC 4448: Ethernet behind a control word of zeros.
            return found or (_ethernet(data, at + 4, depth) if data[at] >> 4 == 0 else None)
    return None


def _gre(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 2784, 2890; version 1 is PPTP (RFC 2637)."""
    flags, kind = _short(data, at), _short(data, at + 2)
    bare = flags & 0xF000 == 0
    at += 4
    if flags & 7 == 1:
        at += 4 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x0080 else 0)
        return _ppp(data, at, depth)
    at += (4 if flags & 0xC000 else 0) + (4 if flags & 0x2000 else 0) + (4 if flags & 0x1000 else 0)
    if kind == 0x88BE:  # ERSPAN type I has no header of its own, type II has 8 bytes
        return _ethernet(data, at if bare else at + 8, depth)
    if kind == 0x22EB:  # ERSPAN type III: 12 bytes, 8 more where the last bit says so
        return _ethernet(data, at + 12 + (8 if data[at + 11] & 1 else 0), depth)
    return _typed(data, at, kind, depth)


def _etherip(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 3378."""
    return _ethernet(data, at + 2, depth) if data[at] >> 4 == 3 else None


def _vxlan(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 7348; the next protocol of the generic extension (draft-ietf-nvo3-vxlan-gpe) where its flag is set."""
    following = data[at + 3] if data[at] & 4 else 3
    if following in (1, 2):
        return _ip(data, at + 8, depth)
    if following == 4:
        return _nsh(data, at + 8, depth)
    return _ethernet(data, at + 8, depth) if following == 3 else None


def _nsh(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 8300 section 2."""
    following, start = data[at + 3], at + 4 * (data[at + 1] & 0x3F)
    if following in (1, 2):
        return _ip(data, start, depth)
    return _ethernet(data, start, depth) if following == 3 else None


def _geneve(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 8926 section 3.4."""
    return _typed(data, at + 8 + 4 * (data[at] & 0x3F), _short(data, at + 2), depth)


def _gtp(data: bytes, at: int, depth: int) -> Inner | None:
    """GTP-U, user packets only (3GPP TS 29.281 section 5.1)."""
    flags = data[at]
    if flags >> 4 != 3 or data[at + 1] != 0xFF:
        return None
    following = data[at + 11] if flags & 4 else 0
    at += 12 if flags & 7 else 8
    for _ in range(MAX_HEADERS):
        if not following:
            break
        size = 4 * data[at]
        if not size:
            return None
        following, at = data[at + size - 1], at + size
    return _ip(data, at, depth)


def _l2tp(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 2661 section 3.1, data messages only."""
    flags = _short(data, at)
    if flags & 0x800F != 2:
        return None
    at += 2 + (2 if flags & 0x4000 else 0) + 4 + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:
        at += 2 + _short(data, at)
    return _ppp(data, at, depth)


def _pppoe(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 2516 section 4."""
    return _ppp(data, at + 6, depth)


def _ppp(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 1661 sections 2 and 6.5: the address and half of the protocol field may be left out."""
    if data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if data[at] & 1:
        kind, at = data[at], at + 1
    else:
        kind, at = _short(data, at), at + 2
    return _ip(data, at, depth) if kind in (0x21, 0x57) else None


def _teredo(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 4380 section 5.1.1: authentication and origin may come first."""
    if _short(data, at) == 1:
        at += 13 + data[at + 2] + data[at + 3]
    if _short(data, at) == 0:
        at += 8
    return _ipv6(data, at, depth) if data[at] >> 4 == 6 else None


def _lisp(data: bytes, at: int, depth: int) -> Inner | None:
    """RFC 9300 section 5.1: a header of 8 bytes, then IP."""
    return _ip(data, at + 8, depth)


def _short(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


_Opener = Callable[[bytes, int, int], Inner | None]

_TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200, 0x893F})
_BY_TYPE: dict[int, _Opener] = {
    0x6558: _ethernet,
    0x8847: _mpls,
    0x8848: _mpls,
    0x8864: _pppoe,
    0x880B: _ppp,
    0x894F: _nsh,
}
_BY_PROTOCOL: dict[int, _Opener] = {
    IPIP: _ip,
    IPV6_IN_IP: _ip,
    GRE: _gre,
    OLD_IPIP: _ip,
    ETHERIP: _etherip,
    MPLS_IN_IP: _mpls,
}
_BY_PORT: dict[int, _Opener] = {
    1701: _l2tp,
    2152: _gtp,
    3544: _teredo,
    4341: _lisp,
    4754: _gre,
    4789: _vxlan,
    4790: _vxlan,
    6081: _geneve,
    6635: _mpls,
    8472: _vxlan,
}
