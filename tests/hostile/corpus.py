"""Frames to start mutations from: those of the shared captures, or frames crafted with scapy without that folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensor.capture.files import CaptureFiles
from sensor.decode.headers import HeaderDecoder
from sensor.model.frames import PADDING, FrameBatch
from tests import captures
from tests.hostile.craft import START, answer, hello

WIDTH = 1600
"""Bytes that are kept of a frame."""

PER_FILE = 60
"""Frames that are taken of each file: the first ones, where handshakes and questions are."""


@dataclass
class Corpus:
    """`n` frames of one link type."""

    link: int
    frames: NDArray[np.uint8]
    """[n, WIDTH + PADDING] bytes."""
    captured: NDArray[np.int64]
    """[n] how many of them count."""
    length: NDArray[np.int64]
    """[n] length on the wire."""

    def __len__(self) -> int:
        return len(self.captured)

    def batch(self) -> FrameBatch:
        """All of them, as they are."""
        offset = np.arange(len(self), dtype=np.int64) * self.frames.shape[1]
        time = START + np.arange(len(self), dtype=np.int64)
        return FrameBatch(self.frames.reshape(-1), offset, self.captured, self.length, time, self.link)

    @cached_property
    def speaking(self) -> NDArray[np.int64]:
        """The rows that may carry a message, or wrap one that does."""
        packets = HeaderDecoder().decode(self.batch())
        return packets.row[packets.message]


def corpora() -> list[Corpus]:
    """By link type, those with most frames first; always in the same order."""
    found = [frame for path in captures.paths() for frame in first_frames(path, PER_FILE)]
    return by_link(found or [(link, frame, len(frame)) for link, frames in crafted().items() for frame in frames])


Frame = tuple[int, bytes, int]
"""(link type, at most WIDTH captured bytes, length on the wire)."""


def first_frames(path: Path, count: int) -> Iterator[Frame]:
    """Of a capture, as many as it has."""
    for batch in CaptureFiles([path]).batches(count):
        for row in range(min(count, len(batch))):
            yield batch.link, batch.frame(row)[:WIDTH], int(batch.length[row])
        count -= len(batch)
        if count <= 0:
            return


def by_link(frames: Iterable[Frame]) -> list[Corpus]:
    """One corpus for each link type, the largest first."""
    found: dict[int, list[tuple[bytes, int]]] = {}
    for link, frame, length in frames:
        found.setdefault(link, []).append((frame, length))
    return [_corpus(link, some) for link, some in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))]


def _corpus(link: int, frames: list[tuple[bytes, int]]) -> Corpus:
    matrix = np.zeros((len(frames), WIDTH + PADDING), np.uint8)
    for row, (frame, _) in enumerate(frames):
        matrix[row, : len(frame)] = np.frombuffer(frame, np.uint8)
    captured = np.array([len(frame) for frame, _ in frames], np.int64)
    return Corpus(link, matrix, captured, np.array([length for _, length in frames], np.int64))


def crafted() -> dict[int, list[bytes]]:
    """Link type -> frames: DNS, TLS, fragments, tags, tunnels and extension headers."""
    from scapy.contrib.mpls import MPLS
    from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, fragment
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
    from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
    from scapy.layers.ppp import PPP, PPPoE
    from scapy.layers.vxlan import VXLAN

    # Without both addresses scapy asks the network for them.
    ether = Ether(src="02:00:00:00:00:07", dst="02:00:00:00:00:01")
    name = answer("www.example.com", bytes([52, 1, 2, 3]), bytes.fromhex("2a001450" + "00" * 11 + "09"))
    greeting = hello(b"www.example.com", padding=300)
    transports = [
        TCP(flags="S"), TCP(flags="SA"), TCP(dport=443) / greeting,
        TCP(sport=53) / (len(name).to_bytes(2, "big") + name),
        UDP(sport=53) / name, UDP(dport=443) / bytes(100), ICMP(), GRE() / IP() / UDP(sport=53) / name,
        UDP(dport=4789) / VXLAN() / ether / IP() / TCP(dport=443) / greeting,
    ]  # fmt: skip
    ips = [IP(src="192.168.1.2", dst="52.1.2.3"), IP(src="52.1.2.3", dst="192.168.1.2")]
    head = IPv6(src="fd00::2", dst="2a00:1450::1")
    ips += [
        head,
        *(head / more for more in (IPv6ExtHdrHopByHop(), IPv6ExtHdrFragment(offset=0, m=1), IPv6ExtHdrRouting())),
    ]
    links = [ether, ether / Dot1Q(vlan=20), ether / Dot1AD(vlan=1) / Dot1Q(vlan=2), ether / MPLS(label=3)]
    links.append(ether / PPPoE(sessionid=1) / PPP())
    frames = [bytes(link / packet / transport) for link in links for packet in ips for transport in transports]
    frames += [bytes(ether / part) for part in fragment(ips[0] / UDP() / bytes(3000), 1000)]
    frames.append(bytes(ether / ARP()))
    raw = [bytes(packet / transport) for packet in ips for transport in transports]
    cooked = [bytes.fromhex("00000001000602030405060700000800") + packet for packet in raw]
    return {1: frames, 101: raw, 113: cooked}
