"""Frames between one client, the router and one far end, each with the time at which it passes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from struct import pack

from sensor.base.addresses import parse_address
from tests.frames import dns, hello

Timed = tuple[int, bytes]
"""(ns since 1970, frame)."""

ROUTER = bytes.fromhex("02feed000001")
ROUTER_ADDRESSES = {"4": "192.168.1.1", "6": "fd1d:1e::1"}

MS = 1_000_000
TRIP = 20 * MS
"""From the sensor to the far end and back."""

FIN, SYN, PUSH, ACK = 0x01, 0x02, 0x08, 0x10
SEGMENT, DATAGRAM, QUIC_ACK = 1400, 1200, 40
_FILL = bytes(65_536)
_parsed = lru_cache(1_024)(parse_address)


@dataclass(frozen=True, slots=True)
class Ends:
    """Who talks to whom."""

    mac: bytes
    own: str
    far: str
    ports: tuple[int, int]

    def sent(self, protocol: int, transport: bytes) -> bytes:
        """A frame of the client."""
        return ROUTER + self.mac + _packet(self.own, self.far, protocol, transport)

    def received(self, protocol: int, transport: bytes) -> bytes:
        """A frame of the far end."""
        return self.mac + ROUTER + _packet(self.far, self.own, protocol, transport)


@dataclass(frozen=True, slots=True)
class Talk:
    """What one exchange is to be."""

    start: int
    span: int
    """ns from the start to the last packet that carries `up` or `down`."""
    up: int
    down: int
    name: str = ""
    """In its TLS hello; empty: no hello."""
    segment: int = SEGMENT
    loss: float = 0.0
    download: bool = False
    """`down` is what takes the time, and is asked for by `up`."""
    decoy: str = ""
    """What the client sends behind the hello, and nobody receives: a "segment" of one byte, a "syn"."""
    decoy_ahead: int = 0
    """How far ahead its number is."""


class Stream:
    """One TCP connection."""

    def __init__(self, ends: Ends, random: Random) -> None:
        self._ends = ends
        self._sent, self._received = random.getrandbits(32), random.getrandbits(32)

    def up(self, payload: bytes = b"", flags: int = ACK) -> bytes:
        frame = self.peek(payload, flags)
        self._sent = (self._sent + len(payload) + bool(flags & (SYN | FIN))) % 2**32
        return frame

    def peek(self, payload: bytes, flags: int) -> bytes:
        """The frame, which is not counted as sent."""
        return self._ends.sent(6, _segment(*self._ends.ports, self._sent, self._received, flags, payload))

    def decoy(self, talk: Talk) -> bytes:
        """A frame as if the connection were much further, or another one."""
        flags, payload = (SYN, b"") if talk.decoy == "syn" else (ACK | PUSH, b"x")
        number = (self._sent + talk.decoy_ahead) % 2**32
        return self._ends.sent(6, _segment(*self._ends.ports, number, self._received, flags, payload))

    def down(self, payload: bytes = b"", flags: int = ACK) -> bytes:
        own, far = self._ends.ports
        frame = self._ends.received(6, _segment(far, own, self._received, self._sent, flags, payload))
        self._received = (self._received + len(payload) + bool(flags & (SYN | FIN))) % 2**32
        return frame


def asked(ends: Ends, router: str, name: str, start: int, kind: int) -> Iterator[Timed]:
    """The client asks the router for the far end's address. `kind`: 1 is A, 28 is AAAA."""
    question = pack(">6H", 1, 0x0100, 1, 0, 0, 0)
    question += (
        b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + pack(">HH", kind, 1)
    )
    local = Ends(ends.mac, ends.own, router, (ends.ports[0], 53))
    yield start, local.sent(17, _datagram(ends.ports[0], 53, question))
    yield start + 5 * MS, local.received(17, _datagram(53, ends.ports[0], dns(name, ends.far)))


def tcp(ends: Ends, talk: Talk, random: Random) -> Iterator[Timed]:
    """A whole connection."""
    stream, at = Stream(ends, random), talk.start
    yield from opened(stream, at, talk.name)
    if talk.decoy:
        yield at + TRIP + 3 * MS, stream.decoy(talk)
    first, last = at + 2 * TRIP, max(at + talk.span, at + 2 * TRIP)
    if talk.download:
        for piece in pieces(talk.up, talk.segment):
            yield first, stream.up(piece, ACK | PUSH)
        yield from _carried(stream, talk, first + TRIP, max(last, first + TRIP), random, up=False)
        last = max(last, first + TRIP)
    else:
        yield from _carried(stream, talk, first, last, random, up=True)
        for number, piece in enumerate(pieces(talk.down, SEGMENT)):
            last = max(last, last + (TRIP if not number else MS))
            yield last, stream.down(piece, ACK | PUSH)
            if number % 2:
                yield last, stream.up()
    yield last + TRIP, stream.up(flags=FIN | ACK)
    yield last + 2 * TRIP, stream.down(flags=FIN | ACK)
    yield last + 2 * TRIP + MS, stream.up()


def opened(stream: Stream, start: int, name: str) -> Iterator[Timed]:
    """The handshake; it takes two trips."""
    yield start, stream.up(flags=SYN)
    yield start + TRIP, stream.down(flags=SYN | ACK)
    yield start + TRIP + MS, stream.up()
    if name:
        yield start + TRIP + 2 * MS, stream.up(hello(name, 300), ACK | PUSH)


