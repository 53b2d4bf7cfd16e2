"""What a client did with one owner within the last hours: sums over a window that slides in steps."""

from collections import deque

from sensor.detect.groups import Movement

STEPS = 48
"""Parts of a window; what leaves it leaves in such steps."""


class Window:
    """Sums of movements, and of contacts, over the last `length` ns."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: deque[list[int]] = deque()
        """[step, first seen, contacts, sent, received, uploaded, net sent], the latest last."""

    def add(self, until: int, length: int, movement: Movement, *, contacts: int = 0) -> None:
        """Counts what moved in the second that ends at `until` ns, and lets go of what is older than `length` ns."""
        step = until * STEPS // length
        if not self._rows or self._rows[-1][0] != step:
            self._rows.append([step, movement.first_seen, 0, 0, 0, 0, 0])
        row = self._rows[-1]
        row[2] += contacts
        row[3] += movement.sent_bytes
        row[4] += movement.received_bytes
        row[5] += movement.uploaded
        row[6] += movement.net_sent
        while self._rows[0][0] <= step - STEPS:
            self._rows.popleft()

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def since(self) -> int:
        """When its first movement was first seen, ns."""
        return self._rows[0][1]

    @property
    def contacts(self) -> int:
        """How many."""
        return self._sum(2)

    @property
    def sent(self) -> int:
        """IP bytes."""
        return self._sum(3)

    @property
    def received(self) -> int:
        """IP bytes."""
        return self._sum(4)

    @property
    def uploaded(self) -> int:
        """Payload that was new."""
        return self._sum(5)

    @property
    def net_sent(self) -> int:
        """Sent, but for what acknowledges a fetch."""
        return self._sum(6)

    def _sum(self, column: int) -> int:
        return sum(row[column] for row in self._rows)
