"""Whether a person is using a client: what sources report of it, and what comes of the reports."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

State = Literal["foreground", "background", "unknown"]

Event = Literal[
    "app_opened", "app_closed", "screen_on", "screen_off", "locked", "unlocked", "heartbeat", "charging"
]  # fmt: skip
EVENTS: tuple[Event, ...] = get_args(Event)
"""`charging` (a charger was connected) and `heartbeat` say nothing of use; all others are transitions."""

UNKNOWN, FOREGROUND, BACKGROUND = 0, 1, 2
"""States as columns hold them."""
STATES: tuple[State, ...] = ("unknown", "foreground", "background")
"""Their names, by number."""


class Report(NamedTuple):
    """What one source says of one client at one moment; times in ns."""

    client: str
    """The client's id."""
    source: str
    """The name of the source's plug-in."""
    event: Event
    app: str | None
    """Which app, for app_opened and app_closed, where the source knows."""
    observed_at: int
    """When it happened, by a clock that was found believable."""
    received_at: int
    """When the sensor heard of it."""
    sequence: int | None = None
    """The source's own count of its reports on this client, from which lost ones show."""
    interval: int | None = None
    """ns from one report to the next, where the source promises one (polls, heartbeats)."""
    until: int | None = None
    """The statement holds until then, whatever the usual age limit says."""
    current: bool = False
    """The source looked just now, and this is how things stand: it makes up for reports that may have been lost."""


@dataclass(frozen=True, slots=True)
class Foreground:
    """What is known of one client at one moment."""

    state: State = "unknown"
    source: str | None = None
    """Whose word it is; None when nobody says anything that can be believed."""
    observed_at: int | None = None
    """ns of the last report that it rests on."""
    since: int | None = None
    """ns since when this source says so."""
    app: str | None = None
    contradicted_by: tuple[str, ...] = ()
    """Sources of the same trust that say the opposite, and are still believed otherwise."""
    because: str | None = None
    """What was seen, in words that complete "while ...": "its screen was off". Where nobody says anything that can be
    believed: what ended that, if something did."""

    def age(self, now: int) -> int | None:
        """ns since that report."""
        return None if self.observed_at is None else max(0, now - self.observed_at)


NOTHING_KNOWN = Foreground()


class Change(NamedTuple):
    """One entry of a client's timeline: from `time` (ns) on, this was known."""

    time: int
    foreground: Foreground


Moment = Literal["joined", "locked", "charging"]
"""After which a client may send what it has hoarded: it joined the network, was locked, began to charge."""


class ForegroundStates(Protocol):
    """What rules may ask of phone states; `client` is a client's id, times are ns of packet time."""

    def at(self, client: str, time: int) -> Foreground:
        """What was known at `time`, which may lie a little in the past."""

    def between(self, client: str, start: int, end: int) -> list[Change]:
        """The timeline from what held at `start` on."""

    def moments(self, client: str) -> dict[Moment, int]:
        """When the last of each kind was."""
