"""What single packets say in words: a DNS answer, a TLS hello. Names are text that is safe to show (see base.text)."""

from typing import NamedTuple


class Segment(NamedTuple):
    """The payload of one TCP or UDP packet, and who sent it to whom."""

    time: int
    source_mac: bytes | None
    destination_mac: bytes | None
    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    sequence: int
    """TCP sequence number of the first payload byte (of the SYN itself, where `flags` holds SYN)."""
    flags: int
    payload: bytes
    """As many bytes as were captured."""
    length: int
    """Payload bytes on the wire; more than len(payload) when the capture cut the packet."""


class DnsRecord(NamedTuple):
    """One resource record of an answer section that names an address or another name."""

    name: str
    type: int
    """1 A, 28 AAAA, 5 CNAME, 64 SVCB, 65 HTTPS."""
    ttl: int
    """Seconds, clamped to 1 s .. 1 day."""
    address: bytes | None = None
    """A, AAAA."""
    target: str | None = None
    """CNAME, SVCB, HTTPS."""
    hints: tuple[bytes, ...] = ()
    """Addresses in the ipv4hint and ipv6hint of SVCB and HTTPS (RFC 9460 section 7.3)."""


class DnsAnswer(NamedTuple):
    """A DNS response (RFC 1035 section 4), as its receiver read it."""

    question: str
    """The name asked for; empty when the message does not repeat it."""
    rcode: int
    records: tuple[DnsRecord, ...]
    addresses: tuple[tuple[bytes, int, tuple[str, ...]], ...]
    """(address, ttl, names): names from the question along the CNAME chain to the owner of the address."""


class TlsHello(NamedTuple):
    """A TLS ClientHello (RFC 8446 section 4.1.2)."""

    server_name: str | None
    """As text to show; None when the hello has none or it is no host name."""
    ech: bool
    """It carries an encrypted_client_hello extension (0xfe0d), real or GREASE."""


class Joined(NamedTuple):
    """A client joined the network: it asks for an address without having one, or for routers."""

    via: str
    """dhcp (RFC 2131 section 4.4: from 0.0.0.0), router_solicitation (RFC 4861 section 6.3.7)."""


class Heard(NamedTuple):
    """A message with its sender and receiver."""

    time: int
    source_mac: bytes | None
    destination_mac: bytes | None
    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    message: DnsAnswer | TlsHello | Joined
