"""Frames between a phone, its router and servers, made by hand; as batches, as capture files, through a pipeline."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from struct import pack

import numpy as np

from sensor.account.ledger import Limits
from sensor.account.locality import Local
from sensor.account.snapshot import Destinations
from sensor.base.addresses import address_text, parse_address
from sensor.base.times import SECOND
from sensor.base.units import Duration
from sensor.detect.base import Facts
from sensor.detect.engine import Engine
from sensor.detect.rules.watchlist import Settings, Watchlist
from sensor.detect.watch import Watch
from sensor.enrich.names import NameBook
from sensor.model.alert import Alert, AlertClient
from sensor.model.destination import Destination, Place
from sensor.model.frames import FrameBatch
from sensor.pipeline import Pipeline
from tests.decode.batches import batch_of

PHONE, TABLET, ROUTER = (bytes.fromhex(mac) for mac in ("6038e0c535a0", "640980000002", "02feed000001"))
HOME, HOME_TOO, GATEWAY = "192.168.1.9", "192.168.1.10", "192.168.1.1"
HOME_SIX, FAR_SIX = "fd00::9", "2400:3200::1"
FAR, FAR_TOO = "42.62.48.10", "5.6.7.8"
"""Two servers that are far enough to be destinations."""

START = 1_700_000_000 * SECOND
SYN, ACK, PUSH = 0x02, 0x10, 0x18

Timed = tuple[int, bytes]
"""(seconds after START, in ns; frame)."""


def ethernet(source: str, destination: str, packet: bytes, macs: tuple[bytes, bytes] = (PHONE, ROUTER)) -> bytes:
    """`macs`: of sender and receiver."""
    return macs[1] + macs[0] + (b"\x86\xdd" if ":" in source else b"\x08\x00") + packet


def ip(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """IPv6 where the addresses are."""
    ends = parse_address(source) + parse_address(destination)
    if len(ends) == 32:
        return pack(">IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload
    return pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0x4000, 64, protocol, 0) + ends + payload


def tcp(
    source: str,
    destination: str,
    payload: bytes = b"",
    *,
    ports: tuple[int, int] = (40_000, 443),
    sequence: int = 0,
    flags: int = PUSH,
    macs: tuple[bytes, bytes] = (PHONE, ROUTER),
) -> bytes:
    header = pack(">HHIIBBHHH", *ports, sequence, 9, 5 << 4, flags, 1000, 0, 0)
    return ethernet(source, destination, ip(source, destination, 6, header + payload), macs)


def udp(
    source: str,
    destination: str,
    payload: bytes = b"",
    *,
    ports: tuple[int, int] = (40_000, 9999),
    macs: tuple[bytes, bytes] = (PHONE, ROUTER),
) -> bytes:
    header = pack(">HHHH", *ports, 8 + len(payload), 0)
    return ethernet(source, destination, ip(source, destination, 17, header + payload), macs)


def answer(name: str, *addresses: str, to: str = HOME, macs: tuple[bytes, bytes] = (ROUTER, PHONE)) -> bytes:
    """The router's DNS answer to a client of the house."""
    return udp(GATEWAY, to, dns(name, *addresses), ports=(53, 40_000), macs=macs)


def dns(name: str, *addresses: str, ttl: int = 60) -> bytes:
    """A DNS response: addresses as A or AAAA, anything else as the CNAME of what was before."""
    message = pack(">6H", 1, 0x8180, 1, len(addresses), 0, 0) + _labels(name) + b"\0\1\0\1"
    owner = name
    for each in addresses:
        if each.replace(".", "").isdigit() or ":" in each:
            data = parse_address(each)
            kind = 1 if len(data) == 4 else 28
        else:
            data, kind = _labels(each), 5
        message += _labels(owner) + pack(">HHIH", kind, 1, ttl, len(data)) + data
        owner = each if kind == 5 else owner
    return message


def hello(name: str, padding: int = 0) -> bytes:
    """A TLS ClientHello, its server name before `padding` bytes of another extension."""
    entry = b"\0" + pack(">H", len(name)) + name.encode()
    extensions = pack(">HHH", 0, len(entry) + 2, len(entry)) + entry + pack(">HH", 51, padding) + bytes(padding)
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + pack(">H", len(extensions)) + extensions
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + pack(">H", len(message)) + message


def at_once(*frames: bytes) -> list[Timed]:
    """All within one millisecond."""
    return [(at * 1000, frame) for at, frame in enumerate(frames)]


def batch(frames: Sequence[Timed]) -> FrameBatch:
    made = batch_of([frame for _, frame in frames])
    made.time = np.array([START + time for time, _ in frames], np.int64)
    return made


