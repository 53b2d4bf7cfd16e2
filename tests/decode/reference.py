"""The header decoder once more, one frame at a time in plain Python: slow, and written without looking at arrays."""

from struct import unpack_from
from typing import NamedTuple

from sensor.decode.link_odd import walk
from sensor.model.flow import FlowKey

EXTENSIONS = {0, 43, 44, 51, 60, 135, 139, 140}
TUNNEL_PORTS = {1701, 2152, 3544, 4341, 4754, 4789, 4790, 6081, 6635, 8472}


class Row(NamedTuple):
    """One packet, as the columns of `Packets` should show it."""

    key: FlowKey
    length: int
    flags: int
    sequence: int
    """0 where `flags` is 0."""
    payload: int
    payload_length: int
    message: bool


class Network(NamedTuple):
    """An IP header."""

    source: bytes
    destination: bytes
    protocol: int
    header: int
    """Bytes up to the next header."""
    size: int
    """Bytes behind it, 0 where there is none to read."""
    length: int
    fragment: bool


def decode(frame: bytes, wire: int) -> Row | str:
    """An Ethernet frame: its packet, or `non_ip`, or `undecodable`."""
    place = ethernet(frame)
    if isinstance(place, str):
        return place
    family, at, source_mac, destination_mac, vlan = place
    packet, on_wire = frame[at:], wire - at
    if family == 4 and packet and packet[0] >> 4 == 6:
        family = 6
    network = (ipv4 if family == 4 else ipv6)(packet, on_wire)
    if network is None:
        return "undecodable"
    found = transport(packet[: network.header + network.size], network)
    if found is None:
        return "undecodable"
    ports, flags, sequence, header, payload_length, message = found
    payload_length = min(payload_length, max(on_wire - network.header - header, 0))
    key = FlowKey(
        source_mac, destination_mac, network.source, network.destination, network.protocol, *ports, vlan, 0
    )  # fmt: skip
    payload = at + network.header + header if payload_length else 0
    marked = (message and payload_length > 0) or joins(packet[network.header : network.header + network.size], network)
    return Row(key, network.length, flags, sequence, payload, payload_length, marked)


def ethernet(frame: bytes) -> tuple[int, int, bytes, bytes, int] | str:
    """(family, offset of IP, source, destination, VLAN id)."""
    if len(frame) < 14:
        return "undecodable"
    kind, at, vlans = unpack_from(">H", frame, 12)[0], 14, []
    while kind in (0x8100, 0x88A8, 0x9100, 0x9200):
        if len(vlans) == 8 or len(frame) < at + 4:
            return "undecodable"
        tag, kind = unpack_from(">HH", frame, at)
        vlans.append(tag & 0xFFF)
        at += 4
    if kind == 0x8864:
        session = frame[at : at + 8]
        if len(session) < 7 or (session[6] & 1 == 0 and len(session) < 8):
            return "undecodable"
        brief = session[6] & 1
        protocol = session[6] if brief else unpack_from(">H", session, 6)[0]
        kind = {0x21: 0x0800, 0x57: 0x86DD}.get(protocol, 0) if session[1] == 0 else 0
        if kind == 0:
            return "non_ip"
        at += 7 if brief else 8
    elif kind not in (0x0800, 0x86DD):
        inner = walk(frame, 1)
        if inner.family > 0:
            return tuple(inner[:5])  # type: ignore[return-value]
        return "non_ip" if inner.family == 0 else "undecodable"
    return 4 if kind == 0x0800 else 6, at, frame[6:12], frame[:6], vlans[0] if vlans else 0


def ipv4(packet: bytes, wire: int) -> Network | None:
    """None where it is undecodable."""
    if len(packet) < 20:
        return None
    header, total, offset = (packet[0] & 15) * 4, *unpack_from(">H2xH", packet, 2)
    total = total or wire
    if packet[0] >> 4 != 4 or header < 20 or total < header or header > wire:
        return None
    size = 0 if offset & 0x1FFF else total - header
    fragment = offset & 0x3FFF != 0
    return Network(packet[12:16], packet[16:20], packet[9], header, size, total, fragment)


def ipv6(packet: bytes, wire: int) -> Network | None:
    """None where it is undecodable."""
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return None
    follows, length = packet[6], unpack_from(">H", packet, 4)[0] + 40
    if length == 40 and follows != 59 and wire > 46:
        length = wire
        if follows == 0 and packet[42:44] == b"\xc2\x04" and len(packet) >= 48:
            length = min(unpack_from(">I", packet, 44)[0] + 40, wire)
    at, fragment, steps = 40, False, 0
    known = packet[:length]
    while follows in EXTENSIONS:
        if steps == 16 or len(known) < at + 8:
            return Network(packet[8:24], packet[24:40], follows, at, 0, length, fragment)
        kind, follows, units = follows, known[at], known[at + 1]
        offset = unpack_from(">H", known, at + 2)[0] if kind == 44 else 0
        fragment = fragment or offset & 0xFFF9 != 0
        at += 8 if kind == 44 else units * 4 + 8 if kind == 51 else units * 8 + 8
        steps += 1
        if offset & 0xFFF8:
            return Network(packet[8:24], packet[24:40], follows, at, 0, length, fragment)
    return Network(packet[8:24], packet[24:40], follows, at, max(length - at, 0), length, fragment)


def transport(packet: bytes, network: Network) -> tuple[tuple[int, int], int, int, int, int, bool] | None:
    """(ports, flags, sequence, header length, payload length, message); None where it is undecodable."""
    known, protocol, size = packet[network.header :], network.protocol, network.size
    ports = (0, 0)
    if protocol in (6, 17, 33, 132, 136) and len(known) >= 4:
        ports = unpack_from(">HH", known)
    if protocol in (4, 41, 47, 94, 97, 137):
        return ports, 0, 0, 0, size, True
    if protocol == 17:
        length = max(size - 8, 0)
        message = ports[0] == 53 or not TUNNEL_PORTS.isdisjoint(ports)
        return ports, 0, 0, 8, length, message
    if protocol != 6:
        return ports, 0, 0, 0, 0, False
    flags = known[13] if len(known) >= 14 else 0
    sequence = unpack_from(">I", known, 4)[0] if flags else 0
    if len(known) < 13:
        return ports, flags, sequence, 0, 0, False
    header = (known[12] >> 4) * 4
    if header < 20 or (header > size and not network.fragment):
        return None
    if header > size:
        return ports, flags, sequence, 0, 0, False
    return ports, flags, sequence, header, size - header, ports[0] == 53 or hello(known[header:])


def joins(known: bytes, network: Network) -> bool:
    """Whether it goes to a DHCP server, or asks for routers: that tells by the headers alone."""
    if network.protocol == 58:
        return known[:1] == b"\x85"
    return network.protocol == 17 and len(known) >= 4 and unpack_from(">H", known, 2)[0] == 67


def hello(payload: bytes) -> bool:
    """Whether it begins like a TLS record with a ClientHello, as far as it goes."""
    expected = (lambda b: b == 0x16, lambda b: b == 3, lambda b: b < 8, None, None, lambda b: b == 1)
    return bool(payload) and all(test is None or test(byte) for test, byte in zip(expected, payload, strict=False))
