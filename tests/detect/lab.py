"""A rule about idle clients between told phone states and contacts that move bytes second by second."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sensor.base.addresses import parse_address
from sensor.base.settings import build
from sensor.base.times import SECOND
from sensor.detect.allowance import Allowance, Allowances
from sensor.detect.base import Detector, Facts, owner_of
from sensor.detect.engine import Engine
from sensor.detect.learned import Learned
from sensor.detect.owners import Owners
from sensor.detect.watch import Watch
from sensor.enrich.suffixes import PublicSuffixes
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, AlertClient
from sensor.model.destination import Name, Place
from sensor.model.foreground import NOTHING_KNOWN, STATES, Change, Foreground, Moment, State

START = 1_790_000_000 * SECOND
PHONE, TABLET = "60:38:e0:c5:35:a0", "02:00:00:00:00:01"
V4, V6 = "42.62.48.10", "2400:3200::1"
CHINA = Place("CN", 4808, "China Unicom Beijing")
CLOUD = Place("DE", 65_001, "Example Cloud")
GOOGLE = Place("US", 15_169, "Google LLC")
BECAUSE: dict[State, str | None] = {
    "background": "its screen was off", "foreground": "somebody used it", "unknown": None
}  # fmt: skip


class Told:
    """Phone states as a test tells them; implements model.foreground.ForegroundStates."""

    def __init__(self) -> None:
        self.changes: dict[str, list[Change]] = {}
        self.last: dict[str, dict[Moment, int]] = {}

    def at(self, client: str, time: int) -> Foreground:
        known = [change.foreground for change in self.changes.get(client, []) if change.time <= time]
        return known[-1] if known else NOTHING_KNOWN

    def between(self, client: str, start: int, end: int) -> list[Change]:
        return [change for change in self.changes.get(client, []) if start <= change.time <= end]

    def moments(self, client: str) -> dict[Moment, int]:
        return self.last.get(client, {})


class Move(NamedTuple):
    """What one contact moved in a second; bytes."""

    row: int = 0
    uploaded: int = 0
    received: int = 0
    sent: int | None = None
    """IP bytes; None: the payload and its headers."""

    @property
    def sent_bytes(self) -> int:
        return self.sent if self.sent is not None else self.uploaded + (self.uploaded // 1400 + 1) * 40


@dataclass
class Lab:
    """One detector; `settings`: of its table, `allow`, `shipped`, `watches`: tables as the configuration has them."""

    kind: type[Detector]
    settings: dict[str, Any] = field(default_factory=dict)
    allow: Iterable[dict[str, Any]] = ()
    shipped: Iterable[dict[str, Any]] = ()
    watches: Iterable[dict[str, Any]] = ()
    learned: Learned = field(default_factory=Learned)
    now: int = START

    def __post_init__(self) -> None:
        self.clients = {
            PHONE: AlertClient(PHONE, PHONE, "Redmi Note", "Xiaomi", ("192.168.2.100",)),
            TABLET: AlertClient(TABLET, TABLET, "Tablet", None, ("192.168.2.101",)),
        }
        self.states = Told()
        watches = tuple(build(Watch, watch) for watch in self.watches)
        facts = Facts(self._who, watches, self.states, self.learned)
        self.detector = self.kind(build(self.kind.settings_type, self.settings), facts)
        allowances = Allowances(_allowances(self.allow), _allowances(self.shipped))
        suffixes = PublicSuffixes()
        owners = Owners(watches, allowances, lambda contact: owner_of(contact, suffixes.registrable))
        self.engine = Engine([self.detector], owners)
        self.contacts: dict[int, Contact] = {}
        self.frames = 0

    def _who(self, client: str) -> AlertClient:
        return self.clients.get(client, AlertClient(client, client, None, None, ()))

    def is_(self, state: State, client: str = PHONE, source: str = "push", **more: Any) -> None:
        """A source says so from now on."""
        known = NOTHING_KNOWN
        if state != "unknown":
            told: dict[str, Any] = {"observed_at": self.now, "since": self.now, "because": BECAUSE[state], **more}
            known = Foreground(state, source, **told)
        self.states.changes.setdefault(client, []).append(Change(self.now, known))

    def just(self, moment: Moment, client: str = PHONE) -> None:
        """The client joined, was locked, or began to charge."""
        self.states.last.setdefault(client, {})[moment] = self.now

    def meets(self, address: str = V4, place: Place = CHINA, *names: str, client: str = PHONE, row: int = 0) -> Contact:
        contact = Contact(row, client, b"\xc0\xa8\x02\x64", parse_address(address), place, [])
        self.contacts[row] = contact
        self.calls(contact, *names)
        return contact

    def calls(self, contact: Contact, *names: str) -> None:
        """The client utters names for the contact, best first."""
        contact.names = [Name(name, "tls") for name in names]
        self.engine.learned(contact, self.now)

    def second(self, *moves: Move, dropped: int = 0) -> list[Alert]:
        """One second in which each contact moves half way through."""
        half = self.now + SECOND // 2
        self.now += SECOND
        self.frames += 100
        moves = tuple(sorted(moves))
        contacts = [self.contacts[move.row] for move in moves]
        sent = np.array([move.sent_bytes for move in moves], np.int64)
        received = np.array([move.received for move in moves], np.int64)
        half_way = np.full(len(moves), half)
        states = [STATES.index(self.states.at(contact.client, self.now).state) for contact in contacts]
        activity = Activity(
            self.now,
            np.array([move.row for move in moves], np.int64),
            sent,
            received,
            (sent > 0) * 1,
            (received > 0) * 1,
            half_way,
            half_way,
            np.array([move.uploaded for move in moves], np.int64),
            np.zeros(len(moves), np.int64),
            np.array(states, np.int8),
        )
        return self.engine.second(activity, self.frames, dropped) + self.engine.tick(self.now)

    def seconds(self, count: int, *moves: Move) -> list[Alert]:
        """The same for a while."""
        return [alert for _ in range(count) for alert in self.second(*moves)]

    def waits(self, seconds: int) -> list[Alert]:
        """Nothing moves."""
        self.now += seconds * SECOND
        return self.engine.tick(self.now)

    def steps(self, seconds: int) -> list[Alert]:
        """The clock steps."""
        self.now += seconds * SECOND
        return self.engine.stepped(self.now) + self.engine.tick(self.now)


def _allowances(tables: Iterable[dict[str, Any]]) -> list[Allowance]:
    return [build(Allowance, {"reason": "it is wanted", **table}) for table in tables]
