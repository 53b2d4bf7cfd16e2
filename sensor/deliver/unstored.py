"""What the store does not have yet, in the order in which it came: messages, and what is remembered beside them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from sensor.model.alert import SEVERITIES
from sensor.model.letter import Fresh, Letter
from sensor.model.told import Told

MAX_UNSTORED = 5_000
"""Messages that are kept in memory until they are stored; beyond it the oldest of the lowest severity go."""
MAX_ROWS = 20_000
"""Rows that wait beside no message, which is more than the router knows; the oldest go, and only a kill shows it."""


class Unstored:
    """A queue: taken in batches, and given back where the disk refused. What belongs together is never parted."""

    def __init__(self) -> None:
        self.fresh: list[Fresh] = []
        self.flying: list[Fresh] = []
        """Those that are being written."""
        self.bodies: dict[str, str] = {}
        """Notice -> its text."""
        self._letters: set[int] = set()
        self._left_out: set[int] = set()
        self._rows: dict[str, Told] = {}
        """Older than all of `fresh`, newer than all of `flying`."""
        self._flying_rows: dict[str, Told] = {}

    def __len__(self) -> int:
        return len(self.fresh) + len(self.flying)

    def __iter__(self) -> Iterator[Fresh]:
        return chain(self.flying, self.fresh)

    def put(self, fresh: Fresh) -> list[Letter]:
        """A message; the letters for which there is no more room, some at a time, as a flood asks often."""
        self.fresh.append(fresh)
        self.bodies[fresh.letters[0].notice] = fresh.body
        self._letters.update(id(letter) for letter in fresh.letters)
        return self._make_room() if len(self.fresh) > MAX_UNSTORED else []

    def leave_out(self, letter: Letter) -> bool:
        """It need not be stored any more; False where it is not here."""
        if id(letter) not in self._letters:
            return False
        self._left_out.add(id(letter))
        return True

    def settle(self, letter: Letter) -> bool:
        """It is stored; whether it was to be left out meanwhile."""
        was_left_out = id(letter) in self._left_out
        self._disown([letter])
        return was_left_out

    def remember(self, rows: Iterable[Told]) -> None:
        """Not before what is already in the queue."""
        _merge(self.fresh[-1].told if self.fresh else self._rows, rows)
        while len(self._rows) > MAX_ROWS:
            del self._rows[next(iter(self._rows))]

    def take(self, most: int) -> tuple[list[Fresh], Mapping[str, Told]]:
        """The next `most` messages and what was remembered by then; they fly until `landed` or `give_back`."""
        if self._left_out:
            self._drop_left_out()
        while most < len(self.fresh) and self.fresh[most].joined:
            most += 1
        self.flying, self.fresh = self.fresh[:most], self.fresh[most:]
        self._flying_rows, self._rows = self._rows, {}
        rows = dict(self._flying_rows)
        for fresh in self.flying:
            _merge(rows, fresh.told.values())
        return list(self.flying), rows

    def landed(self) -> None:
        """They are stored."""
        self.flying, self._flying_rows = [], {}

    def give_back(self) -> None:
        """They are not."""
        newer, self._rows = self._rows, self._flying_rows
        _merge(self.flying[-1].told if self.flying else self._rows, newer.values())
        self.fresh = self.flying + self.fresh
        self.landed()

    def _make_room(self) -> list[Letter]:
        """What is settled goes first: it has nothing to lose."""
        order = sorted(self.fresh, key=self._worth)
        going = order[: len(order) - MAX_UNSTORED + MAX_UNSTORED // 50]
        self._drop({id(fresh) for fresh in going})
        letters = [letter for fresh in going for letter in fresh.letters]
        self._disown(letters)
        for fresh in going:
            self.bodies.pop(fresh.letters[0].notice, None)
        return letters

    def _worth(self, fresh: Fresh) -> int:
        if all(letter.fate == "delivered" or id(letter) in self._left_out for letter in fresh.letters):
            return -1
        return SEVERITIES.index(fresh.letters[0].severity)

    def _drop_left_out(self) -> None:
        for at, fresh in enumerate(self.fresh):
            gone = [letter for letter in fresh.letters if id(letter) in self._left_out]
            if not gone:
                continue
            self.fresh[at] = replace(
                fresh, letters=tuple(each for each in fresh.letters if id(each) not in self._left_out)
            )
            self._disown(gone)
            if len(gone) == len(fresh.letters):
                self.bodies.pop(fresh.letters[0].notice, None)
        self._drop({id(fresh) for fresh in self.fresh if not fresh.letters})

    def _disown(self, letters: Iterable[Letter]) -> None:
        ids = [id(letter) for letter in letters]
        self._letters.difference_update(ids)
        self._left_out.difference_update(ids)

    def _drop(self, going: set[int]) -> None:
        """These messages (by `id`) go; what was to be remembered stays, with those that stay."""
        if not going:
            return
        kept: list[Fresh] = []
        for fresh in self.fresh:
            if id(fresh) in going:
                _merge(kept[-1].told if kept else self._rows, fresh.told.values())
            else:
                kept.append(fresh)
        self.fresh = kept


def _merge(rows: dict[str, Told], newer: Iterable[Told]) -> None:
    for row in newer:
        rows[row.fingerprint] = row.after(rows.pop(row.fingerprint, None))
