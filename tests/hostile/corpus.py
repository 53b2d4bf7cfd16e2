"""Frames to start mutations from: those of the shared captures, or hand-made ones where the folder is absent."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensor.capture.files import CaptureFiles
from sensor.decode.headers import HeaderDecoder
from sensor.model.frames import PADDING, FrameBatch
from tests import captures
from tests.hostile.craft import ROUTER, START, answer, ethernet, hello, ip, tcp, udp

WIDTH = 1600
"""Bytes that are kept of a frame."""

PER_FILE = 60
"""Frames that are taken of each file."""


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

    def batch(self) -> FrameBatch:
        """All of them, as they are."""
        offset = np.arange(len(self), dtype=np.int64) * self.frames.shape[1]
        time = START + np.arange(len(self), dtype=np.int64)
        return FrameBatch(self.frames.reshape(-1), offset, self.captured, self.length, time, self.link)

    def speaking(self) -> NDArray[np.int64]:
        """The rows that may carry a message or wrap one that does."""
        packets = HeaderDecoder().decode(self.batch())
        return packets.row[packets.message]

    def __len__(self) -> int:
        return len(self.captured)


def corpora() -> list[Corpus]:
    """By link type, those with most frames first; always in the same order."""
    found: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
    for path in captures.paths():
        for link, frame, length in first_frames(path, PER_FILE):
            found[link].append((frame, length))
    if not found:
        found[1] = [(frame, len(frame)) for frame in _hand_made()]
    return [_corpus(link, frames) for link, frames in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))]


def first_frames(path: Path, count: int) -> Iterator[tuple[int, bytes, int]]:
    """(link type, at most WIDTH captured bytes, length on the wire) of a capture's first frames."""
    for batch in CaptureFiles([path]).batches(count):
        for row in range(min(count, len(batch))):
            yield batch.link, batch.frame(row)[:WIDTH], int(batch.length[row])
        count -= len(batch)
        if count <= 0:
            return


def _corpus(link: int, frames: list[tuple[bytes, int]]) -> Corpus:
    matrix = np.zeros((len(frames), WIDTH + PADDING), np.uint8)
    for row, (frame, _) in enumerate(frames):
        matrix[row, : len(frame)] = np.frombuffer(frame, np.uint8)
    return Corpus(
        link,
        matrix,
        np.array([len(frame) for frame, _ in frames], np.int64),
        np.array([length for _, length in frames], np.int64),
    )


def _hand_made() -> Iterator[bytes]:
    near, far = b"\x02\0\0\0\0\x07", (bytes([192, 168, 2, 7]), bytes([45, 1, 2, 3]))
    near_six, far_six = bytes.fromhex("fd00" + "00" * 13 + "07"), bytes.fromhex("2a00145000" + "00" * 10 + "09")
    tags = (b"", b"\x81\x00\x00\x07", b"\x88\xa8\x00\x09\x81\x00\x00\x07")
    greeting = hello(b"www.example.org", padding=900)
    payloads = [
        (6, tcp(50_000, 443, flags=2)),
        (6, tcp(50_000, 443, greeting)),
        (6, tcp(53, 50_000, len(answer("a.example", far[1])).to_bytes(2, "big") + answer("a.example", far[1]))),
        (17, udp(53, 50_000, answer("www.example.org", far[1], far_six))),
        (
            17,
            udp(
                50_000,
                4789,
                b"\x08" + bytes(7) + ethernet(near, ROUTER, ip(*far, 17, udp(53, 9, answer("b.c", far[1])))),
            ),
        ),
        (47, b"\0\0\x08\0" + ip(*far, 6, tcp(50_000, 443, greeting))),
        (1, b"\x08\0\0\0" + bytes(56)),
    ]
    for tag in tags:
        for protocol, payload in payloads:
            for ends in (far, (near_six, far_six)):
                yield ethernet(near, ROUTER, ip(*ends, protocol, payload), tags=tag)
                yield ethernet(ROUTER, near, ip(*reversed(ends), protocol, payload), tags=tag)
