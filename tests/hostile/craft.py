"""Frames made by hand, one by one or a million at once, as batches or as a capture file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack

import numpy as np
from numpy.typing import NDArray

from sensor.model.frames import PADDING, FrameBatch

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
"""When all of this happens, ns."""

ROUTER = bytes.fromhex("020000000001")

Values = NDArray[np.int64] | NDArray[np.uint64] | NDArray[np.uint8]
Field = tuple[int, Values]
"""Where it starts in the frame, and what each frame has there: [n, size] bytes."""


def ethernet(source: bytes, destination: bytes, payload: bytes, kind: int | None = None, tags: bytes = b"") -> bytes:
    """A frame; without `kind` the IP version says it."""
    if kind is None:
        kind = 0x86DD if payload[0] >> 4 == 6 else 0x0800
    return destination + source + tags + pack(">H", kind) + payload


def ip(
    source: bytes, destination: bytes, protocol: int, payload: bytes, *, total: int | None = None, frag: int = 0
) -> bytes:
    """An IPv4 or IPv6 packet; `total`: what its length field says; `frag`: the IPv4 flags and fragment offset."""
    if len(source) == 16:
        length = len(payload) if total is None else total
        return pack(">IHBB", 6 << 28, length, protocol, 64) + source + destination + payload
    total = 20 + len(payload) if total is None else total
    return pack(">BBHHHBBH", 0x45, 0, total, 7, frag, 64, protocol, 0) + source + destination + payload


def tcp(near: int, far: int, payload: bytes = b"", *, seq: int = 1, flags: int = 0x18, offset: int = 5) -> bytes:
    """A TCP segment."""
    return pack(">HHIIBBHHH", near, far, seq & 0xFFFF_FFFF, 9, offset << 4, flags, 1000, 0, 0) + payload


def udp(near: int, far: int, payload: bytes = b"") -> bytes:
    """A UDP datagram."""
    return pack(">HHHH", near, far, 8 + len(payload), 0) + payload


def labels(name: str) -> bytes:
    """A domain name as DNS writes it."""
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def answer(name: str, *addresses: bytes, rcode: int = 0, ttl: int = 300) -> bytes:
    """A DNS response: the addresses of a name."""
    records = b"".join(
        b"\xc0\x0c" + pack(">HHIH", 1 if len(each) == 4 else 28, 1, ttl, len(each)) + each for each in addresses
    )
    return pack(">HHHHHH", 77, 0x8180 | rcode, 1, len(addresses), 0, 0) + labels(name) + b"\0\x01\0\x01" + records


def hello(name: bytes, padding: int = 0, alpn: bytes = b"h2") -> bytes:
    """A TLS ClientHello in one record; `padding` as post-quantum key shares make it long."""
    sni = pack(">HBH", len(name) + 3, 0, len(name)) + name
    protocols = pack(">HB", len(alpn) + 1, len(alpn)) + alpn
    extensions = pack(">HH", 21, padding) + bytes(padding) if padding else b""
    extensions += pack(">HH", 0, len(sni)) + sni + pack(">HH", 16, len(protocols)) + protocols
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + pack(">H", len(extensions)) + extensions
    return b"\x16\x03\x01" + pack(">H", len(body) + 4) + b"\x01" + len(body).to_bytes(3, "big") + body


@dataclass
class Traffic:
    """Frames with their times; their bytes may lie in any order in one buffer."""

    buffer: NDArray[np.uint8]
    offset: NDArray[np.int64]
    captured: NDArray[np.int64]
    time: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offset)

    def batches(self, frames: int = 4096) -> Iterator[FrameBatch]:
        """As capture would hand them over."""
        buffer = np.concatenate((self.buffer, np.zeros(PADDING, np.uint8)))
        for start in range(0, len(self), frames):
            rows = slice(start, start + frames)
            captured = self.captured[rows]
            yield FrameBatch(buffer, self.offset[rows], captured, captured.copy(), self.time[rows], 1)

    def save(self, path: Path) -> Path:
        """A pcap file with nanoseconds."""
        heads = np.empty((len(self), 4), "<u4")
        heads[:, 0], heads[:, 1] = np.divmod(self.time, SECOND)
        heads[:, 2] = heads[:, 3] = self.captured
        raw, content = heads.tobytes(), memoryview(self.buffer)
        with path.open("wb") as file:
            file.write(pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
            spots = zip(range(0, len(raw), 16), self.offset.tolist(), self.captured.tolist(), strict=True)
            file.writelines(
                part for at, begin, size in spots for part in (raw[at : at + 16], content[begin : begin + size])
            )
        return path


def some(frames: Sequence[bytes], times: Sequence[int] | NDArray[np.int64]) -> Traffic:
    """Frames one by one."""
    sizes = np.array([len(frame) for frame in frames], np.int64)
    raw = np.frombuffer(b"".join(frames), np.uint8)
    return Traffic(raw, np.cumsum(sizes) - sizes, sizes, np.array(times, np.int64))


def many(template: bytes, times: NDArray[np.int64], *fields: Field) -> Traffic:
    """One frame over and over, but for the fields."""
    frames = np.tile(np.frombuffer(template, np.uint8), (len(times), 1))
    for at, values in fields:
        frames[:, at : at + values.shape[1]] = values
    size = len(template)
    return Traffic(frames.reshape(-1), np.arange(len(times)) * size, np.full(len(times), size), times)


def together(*traffics: Traffic) -> Traffic:
    """All of them by their times."""
    starts = np.cumsum([0, *(len(each.buffer) for each in traffics)])
    time = np.concatenate([each.time for each in traffics])
    order = np.argsort(time, kind="stable")
    offset = np.concatenate([each.offset + start for each, start in zip(traffics, starts, strict=False)])
    captured = np.concatenate([each.captured for each in traffics])
    return Traffic(np.concatenate([each.buffer for each in traffics]), offset[order], captured[order], time[order])


def big_endian(numbers: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """[n, size] bytes."""
    return numbers.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - size :]


def digits(numbers: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """[n, size] decimal digits as text."""
    powers = 10 ** np.arange(size - 1, -1, -1)
    return (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def spread(count: int, seconds: float, start: int = START) -> NDArray[np.int64]:
    """Times of `count` frames, evenly over that many seconds."""
    return start + (np.arange(count) * (seconds * SECOND / max(count, 1))).astype(np.int64)


def public_v4(count: int) -> NDArray[np.uint8]:
    """[count, 4] different global addresses, at most 16 million."""
    return big_endian((45 << 24) + np.arange(count), 4)
