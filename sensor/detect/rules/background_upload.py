"""A client keeps uploading to one owner while nobody uses it.

1. Only upload counts (payload sent for the first time, by contacts that were not fetching), only while the state is
   background, and only what was sent by then: an upload that began in front counts from when it is behind.
2. It fires once the upload has gone on for `for` without a pause longer than `pause`, and has moved `min_bytes` within
   the last `window`. It is over `resolve_after` after the last upload, or when time stepped.
3. What stands under [[allow]], and within its `max_bytes`, is counted as allowed instead.
4. What a schedule says alone is left to the rule `unused_device`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sensor.base.times import SECOND
from sensor.base.units import Duration, Size, size_text, span
from sensor.detect import explain
from sensor.detect.base import Coverage, Facts
from sensor.detect.groups import FETCHED
from sensor.detect.idle import Followed, IdleCase, IdleDetector, key_of, silent_if, window_case
from sensor.detect.owners import OwnerSecond
from sensor.detect.window import Window
from sensor.model.alert import Alert, Severity
from sensor.model.foreground import BACKGROUND, Foreground


@dataclass(frozen=True)
class Settings:
    """[detect.background_upload]."""

    enabled: bool = True
    for_: Duration = Duration("60s")
    """Sending at least this long ..."""
    min_bytes: Size = Size("200KB")
    """... and at least this much within `window`, to one owner."""
    window: Duration = Duration("1h")
    pause: Duration = Duration("60s")
    """A longer pause ends an upload."""
    resolve_after: Duration = Duration("2m")
    """Without upload for this long, the alert is over."""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """ValueError where the keys do not fit together."""
        if self.window < max(self.for_, Duration("1m")):
            raise ValueError("window: expected at least 1m, and no less than `for`")


@dataclass(slots=True)
class _Upload:
    """One upload that goes on."""

    started_at: int = -1
    last: int = 0
    allowed: bool = False
    before: tuple[int, int] = (0, 0)
    window: Window = field(default_factory=Window)


class BackgroundUpload(IdleDetector):
    """Follows uploads by client and owner."""

    settings_type = Settings
    settings: Settings

    def __init__(self, settings: Settings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self._uploads: Followed[_Upload] = Followed(_Upload)

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if state != BACKGROUND or known.source == "schedule":
            return
        key, settings = key_of(label), self.settings
        if self.is_open(key):
            yield from self.follow(key, movement, coverage, active=movement.uploaded > 0)
        if self.is_open(key) or not movement.uploaded:
            return
        upload = self._uploads.get(key)
        if upload.started_at < 0 or movement.first_seen - upload.last > settings.pause:
            upload.started_at, upload.allowed, upload.window = movement.first_seen, False, Window()
            upload.before = coverage.frames_before, coverage.dropped_before
        upload.last = movement.last_seen
        upload.window.add(until, settings.window, movement)
        if upload.last - upload.started_at < settings.for_ or upload.window.uploaded < settings.min_bytes:
            return
        if label.excuse(self.name, upload.window.uploaded) is not None:
            self.allowed += not upload.allowed
            upload.allowed = True
            return
        self._uploads.pop(key)
        yield from self.open(key, self._case(second, upload, known, coverage))

    def expire(self, now: int) -> None:
        for key, upload in self._uploads.items():
            if abs(now - upload.last) > self.settings.pause:
                self._uploads.pop(key)

    def restart(self) -> None:
        self._uploads.clear()

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        took = span((case.active_at if over else case.last_seen) - case.started_at)
        amount = size_text(case.sent_bytes)
        how = f"sent {amount}" if over else f"has sent {amount} so far"
        return f"{about} {how} to {far} in {took} {explain.idle(case.known)}."

    def _case(self, second: OwnerSecond, upload: _Upload, known: Foreground, coverage: Coverage) -> IdleCase:
        took, uploaded, settings = upload.last - upload.started_at, upload.window.uploaded, self.settings
        case = window_case(self.name, second.label, upload.window, second.movement, known, coverage, upload.before)
        case.thresholds = {
            "for_seconds": settings.for_ / SECOND,
            "min_bytes": int(settings.min_bytes),
            "window_seconds": settings.window / SECOND,
            "received_to_sent": FETCHED,
        }
        case.measured |= {"seconds": round(took / SECOND, 1), "window_bytes": uploaded}
        case.silent_if = silent_if(
            f"for above {span(took)}", f"min_bytes above {size_text(uploaded)}", label=second.label
        )
        return case


PLUGIN = BackgroundUpload