def shaken(ends: Ends, talk: Talk, random: Random) -> Iterator[Timed]:
    """A connection that is opened and closed; the server shows its certificate (`down` bytes) where there is TLS."""
    stream = Stream(ends, random)
    yield from opened(stream, talk.start, talk.name)
    at = talk.start + 2 * TRIP
    for piece in pieces(talk.down if talk.name else 0, SEGMENT):
        yield at, stream.down(piece, ACK | PUSH)
    yield at + TRIP, stream.up(flags=FIN | ACK)
    yield at + 2 * TRIP, stream.down(flags=FIN | ACK)
    yield at + 2 * TRIP + MS, stream.up()


def kept_alive(ends: Ends, talk: Talk, random: Random, beats: Iterator[int]) -> Iterator[Timed]:
    """One connection that stays open; at each of `beats` (ns) `up` bytes go and `down` bytes come."""
    stream = Stream(ends, random)
    yield from opened(stream, talk.start, talk.name)
    for beat in beats:
        yield beat + 2 * TRIP, stream.up(_FILL[: talk.up], ACK | PUSH)
        yield beat + 3 * TRIP, stream.down(_FILL[: talk.down], ACK | PUSH)
        yield beat + 3 * TRIP + MS, stream.up()


def udp(ends: Ends, talk: Talk, random: Random) -> Iterator[Timed]:
    """Datagrams; of a download the client acknowledges every other one by a short datagram."""
    own, far = ends.ports
    first, last = talk.start + 2 * TRIP, max(talk.start + talk.span, talk.start + 2 * TRIP)
    if talk.download:
        for piece in pieces(talk.up, talk.segment):
            yield first, ends.sent(17, _datagram(own, far, piece))
        first, last = first + TRIP, max(last, first + TRIP)
        for number, (at, piece) in enumerate(spaced(talk.down, talk.segment, first, last)):
            yield at, ends.received(17, _datagram(far, own, piece))
            if number % 2:
                yield at, ends.sent(17, _datagram(own, far, _FILL[:QUIC_ACK]))
        return
    for number, (at, piece) in enumerate(spaced(talk.up, talk.segment, first, last)):
        for _ in range(_copies(random, talk.loss)):
            yield at, ends.sent(17, _datagram(own, far, piece))
        if number % 2:
            yield at, ends.received(17, _datagram(far, own, _FILL[:QUIC_ACK]))
    for piece in pieces(talk.down, DATAGRAM):
        yield last + TRIP, ends.received(17, _datagram(far, own, piece))


def plain_ip(ends: Ends, talk: Talk, protocol: int) -> Iterator[Timed]:
    """Packets of a protocol without ports, such as ESP (50)."""
    first, last = talk.start + 2 * TRIP, max(talk.start + talk.span, talk.start + 2 * TRIP)
    for at, piece in spaced(talk.up, talk.segment, first, last):
        yield at, ends.sent(protocol, piece)
    for piece in pieces(talk.down, talk.segment):
        yield last + TRIP, ends.received(protocol, piece)


def joined(mac: bytes, start: int, family: str) -> Iterator[Timed]:
    """What a client sends when it joins: a DHCP request (RFC 2131), a router solicitation (RFC 4861)."""
    if family == "4":
        request = pack(">4BIHH", 1, 1, 6, 0, 7, 0, 0) + bytes(16) + mac + bytes(202) + b"\x63\x82\x53\x63\x35\1\3\xff"
        yield start, b"\xff" * 6 + mac + _packet("0.0.0.0", "255.255.255.255", 17, _datagram(68, 67, request))
    else:
        solicitation = pack(">BBHI", 133, 0, 0, 0)
        yield start, b"\x33\x33\0\0\0\2" + mac + _packet("fe80::1", "ff02::2", 58, solicitation)


def spaced(total: int, size: int, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """`total` bytes in pieces of `size`, evenly from `first` to `last` ns."""
    count = -(-total // size)
    for number, piece in enumerate(pieces(total, size)):
        yield first + (last - first) * number // max(1, count - 1), piece


def pieces(total: int, size: int) -> Iterator[bytes]:
    """`total` bytes in pieces of `size`; the last one may be shorter."""
    whole, rest = divmod(total, size)
    for _ in range(whole):
        yield _FILL[:size]
    if rest:
        yield _FILL[:rest]


def _carried(stream: Stream, talk: Talk, first: int, last: int, random: Random, *, up: bool) -> Iterator[Timed]:
    """The part of a connection that takes the time; the other side acknowledges every other segment."""
    for number, (at, piece) in enumerate(spaced(talk.up if up else talk.down, talk.segment, first, last)):
        if up:
            for _ in range(_copies(random, talk.loss) - 1):
                yield at, stream.peek(piece, ACK | PUSH)
            yield at, stream.up(piece, ACK | PUSH)
        else:
            yield at, stream.down(piece, ACK | PUSH)
        if number % 2:
            yield at, stream.down() if up else stream.up()


def _copies(random: Random, loss: float) -> int:
    """How often a packet is sent until one arrives."""
    count = 1
    while loss and count < 100 and random.random() < loss:
        count += 1
    return count


def _packet(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """With its EtherType."""
    ends = _parsed(source) + _parsed(destination)
    if len(ends) == 32:
        return b"\x86\xdd" + pack(">IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload
    return b"\x08\x00" + pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0x4000, 64, protocol, 0) + ends + payload


def _segment(own: int, far: int, sequence: int, acknowledged: int, flags: int, payload: bytes) -> bytes:
    return (
        pack(">HHIIBBHHH", own, far, sequence, acknowledged if flags & ACK else 0, 5 << 4, flags, 1000, 0, 0) + payload
    )


def _datagram(own: int, far: int, payload: bytes) -> bytes:
    return pack(">HHHH", own, far, 8 + len(payload), 0) + payload
