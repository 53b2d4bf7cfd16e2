"""The test clients, one per family of IP, where they send to, and the packets that they send, crafted with scapy."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sensor.base.addresses import mac_text

SEGMENT = 1_400
"""Bytes of payload in one segment."""

DNS_PORT, PORT, OWN_PORT = 53, 443, 50_443
FIRST = 1_000
"""Sequence number of the first SYN."""

_FOLDERS, _NOWHERE = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/proc/none"
"""Where scapy would keep copies of its tables as it is loaded, and where nobody can."""

ROUTER_MAC = bytes.fromhex("021dfe000001")
"""Locally administered, as all MACs here: no maker's."""


@dataclass(frozen=True)
class Uploader:
    """One client that sends to one destination."""

    family: str
    mac: bytes
    address: str
    router: str
    destination: str

    @property
    def id(self) -> str:
        """As the sensor calls it."""
        return mac_text(self.mac)

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"Idlewire self-test {self.family}"

    @property
    def domain(self) -> str:
        """What it is told that its destination is called; `invalid` is nobody's (RFC 6761)."""
        return f"{self.family.lower()}.selftest.invalid"


# A destination must be globally routable by `base.addresses.is_global`, and must be nobody's: a message that somebody
# passes on would accuse its owner. Both are the former addresses of 6to4 relays: RFC 3068 made them global, RFC 7526
# withdrew them, so that nobody may announce them and IANA gives them to no one. Addresses for documentation (RFC 5737,
# RFC 3849) do not count as destinations; they are the clients'.
CLIENTS = (
    Uploader("IPv4", bytes.fromhex("021dfe000004"), "192.0.2.4", "192.0.2.1", "192.88.99.1"),
    Uploader("IPv6", bytes.fromhex("021dfe000006"), "2001:db8::6", "2001:db8::1", "2002:c058:6301::1"),
)


class Packets:
    """The frames of one client's connection, each with what it counts for."""

    def __init__(self, client: Uploader) -> None:
        self._client = client
        self._layers = _layers()
        self._next = FIRST + 1
        self.sent_bytes = 0
        """IP bytes of the client's packets up to now."""

    def opening(self) -> list[bytes]:
        """It is told a name, and connects."""
        return [
            self._name(),
            self._out(self._tcp("S", FIRST, 0)),
            self._in(self._layers.TCP(sport=PORT, dport=OWN_PORT, flags="SA", seq=1, ack=FIRST + 1)),
            self._out(self._tcp("A", FIRST + 1, 2)),
        ]

    def upload(self, count: int) -> list[bytes]:
        """The next segments, each with something new."""
        return list(self._segments(count))

    def _segments(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield self._out(self._tcp("PA", self._next, 2) / self._layers.Raw(bytes(SEGMENT)))
            self._next += SEGMENT

    def _name(self) -> bytes:
        layers, client = self._layers, self._client
        kind = "AAAA" if ":" in client.address else "A"
        answer = layers.DNSRR(rrname=client.domain, type=kind, ttl=60, rdata=client.destination)
        dns = layers.DNS(id=1, qr=1, qd=layers.DNSQR(qname=client.domain, qtype=kind), an=answer)
        packet = self._ip(client.router, client.address) / layers.UDP(sport=DNS_PORT, dport=OWN_PORT) / dns
        return bytes(layers.Ether(src=mac_text(ROUTER_MAC), dst=client.id) / packet)

    def _tcp(self, flags: str, sequence: int, acknowledged: int) -> Any:
        return self._layers.TCP(sport=OWN_PORT, dport=PORT, flags=flags, seq=sequence, ack=acknowledged)

    def _out(self, segment: Any) -> bytes:
        packet = bytes(self._ip(self._client.address, self._client.destination) / segment)
        self.sent_bytes += len(packet)
        return ROUTER_MAC + self._client.mac + self._kind + packet

    def _in(self, segment: Any) -> bytes:
        packet = bytes(self._ip(self._client.destination, self._client.address) / segment)
        return self._client.mac + ROUTER_MAC + self._kind + packet

    @property
    def _kind(self) -> bytes:
        """Ethertype."""
        return b"\x86\xdd" if ":" in self._client.address else b"\x08\x00"

    def _ip(self, source: str, destination: str) -> Any:
        layer = self._layers.IPv6 if ":" in source else self._layers.IP
        return layer(src=source, dst=destination)


class _Layers:
    """Those of scapy that are needed."""

    def __init__(self) -> None:
        from scapy.layers.dns import DNS, DNSQR, DNSRR
        from scapy.layers.inet import IP, TCP, UDP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import Ether
        from scapy.packet import Raw

        self.DNS, self.DNSQR, self.DNSRR, self.IP, self.IPv6 = DNS, DNSQR, DNSRR, IP, IPv6
        self.TCP, self.UDP, self.Ether, self.Raw = TCP, UDP, Ether, Raw


def _layers() -> _Layers:
    before = {name: os.environ.get(name) for name in _FOLDERS}
    os.environ.update(dict.fromkeys(_FOLDERS, _NOWHERE))
    try:
        return _Layers()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
