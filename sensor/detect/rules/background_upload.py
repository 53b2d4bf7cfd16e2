"""A client keeps uploading to one owner while nobody uses it.

1. Only upload counts (payload sent for the first time, by contacts that were not fetching), only while the state is
   background, and only what was sent by then: an upload that began in front counts from when it is behind.
2. It fires once the upload has gone on for `for` without a pause longer than `pause`, and has moved `min_bytes` within
   the last `window`; with longer pauses, once it has sent for PIECES times as long and as much in all within `window`:
   pauses alone must not hide it. It is over `resolve_after` after the last upload, or when time stepped.
3. What stands under [[allow]], and within its `max_bytes` per window, is counted as allowed instead.
4. What a schedule says alone is left to the rule `unused_device`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sensor.base.times import SECOND
from sensor.base.units import Duration, Size, size_text, span
from sensor.detect import explain
from sensor.detect.base import Coverage
from sensor.detect.followed import Share
from sensor.detect.groups import FETCHED
from sensor.detect.idle import IdleCase, IdleDetector, case_of, key_of, silent_if
from sensor.detect.owners import Label, OwnerSecond
from sensor.detect.window import Window
from sensor.model.alert import Alert, Severity
from sensor.model.foreground import BACKGROUND, Foreground

PIECES = 5
"""Times `for` and `min_bytes` that an upload in pieces may reach within the window."""


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


class BackgroundUpload(IdleDetector):
    """Follows uploads by client and owner."""

    settings_type = Settings
    settings: Settings

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if state != BACKGROUND or known.source == "schedule":
            return
        key = key_of(label)
        if not movement.uploaded:
            self.go_on(second, known, coverage)
            return
        yield from self.lapsed(key, movement.first_seen)
        share = self._note(second, known, until, coverage)
        due = self.due(key)
        if share not in due:
            if self._enough([share]) or self._enough_in_pieces([share]):
                self.excuse(share)
        elif not self.follow(key, movement, known, coverage, movement.uploaded):
            running = [each for each in due if movement.last_seen - each.last <= self.settings.pause]
            if 2 * _took(running) >= self.settings.for_:
                self.suspects.add(label.client)
            if self._enough(running):
                pieces, took = [each.run for each in running], _took(running)
            elif self._enough_in_pieces(due):
                running, pieces = due, [each.window for each in due]
                took = sum(each.seconds for each in pieces) * SECOND
            else:
                return
            before = min(each.before for each in running)
            case = case_of(self, label, pieces, movement, known, coverage, before)
            yield from self.open(key, self._explained(case, label, took))

    def _note(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Share:
        movement, settings = second.movement, self.settings
        share = self.followed.share(second.label)
        # `since`: where a person used it meanwhile, or nobody knew, what follows is another upload.
        paused = movement.first_seen - share.last > settings.pause or (known.since or 0) > share.last
        if share.began_at < 0 or paused:
            share.began_at, share.run, share.excused = movement.first_seen, Window(), False
            share.before = coverage.frames_before, coverage.dropped_before
        share.last = movement.last_seen
        share.run.add(until, settings.window, movement)
        share.window.add(until, settings.window, movement)
        return share

    def _enough(self, running: Sequence[Share]) -> bool:
        uploaded = sum(share.run.uploaded for share in running)
        return _took(running) >= self.settings.for_ and uploaded >= self.settings.min_bytes

    def _enough_in_pieces(self, shares: Sequence[Share]) -> bool:
        seconds = sum(share.window.seconds for share in shares)
        uploaded = sum(share.window.uploaded for share in shares)
        return seconds * SECOND >= PIECES * self.settings.for_ and uploaded >= PIECES * self.settings.min_bytes

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        took = span((case.active_at if over else case.last_seen) - case.started_at)
        amount = size_text(case.counted)
        how = f"sent {amount}" if over else f"has sent {amount} so far"
        return f"{about} {how} to {far} in {took} {explain.idle(case.known)}."

    def _explained(self, case: IdleCase, label: Label, took: int) -> IdleCase:
        """`took`: ns for which it sent."""
        settings = self.settings
        case.thresholds = {
            "for_seconds": settings.for_ / SECOND,
            "min_bytes": int(settings.min_bytes),
            "window_seconds": settings.window / SECOND,
            "received_to_sent": FETCHED,
        }
        case.measured |= {"seconds": round(took / SECOND, 1), "window_bytes": case.counted}
        case.silent_if = silent_if(f"for above {span(took)}", f"min_bytes above {size_text(case.counted)}", label=label)
        return case


def _took(running: Sequence[Share]) -> int:
    """ns for which the uploads have gone on."""
    return max(share.last for share in running) - min(share.began_at for share in running)


PLUGIN = BackgroundUpload
