"""Finds where the records of a capture start: each one's length leads to the next."""

import mmap
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensor.capture.files.window import MAX_RECORD, Memory

PLAIN_RECORDS = 1 << 14
"""Most records that one plain walk finds, so that its lists stay small even for records of 16 bytes."""

LANES = 256
"""Most lanes that walk side by side: enough to hide what a numpy call costs."""

LANE_RECORDS = 80
"""Records that a lane should find: finding its start costs as much as walking some ten."""

LANE_STEPS = 256
"""Steps after which the lanes stop, finished or not: bounds memory, and work where frames are uneven."""

SYNC_TRIES = 8
"""Places that may look like a record's start before a lane is left out."""

TRUST = 4
"""Walks whose lanes may fail before a file is walked plainly to its end."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How to get from a record to the next."""

    order: str
    """"<" or ">"."""
    length_at: int
    """Where in a record its 32-bit length field is."""
    head: int
    """What to add to that length for the distance to the next record."""
    mark_at: int
    """Where in a record bytes are that nearly all its neighbours share ..."""
    mark: int
    """... and how many: what a guess at a record's start goes by."""


class Chain:
    """The records in `memory`.

    `walk` is exact for any bytes. Where the stretch is long it lets many lanes walk in lockstep, each from a guessed
    start. The first lane's start is no guess, and a lane counts only if the one before ended exactly at its start.
    """

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self._map = memory.map
        self._layout = layout
        field = np.dtype(layout.order + "u4")
        at = layout.length_at
        self._length: NDArray[np.uint32] = np.ndarray((len(memory.map) - at - 3,), field, memory.map, at, (1,))
        kind = np.dtype(f"u{layout.mark}")
        at = layout.mark_at
        self._marks: NDArray[np.unsignedinteger[Any]] = np.ndarray(
            (len(memory.map) - at - layout.mark + 1,), kind, memory.map, at, (1,)
        )
        self._mean = 512
        self._trust = TRUST

    def walk(self, low: int, high: int, limit: int = PLAIN_RECORDS) -> tuple[NDArray[np.int64], int]:
        """Starts of the records that lie wholly in low:high, from the first on, and where the next starts.

        As many as it sees fit, but one at least if there is one. Lengths are followed, not judged: what comes after
        a record that cannot be is meaningless, and such a record may lead back to itself.
        """
        lanes = min((high - low) // (self._mean * LANE_RECORDS), LANES)
        if lanes < 8 or not self._trust or limit < PLAIN_RECORDS:
            starts, end = plain_walk(self._map, self._layout, low, high, limit)
        else:
            starts, end = self._walk_lanes(self._sync(low, high, lanes), high)
            if len(starts) < lanes * 4:
                self._trust -= 1
                starts, end = plain_walk(self._map, self._layout, low, high, limit)
            elif self._trust < TRUST:
                self._trust += 1
        if len(starts):
            self._mean = max((end - low) // len(starts), 16)
        return starts, end

    def _sync(self, low: int, high: int, lanes: int) -> NDArray[np.int64]:
        """`low`, and ascending guesses at later starts, at most one in each lane's share of the stretch."""
        find, at = self._map.find, self._layout.mark_at
        mark = self._map[low + at : low + at + self._layout.mark]
        step = (high - low) // lanes
        begins = range(low + step + at, low + step * lanes + at, step)
        found = np.array([find(mark, begin, begin + step) for begin in begins], np.int64)
        for _ in range(SYNC_TRIES):
            doubtful = np.flatnonzero(found >= 0)
            doubtful = doubtful[~self._plausible(found[doubtful] - at, high, self._marks[low])]
            if not len(doubtful):
                break
            found[doubtful] = [find(mark, int(found[i]) + 1, begins[i] + step) for i in doubtful]
        else:
            found[doubtful] = -1
        return np.concatenate(([low], found[found >= 0] - at))

    def _plausible(self, starts: NDArray[np.int64], high: int, mark: np.unsignedinteger[Any]) -> NDArray[np.bool_]:
        """For each of `starts`, which all bear the mark, whether two more that bear it seem to follow."""
        good = np.ones(len(starts), np.bool_)
        for _ in range(2):
            size = self._length[starts]
            following = starts + self._layout.head + size
            good &= (size <= MAX_RECORD) & (following < high - 16)
            starts = np.where(good, following, starts)
            good &= self._marks[starts] == mark
        return good

    def _walk_lanes(self, starts: NDArray[np.int64], high: int) -> tuple[NDArray[np.int64], int]:
        stops = np.append(starts[1:], high)
        rows = np.empty((LANE_STEPS + 1, len(starts)), np.int64)
        rows[0] = current = starts
        head, length, over = self._layout.head, self._length, high + 1
        steps = 0
        for steps in range(1, LANE_STEPS + 1):
            following = length[current] + current
            following += head
            current = np.minimum(following, over, out=rows[steps])
            if not steps & 7 and (current >= stops).all():
                break
        inside = (rows[:steps] < stops) & (rows[1 : steps + 1] <= stops)
        counts = inside.sum(0)
        ends = rows[counts, np.arange(len(starts))]
        missed = np.flatnonzero(ends != stops)
        last = int(missed[0]) if len(missed) else len(starts) - 1
        found = rows[:steps, : last + 1].T[inside[:, : last + 1].T]
        return found, int(ends[last])


def plain_walk(memory: mmap.mmap, layout: Layout, low: int, high: int, limit: int) -> tuple[NDArray[np.int64], int]:
    """What `Chain.walk` promises, one record after the other."""
    length = Struct(layout.order + "I").unpack_from
    at, head = layout.length_at, layout.head
    starts: list[int] = []
    append = starts.append
    position = low
    last = high - at - 4
    for _ in range(limit):
        if position > last:
            break
        following = position + head + length(memory, position + at)[0]
        if following > high:
            break
        append(position)
        position = following
    return np.array(starts, np.int64), position
