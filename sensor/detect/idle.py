"""What the rules about idle clients share: their open cases, and the alerts about them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sensor.base.times import SECOND
from sensor.detect import explain
from sensor.detect.base import MAX_ACTIVE, Coverage, Detector, Facts
from sensor.detect.case import Case
from sensor.detect.followed import MAX_OWNERS, OTHER_OWNERS, Followed, Key, Share, not_excused
from sensor.detect.groups import Movement
from sensor.detect.owners import Label, OwnerSecond
from sensor.detect.window import Window
from sensor.model.alert import Alert
from sensor.model.foreground import BACKGROUND, NOTHING_KNOWN, Foreground

MAX_CASES = 64
"""Alerts that one client may hold open, so that there is room for those of others."""

TIDY = 60 * SECOND
"""How often what was kept for too long is let go of."""


@dataclass(slots=True, eq=False)
class IdleCase(Case):
    """A case about a client that nobody used."""

    known: Foreground = NOTHING_KNOWN
    """What was known of the client when it last did what the rule is about."""
    alone: bool = False
    """It was inferred from traffic alone when it fired."""
    uploaded: int = 0
    """Payload that was new, since the case began."""
    counted: int = 0
    """Bytes of what the rule is about, since the case began."""
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
        self.followed = Followed(counts=self.counts_on)
        self._cases: dict[Key, IdleCase] = {}
        self._tidied_at = 0

    @property
    def evicted(self) -> int:
        return self.followed.evicted

    @property
    def lifetime(self) -> int:
        """ns for which a share is kept after its last movement."""
        return int(self.settings.window)

    def amount(self, window: Window) -> int:
        """Which bytes of a window the rule is about."""
        return window.uploaded

    def counts_on(self, key: Key) -> bool:
        """Whether what was followed of that key counts among its client's OTHER_OWNERS when it has to go."""
        return key not in self._cases and type(self).judge_others is not IdleDetector.judge_others

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        """One client and owner in the second that ends at `until` ns; `known`: of the client, then."""
        raise NotImplementedError

    def judge_others(
        self, due: Sequence[Share], second: OwnerSecond, known: Foreground, coverage: Coverage
    ) -> Iterator[Alert]:
        """What `due` of a client's OTHER_OWNERS come to, while no case of them is open; `second`: what joined them."""
        return iter(())

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        """The sentence: `about`: who, `far`: whose and where."""
        raise NotImplementedError

    def moved(self, seconds: Sequence[OwnerSecond], until: int, coverage: Coverage) -> Iterator[Alert]:
        for second in seconds:
            known = self.facts.states.at(second.label.client, until)
            yield from self.judge(second, known, until, coverage)
            gone = [share for share in self.followed.take_merged() if share.label.client == second.label.client]
            if gone and second.state == BACKGROUND:
                yield from self._others(gone, second, known, until, coverage)

    def tick(self, now: int) -> Iterator[Alert]:
        quiet = self.settings.resolve_after
        for key in [key for key, case in self._cases.items() if abs(now - case.active_at) >= quiet]:
            yield self._close(key)
        if abs(now - self._tidied_at) >= TIDY:
            self._tidied_at = now
            self.followed.expire(now, self.lifetime)

    def stepped(self, now: int) -> Iterator[Alert]:
        yield from self.ended()
        self.followed.clear()

    def retuned(self, settings: Any, facts: Facts) -> None:
        before = self.lifetime
        self.settings, self.facts = settings, facts
        if self.lifetime != before:
            self.followed.clear()  # windows of different lengths cannot be added up

    def relabelled(self, translate: Callable[[Label], Label]) -> None:
        self.followed.relabel(translate)

    def ended(self) -> Iterator[Alert]:
        for key in list(self._cases):
            yield self._close(key)

    def active(self) -> Iterator[Alert]:
        for case in self._cases.values():
            yield self._alert(case)

    def lapsed(self, key: Key, now: int) -> Iterator[Alert]:
        """Closes the open case of that key where it was over by `now`, and nothing said so yet."""
        case = self._cases.get(key)
        if case is not None and now - case.active_at >= self.settings.resolve_after:
            yield self._close(key)

    def follow(self, key: Key, movement: Movement, known: Foreground, coverage: Coverage, counted: int) -> bool:
        """One more second of the open case of that key; False where there is none.

        `counted`: bytes of what the rule is about; 0: what moved is only shown.
        """
        case = self._cases.get(key)
        if case is None:
            return False
        case.add(movement, coverage.frames, coverage.dropped)
        case.uploaded += movement.uploaded
        if counted:
            case.counted += counted
            case.active_at, case.known = max(case.active_at, movement.last_seen), known
        return True

    def go_on(self, second: OwnerSecond, known: Foreground, coverage: Coverage, counted: int = 0) -> None:
        """As `follow`, of a second that was not noted for any share; nothing of what is allowed is shown."""
        key = key_of(second.label)
        if key not in self._cases:
            return
        mine = [share for share in self.followed.shares(key) if share.label == second.label]
        if mine[0] in self.due(key) if mine else not second.label.allowed:
            self.follow(key, second.movement, known, coverage, counted)

    def due(self, key: Key) -> list[Share]:
        """The shares of that key that no allowance excuses."""
        return not_excused(self.followed.shares(key), self.name, self.amount)

    def excuse(self, share: Share) -> None:
        """Someone said that it is fine."""
        self.allowed += not share.excused
        share.excused = True

    def open(self, key: Key, case: IdleCase) -> Iterator[Alert]:
        """Fires, where there is room for one more."""
        if len(self._cases) >= MAX_ACTIVE or sum(client == key[0] for client, _ in self._cases) >= MAX_CASES:
            self.suppressed += 1
            self.followed.drop(key)
            return
        self._cases[key] = case
        yield self._alert(case)

    def _others(
        self, gone: Sequence[Share], second: OwnerSecond, known: Foreground, until: int, coverage: Coverage
    ) -> Iterator[Alert]:
        """Owners had to go for the one that moved in this second; `gone`: their shares."""
        label = Label(second.label.client, OTHER_OWNERS, None, ())
        key = key_of(label)
        yield from self.lapsed(key, second.movement.first_seen)
        for share in self.followed.shares(key):
            share.window.slide(until, self.lifetime)
        due = [share for share in self.due(key) if share.window]
        spoken = {share.label[2:] for share in due}
        windows = [share.window for share in gone if share.label[2:] in spoken]
        if not windows:
            return
        movement = second.movement._replace(
            sent_bytes=sum(window.sent for window in windows),
            received_bytes=sum(window.received for window in windows),
            uploaded=sum(window.uploaded for window in windows),
            net_sent=sum(window.net_sent for window in windows),
        )
        if not self.follow(key, movement, known, coverage, sum(map(self.amount, windows))):
            self.suspects.add(label.client)
            yield from self.judge_others(due, OwnerSecond(label, second.state, movement), known, coverage)

    def _close(self, key: Key) -> Alert:
        """What led to the case leads to no other: each begins anew."""
        case = self._cases.pop(key)
        self.followed.drop(key)
        return self._alert(case, case.active_at + self.settings.resolve_after)

    def _alert(self, case: IdleCase, resolved_at: int | None = None) -> Alert:
        """What only was inferred from traffic is never more than info."""
        client, destination = self.facts.client(case.contact.client), explain.far_end(case.contact)
        changes = self.facts.states.between(case.contact.client, case.started_at - explain.BEFORE, case.last_seen)
        others = f" and others, beyond {MAX_OWNERS} owners" if case.key[-1] == OTHER_OWNERS else ""
        far = explain.whose(destination) + others
        said = self.said(case, explain.who(client), far, over=resolved_at is not None)
        return Alert(
            id=case.id,
            fingerprint=case.fingerprint,
            detector=self.name,
            severity="info" if case.alone else self.settings.severity,
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
                **({"others": True} if others else {}),
                "ports": self.facts.ports(case.contact),
                "uploaded_bytes": case.uploaded,
                "contradicted_by": list(case.known.contradicted_by),
                "timeline": explain.timeline(changes),
                "would_not_fire": list(case.silent_if),
            },
            evidence=case.evidence(case.known),
        )


