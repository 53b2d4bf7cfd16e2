"""What a detector says."""

from dataclasses import dataclass, field
from typing import Literal

from sensor.model.destination import Place
from sensor.model.foreground import NOTHING_KNOWN, Foreground

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
State = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True)
class AlertClient:
    """Whom the alert is about."""

    id: str
    mac: str | None
    name: str | None
    vendor: str | None
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlertDestination:
    """The far end it is about: the address that was seen last."""

    address: str
    name: str | None
    name_source: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was counted from the alert's start to its last update."""

    sent_bytes: int
    received_bytes: int
    first_seen: int
    last_seen: int
    frames: int = 0
    """Frames that capture handed over meanwhile."""
    dropped_frames: int = 0
    """Frames that the kernel had no room for meanwhile."""
    foreground: Foreground = NOTHING_KNOWN
    """What was known of the client at `last_seen`."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert in one state; a later state of the same alert has the same `id`."""

    id: str
    fingerprint: str
    """The same for the same (detector, client, key), at any time."""
    detector: str
    severity: Severity
    state: State
    started_at: int
    updated_at: int
    resolved_at: int | None
    client: AlertClient
    destination: AlertDestination | None
    summary: str
    rule: str
    thresholds: dict[str, object] = field(default_factory=dict)
    measured: dict[str, object] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=lambda: Evidence(0, 0, 0, 0))
