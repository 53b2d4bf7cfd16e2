"""What the rules about idle clients share: their alerts, and which of a client's many owners are followed."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sensor.detect import explain
from sensor.detect.base import MAX_ACTIVE, Coverage, Detector, Facts
from sensor.detect.case import Case
from sensor.detect.groups import Movement
from sensor.detect.owners import Label, OwnerSecond
from sensor.detect.window import Window
from sensor.model.alert import Alert
from sensor.model.foreground import NOTHING_KNOWN, Foreground

MAX_OWNERS = 512
"""Owners that are followed per client, and only of clients that someone reports on; the one longest unused goes."""

Key = tuple[str, str, str]
"""(client, owner, names of the allowances that speak for it)."""

T = TypeVar("T")


class Followed(Generic[T]):
    """Something kept per client and owner: one client that goes through many cannot push out another's."""

    def __init__(self, make: Callable[[], T], most: int = MAX_OWNERS) -> None:
        self.evicted = 0
        self._make = make
        self._most = most
        self._clients: dict[str, OrderedDict[tuple[str, str], T]] = {}

    def get(self, key: Key) -> T:
        """What is kept for the key; made where there is none."""
        client, *rest = key
        mine = self._clients.setdefault(client, OrderedDict())
        owner = (rest[0], rest[1])
        found = mine.get(owner)
        if found is None:
            found = mine[owner] = self._make()
            if len(mine) > self._most:
                mine.popitem(last=False)
                self.evicted += 1
        else:
            mine.move_to_end(owner)
        return found

    def peek(self, key: Key) -> T | None:
        """What is kept for the key, without making it or counting as a use."""
        return self._clients.get(key[0], OrderedDict()).get((key[1], key[2]))

    def pop(self, key: Key) -> None:
        """Nothing is kept for the key any more."""
        mine = self._clients.get(key[0])
        if mine is not None:
            mine.pop((key[1], key[2]), None)
            if not mine:
                del self._clients[key[0]]

    def items(self) -> Iterator[tuple[Key, T]]:
        """All that is kept; may be changed meanwhile."""
        for client, mine in list(self._clients.items()):
            for (owner, allowed), value in list(mine.items()):
                yield (client, owner, allowed), value

    def clear(self) -> None:
        """Nothing is kept."""
        self._clients.clear()


@dataclass(slots=True, eq=False)
class IdleCase(Case):
    """A case about a client that nobody used."""

    known: Foreground = NOTHING_KNOWN
    """What was known of the client when it fired."""
    uploaded: int = 0
    """Payload that was new, since the case began."""
    active_at: int = 0
    """When it last did what the rule is about; the case is over `resolve_after` later."""
    measured: dict[str, object] = field(default_factory=dict)
    silent_if: list[str] = field(default_factory=list)
    """What would have kept it from firing."""


class IdleDetector(Detector):
    """A rule about clients that nobody uses: keeps its open cases, and makes their alerts."""

    def __init__(self, settings: Any, facts: Facts) -> None:
        super().__init__(settings, facts)
        self.settings = settings
        self.facts = facts
        self._cases: dict[Key, IdleCase] = {}

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        """One client and owner in the second that ends at `until` ns; `known`: of the client, then."""
        raise NotImplementedError

    def expire(self, now: int) -> None:
        """Lets go of what was kept for too long without an alert."""

    def restart(self) -> None:
        """Lets go of everything: time stepped."""

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        """The sentence: `about`: who, `far`: whose and where."""
        raise NotImplementedError

    def moved(self, seconds: Sequence[OwnerSecond], until: int, coverage: Coverage) -> Iterator[Alert]:
        for second in seconds:
            yield from self.judge(second, self.facts.states.at(second.label.client, until), until, coverage)

    def tick(self, now: int) -> Iterator[Alert]:
        quiet = self.settings.resolve_after
        for key in [key for key, case in self._cases.items() if abs(now - case.active_at) >= quiet]:
            yield self.close(key)
        self.expire(now)

    def stepped(self, now: int) -> Iterator[Alert]:
        for key in list(self._cases):
            yield self.close(key)
        self.restart()

    def active(self) -> Iterator[Alert]:
        for case in self._cases.values():
            yield self._alert(case)

    def follow(self, key: Key, movement: Movement, coverage: Coverage, *, active: bool) -> Iterator[Alert]:
        """One more second of the open case of that key; one that came too late for it closes it first.

        `active`: the client did what the rule is about.
        """
        case = self._cases[key]
        if active and movement.first_seen - case.active_at >= self.settings.resolve_after:
            yield self.close(key)
            return
        case.add(movement, coverage.frames, coverage.dropped)
        if active:
            case.uploaded += movement.uploaded
            case.active_at = movement.last_seen

    def is_open(self, key: Key) -> bool:
        """Whether there is an open case of that key."""
        return key in self._cases

    def open(self, key: Key, case: IdleCase) -> Iterator[Alert]:
        """Fires, where there is room for one more."""
        if len(self._cases) >= MAX_ACTIVE:
            self.suppressed += 1
            return
        self._cases[key] = case
        yield self._alert(case)

    def close(self, key: Key) -> Alert:
        """The open case is over."""
        case = self._cases.pop(key)
        return self._alert(case, case.active_at + self.settings.resolve_after)

    def _alert(self, case: IdleCase, resolved_at: int | None = None) -> Alert:
        """What only was inferred from traffic is never more than info."""
        client, destination = self.facts.client(case.contact.client), explain.far_end(case.contact)
        changes = self.facts.states.between(client.id, case.started_at - explain.BEFORE, case.last_seen)
        said = self.said(case, explain.who(client), explain.whose(destination), over=resolved_at is not None)
        return Alert(
            id=case.id,
            fingerprint=case.fingerprint,
            detector=self.name,
            severity="info" if case.known.source == "inferred" else self.settings.severity,
            state="firing" if resolved_at is None else "resolved",
            started_at=case.started_at,
            updated_at=case.last_seen if resolved_at is None else resolved_at,
            resolved_at=resolved_at,
            client=client,
            destination=destination,
            summary=explain.sentence(said),
            rule=self.name,
            thresholds=dict(case.thresholds),
            measured={
                **case.measured,
                "uploaded_bytes": case.uploaded,
                "contradicted_by": list(case.known.contradicted_by),
                "timeline": explain.timeline(changes),
                "would_not_fire": list(case.silent_if),
            },
            evidence=case.evidence(case.known),
        )


def window_case(
    detector: str, label: Label, window: Window, movement: Movement, known: Foreground, coverage: Coverage,
    before: tuple[int, int],
) -> IdleCase:  # fmt: skip
    """A case about what is in the window; `before`: frames and dropped ones when that began."""
    return IdleCase(
        key=(detector, *key_of(label)),
        started_at=window.since,
        contact=movement.contact,
        frames_before=before[0],
        dropped_before=before[1],
        last_seen=movement.last_seen,
        sent_bytes=window.sent,
        received_bytes=window.received,
        frames=coverage.frames,
        dropped=coverage.dropped,
        known=known,
        uploaded=window.uploaded,
        active_at=movement.last_seen,
        measured={"owner": label.owner, "watch": label.watch},
    )


def key_of(label: Label) -> Key:
    """What is counted apart: what is allowed to a client never hides what is not."""
    return label.client, label.owner, ", ".join(str(each.name) for each in label.allowed)


def silent_if(*settings: str, label: Label) -> list[str]:
    """What would have kept an alert from firing."""
    return ["a person had used it", *settings, f'an [[allow]] for "{label.owner}" on this client']
