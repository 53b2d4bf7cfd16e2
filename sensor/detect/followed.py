"""Which of a client's many owners the rules about idle clients follow, and what each client did with them.

1. A client's contacts with one owner are split into shares by the watch and the allowances that speak for them. All
   shares count towards one alert, so that a client that changes the names it utters gains and loses nothing by it.
2. An allowance excuses whole shares, as long as all that it excuses of one owner stays within its `max_bytes`.
3. Everything has a cap per client, so that one that goes through thousands of owners cannot push out another's.
4. What had to go for others of the same client counts on as its OTHER_OWNERS: decoys hide nothing, they only make one
   alert of many.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sensor.base.bounded import BoundedDict
from sensor.detect.allowance import Allowance
from sensor.detect.owners import Label
from sensor.detect.window import Window

MAX_OWNERS = 512
"""Owners that are followed per client, and only of clients that someone reports on."""

MAX_CLIENTS = 1_000
"""Clients with owners that are followed; the one longest unused goes."""

MAX_SHARES = 32
"""Shares per owner; what would be one more counts as if nothing were allowed to it."""

OTHER_OWNERS = "other owners"
"""Stands for those that had to go."""

TRIED = 16
"""Of so many owners that were longest unused, the one that was told least goes: decoys go first."""

Key = tuple[str, str]
"""(client, owner)."""


@dataclass(slots=True, eq=False)
class Share:
    """What a client did with one owner, by contacts that the same watch and allowances speak for; times in ns."""

    label: Label
    began_at: int = -1
    """When what the rule is about began."""
    last: int = -1
    """When it last moved."""
    run: Window = field(default_factory=Window)
    """What moved since it began."""
    window: Window = field(default_factory=Window)
    """What moved within the rule's window, whenever it began."""
    before: tuple[int, int] = (0, 0)
    """Frames and dropped ones when it began."""
    excused: bool = False
    """An alert was not made for it."""

    def take_over(self, other: "Share") -> None:
        """Counts what is in the other's window, too."""
        if not self.window:
            self.before = other.before
        self.window.merge(other.window)
        self.last = max(self.last, other.last)

    def join(self, other: "Share") -> None:
        """Both were one from the beginning."""
        self.began_at = min((at for at in (self.began_at, other.began_at) if at >= 0), default=-1)
        self.run.merge(other.run)
        self.excused = self.excused or other.excused
        self.take_over(other)


class Followed:
    """Shares by client and owner."""

    def __init__(
        self, owners: int = MAX_OWNERS, clients: int = MAX_CLIENTS, counts: Callable[[Key], bool] = lambda _: True
    ) -> None:
        """`owners`: per client; `counts`: whether what a key stands for is to count on when it has to go."""
        self.evicted = 0
        """Owners that had to go."""
        self._most, self._counts = owners, counts
        self._merged: list[Share] = []
        """Those that went into their client's OTHER_OWNERS, and were not taken yet."""
        self._clients: BoundedDict[str, OrderedDict[str, list[Share]]] = BoundedDict(clients)

    def share(self, label: Label) -> Share:
        """The share that a label stands for; made where there is none."""
        mine = self._clients.get(label.client)
        if mine is None:
            mine = OrderedDict()
            gone = self._clients.put(label.client, mine)
            self.evicted += 0 if gone is None else len(gone[1])
        shares = mine.get(label.owner)
        if shares is None:
            if self._full(mine):
                self._evict(label.client, mine)
            shares = mine[label.owner] = []
        else:
            mine.move_to_end(label.owner)
        return _share(label, shares)

    def has_room(self, key: Key) -> bool:
        """Whether a share of that key would push out no other owner."""
        mine = self._clients.peek(key[0])
        return mine is None or key[1] in mine or not self._full(mine)

    def take_merged(self) -> list[Share]:
        """What went into OTHER_OWNERS since this was asked last, each as it was under its own owner."""
        merged, self._merged = self._merged, []
        return merged

    def shares(self, key: Key) -> list[Share]:
        """All that is kept of a client and an owner."""
        mine = self._clients.peek(key[0])
        return list(mine.get(key[1], ())) if mine else []

    def drop(self, key: Key) -> None:
        """Nothing is kept of them any more."""
        mine = self._clients.peek(key[0])
        if mine is not None:
            mine.pop(key[1], None)
            if not mine:
                self._clients.pop(key[0])

    def expire(self, now: int, after: int) -> None:
        """Lets go of what last moved more than `after` ns from now."""
        for client, mine in list(self._clients.items()):
            for owner, shares in list(mine.items()):
                shares[:] = [share for share in shares if abs(now - share.last) <= after]
                if not shares:
                    self.drop((client, owner))

    def relabel(self, translate: Callable[[Label], Label]) -> None:
        """Shares speak for what `translate` makes of their labels; those that come to the same are one."""
        for mine in self._clients.values():
            for shares in mine.values():
                joined: list[Share] = []
                for share in shares:
                    share.label = translate(share.label)
                    same = _of(share.label, joined)
                    if same is None:
                        joined.append(share)
                    else:
                        same.join(share)
                shares[:] = joined

    def clear(self) -> None:
        """Nothing is kept."""
        for client in list(self._clients):
            self._clients.pop(client)

    def _full(self, mine: "OrderedDict[str, list[Share]]") -> bool:
        return len(mine) - (OTHER_OWNERS in mine) >= self._most

    def _evict(self, client: str, mine: "OrderedDict[str, list[Share]]") -> None:
        tried = [owner for owner, _ in zip(mine, range(TRIED), strict=False) if owner != OTHER_OWNERS]
        owner = min(tried, key=lambda owner: sum(share.window.sent for share in mine[owner]))
        gone = mine.pop(owner)
        self.evicted += 1
        if not self._counts((client, owner)):
            return
        rest = mine.setdefault(OTHER_OWNERS, [])
        for share in gone:
            if share.window:
                _share(share.label._replace(owner=OTHER_OWNERS), rest).take_over(share)
                self._merged.append(share)


def not_excused(shares: Iterable[Share], detector: str, amount: Callable[[Window], int]) -> list[Share]:
    """Those that no allowance excuses from that detector; `amount`: which bytes of a window count."""
    shares = list(shares)
    if not any(share.label.allowed for share in shares):
        return shares
    spent: dict[int, int] = {}
    found = []
    # Those first that most allowances could excuse, each by the one that leaves most room for the others.
    for share in sorted(shares, key=lambda each: -len(each.label.allowed)):
        sent = amount(share.window)
        fitting = [each for each in share.label.allowed if each.covers(detector, sent + spent.get(id(each), 0))]
        if not fitting:
            found.append(share)
            continue
        best = max(fitting, key=lambda each: _room(each) - spent.get(id(each), 0))
        spent[id(best)] = spent.get(id(best), 0) + sent
    return found


def _share(label: Label, shares: list[Share]) -> Share:
    """The one of `shares` that the label stands for; made where there is none."""
    found = _of(label, shares)
    if found is None and len(shares) >= MAX_SHARES:
        label = label._replace(allowed=())
        found = _of(label, shares)
    if found is None:
        found = Share(label)
        shares.append(found)
    return found


def _of(label: Label, shares: Iterable[Share]) -> Share | None:
    return next((share for share in shares if share.label == label), None)


def _room(allowance: Allowance) -> float:
    return float("inf") if allowance.max_bytes is None else allowance.max_bytes
