"""A thing without a screen uploads at a time when its owner says that nobody uses it ([[foreground.schedule.quiet]]).

The schedule's word is enough here and nowhere else: no phone reports what a television or a camera does. One alert per
client and owner, once what was uploaded within `window` reaches `min_bytes`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sensor.base.times import SECOND
from sensor.base.units import Duration, Size, size_text, span
from sensor.detect import explain
from sensor.detect.base import Coverage
from sensor.detect.followed import Share
from sensor.detect.idle import IdleCase, IdleDetector, case_of, key_of, silent_if
from sensor.detect.owners import OwnerSecond
from sensor.model.alert import Alert, Severity
from sensor.model.foreground import BACKGROUND, Foreground


@dataclass(frozen=True)
class Settings:
    """[detect.unused_device]."""

    enabled: bool = True
    min_bytes: Size = Size("100KB")
    """Uploaded to one owner within the window."""
    window: Duration = Duration("12h")
    resolve_after: Duration = Duration("1h")
    """Without upload for this long, the alert is over."""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """ValueError for a window that is too short to be kept in parts."""
        if self.window < Duration("1m"):
            raise ValueError("window: expected at least 1m")


class UnusedDevice(IdleDetector):
    """Adds up by client and owner."""

    settings_type = Settings
    settings: Settings

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if state != BACKGROUND or known.source != "schedule":
            return
        key = key_of(label)
        if not movement.uploaded:
            self.go_on(second, known, coverage)
            return
        yield from self.lapsed(key, movement.first_seen)
        share = self.followed.share(label)
        if not share.window:
            share.before = coverage.frames_before, coverage.dropped_before
        share.last = movement.last_seen
        share.window.add(until, self.settings.window, movement)
        due = self.due(key)
        if share not in due:
            if self._enough([share]):
                self.excuse(share)
        elif not self.follow(key, movement, known, coverage, movement.uploaded) and self._enough(due):
            yield from self.open(key, self._case(second, due, known, coverage))

    def judge_others(
        self, due: Sequence[Share], second: OwnerSecond, known: Foreground, coverage: Coverage
    ) -> Iterator[Alert]:
        if self._enough(due):
            yield from self.open(key_of(second.label), self._case(second, due, known, coverage))

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        took = span(case.last_seen - case.started_at)
        so_far = "" if over else " so far"
        return f"{about} sent {size_text(case.counted)}{so_far} to {far} in {took} {explain.idle(case.known)}."

    def _enough(self, due: Sequence[Share]) -> bool:
        return sum(share.window.uploaded for share in due) >= self.settings.min_bytes

    def _case(self, second: OwnerSecond, due: Sequence[Share], known: Foreground, coverage: Coverage) -> IdleCase:
        settings, before = self.settings, min(share.before for share in due)
        case = case_of(self, second.label, [share.window for share in due], second.movement, known, coverage, before)
        case.thresholds = {"min_bytes": int(settings.min_bytes), "window_seconds": settings.window / SECOND}
        case.measured |= {"window_bytes": case.counted}
        case.silent_if = silent_if(f"min_bytes above {size_text(case.counted)}", label=second.label)
        return case


PLUGIN = UnusedDevice