def batches(frames: Sequence[Timed], size: int = 4096) -> Iterable[FrameBatch]:
    return (batch(frames[at : at + size]) for at in range(0, len(frames), size))


def pcap(path: Path, frames: Sequence[Timed], *, link: int = 1) -> Path:
    """A capture file with nanoseconds."""
    content = pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, link)
    for time, frame in frames:
        content += pack("<IIII", *divmod(START + time, SECOND), len(frame), len(frame)) + frame
    path.write_bytes(content)
    return path


LONG = hello("api.io.mi.com", padding=1700)
"""As long as a post-quantum hello: it takes two segments."""


def opening(pieces: Sequence[tuple[int, bytes]], *, port: int = 40_000, syn: bool = True) -> list[bytes]:
    """A SYN, then pieces of the stream by where they begin."""
    start = 0xFFFF_FFFF - 5  # wraps within the hello
    first = [tcp(HOME, FAR, flags=SYN, sequence=start, ports=(port, 443))] if syn else []
    return first + [tcp(HOME, FAR, data, sequence=(start + 1 + at) % 2**32, ports=(port, 443)) for at, data in pieces]


CUTS = {
    "in order": [(0, LONG[:1400]), (1400, LONG[1400:])],
    "out of order": [(1400, LONG[1400:]), (0, LONG[:1400])],
    "three pieces, the first one last": [(1400, LONG[1400:]), (700, LONG[700:1400]), (0, LONG[:700])],
    "byte by byte at first": [(0, LONG[:1]), (1, LONG[1:2]), (2, LONG[2:9]), (9, LONG[9:])],
    "sent twice": [(0, LONG[:1400]), (0, LONG[:1400]), (1400, LONG[1400:])],
}


def scenario() -> list[Timed]:
    """A little of everything over some seconds, some of it late or out of order."""
    frames = [(0, answer("api.io.mi.com", "edge.cdn.net", FAR))]
    frames += [(3 + at, frame) for at, frame in enumerate(opening(CUTS["out of order"]))]
    frames += at_once(tcp(HOME_SIX, FAR_SIX, hello("six.example")), udp(HOME, "224.0.0.251", bytes(50)))
    frames += [(SECOND, answer("tab.example", FAR_TOO, to=HOME_TOO, macs=(ROUTER, TABLET)))]
    for second in range(1, 6):
        frames.append((second * SECOND + 7, tcp(HOME_TOO, FAR_TOO, bytes(second), macs=(TABLET, ROUTER))))
        frames += [(second * SECOND + 9 + far, udp(HOME, f"5.6.7.{far}", bytes(far))) for far in range(second, 9)]
        frames.append((second * SECOND - 1000, tcp(FAR, HOME, bytes(900), ports=(443, 40_000), macs=(ROUTER, PHONE))))
        frames.append((second * SECOND, b"\0" * 9))
    frames.append((900 * SECOND, tcp(HOME, FAR, ports=(40_001, 443))))
    frames.append((7 * SECOND, tcp(HOME, FAR, ports=(40_002, 443))))
    return frames


class Atlas:
    """Places by address, for tests."""

    def __init__(self, **countries: str) -> None:
        self.places = {parse_address(address): Place(country=country) for address, country in countries.items()}
        self.asked: list[str] = []

    def lookup(self, address: bytes) -> Place:
        self.asked.append(address_text(address))
        return self.places.get(address, Place())


def pipeline(
    *,
    watch: Watch | None = None,
    alerts: Callable[[Alert], None] = lambda _: None,
    atlas: Atlas | None = None,
    limits: Limits | None = None,
    quiet: str = "10m",
) -> Pipeline:
    """A pipeline with a name book, and the watchlist where there is a watch."""
    facts = Facts(lambda identity: AlertClient(identity, identity, None, None, ()), (watch,) if watch else ())
    return Pipeline(
        places=atlas or Atlas(),
        names=NameBook(),
        engine=Engine([Watchlist(Settings(resolve_after=Duration(quiet)), facts)]),
        local=Local(),
        limits=limits or Limits(),
        on_alert=alerts,
    )


def destinations(of: Pipeline) -> dict[tuple[str, str], Destination]:
    """(client id, address) -> destination."""
    return {(each.client, each.address): each for each in Destinations(of.ledger, of.now)}


def names(of: Pipeline) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(client id, address) -> (name, source) of those that have a name, best first."""
    return {ends: [tuple(name) for name in each.names] for ends, each in destinations(of).items() if each.names}


def _labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
