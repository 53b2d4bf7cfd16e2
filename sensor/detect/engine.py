"""Hands events to the detectors that want them, and keeps what they said."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from sensor.detect.allowance import Allowances
from sensor.detect.base import Coverage, Detector, Facts
from sensor.detect.owners import Owners, OwnerSecond
from sensor.model.activity import Activity, Contact
from sensor.model.alert import SEVERITIES, Alert, Severity

MAX_HISTORY = 1_000
"""Resolved alerts kept; the oldest go."""

MAX_SUSPECTS = 1_000
"""Clients that wait for a fresh look, where nobody takes them; what would be one more gets none."""

_log = logging.getLogger(__name__)


class Engine:
    """All detectors as one. A hook that a detector does not override costs nothing."""

    def __init__(self, detectors: Sequence[Detector], owners: Owners | None = None) -> None:
        """`owners`: for the detectors that judge what clients of known state move."""
        self.counts: dict[tuple[str, Severity], int] = {}
        """Alerts that fired, by detector and severity."""
        self.failures: Counter[str] = Counter()
        """Calls that a detector did not survive."""
        self.evaluations: Counter[str] = Counter()
        """Seconds of traffic that a detector has judged."""
        self._all_owners = owners
        self._hook_up(detectors)
        self._before = 0, 0
        """Frames and dropped ones up to the second before."""
        self._ended: dict[str, tuple[int, int, int]] = {}
        """(suppressed, allowed, evicted) of rules that were switched off."""
        self._resolved: deque[Alert] = deque(maxlen=MAX_HISTORY)
        self._suspects: set[str] = set()

    @property
    def suppressed(self) -> dict[str, int]:
        """Times that an alert was not made because too many were open, by detector."""
        ended = {name: counts[0] for name, counts in self._ended.items()}
        return ended | {each.name: each.suppressed + ended.get(each.name, 0) for each in self._detectors}

    @property
    def allowed(self) -> dict[str, int]:
        """Times that an alert was not made because someone said that it is fine, by detector."""
        ended = {name: counts[1] for name, counts in self._ended.items()}
        return ended | {each.name: each.allowed + ended.get(each.name, 0) for each in self._detectors}

    def retune(self, chosen: Iterable[tuple[type[Detector], Any]], facts: Facts, allowances: Allowances) -> list[Alert]:
        """Other rules hold from now on, `chosen` with their settings; open cases stay, but for rules that are off.

        `relearn` is to be called afterwards with every contact that there is.
        """
        running = {type(detector): detector for detector in self._detectors}
        alerts: list[Alert] = []
        detectors = []
        for plugin, settings in chosen:
            detector = running.pop(plugin, None)
            if detector is not None and plugin.retuned is Detector.retuned:
                alerts += self._end(detector)
                detector = None
            if detector is None:
                detector = plugin(settings, facts)
            else:
                self._guarded(detector, partial(_retune, settings=settings, facts=facts))
            detectors.append(detector)
        for detector in running.values():
            alerts += self._end(detector)
        self._hook_up(detectors)
        if self._all_owners is not None:
            translate = self._all_owners.retune(facts.watches, allowances)
            for detector in detectors:
                self._guarded(detector, lambda one: one.relabelled(translate))
        return alerts

    def relearn(self, contact: Contact, now: int) -> None:
        """Other watches and allowances hold: which speak for this contact?"""
        if self._owners is not None:
            self._owners.relearned(contact)
        for detector in self._relearned:
            self._guarded(detector, lambda one: one.relearned(contact, now))

    def learned(self, contact: Contact, now: int) -> None:
        """There is a new contact, or a new name or place for one."""
        if self._owners is not None:
            self._owners.learned(contact)  # only notes it
        for detector in self._learned:
            self._guarded(detector, lambda one: one.learned(contact, now))

    def forgotten(self, row: int) -> None:
        """A contact row was evicted."""
        if self._owners is not None:
            self._owners.forgotten(row)
        for detector in self._forgotten:
            self._guarded(detector, lambda one: one.forgotten(row))

    def second(self, activity: Activity, frames: int, dropped: int) -> list[Alert]:
        """The alerts that fire or resolve with this second."""
        for detector in self._second:
            self.evaluations[detector.name] += 1
        alerts = self._asked(self._second, lambda one: one.second(activity, frames, dropped))
        moved = self._by_owner(activity)
        if moved:
            for detector in self._moved:
                self.evaluations[detector.name] += 1
            coverage = Coverage(frames, dropped, *self._before)
            alerts += self._asked(self._moved, lambda one: one.moved(moved, activity.until, coverage))
        self._before = frames, dropped
        self._gather_suspects()
        return alerts

    def crowded(self, now: int, clients: int) -> list[Alert]:
        """The client table was full; `clients` is its cap."""
        return self._asked(self._crowded, lambda one: one.crowded(now, clients))

    def tick(self, now: int) -> list[Alert]:
        """The alerts that resolve or fire because time has passed."""
        return self._asked(self._tick, lambda one: one.tick(now))

    @property
    def evicted_owners(self) -> int:
        """Owners that rules about idle clients had no more room to follow."""
        ended = sum(evicted for _, _, evicted in self._ended.values())
        return ended + sum(detector.evicted for detector in self._detectors)

    def take_suspects(self) -> set[str]:
        """Clients of which a fresh state would help now; each is told once."""
        self._gather_suspects()
        found = set(self._suspects)
        self._suspects.clear()
        return found

    def suspect(self, client: str) -> None:
        """A fresh look at whether a person uses the client would help now."""
        if len(self._suspects) < MAX_SUSPECTS:
            self._suspects.add(client)

    def stepped(self, now: int) -> list[Alert]:
        """The alerts that end because packet time stepped."""
        return self._asked(self._stepped, lambda one: one.stepped(now))

    def alerts(self) -> list[Alert]:
        """All that are firing, as they stand, and the last MAX_HISTORY that resolved; the oldest start first."""
        alerts = list(self._resolved)
        for detector in self._detectors:
            alerts += self._guarded(detector, lambda one: one.active())
        return sorted(alerts, key=lambda alert: (alert.started_at, alert.id))

    def _hook_up(self, detectors: Sequence[Detector]) -> None:
        for detector in detectors:
            for severity in SEVERITIES:
                self.counts.setdefault((detector.name, severity), 0)
            self.failures.setdefault(detector.name, 0)
            self.evaluations.setdefault(detector.name, 0)
        self._detectors = tuple(detectors)
        self._learned = _overriding(detectors, "learned")
        self._relearned = _overriding(detectors, "relearned")
        self._forgotten = _overriding(detectors, "forgotten")
        self._second = _overriding(detectors, "second")
        self._crowded = _overriding(detectors, "crowded")
        self._tick = _overriding(detectors, "tick")
        self._stepped = _overriding(detectors, "stepped")
        self._moved = _overriding(detectors, "moved")
        self._owners = self._all_owners if self._moved else None

    def _end(self, detector: Detector) -> list[Alert]:
        alerts = self._asked([detector], lambda one: one.ended())
        before = self._ended.get(detector.name, (0, 0, 0))
        counts = (detector.suppressed, detector.allowed, detector.evicted)
        self._ended[detector.name] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])
        return alerts

    def _gather_suspects(self) -> None:
        for detector in self._detectors:
            for client in detector.suspects:
                self.suspect(client)
            detector.suspects.clear()

    def _by_owner(self, activity: Activity) -> list[OwnerSecond]:
        if self._owners is None:
            return []
        try:
            return self._owners.second(activity)
        except Exception:  # noqa: BLE001  # as in `_guarded`: the rules that need no owners go on
            self.failures["owners"] += 1
            if self.failures["owners"] == 1:
                _log.exception("owners cannot be told apart; rules about idle clients are blind in such seconds")
            return []

    def _asked(self, detectors: Iterable[Detector], call: Callable[[Detector], Iterable[Alert]]) -> list[Alert]:
        alerts = [alert for detector in detectors for alert in self._guarded(detector, call)]
        for alert in alerts:
            if alert.state == "resolved":
                self._resolved.append(alert)
            else:
                self.counts[alert.detector, alert.severity] += 1
        return alerts

    def _guarded(self, detector: Detector, call: Callable[[Detector], Iterable[Alert] | None]) -> list[Alert]:
        """What the call yields, up to where it failed."""
        alerts: list[Alert] = []
        try:
            alerts.extend(call(detector) or ())
        except Exception:  # noqa: BLE001  # rules are many and the least tried code: one that fails must not blind the others
            self.failures[detector.name] += 1
            if self.failures[detector.name] == 1:
                _log.exception("detector %s failed; the others go on, and so will it", detector.name)
        return alerts


def _retune(detector: Detector, settings: Any, facts: Facts) -> None:
    detector.retuned(settings, facts)


def _overriding(detectors: Iterable[Detector], hook: str) -> list[Detector]:
    base: Any = getattr(Detector, hook)
    return [detector for detector in detectors if getattr(type(detector), hook) is not base]
