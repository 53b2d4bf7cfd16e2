"""What a detector is: hooks, all optional, that see contacts and what they move, and yield alerts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from sensor.base.registry import Registry
from sensor.detect.learned import Learned
from sensor.detect.owners import Label, OwnerSecond
from sensor.detect.watch import Watch
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, AlertClient
from sensor.model.destination import Place
from sensor.model.foreground import NOTHING_KNOWN, Change, Foreground, ForegroundStates, Moment

MAX_ACTIVE = 1_000
"""Alerts that one detector may hold open; what would be one more is suppressed, and counted."""


class NobodyReports(ForegroundStates):
    """The phone states of a sensor without sources."""

    def at(self, client: str, time: int) -> Foreground:
        return NOTHING_KNOWN

    def between(self, client: str, start: int, end: int) -> list[Change]:
        return []

    def moments(self, client: str) -> dict[Moment, int]:
        return {}


@dataclass(frozen=True, slots=True)
class Facts:
    """What detectors may ask."""

    client: Callable[[str], AlertClient]
    """Who a client is, by its id; asked when an alert is made or shown."""
    watches: tuple[Watch, ...] = ()
    """The [[watch]] tables; those who match name clients by id."""
    states: ForegroundStates = field(default_factory=NobodyReports)
    """Whether a person uses a client."""
    learned: Learned = field(default_factory=Learned)
    """What is usual for each client, over restarts."""
    ports: Callable[[Contact], list[str]] = lambda _: []
    """The services of a contact to which its client has sent: `tcp/443`."""


class Coverage(NamedTuple):
    """Frames since the start of the sensor: up to a second, and up to the second before it."""

    frames: int
    dropped: int
    frames_before: int
    dropped_before: int


class Detector:
    """One rule. A plug-in file in `rules/` sets `PLUGIN` to its subclass.

    Time is what the calls say. An alert is yielded when it fires and when it resolves; between, `active`
    shows how it stands. A detector's own tables have caps.
    """

    name: ClassVar[str] = ""
    """The name of its file; set when the class is made."""
    settings_type: ClassVar[type[Any]]
    """A frozen dataclass: the keys of [detect.<name>], among them `enabled: bool`."""

    def __init_subclass__(cls) -> None:
        cls.name = cls.__module__.rpartition(".")[2]

    def __init__(self, settings: Any, facts: Facts) -> None:
        """`settings` is of type `settings_type`."""
        self.suppressed = 0
        """Times that an alert was not made because MAX_ACTIVE were open."""
        self.suspects: set[str] = set()
        """Ids of clients about which it may soon alert: a fresh look at whether a person uses them would help now."""
        self.allowed = 0
        """Times that an alert was not made because someone said that it is fine."""

    @property
    def evicted(self) -> int:
        """Entries of its own tables that had to go for others."""
        return 0

    def learned(self, contact: Contact, now: int) -> None:
        """There is a new contact, or a new name or place for one."""

    def forgotten(self, row: int) -> None:
        """The contact of that row is no more; the row may come again with another one."""

    def second(self, activity: Activity, frames: int, dropped: int) -> Iterable[Alert]:
        """A second of packet time is over. `frames`, `dropped`: frames captured and lost since the start."""
        return ()

    def moved(self, seconds: Sequence[OwnerSecond], until: int, coverage: Coverage) -> Iterable[Alert]:
        """What clients of known state moved in the second that ends at `until` ns, by owner."""
        return ()

    def crowded(self, now: int, clients: int) -> Iterable[Alert]:
        """The client table was full (`clients` is its cap): new clients were counted as "other", or old ones were."""
        return ()

    def tick(self, now: int) -> Iterable[Alert]:
        """Time has passed, with or without packets; about once a second."""
        return ()

    def stepped(self, now: int) -> Iterable[Alert]:
        """Packet time stepped to `now`, ns: spans of time that reach across it mean nothing."""
        return ()

    def retuned(self, settings: Any, facts: Facts) -> None:
        """Other settings and facts hold from now on; what is open stays open. A rule without it is made anew."""

    def relabelled(self, translate: Callable[[Label], Label]) -> None:
        """Other watches and allowances hold: what becomes of what is kept by label."""

    def relearned(self, contact: Contact, now: int) -> None:
        """Other watches hold: which of them is this contact at? Called for each that there is, over some seconds."""

    def ended(self) -> Iterable[Alert]:
        """The rule is switched off: what is open ends."""
        return ()

    def active(self) -> Iterator[Alert]:
        """The alerts that are firing, as they stand."""
        return iter(())


def owner_key(place: Place) -> str:
    """Whose a destination is, as far as is known: owner, else AS, else country, else "unknown"."""
    if place.owner:
        return place.owner
    if place.asn is not None:
        return f"AS{place.asn}"
    return place.country or "unknown"


def owner_of(contact: Contact, registrable: Callable[[str], str | None]) -> str:
    """As `owner_key`; where neither owner nor AS is known, the registrable domain comes before the country.

    `registrable`: a host name's registrable domain, by the Public Suffix List.
    """
    place = contact.place
    if not place.owner and place.asn is None and contact.names:
        return registrable(contact.names[0].name) or owner_key(place)
    return owner_key(place)


DETECTORS: Registry[Detector] = Registry("sensor.detect.rules", "detector")
"""The files in `rules/`."""
