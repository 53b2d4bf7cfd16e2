"""Which of a client's many owners the rules about idle clients follow, and what each client did with them.

1. A client's contacts with one owner are split into shares by the watch and the allowances that speak for them. All
   shares count towards one alert, so that a client that changes the names it utters gains and loses nothing by it.
2. An allowance excuses whole shares, as long as all that it excuses of one owner stays within its `max_bytes`.
3. Everything has a cap per client, so that one that goes through thousands of owners cannot push out another's.
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


class Followed:
    """Shares by client and owner."""

    def __init__(self, owners: int = MAX_OWNERS, clients: int = MAX_CLIENTS) -> None:
        """`owners`: per client."""
        self.evicted = 0
        """Owners that had to go."""
        self._most = owners
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
            if len(mine) >= self._most:
                self._evict(mine)
            shares = mine[label.owner] = []
        else:
            mine.move_to_end(label.owner)
        found = _of(label, shares)
        if found is None and len(shares) >= MAX_SHARES:
            label = label._replace(allowed=())
            found = _of(label, shares)
        if found is None:
            found = Share(label)
            shares.append(found)
        return found

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

    def clear(self) -> None:
        """Nothing is kept."""
        for client in list(self._clients):
            self._clients.pop(client)

    def _evict(self, mine: "OrderedDict[str, list[Share]]") -> None:
        tried = [owner for owner, _ in zip(mine, range(TRIED), strict=False)]
        del mine[min(tried, key=lambda owner: sum(share.window.sent for share in mine[owner]))]
        self.evicted += 1


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


def _of(label: Label, shares: Iterable[Share]) -> Share | None:
    return next((share for share in shares if share.label == label), None)


def _room(allowance: Allowance) -> float:
    return float("inf") if allowance.max_bytes is None else allowance.max_bytes
