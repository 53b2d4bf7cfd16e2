"""What this room asks of the rest of the house: the state at the moment of asking, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sensor.model.alert import Alert, Severity
from sensor.model.client import Client
from sensor.model.destination import Destination
from sensor.model.foreground import Change, Foreground, State


@dataclass(frozen=True, slots=True)
class SensorInfo:
    """Who says all this, and by which data."""

    name: str
    version: str
    geo_database: str | None = None
    geo_built_at: int | None = None
    """ns."""
    attribution: str | None = None
    """What the licence of the data wants to be shown, such as "IP data by IPinfo, CC BY-SA 4.0"."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Plain integers since the start; those without another word never fall."""

    interface: str | None = None
    """What is being watched, or waited for; None while there is nothing."""
    interface_up: bool = True
    """False while the interface is missing or down."""
    frames: int = 0
    dropped_frames: int = 0
    undecodable_frames: int = 0
    packets: int = 0
    messages: Mapping[str, int] = field(default_factory=dict)
    """Kind (dns, tls) -> messages read."""
    evicted: Mapping[str, int] = field(default_factory=dict)
    """Table (clients, destinations, names, flows, streams) -> rows that had no room."""
    events: Mapping[str, int] = field(default_factory=dict)
    """Kind -> times, of a closed set: what was given up, doubted or left out."""
    clients: int = 0
    """Rows held now, as the two below."""
    destinations: int = 0
    flows: int = 0
    interface_waits: int = 0
    """How often the interface was missing."""
    interface_reopens: int = 0
    """How often it was opened again."""
    alerts: Mapping[tuple[str, Severity], int] = field(default_factory=dict)
    """(detector, severity) -> alerts that began to fire."""
    state_sent: Mapping[tuple[str, State], int] = field(default_factory=dict)
    """(client id, phone state) -> bytes sent to destinations."""
    idle_sent: Mapping[tuple[str, str | None], int] = field(default_factory=dict)
    """(client id, country; None: unknown) -> bytes sent to destinations there in background."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Detector -> exceptions that it raised."""
    evaluations: Mapping[str, int] = field(default_factory=dict)
    """Detector -> seconds of traffic that it has judged."""
    suppressed: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(detector, room | allowed) -> alerts that were not made."""
    reports: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(source, taken | repeated | refused | lost) -> reports of phone states."""
    source_events: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(source, kind) -> times, of a closed set: what became of its requests and connections."""
    verdicts: Mapping[tuple[str, State, State], int] = field(default_factory=dict)
    """(source, what was said, what is known better) -> times; the source is who guessed (inferred) or counted (adb)."""
    alert_truths: Mapping[tuple[str, State], int] = field(default_factory=dict)
    """(detector, what a phone's own counters say of the alert) -> alerts that are over."""
    standings: Sequence[tuple[str, "SourceState"]] = ()
    """(client id, what one source says of it)."""
    reloads: Mapping[str, int] = field(default_factory=dict)
    """Outcome -> times that the configuration was read again; empty where it cannot be."""
    reload_ok: bool = True
    """Whether the last of them was taken."""
    reloaded_at: float = 0.0
    """Seconds since 1970 of the last one that was taken, the start being one."""
    country_sent: Mapping[tuple[str, str | None], int] = field(default_factory=dict)
    """(client id, country; None: unknown) -> bytes sent to destinations there."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """What one source says of a client, weighed alone."""

    source: str
    state: State
    observed_at: int
    """ns of the last report that it rests on."""


@dataclass(frozen=True, slots=True)
class ClientForeground:
    """Whether a person uses a client, and who says what of it."""

    client: str
    """Its id."""
    name: str | None
    at: int
    """ns: the moment of which this is true."""
    foreground: Foreground
    sources: tuple[SourceState, ...] = ()


class Snapshots(Protocol):
    """Given by the caller; every answer is a value that nobody changes afterwards. Called on the event loop."""

    def sensor(self) -> SensorInfo:
        """Who we are, and the database in use."""

    def counters(self) -> Counters:
        """All counts at this moment."""

    def clients(self) -> Sequence[Client]:
        """All clients, in any order; "other" may be among them."""

    def destinations(self, client: str | None) -> Sequence[Destination]:
        """Those of one client id (none if it is unknown), or of all; most bytes first.

        Rows may be made only when they are looked at: whoever needs few of them slices.
        """

    def alerts(self) -> Sequence[Alert]:
        """Firing ones and those lately resolved, each in its last state."""

    def phone_states(self, client: str | None) -> Sequence[ClientForeground]:
        """Of one client id (none if it is unknown), or of all, in any order; without "other"."""

    def timeline(self, client: str) -> Sequence[Change]:
        """What was known of one client id, oldest first; bounded."""