def case_of(
    detector: IdleDetector, label: Label, windows: Sequence[Window], movement: Movement, known: Foreground,
    coverage: Coverage, before: tuple[int, int],
) -> IdleCase:  # fmt: skip
    """A case about what is in the windows; `before`: frames and dropped ones when that began."""
    return IdleCase(
        key=(detector.name, *key_of(label)),
        started_at=min(window.since for window in windows),
        contact=movement.contact,
        frames_before=before[0],
        dropped_before=before[1],
        last_seen=movement.last_seen,
        sent_bytes=sum(window.sent for window in windows),
        received_bytes=sum(window.received for window in windows),
        frames=coverage.frames,
        dropped=coverage.dropped,
        known=known,
        alone=known.source == "inferred",
        uploaded=sum(window.uploaded for window in windows),
        counted=sum(map(detector.amount, windows)),
        active_at=movement.last_seen,
        measured={"owner": label.owner, "watch": label.watch},
    )


def key_of(label: Label) -> Key:
    """What is one case, whatever is known of the contacts."""
    return label.client, label.owner


def silent_if(*settings: str, label: Label) -> list[str]:
    """What would have kept an alert from firing."""
    allow = [] if label.owner == OTHER_OWNERS else [f'an [[allow]] for "{label.owner}" on this client']
    return ["a person had used it", *settings, *allow]
