"""What is usual for each client: how it talks with each owner while idle and while used, and whom it knows.

1. An owner is confirmed for a client when a person's use moved more with it than the idle client did: who uses an app
   moves more than the app does alone. What mostly moves behind is not confirmed, however long it goes on: time alone
   makes nothing familiar.
2. The baseline of a pair is the median of what it sent idle per PERIOD, with the median absolute deviation; it counts
   from LEAST_PERIODS on (seven days). Only periods in which the client was seen idle count, as 0 where it sent that
   owner nothing: a client or sensor that was away, or a clock that stepped, teaches nothing.
3. Everything has a cap, and goes to the state folder and back as plain JSON. What one client does cannot push out what
   is known of another as long as that has less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from sensor.base.bounded import BoundedDict
from sensor.base.times import SECOND

PERIOD = 12 * 3600 * SECOND
"""ns; counted from 1970, so that it is the same for all."""

LEAST_PERIODS, MAX_PERIODS = 14, 28
"""How many must have passed since the first contact, and how many are kept."""

MAX_PAIRS = 4_096
"""(client, owner) pairs; beyond it the client with most loses those that are longest unused."""

MAX_OWNERS = 1_024
"""Pairs of one client; the one longest unused goes."""

MAX_CLIENTS = 1_000

MAX_ACQUAINTED, MAX_KNOWN = 256, 256
"""Clients whose acquaintances are remembered, and owners and countries per client: 3 MB of JSON at most."""

CONFIRMING = 20_000
"""Bytes that a person's use must have moved with an owner at least."""

_DEVIATION = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


@dataclass(slots=True)
class Habit:
    """How one client talks with one owner; bytes."""

    used: int = 0
    """Sent and received while a person used the client."""
    idle: int = 0
    """Sent and received while nobody did."""
    period: int = -1
    """Number of the running period."""
    sent: int = 0
    """Sent while idle in it."""
    past: list[int] = field(default_factory=list)
    """The same of the periods before, the latest last."""

    @property
    def confirmed(self) -> bool:
        """A person's use moved more than the idle client did."""
        return self.used >= CONFIRMING and self.used > self.idle

    def usual(self) -> tuple[float, float] | None:
        """(median, deviation) of what it sends idle per period; None while that is still learned."""
        if len(self.past) < LEAST_PERIODS:
            return None
        middle = median(self.past)
        return middle, _DEVIATION * median(abs(each - middle) for each in self.past)

    def enter(self, period: int, idle: Sequence[int]) -> None:
        """Time went on to a period; `idle`: the last periods in which the client was seen idle, ascending."""
        if 0 <= self.period < period:
            seen = [self.sent if each == self.period else 0 for each in idle if self.period <= each < period]
            self.past = [*self.past, *seen][-MAX_PERIODS:]
        self.period, self.sent = period, 0


@dataclass(slots=True)
class Acquaintances:
    """Whom one client knows."""

    since: int
    """ns of its first contact."""
    known: BoundedDict[str, bool] = field(default_factory=lambda: BoundedDict(MAX_KNOWN))


