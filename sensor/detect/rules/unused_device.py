"""A thing without a screen uploads at a time when its owner says that nobody uses it ([[foreground.schedule.quiet]]).

The schedule's word is enough here and nowhere else: no phone reports what a television or a camera does. One alert per
client and owner, once what was uploaded within `window` reaches `min_bytes`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sensor.base.times import SECOND
from sensor.base.units import Duration, Size, size_text, span
from sensor.detect import explain
from sensor.detect.base import Coverage, Facts
from sensor.detect.idle import Followed, IdleCase, IdleDetector, key_of, silent_if, window_case
from sensor.detect.owners import OwnerSecond
from sensor.detect.window import Window
from sensor.model.alert import Alert, Severity
from sensor.model.foreground import BACKGROUND, Foreground


@dataclass(frozen=True)
class Settings:
    """[detect.unused_device]."""

    enabled: bool = True
    min_bytes: Size = Size("100KB")
    """Uploaded to one owner within the window."""
    window: Duration = Duration("12h")
    resolve_after: Duration = Duration("10m")
    """Without upload for this long, the alert is over."""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """ValueError for a window that is too short to be kept in parts."""
        if self.window < Duration("1m"):
            raise ValueError("window: expected at least 1m")


@dataclass(slots=True)
class _Sum:
    last: int = 0
    allowed: bool = False
    before: tuple[int, int] = (0, 0)
    window: Window = field(default_factory=Window)


class UnusedDevice(IdleDetector):
    """Adds up by client and owner."""

    settings_type = Settings
    settings: Settings

    def __init__(self, settings: Settings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self._sums: Followed[_Sum] = Followed(_Sum)

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if state != BACKGROUND or known.source != "schedule":
            return
        key, settings = key_of(label), self.settings
        if self.is_open(key):
            yield from self.follow(key, movement, coverage, active=movement.uploaded > 0)
        if self.is_open(key) or not movement.uploaded:
            return
        sums = self._sums.get(key)
        if not sums.window:
            sums.before = coverage.frames_before, coverage.dropped_before
        sums.last = movement.last_seen
        sums.window.add(until, settings.window, movement)
        uploaded = sums.window.uploaded
        if uploaded < settings.min_bytes:
            return
        if label.excuse(self.name, uploaded) is not None:
            self.allowed += not sums.allowed
            sums.allowed = True
            return
        case = window_case(self.name, label, sums.window, movement, known, coverage, sums.before)
        case.thresholds = {"min_bytes": int(settings.min_bytes), "window_seconds": settings.window / SECOND}
        case.measured |= {"window_bytes": uploaded}
        case.silent_if = silent_if(f"min_bytes above {size_text(uploaded)}", label=label)
        self._sums.pop(key)
        yield from self.open(key, case)

    def expire(self, now: int) -> None:
        for key, sums in self._sums.items():
            if abs(now - sums.last) > self.settings.window:
                self._sums.pop(key)

    def restart(self) -> None:
        self._sums.clear()

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        took = span(case.last_seen - case.started_at)
        so_far = "" if over else " so far"
        return f"{about} sent {size_text(case.sent_bytes)}{so_far} to {far} in {took} {explain.idle(case.known)}."


PLUGIN = UnusedDevice
