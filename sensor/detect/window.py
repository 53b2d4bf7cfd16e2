"""What a client did with one owner within the last hours: sums over a window that slides in steps."""

from collections import deque

from sensor.detect.groups import Movement

STEPS = 48
"""Parts of a window; what leaves it leaves in such steps."""

_CONTACTS, _SENT, _RECEIVED, _UPLOADED, _NET_SENT, _SECONDS = range(6)


class Window:
    """Sums of movements, and of contacts, over the last `length` ns."""

    __slots__ = ("_rows", "_sums")

    def __init__(self) -> None:
        self._rows: deque[tuple[int, int, list[int]]] = deque()
        """(step, first seen, sums of the step), the latest last; STEPS at most."""
        self._sums = [0] * 6

    def add(self, until: int, length: int, movement: Movement, *, contacts: int = 0) -> None:
        """Counts what moved in the second that ends at `until` ns, and lets go of what is older than `length` ns."""
        step = until * STEPS // length
        if not self._rows or self._rows[-1][0] < step:
            self._rows.append((step, movement.first_seen, [0] * 6))
        for sums in (self._rows[-1][2], self._sums):
            sums[_CONTACTS] += contacts
            sums[_SENT] += movement.sent_bytes
            sums[_RECEIVED] += movement.received_bytes
            sums[_UPLOADED] += movement.uploaded
            sums[_NET_SENT] += movement.net_sent
            sums[_SECONDS] += 1
        self.slide(until, length)

    def merge(self, other: "Window") -> None:
        """Adds all that is in another window of the same length."""
        steps: dict[int, tuple[int, int, list[int]]] = {}
        for step, first, sums in (*self._rows, *other._rows):
            had = steps.get(step)
            steps[step] = (step, first, list(sums)) if had is None else (step, min(first, had[1]), _sum(had[2], sums))
        self._rows = deque(steps[step] for step in sorted(steps))
        self._sums = _sum(self._sums, other._sums)

    def slide(self, until: int, length: int) -> None:
        """Lets go of what is older than `length` ns at `until`."""
        while self._rows and self._rows[0][0] <= until * STEPS // length - STEPS:
            for column, amount in enumerate(self._rows.popleft()[2]):
                self._sums[column] -= amount

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def since(self) -> int:
        """When its first movement was first seen, ns."""
        return self._rows[0][1]

    @property
    def contacts(self) -> int:
        """How many."""
        return self._sums[_CONTACTS]

    @property
    def seconds(self) -> int:
        """In how many it moved anything."""
        return self._sums[_SECONDS]

    @property
    def sent(self) -> int:
        """IP bytes."""
        return self._sums[_SENT]

    @property
    def received(self) -> int:
        """IP bytes."""
        return self._sums[_RECEIVED]

    @property
    def uploaded(self) -> int:
        """Payload that was new."""
        return self._sums[_UPLOADED]

    @property
    def net_sent(self) -> int:
        """Sent, but for what acknowledges a fetch."""
        return self._sums[_NET_SENT]


def _sum(some: list[int], more: list[int]) -> list[int]:
    return [one + other for one, other in zip(some, more, strict=True)]
