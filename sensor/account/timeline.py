"""The clock that packets carry: which of their times can be believed.

Everything behind capture runs on the packets' own time, so one frame with a wrong time must not expire
everything else. A frame may come late by `LATE`, and time may go on by `LEAP`. A frame beyond that is counted
at the time of the frame before it; only when the next frame agrees with it did the clock really step.
"""

import numpy as np
from numpy.typing import NDArray

from sensor.base.times import SECOND

LATE = 10 * SECOND
"""How far a frame may lie behind the latest one and still keep its own time."""

LEAP = 86_400 * SECOND
"""How far one frame may move the time on by itself."""

Times = NDArray[np.int64]


class Timeline:
    """Settles the times of frames in order of arrival; the result does not depend on how they are batched."""

    def __init__(self) -> None:
        self.now: int | None = None
        """The latest time that was believed."""
        self.clamped = 0
        """Frames whose own time was not believed."""
        self.steps = 0
        """Times that the clock stepped."""
        self._doubted: int | None = None

    def settle(self, times: Times) -> tuple[Times, Times]:
        """([n] the time of each frame, [n] the clock when it came: it only ever goes back at a step)."""
        if not len(times):
            return times, times
        start = int(times[0]) if self.now is None else self.now
        if self._doubted is None and start <= int(times[0]) and int(times[-1]) - start <= LEAP and _ascending(times):
            self.now = int(times[-1])
            return times, times
        clock = np.maximum.accumulate(np.maximum(times, start))
        if self._doubted is None and int(clock[-1]) - start <= LEAP and int((clock - times).max()) <= LATE:
            self.now = int(clock[-1])
            return times, clock
        return self._settle_one_by_one(times, start)

    def _settle_one_by_one(self, times: Times, now: int) -> tuple[Times, Times]:
        settled, clock = times.copy(), times.copy()
        for index, time in enumerate(times.tolist()):
            if -LATE <= time - now <= LEAP:
                self._doubted = None
                now = max(now, time)
            elif self._doubted is not None and -LATE <= time - self._doubted <= LEAP:
                self._doubted = None
                self.steps += 1
                now = time
            else:
                self._doubted = time
                self.clamped += 1
                settled[index] = now
            clock[index] = now
        self.now = now
        return settled, clock


def _ascending(times: Times) -> bool:
    return bool((times[1:] >= times[:-1]).all())
