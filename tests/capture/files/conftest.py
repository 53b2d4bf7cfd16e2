"""Builders of capture files, byte by byte."""

import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

from sensor.capture.files import CaptureFiles, open_captures
from sensor.model.frames import HEAD

Frame = tuple[int, bytes]
"""(time in nanoseconds, bytes)"""


class Build:
    """Capture files from frames."""

    @staticmethod
    def pcap(
        frames: Iterable[Frame], order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1, head: bytes = b""
    ) -> bytes:
        tick = 1 if magic in (0xA1B23C4D, 0x1C0001AC) else 1000
        out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)]
        if magic in (0x1C0001AC, 0x1C0001AB):
            out.append(bytes(4))
        extra = bytes(8) if magic == 0xA1B2CD34 else b""
        for time, data in frames:
            seconds, rest = divmod(time, 10**9)
            out.append(struct.pack(order + "IIII", seconds, rest // tick, len(data), len(data)) + extra + data)
        return b"".join(out)

    @staticmethod
    def block(kind: int, body: bytes, order: str = "<") -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    @classmethod
    def section(cls, order: str = "<") -> bytes:
        return cls.block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)

    @classmethod
    def interface(cls, link: int = 1, options: bytes = b"", order: str = "<", snap: int = 0) -> bytes:
        return cls.block(1, struct.pack(order + "HHI", link, 0, snap) + options, order)

    @classmethod
    def packet(cls, ticks: int, data: bytes, number: int = 0, order: str = "<", captured: int | None = None) -> bytes:
        captured = len(data) if captured is None else captured
        head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, captured, len(data))
        return cls.block(6, head + data, order)

    @classmethod
    def pcapng(cls, frames: Iterable[Frame], order: str = "<", link: int = 1) -> bytes:
        packets = (cls.packet(time // 1000, data, order=order) for time, data in frames)
        return cls.section(order) + cls.interface(link, order=order) + b"".join(packets)


@pytest.fixture
def build() -> type[Build]:
    return Build


class Reading:
    """A capture read to its end."""

    def __init__(self, source: CaptureFiles, frames: int = 4096) -> None:
        self.frames: list[Frame] = []
        self.lengths: list[int] = []
        self.links: list[int] = []
        self.batches = 0
        for batch in source.batches(frames):
            assert 1 <= len(batch) <= frames
            self.batches += 1
            for row in range(len(batch)):
                assert int(batch.offset[row]) + 256 <= len(batch.buffer)
                self.frames.append((int(batch.time[row]), batch.frame(row)))
                if batch.heads is not None:
                    assert bytes(batch.heads[row]) == bytes(batch.buffer[int(batch.offset[row]) :][:HEAD])
            self.lengths += batch.length.tolist()
            self.links += [batch.link] * len(batch)
        self.stats = source.stats
        assert self.stats.frames == len(self.frames)


@pytest.fixture
def read(tmp_path: Path):
    """Read bytes as one file, or lists of bytes as several."""

    def read(*contents: bytes, frames: int = 4096) -> Reading:
        paths = []
        for index, content in enumerate(contents):
            path = tmp_path / f"{index}.pcap"
            path.write_bytes(content)
            paths.append(path)
        return Reading(open_captures(paths), frames)

    return read
