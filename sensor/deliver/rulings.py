"""The rulings that hold and those that did: which of them speaks about an alert. Pure; `now` is ns since 1970."""

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace

from sensor.base.domains import fold
from sensor.base.times import SECOND
from sensor.deliver.notice import Json, client_of
from sensor.model.ruling import Action, Ruling

MAX_ACTIVE = 1_000
"""Rulings that hold at once; one more is refused."""

MAX_PAST = 1_000
"""Rulings that are over and can still be looked up; the oldest go."""

DAY = 86_400 * SECOND
LONGEST: dict[Action, int] = {"mute": 366 * DAY, "allow": 36_500 * DAY, "acknowledge": 30 * DAY, "maintenance": 7 * DAY}
"""ns that a ruling may reach ahead. An alert that goes on for a month after it was acknowledged is told of again."""

REASONS: dict[Action, str] = {
    "mute": "muted", "allow": "allowed", "acknowledge": "acknowledged", "maintenance": "maintenance",
}  # fmt: skip

VERSION = 1


class Rulings:
    """Whoever asks with an alert asks with the ALERT object."""

    def __init__(self) -> None:
        self.dropped = 0
        """Past ones that had to go."""
        self._active: OrderedDict[str, Ruling] = OrderedDict()
        self._past: deque[Ruling] = deque()
        self._keyed: dict[tuple[str, str], list[tuple[Ruling, str]]] = {}
        """(detector, client), or without -> rulings with just these, and their owners folded: an alert asks four."""
        self._pauses: list[Ruling] = []

    def reason(self, alert: Json, now: int) -> str | None:
        """Why nobody is to hear of it: muted, allowed, acknowledged; None: somebody is."""
        if not self._keyed:
            return None
        subject = _Subject(alert)
        detector, client = subject.detector, subject.client
        for pair in ((detector, client), (detector, ""), ("", client), ("", "")):
            for ruling, owner in self._keyed.get(pair, ()):
                if _is_about(ruling, owner, subject) and ruling.holds(now):
                    return REASONS[ruling.action]
        return None

    def why(self, alert: Json, now: int) -> str | None:
        """As `reason`, and "maintenance"."""
        return REASONS["maintenance"] if self.paused(now) else self.reason(alert, now)

    def paused(self, now: int) -> bool:
        """Whether there is maintenance. One that was made by a clock that is set back since must not last for years."""
        longest = LONGEST["maintenance"]
        return any(each.holds(now) and (each.until or 0) <= now + longest for each in self._pauses)

    def get(self, identity: str) -> Ruling | None:
        """The ruling of that id, whether it holds or not."""
        found = self._active.get(identity)
        return found or next((each for each in self._past if each.id == identity), None)

    def active(self, now: int) -> list[Ruling]:
        """Those that hold, oldest first."""
        return [each for each in self._active.values() if each.holds(now)]

    def __iter__(self) -> Iterator[Ruling]:
        """All, those that are over first."""
        yield from self._past
        yield from self._active.values()

    def add(self, ruling: Ruling, now: int) -> Ruling:
        """It holds from now on; where one of its id is known already, that one. ValueError: too many hold."""
        known = self.get(ruling.id)
        if known is not None:
            return known
        self._settle(now)
        if len(self._active) >= MAX_ACTIVE:
            raise ValueError(f"{MAX_ACTIVE} of them hold already; take some back first")
        self._active[ruling.id] = ruling
        self._index()
        return ruling

    def undo(self, identity: str, who: str, note: str, now: int) -> Ruling | None:
        """Taken back; one that is over already stays as it is. None: there is none of that id."""
        ruling = self.get(identity)
        if ruling is None or not ruling.holds(now):
            return ruling
        return self._end(replace(ruling, ended_at=now, undone_by=who, undone_note=note), now)

    def over(self, fingerprint: str, now: int) -> bool:
        """The alert is: what was said of it alone has come to its end. Whether there was anything."""
        ended = [each for each in self._active.values() if each.fingerprint and each.fingerprint == fingerprint]
        for ruling in ended:
            self._end(replace(ruling, ended_at=now), now)
        return bool(ended)

    def dump(self) -> Json:
        """All as JSON values."""
        return {"version": VERSION, "rulings": [each.to_json() for each in self]}

    def load(self, values: Json, now: int) -> None:
        """What `dump` gave. ValueError: it is anything else; then nothing has changed."""
        if values.get("version") != VERSION or not isinstance(values.get("rulings"), list):
            raise ValueError("another version")
        rulings = [Ruling.from_json(each) for each in values["rulings"]]
        self._past = deque(each for each in rulings if not each.holds(now))
        self._active = OrderedDict((each.id, each) for each in rulings[-MAX_ACTIVE:] if each.holds(now))
        self._settle(now)
        self._index()

    def _end(self, ended: Ruling, now: int) -> Ruling:
        if ended.id not in self._active:  # it was over by a clock that was set back since
            self._past = deque(each for each in self._past if each.id != ended.id)
        self._active[ended.id] = ended
        self._settle(now)
        self._index()
        return ended

    def _settle(self, now: int) -> None:
        """What is over goes to the past ones."""
        for ruling in [each for each in self._active.values() if not each.holds(now)]:
            self._past.append(self._active.pop(ruling.id))
        while len(self._past) > MAX_PAST:
            self._past.popleft()
            self.dropped += 1

    def _index(self) -> None:
        self._keyed, self._pauses = {}, []
        for ruling in self._active.values():
            if ruling.action == "maintenance":
                self._pauses.append(ruling)
            else:
                pair = (ruling.key.detector, ruling.key.client)
                self._keyed.setdefault(pair, []).append((ruling, ruling.key.owner.casefold()))


