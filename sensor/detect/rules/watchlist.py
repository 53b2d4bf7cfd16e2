"""A client sends to a watched place.

1. A contact counts from the second in which it is known to be at a watched place: a name that comes later (a TLS
   hello follows the handshake) makes it count from then on. What it moved before is in the destination's totals.
2. Only contacts to which the client sent count: anyone can send to a client. An alert fires in a second in which
   the client sends; what it receives later keeps it open.
3. There is one alert per watch, client and owner of the destination. Where the owner is unknown, the AS, the country,
   and at last "unknown" stand for it: a million addresses that nobody knows make one alert.
4. A match stays: names that the client uses later for the same address cannot talk it out of a watch.
5. Time that steps back by `resolve_after` or more ends what it finds open.
6. A client that goes through more than MAX_OWNERS owners of one watch has the rest in one more alert, so that it
   cannot flood the chat, and cannot take the room that the alerts of other clients need.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sensor.base.units import Duration, size_text
from sensor.detect import explain
from sensor.detect.base import MAX_ACTIVE, Detector, Facts, owner_key
from sensor.detect.case import Case
from sensor.detect.groups import Groups, Movement
from sensor.detect.watch import Matcher, places
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, AlertClient, AlertDestination

MAX_OWNERS = 32
"""Open alerts for one watch and client, each with an owner of its own."""

OTHER_OWNERS = "other owners"
"""Stands for the owners beyond that."""


@dataclass(frozen=True)
class Settings:
    """[detect.watchlist]."""

    enabled: bool = True
    resolve_after: Duration = Duration("10m")
    """Without traffic for this long, the alert is over."""


Key = tuple[str, str, str]
"""(watch, client, owner)."""


@dataclass(frozen=True, slots=True)
class _Label:
    """What contacts of one group have in common."""

    client: str
    owner: str
    watches: tuple[int, ...]
    """Numbers of the matchers that match, ascending."""


class Watchlist(Detector):
    """Keeps which contacts are watched, and one case per open alert."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self._quiet = settings.resolve_after
        self._facts = facts
        self._matchers = [Matcher(watch) for watch in facts.watches if watch.enabled]
        self._groups: Groups[_Label] = Groups()
        self._cases: dict[Key, tuple[Matcher, Case]] = {}
        self._before = 0, 0
        """Frames and dropped ones up to the second before."""
        self._owners: Counter[tuple[str, str]] = Counter()
        """(watch, client) -> open cases with an owner of their own."""

    def retuned(self, settings: Settings, facts: Facts) -> None:
        before = self._matchers
        self._quiet, self._facts = settings.resolve_after, facts
        self._matchers = [Matcher(watch) for watch in facts.watches if watch.enabled]
        # A match stays (4.) where the places are the same.
        numbers = {places(matcher.watch): number for number, matcher in enumerate(self._matchers)}
        kept = {old: numbers.get(places(matcher.watch)) for old, matcher in enumerate(before)}
        self._groups.relabel(lambda label: _renumbered(label, kept))
        named = {str(matcher.watch.name): matcher for matcher in self._matchers}
        self._cases = {key: (named.get(key[0], matcher), case) for key, (matcher, case) in self._cases.items()}

    def relearned(self, contact: Contact, now: int) -> None:
        self.learned(contact, now)

    def ended(self) -> Iterator[Alert]:
        for key in list(self._cases):
            yield self._resolve(key)

    def learned(self, contact: Contact, now: int) -> None:
        if not self._matchers:
            return
        before = self._groups.label(contact.row)
        watches = tuple(
            number
            for number, matcher in enumerate(self._matchers)
            if matcher.matches(contact) or (before and number in before.watches and not matcher.excepts(contact))
        )
        if watches:
            self._groups.put(contact, _Label(contact.client, owner_key(contact.place), watches))
        else:
            self._groups.take_out(contact.row)

    def forgotten(self, row: int) -> None:
        self._groups.forget(row)

    def second(self, activity: Activity, frames: int, dropped: int) -> Iterator[Alert]:
        for label, movement in self._groups.moved(activity):
            for number in label.watches:
                yield from self._moved(self._matchers[number], label, movement, frames, dropped)
        self._before = frames, dropped

    def tick(self, now: int) -> Iterator[Alert]:
        over = [key for key, (_, case) in self._cases.items() if abs(now - case.last_seen) >= self._quiet]
        for key in over:
            yield self._resolve(key)

    def active(self) -> Iterator[Alert]:
        for matcher, case in self._cases.values():
            yield self._alert(matcher, case)

    def _moved(self, matcher: Matcher, label: _Label, movement: Movement, frames: int, dropped: int) -> Iterator[Alert]:
        watch = str(matcher.watch.name)
        key = (watch, label.client, label.owner)
        if key not in self._cases and self._owners[watch, label.client] >= MAX_OWNERS:
            key = (watch, label.client, OTHER_OWNERS)
        found = self._cases.get(key)
        if found is not None and movement.first_seen - found[1].last_seen >= self._quiet:
            yield self._resolve(key)
            found = None
        if found is not None:
            _add(matcher, found[1], movement, frames, dropped)
        elif movement.sent_packets and len(self._cases) >= MAX_ACTIVE:
            self.suppressed += 1
        elif movement.sent_packets:
            case = Case((self.name, *key), movement.first_seen, movement.contact, *self._before)
            _add(matcher, case, movement, frames, dropped)
            self._cases[key] = (matcher, case)
            self._owners[watch, label.client] += key[2] != OTHER_OWNERS
            yield self._alert(matcher, case)

    def _resolve(self, key: Key) -> Alert:
        matcher, case = self._cases.pop(key)
        watch, client, owner = key
        if owner != OTHER_OWNERS:
            self._owners[watch, client] -= 1
            if not self._owners[watch, client]:
                del self._owners[watch, client]
        return self._alert(matcher, case, case.last_seen + self._quiet)

    def _alert(self, matcher: Matcher, case: Case, resolved_at: int | None = None) -> Alert:
        client, contact = self._facts.client(case.contact.client), case.contact
        destination = explain.far_end(contact)
        over = resolved_at is not None
        measured: dict[str, object] = {
            "matched_by": next(iter(case.thresholds), None),
            "country": contact.place.country,
            "asn": contact.place.asn,
            "owner": contact.place.owner,
            "domain": destination.name,
            "address": destination.address,
            "ports": self._facts.ports(contact),
        }
        if case.key[-1] == OTHER_OWNERS:
            measured["others"] = True
        return Alert(
            id=case.id,
            fingerprint=case.fingerprint,
            detector=self.name,
            severity=matcher.watch.severity,
            state="resolved" if over else "firing",
            started_at=case.started_at,
            updated_at=case.last_seen if resolved_at is None else resolved_at,
            resolved_at=resolved_at,
            client=client,
            destination=destination,
            summary=_sentence(client, destination, str(matcher.watch.name), case, over=over),
            rule=str(matcher.watch.name),
            thresholds=dict(case.thresholds),
            measured=measured,
            evidence=case.evidence(self._facts.states.at(case.contact.client, case.last_seen)),
        )


PLUGIN = Watchlist


def _renumbered(label: _Label, numbers: Mapping[int, int | None]) -> _Label | None:
    watches = sorted(new for old in label.watches if (new := numbers[old]) is not None)
    return replace(label, watches=tuple(watches)) if watches else None


def _add(matcher: Matcher, case: Case, movement: Movement, frames: int, dropped: int) -> None:
    case.add(movement, frames, dropped)
    if case.contact is movement.contact:
        case.thresholds = matcher.places(movement.contact) or case.thresholds


def _sentence(client: AlertClient, destination: AlertDestination, watch: str, case: Case, *, over: bool) -> str:
    others = f" and others, beyond {MAX_OWNERS} owners" if case.key[-1] == OTHER_OWNERS else ""
    sent = f"{size_text(case.sent_bytes)} sent{' in all' if over else ' so far'}"
    return explain.sentence(
        f'{explain.who(client)} contacted {explain.whose(destination)}{others}, on watch "{watch}"; {sent}.'
    )
