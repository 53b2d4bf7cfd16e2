"""One open alert: what was counted since it fired."""

import hashlib
from dataclasses import dataclass, field

from sensor.detect.groups import Movement
from sensor.model.activity import Contact
from sensor.model.alert import Evidence
from sensor.model.foreground import Foreground

_ID_DIGITS = 16


@dataclass(slots=True, eq=False)
class Case:
    """Grows with each second of traffic that belongs to it."""

    key: tuple[str, ...]
    """Detector, rule, client, owner: what makes it the same case at another time."""
    started_at: int
    """The first packet, in ns."""
    contact: Contact
    """The one that was seen last."""
    frames_before: int = 0
    dropped_before: int = 0
    """Frames captured and lost before the case began, since the start of the sensor."""
    last_seen: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    frames: int = 0
    dropped: int = 0
    thresholds: dict[str, object] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The same for the same key, at any time and on any sensor."""
        return digest(*self.key)

    @property
    def id(self) -> str:
        """The same in every run over the same packets."""
        return digest(self.fingerprint, str(self.started_at))

    def add(self, movement: Movement, frames: int, dropped: int) -> None:
        """One more second. A case may be fed by several groups within it."""
        if movement.last_seen >= self.last_seen:
            self.contact, self.last_seen = movement.contact, movement.last_seen
        self.sent_bytes += movement.sent_bytes
        self.received_bytes += movement.received_bytes
        self.frames, self.dropped = frames, dropped

    def evidence(self, foreground: Foreground) -> Evidence:
        """As it stands; `foreground`: what was known of the client when it was last seen."""
        return Evidence(
            self.sent_bytes,
            self.received_bytes,
            self.started_at,
            self.last_seen,
            self.frames - self.frames_before,
            self.dropped - self.dropped_before,
            foreground,
        )


def digest(*parts: str) -> str:
    """Short text that stands for the parts, the same on any sensor; the parts must be printable."""
    # A NUL is in no part, so that ("a", "bc") and ("ab", "c") differ.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_ID_DIGITS]
