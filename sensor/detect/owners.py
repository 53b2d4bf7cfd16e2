"""What each client moved with each owner in a second, and whether a person was using the client.

The rules about idle clients share this: contacts are grouped once by client, owner and what is allowed to them, and
only clients whose state is known are looked at. What is watched, and what is allowed, is settled when a contact is
learned; a watch that matched stays, since names that come later cannot talk a contact out of it. So does the owner that
it was first counted for: a client that utters new names all the time would else be new each time.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor.detect.allowance import Allowance, Allowances
from sensor.detect.groups import Groups, Movement
from sensor.detect.watch import Matcher, Watch, places
from sensor.model.activity import Activity, Contact
from sensor.model.foreground import UNKNOWN


class Label(NamedTuple):
    """What contacts that count together have in common."""

    client: str
    owner: str
    watch: str | None
    """The watch that matches, if one does."""
    allowed: tuple[Allowance, ...]


class OwnerSecond(NamedTuple):
    """One group in one second."""

    label: Label
    state: int
    """A number of model.foreground.STATES, never UNKNOWN."""
    movement: Movement


class Owners:
    """Keeps the groups."""

    def __init__(self, watches: tuple[Watch, ...], allowances: Allowances, owner_of: Callable[[Contact], str]) -> None:
        """`owner_of`: whose a contact is, as far as is known."""
        self._matchers = [Matcher(watch) for watch in watches if watch.enabled]
        self._allowances = allowances
        self._owner_of = owner_of
        self._groups: Groups[Label] = Groups()
        self._edited: set[str] = set()
        """Watches that match other places than before the last `retune`."""
        self._unmatched: dict[int, Contact] = {}
        """Contacts that are in no group yet, by row; as many as the account keeps."""

    def learned(self, contact: Contact) -> None:
        """There is a new contact, or a new name or place for one."""
        if self._groups.label(contact.row) is None:
            # Most clients have nobody who reports their state: nothing is matched for their contacts.
            self._unmatched[contact.row] = contact
        else:
            self._put(contact)

    def retune(self, watches: tuple[Watch, ...], allowances: Allowances) -> Callable[[Label], Label]:
        """Other watches and allowances hold from now on; what becomes of a label by that.

        A label keeps of its own what still holds. What came new is found when its contacts are learned once more.
        """
        before = {str(each.watch.name): places(each.watch) for each in self._matchers}
        self._matchers = [Matcher(watch) for watch in watches if watch.enabled]
        self._edited = {
            name for each in self._matchers if before.get(name := str(each.watch.name)) != places(each.watch)
        }
        self._allowances = allowances
        names = {str(each.watch.name) for each in self._matchers}

        def translate(label: Label) -> Label:
            watch = label.watch if label.watch in names else None
            allowed = tuple(
                new for old in label.allowed if (new := allowances.same(old, watched=watch is not None)) is not None
            )
            return label._replace(watch=watch, allowed=allowed)

        self._groups.relabel(translate)
        return translate

    def relearned(self, contact: Contact) -> None:
        """Other watches hold: a match stays only where its watch means the same places."""
        label = self._groups.label(contact.row)
        if label is not None and label.watch in self._edited:
            self._groups.put(contact, label._replace(watch=None))
        self.learned(contact)

    def forgotten(self, row: int) -> None:
        """The contact of that row is no more."""
        self._unmatched.pop(row, None)
        self._groups.forget(row)

    def second(self, activity: Activity) -> list[OwnerSecond]:
        """What moved, of clients whose state is known."""
        known = activity.states != UNKNOWN
        if not known.any():
            return []
        for row in activity.rows[known].tolist():
            contact = self._unmatched.pop(row, None)
            if contact is not None:
                self._put(contact)
        return list(self._of_state(activity, known))

    def _put(self, contact: Contact) -> None:
        before = self._groups.label(contact.row)
        watch = next((str(each.watch.name) for each in self._matchers if each.matches(contact)), None)
        if watch is None and before is not None:
            watch = before.watch
        allowed = self._allowances.of(contact, watched=watch is not None)
        owner = self._owner_of(contact) if before is None else before.owner
        self._groups.put(contact, Label(contact.client, owner, watch, allowed))

    def _of_state(self, activity: Activity, known: NDArray[np.bool_]) -> Iterator[OwnerSecond]:
        states = dict(zip(activity.rows[known].tolist(), activity.states[known].tolist(), strict=True))
        for label, movement in self._groups.moved(activity, known):
            yield OwnerSecond(label, states[movement.contact.row], movement)
