"""Which letter of one sink is next, and when: ordered per key, pauses that grow, one poisoned letter holds up no other.

Pure: time is a parameter, in monotonic seconds.
"""

import random
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sensor.model.letter import Letter

FIRST_RETRY, LAST_RETRY = 1.0, 3_600.0
"""Seconds: the pause of a key doubles from the first to the last."""
DOWN_AFTER = 3
"""Failures in a row from which on the sink itself is taken to be down."""
LAST_PROBE = 60.0
"""Seconds from one look at such a sink to the next, at most: what waits is sent soon after it is back."""
MIN_RETRY_AFTER, MAX_RETRY_AFTER = 1.0, 3_600.0
"""What a far end may ask for is held between these."""

_EARLIER = 1 << 60
"""Letters out of the store come before those of this run."""


@dataclass(slots=True)
class _Line:
    """The letters of one key, the first to be sent first."""

    letters: list[tuple[int, Letter]] = field(default_factory=list)
    failures: int = 0
    due: float = 0.0
    tried: float = float("-inf")


class Schedule:
    """Letters that wait for one sink."""

    def __init__(self, pause: float, jitter: Callable[[], float] = random.random) -> None:
        """`pause`: seconds from one try to the next; `jitter`: 0 .. 1, so that a fleet does not knock in step."""
        self.streak = 0
        """Failures in a row."""
        self._pause = pause
        self._jitter = jitter
        self._lines: dict[str, _Line] = {}
        self._orders: dict[int, int] = {}
        self._count = 0
        self._free_at = 0.0

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[Letter]:
        """Key by key."""
        for line in self._lines.values():
            yield from (letter for _, letter in line.letters)

    def add(self, letter: Letter, *, earlier: bool = False) -> None:
        """One more that waits. `earlier`: it was in the store before this run, and goes before those of its key."""
        self._count += 1
        order = (letter.number or 0) - _EARLIER if earlier else self._count
        self._orders[id(letter)] = order
        insort(self._lines.setdefault(letter.key, _Line()).letters, (order, letter), key=lambda each: each[0])

    def remove(self, letter: Letter) -> None:
        """It waits no more; harmless twice."""
        order = self._orders.pop(id(letter), None)
        if order is None:
            return
        line = self._lines[letter.key]
        line.letters.remove((order, letter))
        if not line.letters:
            del self._lines[letter.key]

    def next(self, now: float) -> tuple[Letter | None, float | None]:
        """The letter to send now; or None, and the seconds until there may be one (None: none waits)."""
        if not self._lines:
            return None, None
        if now < self._free_at:
            return None, self._free_at - now
        if self.streak >= DOWN_AFTER:
            # It is the sink that is looked at, each time with another key: one of them may be to blame.
            line = min(self._lines.values(), key=lambda line: (line.tried, line.letters[0][0]))
            return line.letters[0][1], 0.0
        due = [line for line in self._lines.values() if line.due <= now]
        if not due:
            return None, min(line.due for line in self._lines.values()) - now
        return min(due, key=lambda line: line.letters[0][0]).letters[0][1], 0.0

    def begin_anew(self, pause: float) -> None:
        """Another sink takes them: nothing is known of it."""
        self._pause, self._free_at, self.streak = pause, 0.0, 0
        for line in self._lines.values():
            line.failures, line.due, line.tried = 0, 0.0, float("-inf")

    def delivered(self, letter: Letter, now: float) -> None:
        """It arrived; where the sink was down, all that waits is due again."""
        was_down = self.streak >= DOWN_AFTER
        self._settled(letter, now)
        self.streak = 0
        if was_down:
            for line in self._lines.values():
                line.due, line.failures = now, 0

    def refused(self, letter: Letter, now: float) -> None:
        """It will never arrive, which says nothing of the others."""
        self._settled(letter, now)

    def failed(self, letter: Letter, now: float, wanted: float | None) -> float:
        """It did not arrive this time; `wanted`: seconds that the far end asked for. Seconds until its next try."""
        line = self._lines[letter.key]
        line.failures += 1
        line.tried = now
        if wanted is not None:
            # Limits are those of the whole sink.
            wait = min(max(wanted, MIN_RETRY_AFTER), MAX_RETRY_AFTER)
            self._free_at = now + max(wait, self._pause)
        else:
            self.streak += 1
            wait = self._spread(line.failures, LAST_RETRY)
            down = self.streak - DOWN_AFTER
            self._free_at = now + max(self._pause, self._spread(down + 1, LAST_PROBE) if down >= 0 else 0.0)
        line.due = now + wait
        return max(self._free_at if self.streak >= DOWN_AFTER else line.due, self._free_at) - now

    def _settled(self, letter: Letter, now: float) -> None:
        self._free_at = now + self._pause
        line = self._lines.get(letter.key)
        if line is not None:
            line.failures, line.due, line.tried = 0, now, float("-inf")
        self.remove(letter)

    def _spread(self, failures: int, longest: float) -> float:
        """Between half and all of a pause that doubles."""
        return min(FIRST_RETRY * 2.0 ** min(failures - 1, 30), longest) * (0.5 + self._jitter() / 2)
