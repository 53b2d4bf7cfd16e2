"""Capture files as a source of frames."""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

from sensor.capture.base import BATCH_FRAMES
from sensor.capture.files.container import CaptureFile, Opener
from sensor.capture.files.merge import merged
from sensor.capture.files.stream import STANDARD_INPUT
from sensor.model.frames import FrameBatch


@dataclass(slots=True)
class Stats:
    """What has been read so far."""

    frames: int = 0
    first: int | None = None
    """Earliest time of any frame in nanoseconds since 1970, as the files say."""
    last: int | None = None
    """Latest time of any frame."""
    undecodable: int = 0
    """Records that made no sense or were cut; each ended its file."""
    warnings: list[str] = field(default_factory=list)
    """One line each, naming the file and the offset."""
    bytes_read: int = 0
    """Bytes of the files (packed, where they are gzip) that were read."""
    total_bytes: int | None = None
    """Bytes of all files; None where one of them is a pipe."""


class CaptureFiles:
    """The frames of pcap and pcapng files, plain or gzip, as one sequence in order of time.

    One file keeps its own order; several are merged by the times of their next frames. `-` is standard input; pipes
    can be read. Nothing is opened before the first batch is asked for.
    """

    def __init__(self, paths: Sequence[str | PathLike[str]]) -> None:
        self.paths = [fspath(path) for path in paths]
        self.stats = Stats()

    def batches(self, frames: int = BATCH_FRAMES) -> Iterator[FrameBatch]:
        """Batches of 1 to `frames` frames, each valid until the next is asked for, and all of them once.

        Raises CaptureError with one line that names the file: it cannot be opened, is not a capture, or is broken
        before its first frame. Where it breaks later it ends there, and `stats.warnings` says so.
        """
        self.stats = stats = Stats(total_bytes=_total(self.paths))
        if not self.paths:
            return
        files = Opener(self.paths)
        try:
            for batch in merged(files, frames) if len(files) > 1 else _single(files, frames):
                first, last = int(batch.time.min()), int(batch.time.max())
                stats.first = first if stats.first is None else min(first, stats.first)
                stats.last = last if stats.last is None else max(last, stats.last)
                stats.frames += len(batch)
                stats.bytes_read = files.consumed
                yield batch
        finally:
            files.close_all()
            stats.bytes_read = files.consumed
            stats.warnings = files.warnings
            stats.undecodable = len(files.warnings)


def open_captures(paths: Sequence[str | PathLike[str]]) -> CaptureFiles:
    """The captures at `paths` as one source; they are opened when the first batch is asked for."""
    return CaptureFiles(paths)


def _single(files: Opener, frames: int) -> Iterator[FrameBatch]:
    file: CaptureFile = files.open(0)
    yield from file.batches(frames)
    files.close(file)


def _total(paths: Sequence[str]) -> int | None:
    total = 0
    for path in paths:
        try:
            status = Path(path).stat() if path != STANDARD_INPUT else None
        except (OSError, ValueError):
            return None
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        total += status.st_size
    return total
