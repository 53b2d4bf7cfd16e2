"""What traffic alone looks like: a hint of low confidence, off unless [foreground.inferred] is there.

A person at a client shows as many destinations and much received within a minute; a client that lies idle shows as
long gaps. In between nothing is said. Its word counts least of all (`fusion.INFERRED`), and what rests on it alone
is never more than info. Where another source knows better, what was inferred is compared with it: `verdicts` is the
measured precision of this guess in this house.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sensor.base.bounded import BoundedDict
from sensor.base.times import SECOND
from sensor.base.units import Count, Size
from sensor.foreground.base import Source, SourceFacts
from sensor.model.activity import Activity
from sensor.model.foreground import Event, Report, State

LOOK = 60
"""Seconds of traffic that are looked at."""

EVERY = 20 * SECOND
"""ns between two statements on one client."""

QUIET = 300
"""Seconds for which a client must have been quiet to be taken for idle."""

MAX_CLIENTS = 1_000
"""Clients that are looked at; the one longest unused goes."""


@dataclass(frozen=True)
class Settings:
    """[foreground.inferred]."""

    enabled: bool = True
    used_destinations: Count = Count(8)
    """In use: that many destinations within a minute ..."""
    used_bytes: Size = Size("300KB")
    """... and that much received, over at least a third of its seconds."""
    idle_seconds: Count = Count(6)
    """Idle: no more seconds with traffic than that in a minute, for five minutes."""


@dataclass(slots=True)
class _Second:
    at: int
    """Seconds since 1970."""
    destinations: frozenset[int]
    received: int


class Inferred(Source):
    """Keeps the last minute of each client."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: SourceFacts) -> None:
        super().__init__(settings, facts)
        self._settings = settings
        self._clients: BoundedDict[str, _Client] = BoundedDict(MAX_CLIENTS)

    def second(self, activity: Activity, called: Mapping[int, str]) -> None:
        for number, identity in called.items():
            mine = activity.clients == number
            # More in one second than make a minute "in use" tell nothing more.
            rows = frozenset(activity.rows[mine][: self._settings.used_destinations].tolist())
            received = int(np.sum(activity.received_bytes[mine]))
            client = self._clients.get(identity)
            if client is None:
                client = _Client()
                self._clients.put(identity, client)
            client.add(_Second(activity.until // SECOND, rows, received))
        for identity, client in self._clients.items():
            if activity.until - client.told_at >= EVERY:
                self._tell(identity, client, activity.until)

    def _tell(self, identity: str, client: "_Client", now: int) -> None:
        state = client.state(now // SECOND, self._settings)
        if state == "unknown":
            return
        client.told_at = now
        known = self.facts.known(identity, now)
        if known.source not in (None, self.name):
            self.verdicts[state, known.state] += 1
        event: Event = "screen_on" if state == "foreground" else "screen_off"
        self.facts.report(Report(identity, self.name, event, None, now, now, interval=2 * EVERY))


class _Client:
    """The last minute, and since when it was quiet."""

    __slots__ = ("busy_at", "first", "seconds", "told_at")

    def __init__(self) -> None:
        self.seconds: deque[_Second] = deque()
        self.first = -1
        self.busy_at = -1
        """The last second at which the minute before was no quiet one."""
        self.told_at = 0

    def add(self, second: _Second) -> None:
        if self.first < 0:
            self.first = second.at
        self.seconds.append(second)

    def state(self, now: int, settings: Settings) -> State:
        while self.seconds and self.seconds[0].at <= now - LOOK:
            self.seconds.popleft()
        active = len(self.seconds)
        if active > settings.idle_seconds:
            self.busy_at = now
        destinations = len(frozenset().union(*(second.destinations for second in self.seconds)))
        received = sum(second.received for second in self.seconds)
        if destinations >= settings.used_destinations and received >= settings.used_bytes and active * 3 >= LOOK:
            return "foreground"
        return "background" if now - max(self.busy_at, self.first) >= QUIET else "unknown"


PLUGIN = Inferred
