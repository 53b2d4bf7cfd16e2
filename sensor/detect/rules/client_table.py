"""There are more clients than the account keeps: something invents addresses, or the cap is too low."""

from collections.abc import Iterator
from dataclasses import dataclass

from sensor.base.units import Duration
from sensor.detect.base import Detector, Facts
from sensor.detect.case import digest
from sensor.model.alert import Alert, Evidence

OTHER = "other"
"""The id of the client under which those are counted that have no row of their own."""


@dataclass(frozen=True)
class Settings:
    """[detect.client_table]."""

    enabled: bool = True
    resolve_after: Duration = Duration("10m")
    """With room in the table for this long, the alert is over."""


class ClientTable(Detector):
    """One alert for as long as it goes on, however many clients there are."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self._facts = facts
        self._quiet = settings.resolve_after
        self._started_at: int | None = None
        self._last = 0
        self._cap = 0

    def crowded(self, now: int, clients: int) -> Iterator[Alert]:
        fresh = self._started_at is None
        if self._started_at is None:
            self._started_at = now
        self._last, self._cap = now, clients
        if fresh:
            yield from self.active()

    def tick(self, now: int) -> Iterator[Alert]:
        if abs(now - self._last) >= self._quiet:
            yield from self.ended()

    def retuned(self, settings: Settings, facts: Facts) -> None:
        self._quiet, self._facts = settings.resolve_after, facts

    def ended(self) -> Iterator[Alert]:
        if self._started_at is not None:
            yield self._alert(self._started_at, self._last + self._quiet)
            self._started_at = None

    def active(self) -> Iterator[Alert]:
        if self._started_at is not None:
            yield self._alert(self._started_at, None)

    def _alert(self, started_at: int, resolved_at: int | None) -> Alert:
        fingerprint = digest(self.name)
        over = resolved_at is not None
        full = f"The table of clients {'was' if over else 'is'} full at {self._cap:,}"
        return Alert(
            id=digest(fingerprint, str(started_at)),
            fingerprint=fingerprint,
            detector=self.name,
            severity="warning",
            state="resolved" if over else "firing",
            started_at=started_at,
            updated_at=self._last if resolved_at is None else resolved_at,
            resolved_at=resolved_at,
            client=self._facts.client(OTHER),
            destination=None,
            summary=f'{full}: further ones count together as "other". Something on the network invents addresses, '
            "or max_clients is too low.",
            rule=self.name,
            thresholds={"max_clients": self._cap},
            measured={"clients": self._cap},
            evidence=Evidence(0, 0, started_at, self._last),
        )


PLUGIN = ClientTable
