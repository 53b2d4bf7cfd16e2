"""A client tells an owner a little, again and again, while nobody uses it: the kilobyte case.

1. A contact is sending after a minute of silence; what goes on without one counts again every LONG. What only
   acknowledges a fetch is no sending (`Movement.net_sent`).
2. For owners that are watched, or that no person's use has confirmed (see `detect/learned.py`), `min_contacts` and
   `min_bytes` within `window` are enough. For confirmed ones it must also be far above what this client usually sends
   to that owner while idle: more than FAR times the median of its last periods, and FAR deviations above it.
3. An alert is over `resolve_after` after the last contact, so that what comes back every night stays one alert.
4. What stands under [[allow]], and within its `max_bytes` per window, is counted as allowed instead.
5. What a schedule says alone is left to the rule `unused_device`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sensor.base.times import SECOND
from sensor.base.units import Count, Duration, Size, size_text, span
from sensor.detect import explain
from sensor.detect.base import Coverage, Facts
from sensor.detect.groups import Movement
from sensor.detect.idle import Followed, IdleCase, IdleDetector, key_of, silent_if, window_case
from sensor.detect.learned import Habit
from sensor.detect.owners import Label, OwnerSecond
from sensor.detect.window import Window
from sensor.model.alert import Alert, Severity
from sensor.model.foreground import BACKGROUND, Foreground

SILENCE = 60 * SECOND
"""What begins after it is a contact of its own."""

LONG = 600 * SECOND
"""Sending that goes on counts as one more contact so often."""

FAR = 10
"""Times the usual, and deviations above it, that are far above a client's own baseline."""


@dataclass(frozen=True)
class Settings:
    """[detect.idle_drip]."""

    enabled: bool = True
    window: Duration = Duration("12h")
    min_contacts: Count = Count(3)
    """Times that the client began to send after a minute of silence ..."""
    min_bytes: Size = Size("20KB")
    """... and what it sent in all, within the window."""
    resolve_after: Duration = Duration("1d")
    """Without a contact for this long, the alert is over."""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """ValueError for a window in which contacts could not be told apart."""
        if self.window < Duration("10m"):
            raise ValueError("window: expected at least 10m")


@dataclass(slots=True)
class _Drip:
    """What one client told one owner."""

    last: int = -1
    """When it last sent, whoever used it."""
    contact_at: int = -1
    """When the running contact began."""
    allowed: bool = False
    before: tuple[int, int] = (0, 0)
    window: Window = field(default_factory=Window)

    def begins(self, movement: Movement) -> bool:
        """Whether this sending is a contact of its own."""
        at = movement.first_seen
        begins = self.last < 0 or at - self.last >= SILENCE or at - self.contact_at >= LONG
        self.last = movement.last_seen
        if begins:
            self.contact_at = at
        return begins


class IdleDrip(IdleDetector):
    """Follows contacts by client and owner."""

    settings_type = Settings
    settings: Settings

    def __init__(self, settings: Settings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self._drips: Followed[_Drip] = Followed(_Drip)

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if known.source == "schedule":
            return
        moved, idle = movement.sent_bytes + movement.received_bytes, state == BACKGROUND
        habit = self.facts.learned.note(
            label.client, label.owner, until,
            used=0 if idle else moved, idle=moved if idle else 0, sent=movement.net_sent if idle else 0,
        )  # fmt: skip
        if movement.net_sent:
            drip = self._drips.get(key_of(label))
            begins = drip.begins(movement)
            if idle:
                if not drip.window:
                    drip.before = coverage.frames_before, coverage.dropped_before
                drip.window.add(until, self.settings.window, movement, contacts=begins)
                yield from self._weigh(drip, habit, second, known, coverage)

    def _weigh(
        self, drip: _Drip, habit: Habit, second: OwnerSecond, known: Foreground, coverage: Coverage
    ) -> Iterator[Alert]:
        label, window, settings = second.label, drip.window, self.settings
        key = key_of(label)
        if self.is_open(key):
            yield from self.follow(key, second.movement, coverage, active=True)
        if self.is_open(key) or window.contacts < settings.min_contacts or window.net_sent < settings.min_bytes:
            return
        why = self._why(label, habit, window.net_sent)
        if why is None:
            return
        if label.excuse(self.name, window.net_sent) is not None:
            self.allowed += not drip.allowed
            drip.allowed = True
            return
        yield from self.open(key, self._case(drip, why, second, known, coverage))

    def _why(self, label: Label, habit: Habit, nbytes: int) -> str | None:
        """What makes it worth an alert; None: nothing does."""
        if label.watch is not None:
            return f'on watch "{label.watch}"'
        if not habit.confirmed:
            return "no use by a person explains it"
        usual = habit.usual()
        if usual is None or nbytes <= max(FAR * usual[0], usual[0] + FAR * usual[1], FAR * self.settings.min_bytes):
            return None
        return f"usually {size_text(round(usual[0]))} while idle"

    def expire(self, now: int) -> None:
        for key, drip in self._drips.items():
            if abs(now - drip.last) > self.settings.window:
                self._drips.pop(key)

    def restart(self) -> None:
        self._drips.clear()

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        took = span(case.last_seen - case.started_at)
        times = case.measured["contacts"]
        so_far = "" if over else " so far"
        amount = f"{size_text(case.sent_bytes)}{so_far} in {took}"
        when = f"in at least {times} contacts {explain.idle(case.known)}"
        return f"{about} sent {amount} to {far}, {when}: {case.measured['why']}."

    def _case(self, drip: _Drip, why: str, second: OwnerSecond, known: Foreground, coverage: Coverage) -> IdleCase:
        window, settings = drip.window, self.settings
        case = window_case(self.name, second.label, window, second.movement, known, coverage, drip.before)
        case.thresholds = {
            "window_seconds": settings.window / SECOND,
            "min_contacts": int(settings.min_contacts),
            "min_bytes": int(settings.min_bytes),
        }
        case.measured |= {"contacts": window.contacts, "window_bytes": window.net_sent, "why": why}
        case.silent_if = silent_if(
            f"min_contacts above {window.contacts}", f"min_bytes above {size_text(window.net_sent)}", label=second.label
        )
        return case


PLUGIN = IdleDrip
