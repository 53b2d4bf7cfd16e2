"""Several captures as one, in order of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensor.capture.files.container import CaptureFile, Opener
from sensor.capture.files.window import cut
from sensor.model.frames import FrameBatch

_ROUND = 4096
"""Frames of one file that wait to be merged."""


@dataclass(slots=True)
class _Pending:
    """What is read of an open file and not yet handed over."""

    number: int
    file: CaptureFile
    rest: Iterator[FrameBatch]
    batch: FrameBatch
    keys: NDArray[np.int64]
    """Each frame's turn: the latest time in the file so far, so that the file's own order is kept."""
    next: int = 0

    def refill(self) -> bool:
        """Read the next frames; False at the end of the file."""
        batch = next(self.rest, None)
        if batch is None:
            return False
        self.keys = np.maximum.accumulate(np.maximum(batch.time, self.keys[-1]))
        self.batch, self.next = batch, 0
        return True

    def until(self, key: int, number: int) -> slice:
        """The rows whose turn is before (key, number), or is just that."""
        end = np.searchsorted(self.keys, key, side="right" if self.number <= number else "left")
        return slice(self.next, int(end))


def merged(files: Opener, frames: int) -> Iterator[FrameBatch]:
    """The frames of all files, always from the file whose next frame is earliest; ties go to the earlier file.

    The order within a file is never changed. A file is opened when the first of its frames is due.
    """
    waiting = sorted(_heads(files), key=lambda head: head[:2])
    active: list[_Pending] = []
    while waiting or active:
        # Nothing unread can come before this: every file's next frames come after the last that is read of it.
        horizon = min(((int(one.keys[-1]), one.number) for one in active), default=None)
        if horizon is None or (waiting and waiting[0][:2] < horizon):
            _, number, pending = waiting.pop(0)
            if pending := pending or _begin(files, number):
                active.append(pending)
                active.sort(key=lambda one: one.number)
            continue
        yield from _round(active, horizon, frames)
        for one in [one for one in active if one.next == len(one.keys)]:
            if not one.refill():
                active.remove(one)
                files.close(one.file)


def _heads(files: Opener) -> Iterator[tuple[int, int, _Pending | None]]:
    """(time of the first frame, number, the file itself if it can be read only once) of each file."""
    for number in range(len(files)):
        one = _begin(files, number)
        if one is None:
            continue
        if one.file.stream.regular:
            files.close(one.file)
            yield int(one.keys[0]), number, None
        else:
            yield int(one.keys[0]), number, one


def _begin(files: Opener, number: int) -> _Pending | None:
    """None: there are no frames in it, and it is closed."""
    file = files.open(number)
    rest = file.batches(_ROUND)
    batch = next(rest, None)
    if batch is None:
        files.close(file)
        return None
    return _Pending(number, file, rest, batch, np.maximum.accumulate(batch.time))


def _round(active: list[_Pending], last: tuple[int, int], frames: int) -> Iterator[FrameBatch]:
    """Hand over all rows whose turn (key, file number) is not after `last`; there is one at least."""
    parts = [(one, rows) for one in active if (rows := one.until(*last)).stop > rows.start]
    for one, rows in parts:
        one.next = rows.stop
    if len(parts) == 1:
        one, rows = parts[0]
        offset, captured, length, time, links = _columns(one.batch, rows)
    else:
        # `active` is in order of file numbers, so a stable sort lets the earlier file win ties.
        order = np.argsort(np.concatenate([one.keys[rows] for one, rows in parts]), kind="stable")
        pieces = zip(*(_columns(one.batch, rows) for one, rows in parts), strict=True)
        offset, captured, length, time, links = (np.concatenate(piece)[order] for piece in pieces)
    buffer = parts[0][0].batch.buffer
    edges = np.flatnonzero(links[1:] != links[:-1]) + 1
    for low, high in pairwise((0, *edges.tolist(), len(links))):
        run = slice(low, high)
        yield from cut(FrameBatch(buffer, offset[run], captured[run], length[run], time[run], int(links[low])), frames)


def _columns(batch: FrameBatch, rows: slice) -> tuple[NDArray[np.int64], ...]:
    links = np.full(rows.stop - rows.start, batch.link, np.int64)
    return batch.offset[rows], batch.captured[rows], batch.length[rows], batch.time[rows], links
