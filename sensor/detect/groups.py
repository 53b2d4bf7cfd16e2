"""Contact rows that count together, and what each group moved in a second."""

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sensor.model.activity import Activity, Contact

L = TypeVar("L")

_FIRST_ROWS = 1024


class Movement(NamedTuple):
    """What the contacts of one group moved within one second."""

    contact: Contact
    """The one that was seen last."""
    sent_bytes: int
    received_bytes: int
    sent_packets: int
    first_seen: int
    last_seen: int
    uploaded: int = 0
    """Payload that was new, of contacts that did not fetch meanwhile."""
    net_sent: int = 0
    """Sent bytes, of contacts that fetched meanwhile only the payload: what acknowledges is not told of one's own."""


FETCHED = 2
"""A contact that received more than this many times what it sent in a second was fetching."""

MUCH, FETCHED_MUCH = 8_192, 20
"""Beyond so many bytes of payload in a second it takes that many times as much. Requests are small: whoever uploads
could else hide it behind a server that sends something useless back. Acknowledgements inside a VPN come to 1:29."""


class Groups(Generic[L]):
    """Each row is in one group or none; a group is known by its label, and gone with its last row.

    As many contacts as the account keeps may be in groups (20,000 active in one second), so a second is
    reduced in numpy: Python is spent per group that moved, not per contact.
    """

    def __init__(self) -> None:
        self._group: NDArray[np.int64] = np.full(_FIRST_ROWS, -1)
        """[row] its group's number, or -1."""
        self._sent: NDArray[np.bool_] = np.zeros(_FIRST_ROWS, np.bool_)
        """[row] whether the client ever sent to it."""
        self._contacts: dict[int, Contact] = {}
        self._numbers: dict[L, int] = {}
        self._labels: list[L] = []
        self._sizes: list[int] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, contact: Contact, label: L) -> None:
        """The contact counts under `label` from now on."""
        self.take_out(contact.row)
        self._reserve(contact.row)
        number = self._number(label)
        self._sizes[number] += 1
        self._group[contact.row] = number
        self._contacts[contact.row] = contact

    def take_out(self, row: int) -> None:
        """The contact counts under no label."""
        if self._contacts.pop(row, None) is None:
            return
        number = int(self._group[row])
        self._group[row] = -1
        self._sizes[number] -= 1
        if not self._sizes[number]:
            del self._numbers[self._labels[number]]
            self._free.append(number)

    def label(self, row: int) -> L | None:
        """The label that the row's contact counts under."""
        return self._labels[int(self._group[row])] if row in self._contacts else None

    def forget(self, row: int) -> None:
        """The row's contact is no more."""
        self.take_out(row)
        if row < len(self._sent):
            self._sent[row] = False

    def relabel(self, translate: Callable[[L], L | None]) -> None:
        """What counted under a label counts under what `translate` makes of it, or under none; each is asked once."""
        before, self._numbers = self._numbers, {}
        self._labels, self._sizes, self._free = [], [], []
        moved = np.full(max(before.values(), default=-1) + 1, -1)
        for label, number in before.items():
            new = translate(label)
            if new is not None:
                moved[number] = self._number(new)
        rows = np.flatnonzero(self._group >= 0)
        self._group[rows] = moved[self._group[rows]]
        left = rows[self._group[rows] >= 0]
        self._sizes = np.bincount(self._group[left], minlength=len(self._labels)).tolist()
        self._contacts = {row: self._contacts[row] for row in left.tolist()}

    def moved(self, activity: Activity, only: NDArray[np.bool_] | None = None) -> Iterator[tuple[L, Movement]]:
        """What each group moved, but for contacts that the client never sent to: anyone can send to an address.

        `only`: [n] of the activity's contacts, those that count.
        """
        rows = activity.rows
        if not len(rows):
            return
        self._reserve(int(rows[-1]))
        self._sent[rows] |= activity.sent_packets > 0
        groups = self._group[rows]
        mask = (groups >= 0) & self._sent[rows]
        chosen = np.flatnonzero(mask if only is None else mask & only)
        if not len(chosen):
            return
        order = chosen[np.lexsort((activity.last_seen[chosen], groups[chosen]))]
        numbers = groups[order]
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        lasts = np.append(starts[1:], len(order)) - 1
        sent, received = activity.sent_bytes[order], activity.received_bytes[order]
        uploaded = activity.uploaded[order]
        columns = (
            numbers[starts],
            rows[order[lasts]],
            np.add.reduceat(sent, starts),
            np.add.reduceat(received, starts),
            np.add.reduceat(activity.sent_packets[order], starts),
            np.minimum.reduceat(activity.first_seen[order], starts),
            activity.last_seen[order[lasts]],
            np.add.reduceat(np.where(received > _enough_to_fetch(uploaded), 0, uploaded), starts),
            np.add.reduceat(np.where(received > FETCHED * sent, uploaded, sent), starts),
        )
        for number, row, *figures in zip(*(column.tolist() for column in columns), strict=True):
            yield self._labels[number], Movement(self._contacts[row], *figures)

    def _number(self, label: L) -> int:
        number = self._numbers.get(label)
        if number is None:
            if self._free:
                number = self._free.pop()
                self._labels[number] = label
            else:
                number = len(self._labels)
                self._labels.append(label)
                self._sizes.append(0)
            self._numbers[label] = number
        return number

    def _reserve(self, row: int) -> None:
        size = len(self._group)
        if row >= size:
            more = max(size, row + 1 - size)
            self._group = np.concatenate([self._group, np.full(more, -1)])
            self._sent = np.concatenate([self._sent, np.zeros(more, np.bool_)])


def _enough_to_fetch(uploaded: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n] bytes received beyond which a contact was fetching."""
    return np.where(uploaded > MUCH, FETCHED_MUCH, FETCHED) * uploaded
