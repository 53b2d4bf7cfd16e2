"""A client sends to an owner or a country that it never sent to before; a hint, and off by default.

What it contacts within `learning` of its first contact is learned without a word. Everything is remembered over
restarts, up to `learned.MAX_KNOWN` owners and countries per client.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sensor.base.countries import country_name
from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.base.units import Duration
from sensor.detect import explain
from sensor.detect.base import MAX_ACTIVE, Detector, Facts, owner_key
from sensor.detect.case import Case
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, Severity

MAX_A_DAY = 20
"""Alerts per client and day; what is beyond is suppressed, and counted."""

_DAY = 86_400 * SECOND


@dataclass(frozen=True)
class Settings:
    """[detect.new_destination]."""

    enabled: bool = True
    learning: Duration = Duration("7d")
    """After a client's first contact, during which everything is new."""
    resolve_after: Duration = Duration("10m")
    """The alert is over after this long."""
    severity: Severity = "info"


class NewDestination(Detector):
    """Remembers whom each client knows."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self._settings = settings
        self._facts = facts
        self._unmet: dict[int, Contact] = {}
        """Contacts to which the client has not sent yet, by row; as many as the account keeps."""
        self._cases: dict[tuple[str, str], Case] = {}
        self._today: dict[str, tuple[int, int]] = {}
        """Client -> (day, alerts); of clients that met somebody today."""
        self._now = 0

    def learned(self, contact: Contact, now: int) -> None:
        self._unmet[contact.row] = contact

    def forgotten(self, row: int) -> None:
        self._unmet.pop(row, None)

    def second(self, activity: Activity, frames: int, dropped: int) -> Iterator[Alert]:
        self._now = activity.until
        if not self._unmet:
            return
        for at in (activity.sent_packets > 0).nonzero()[0].tolist():
            contact = self._unmet.pop(int(activity.rows[at]), None)
            if contact is None:
                continue
            for who in self._strangers(contact, activity.until)[:1]:
                case = Case((self.name, contact.client, who), int(activity.first_seen[at]), contact, frames, dropped)
                case.last_seen = int(activity.last_seen[at])
                case.sent_bytes, case.received_bytes = int(activity.sent_bytes[at]), int(activity.received_bytes[at])
                case.frames, case.dropped = frames, dropped
                yield from self._open(case, who, activity.until)

    def tick(self, now: int) -> Iterator[Alert]:
        quiet = self._settings.resolve_after
        for key in [key for key, case in self._cases.items() if abs(now - case.last_seen) >= quiet]:
            case = self._cases.pop(key)
            yield self._alert(case, case.last_seen + quiet)

    def stepped(self, now: int) -> Iterator[Alert]:
        self._facts.learned.stepped(self._now, now)
        yield from self.ended()

    def retuned(self, settings: Settings, facts: Facts) -> None:
        self._settings, self._facts = settings, facts

    def ended(self) -> Iterator[Alert]:
        for key in list(self._cases):
            case = self._cases.pop(key)
            yield self._alert(case, case.last_seen + self._settings.resolve_after)

    def active(self) -> Iterator[Alert]:
        for case in self._cases.values():
            yield self._alert(case)

    def _strangers(self, contact: Contact, now: int) -> list[str]:
        """The contact's owner and country, where the client meets them for the first time after its learning time."""
        place = contact.place
        whose = [f"owner {owner_key(place)}"] if place.owner or place.asn is not None else []
        where = [f"country {place.country}"] if place.country else []
        met = [(who, self._facts.learned.meet(contact.client, who, now)) for who in whose + where]
        return [who for who, known_for in met if known_for is not None and known_for >= self._settings.learning]

    def _open(self, case: Case, who: str, now: int) -> Iterator[Alert]:
        client = case.contact.client
        day, count = self._today.get(client, (-1, 0))
        if day != now // _DAY:
            self._today = {each: value for each, value in self._today.items() if value[0] == now // _DAY}
            count = 0
        self._today[client] = now // _DAY, count + 1
        if count >= MAX_A_DAY or len(self._cases) >= MAX_ACTIVE:
            self.suppressed += 1
            return
        self._cases[client, who] = case
        yield self._alert(case)

    def _alert(self, case: Case, resolved_at: int | None = None) -> Alert:
        client, destination = self._facts.client(case.contact.client), explain.far_end(case.contact)
        kind, _, who = case.key[2].partition(" ")
        called = country_name(who) if kind == "country" else printable(who, explain.MAX_NAME)
        known = self._facts.states.at(case.contact.client, case.last_seen)
        return Alert(
            id=case.id,
            fingerprint=case.fingerprint,
            detector=self.name,
            severity=self._settings.severity,
            state="firing" if resolved_at is None else "resolved",
            started_at=case.started_at,
            updated_at=case.last_seen if resolved_at is None else resolved_at,
            resolved_at=resolved_at,
            client=client,
            destination=destination,
            summary=explain.sentence(
                f"{explain.who(client)} sent to {called} for the first time: {explain.whose(destination)}."
            ),
            rule=self.name,
            thresholds={"learning_seconds": self._settings.learning / SECOND},
            measured={"kind": kind, "new": who, "ports": self._facts.ports(case.contact)},
            evidence=case.evidence(known),
        )


PLUGIN = NewDestination
