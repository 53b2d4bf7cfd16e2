"""Counters as columns: totals and rates of many rows at once."""

import numpy as np
from numpy.typing import NDArray

from sensor.base.times import SECOND
from sensor.model.client import Rates, Totals

Rows = NDArray[np.int64]

_NEVER = np.iinfo(np.int64).max
_BUCKETS = 6
_BUCKET_SECONDS = 10
FIRST_ROWS = 1024
"""Rows that all tables have room for from the start; they double together."""


class Tally:
    """Bytes, packets, first and last time of each row; grows by doubling, at most to the highest row used."""

    def __init__(self) -> None:
        self.sent_bytes = np.zeros(FIRST_ROWS, np.int64)
        self.received_bytes = np.zeros(FIRST_ROWS, np.int64)
        self.sent_packets = np.zeros(FIRST_ROWS, np.int64)
        self.received_packets = np.zeros(FIRST_ROWS, np.int64)
        self.first_seen = np.full(FIRST_ROWS, _NEVER, np.int64)
        self.last_seen = np.zeros(FIRST_ROWS, np.int64)

    def reserve(self, row: int) -> None:
        """Makes room up to and including `row`."""
        size = len(self.sent_bytes)
        if row < size:
            return
        more = max(size, row + 1 - size)
        for name in ("sent_bytes", "received_bytes", "sent_packets", "received_packets", "last_seen"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more, np.int64)]))
        self.first_seen = np.concatenate([self.first_seen, np.full(more, _NEVER, np.int64)])

    def add(self, rows: Rows, sent: "Moved", received: "Moved", first: Rows, last: Rows) -> None:
        """Adds to `rows` (repeats allowed)."""
        np.add.at(self.sent_bytes, rows, sent.bytes)
        np.add.at(self.sent_packets, rows, sent.packets)
        np.add.at(self.received_bytes, rows, received.bytes)
        np.add.at(self.received_packets, rows, received.packets)
        np.minimum.at(self.first_seen, rows, first)
        np.maximum.at(self.last_seen, rows, last)

    def clear(self, row: int | Rows) -> None:
        """Back to nothing counted."""
        for column in (self.sent_bytes, self.received_bytes, self.sent_packets, self.received_packets, self.last_seen):
            column[row] = 0
        self.first_seen[row] = _NEVER

    def merge(self, rows: Rows, into: int) -> None:
        """Moves what `rows` counted to the row `into`."""
        if not len(rows):
            return
        for column in (self.sent_bytes, self.received_bytes, self.sent_packets, self.received_packets):
            column[into] += column[rows].sum()
        self.first_seen[into] = min(self.first_seen[into], self.first_seen[rows].min())
        self.last_seen[into] = max(self.last_seen[into], self.last_seen[rows].max())
        self.clear(rows)

    def totals(self, row: int) -> Totals:
        """One row as a value."""
        first = int(self.first_seen[row])
        return Totals(
            int(self.sent_bytes[row]),
            int(self.received_bytes[row]),
            int(self.sent_packets[row]),
            int(self.received_packets[row]),
            0 if first == _NEVER else first,
            int(self.last_seen[row]),
        )

    def moved(self, row: int) -> bool:
        """Whether the row counted anything."""
        return bool(self.sent_packets[row] or self.received_packets[row])


class Moved:
    """Bytes and packets of one direction, [n] each."""

    __slots__ = ("bytes", "packets")

    def __init__(self, nbytes: Rows, packets: Rows) -> None:
        self.bytes = nbytes
        self.packets = packets


class Meter:
    """Bytes per second of each row over its last second and its last minute (in six steps of ten seconds)."""

    def __init__(self) -> None:
        self._second = np.zeros(FIRST_ROWS, np.int64)
        self._last = np.zeros((2, FIRST_ROWS), np.int64)
        self._bucket = np.zeros(FIRST_ROWS, np.int64)
        self._minute = np.zeros((2, _BUCKETS, FIRST_ROWS), np.int64)

    def reserve(self, row: int) -> None:
        """Makes room up to and including `row`."""
        size = len(self._second)
        if row < size:
            return
        more = max(size, row + 1 - size)
        self._second = np.concatenate([self._second, np.zeros(more, np.int64)])
        self._bucket = np.concatenate([self._bucket, np.zeros(more, np.int64)])
        self._last = np.concatenate([self._last, np.zeros((2, more), np.int64)], axis=1)
        self._minute = np.concatenate([self._minute, np.zeros((2, _BUCKETS, more), np.int64)], axis=2)

    def add(self, rows: Rows, sent: Rows, received: Rows, until: int) -> None:
        """Bytes of the second that ends at `until` ns; `rows` without repeats."""
        second = until // SECOND
        bucket = second // _BUCKET_SECONDS
        self._last[:, rows] = np.where(self._second[rows] == second, self._last[:, rows], 0)
        self._last[0, rows] += sent
        self._last[1, rows] += received
        self._second[rows] = second
        behind = bucket - self._bucket[rows]
        for step in range(min(int(behind.max(initial=0)), _BUCKETS)):
            self._minute[:, (bucket - step) % _BUCKETS, rows[behind > step]] = 0
        self._bucket[rows] = bucket
        self._minute[0, bucket % _BUCKETS, rows] += sent
        self._minute[1, bucket % _BUCKETS, rows] += received

    def clear(self, row: int | Rows) -> None:
        """Back to silence."""
        self._second[row] = 0
        self._bucket[row] = 0
        self._last[:, row] = 0
        self._minute[:, :, row] = 0

    def rates(self, row: int, now: int) -> Rates:
        """The rates at `now` ns."""
        second = now // SECOND
        recent = 0 <= second - int(self._second[row]) <= 1
        last = self._last[:, row] if recent else (0, 0)
        age = second // _BUCKET_SECONDS - int(self._bucket[row])
        kept = max(0, _BUCKETS - age) if age >= 0 else 0  # the clock may have stepped back
        bucket = int(self._bucket[row])
        live = [(bucket - step) % _BUCKETS for step in range(min(kept, _BUCKETS))]
        minute = self._minute[:, live, row].sum(axis=1) / (_BUCKETS * _BUCKET_SECONDS)
        return Rates(float(last[0]), float(last[1]), float(minute[0]), float(minute[1]))