class Learned:
    """All of it; time is packet time in ns."""

    def __init__(self) -> None:
        self.evicted = 0
        """Pairs that had to go."""
        self._clients: BoundedDict[str, _Habits] = BoundedDict(MAX_CLIENTS)
        self._pairs = 0
        self.acquaintances: BoundedDict[str, Acquaintances] = BoundedDict(MAX_ACQUAINTED)

    def note(self, client: str, owner: str, now: int, *, used: int = 0, idle: int = 0, sent: int = 0) -> Habit:
        """Adds bytes moved while used, moved while idle, and sent while idle; returns the habit as it stands."""
        period, mine = now // PERIOD, self._of(client)
        habit = mine.owners.get(owner)
        if habit is None:
            habit = Habit()
            self._add(mine, owner, habit)
        if period != habit.period:
            habit.enter(period, mine.idle)
        if idle and mine.idle[-1:] != [period]:
            mine.idle = [*(each for each in mine.idle if each < period), period][-MAX_PERIODS:]
        habit.used += used
        habit.idle += idle
        habit.sent += sent
        return habit

    def meet(self, client: str, who: str, now: int) -> int | None:
        """ns for which the client had been known when it met `who` now, for the first time; None: it knew it."""
        mine = self.acquaintances.get(client)
        if mine is None:
            mine = Acquaintances(now)
            self.acquaintances.put(client, mine)
        if mine.known.get(who):
            return None
        mine.known.put(who, True)
        return max(0, now - mine.since)

    def habit(self, client: str, owner: str) -> Habit | None:
        """How that client talks with that owner, as far as it is known."""
        mine = self._clients.peek(client)
        return None if mine is None else mine.owners.peek(owner)

    def stepped(self, before: int, now: int) -> None:
        """Packet time stepped: whom a client met by the clock that was wrong, it met as long ago as before."""
        for mine in self.acquaintances.values():
            if mine.since <= before:
                mine.since += now - before

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "version": 1,
            "habits": [
                [client, owner, habit.used, habit.idle, habit.period, habit.sent, habit.past]
                for client, mine in self._clients.items()
                for owner, habit in mine.owners.items()
            ],
            "idle": [[client, mine.idle] for client, mine in self._clients.items()],
            "acquaintances": [[client, mine.since, list(mine.known)] for client, mine in self.acquaintances.items()],
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """From what `dump` gave. ValueError, with nothing taken over, where it is anything else."""
        try:
            if values["version"] != 1:
                raise ValueError("another version")
            habits = [(_text(row[0]), _text(row[1]), _habit(row)) for row in values["habits"]]
            idle = [(_text(row[0]), _ascending(row[1])) for row in values.get("idle", [])]
            met = [(_text(row[0]), _number(row[1]), [_text(who) for who in row[2]]) for row in values["acquaintances"]]
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not what was written: {error!r}") from None
        for client, periods in idle:
            self._of(client).idle = periods
        for client, owner, habit in habits:
            self._add(self._of(client), owner, habit)
        for client, since, known in met:
            mine = Acquaintances(since)
            for who in known:
                mine.known.put(who, True)
            self.acquaintances.put(client, mine)

    def _of(self, client: str) -> "_Habits":
        mine = self._clients.get(client)
        if mine is None:
            mine = _Habits()
            gone = self._clients.put(client, mine)
            if gone is not None:
                self._count_out(len(gone[1].owners))
        return mine

    def _add(self, mine: "_Habits", owner: str, habit: Habit) -> None:
        held = len(mine.owners)
        if mine.owners.put(owner, habit) is not None:
            self.evicted += 1
        self._pairs += len(mine.owners) - held
        if self._pairs > MAX_PAIRS:
            # An eighth at once: finding the client costs a look at all.
            most = max(self._clients.values(), key=lambda each: len(each.owners)).owners
            oldest = list(most)[: max(1, len(most) // 8)]
            for each in oldest:
                most.pop(each)
            self._count_out(len(oldest))

    def _count_out(self, pairs: int) -> None:
        self._pairs -= pairs
        self.evicted += pairs


@dataclass(slots=True)
class _Habits:
    """One client's."""

    owners: BoundedDict[str, Habit] = field(default_factory=lambda: BoundedDict(MAX_OWNERS))
    idle: list[int] = field(default_factory=list)
    """The last periods in which it was seen idle, ascending."""


def _habit(row: list[Any]) -> Habit:
    past = [_number(each) for each in row[6]][-MAX_PERIODS:]
    return Habit(_number(row[2]), _number(row[3]), _number(row[4]), _number(row[5]), past)


def _ascending(row: list[Any]) -> list[int]:
    return sorted({_number(each) for each in row})[-MAX_PERIODS:]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise ValueError("expected a whole number")
    return value