def matches(ruling: Ruling, alert: Json) -> bool:
    """Whether the alert has all parts that are given. An alert about several owners together has no far end."""
    return _is_about(ruling, ruling.key.owner.casefold(), _Subject(alert))


class _Subject:
    """An alert in the form in which keys are written; made once per alert, however many rulings there are."""

    __slots__ = ("address", "client", "detector", "fingerprint", "has_far_end", "name", "owner", "ports")

    def __init__(self, alert: Json) -> None:
        far, measured = alert.get("destination"), alert.get("reason", {}).get("measured", {})
        self.fingerprint: str = alert["fingerprint"]
        self.detector: str = alert["detector"]
        self.client = client_of(alert)
        self.has_far_end = far is not None and not measured.get("others")
        far = far or {}
        self.owner = (far.get("owner") or "").casefold()
        self.name = fold(far.get("name") or "")
        self.address = _plain_address(far.get("address") or "")
        ports = measured.get("ports")
        self.ports = [str(port).rpartition("/") for port in ports] if isinstance(ports, list) else []


def _is_about(ruling: Ruling, owner: str, subject: _Subject) -> bool:
    """`owner`: that of the key, folded."""
    if ruling.action == "acknowledge":
        # Not the id: after a restart what goes on has another one.
        return ruling.fingerprint == subject.fingerprint
    key = ruling.key
    if (key.detector and key.detector != subject.detector) or (key.client and key.client != subject.client):
        return False
    if not (owner or key.domain or key.address or key.port):
        return bool(key)
    return (
        subject.has_far_end
        and (not owner or owner in subject.owner)
        and (not key.address or key.address == subject.address)
        and (not key.domain or _lies_under(subject.name, key.domain))
        and (not key.port or _only_port(subject.ports, key.port))
    )


def _lies_under(name: str, domain: str) -> bool:
    return name.endswith(domain) and (len(name) == len(domain) or name[-len(domain) - 1] == ".")


def _plain_address(written: str) -> str:
    try:
        return str(ipaddress.ip_address(written))
    except ValueError:
        return ""


def _only_port(ports: list[tuple[str, str, str]], wanted: str) -> bool:
    """An alert about other ports as well is another matter."""
    protocol, _, number = wanted.rpartition("/")
    return bool(ports) and all(number == port and protocol in ("", kind) for kind, _, port in ports)
