"""A client that nobody uses uploads much at once just after it joined the network, was locked or began to charge.

That is when a client sends what it has hoarded: the phone of 2014 waited for Wi-Fi. What goes on for longer is also the
matter of `background_upload`; this rule catches what is over before that one looks twice, and is a hint by default.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sensor.base.times import SECOND
from sensor.base.units import Duration, Size, size_text
from sensor.detect import explain
from sensor.detect.base import Coverage
from sensor.detect.followed import Share
from sensor.detect.idle import IdleCase, IdleDetector, case_of, key_of, silent_if
from sensor.detect.owners import OwnerSecond
from sensor.detect.window import Window
from sensor.model.alert import Alert, Severity
from sensor.model.foreground import BACKGROUND, Foreground, Moment

_SAID: dict[Moment, str] = {
    "joined": "it joined the network",
    "locked": "it was locked",
    "charging": "it began to charge",
}


@dataclass(frozen=True)
class Settings:
    """[detect.upload_burst]."""

    enabled: bool = True
    within: Duration = Duration("5m")
    """After one of the three moments."""
    min_bytes: Size = Size("1MB")
    """Uploaded to one owner by then."""
    resolve_after: Duration = Duration("2m")
    """Without upload for this long, the alert is over."""
    severity: Severity = "info"


class UploadBurst(IdleDetector):
    """Adds up, by client and owner, from the last such moment on."""

    settings_type = Settings
    settings: Settings

    @property
    def lifetime(self) -> int:
        return self._length

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if state != BACKGROUND or known.source == "schedule":
            return
        key = key_of(label)
        if not movement.uploaded:
            self.go_on(second, known, coverage)
            return
        yield from self.lapsed(key, movement.first_seen)
        last = self._last_moment(label.client, movement.first_seen)
        if last is None:
            self.go_on(second, known, coverage, movement.uploaded)
            return
        share = self._note(second, last[1], until, coverage)
        due = self.due(key)
        if share not in due:
            if self._enough([share]):
                self.excuse(share)
        elif not self.follow(key, movement, known, coverage, movement.uploaded) and self._enough(due):
            yield from self.open(key, self._case(second, due, last[0], known, coverage))

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        so_far = "" if over else " so far"
        amount = f"{size_text(case.counted)}{so_far}"
        return f"{about} sent {amount} to {far} just after {case.measured['after']}, {explain.idle(case.known)}."

    @property
    def _length(self) -> int:
        """ns; twice as long as what may be in a window, so that nothing leaves it meanwhile."""
        return 2 * max(self.settings.within, SECOND)

    def _last_moment(self, client: str, time: int) -> tuple[Moment, int] | None:
        moments = self.facts.states.moments(client)
        lately = [(at, kind) for kind, at in moments.items() if 0 <= time - at <= self.settings.within]
        return max(lately)[::-1] if lately else None

    def _note(self, second: OwnerSecond, moment_at: int, until: int, coverage: Coverage) -> Share:
        share = self.followed.share(second.label)
        # A client that joins again and again would never get far if each time all began anew.
        if share.began_at < 0 or not 0 <= moment_at - share.began_at <= self.settings.within:
            share.began_at, share.excused, share.window = moment_at, False, Window()
            share.before = coverage.frames_before, coverage.dropped_before
        share.last = second.movement.last_seen
        share.window.add(until, self._length, second.movement)
        return share

    def _enough(self, due: Sequence[Share]) -> bool:
        return sum(share.window.uploaded for share in due) >= self.settings.min_bytes

    def _case(
        self, second: OwnerSecond, due: Sequence[Share], kind: Moment, known: Foreground, coverage: Coverage
    ) -> IdleCase:
        settings, before = self.settings, min(share.before for share in due)
        case = case_of(self, second.label, [share.window for share in due], second.movement, known, coverage, before)
        after = case.started_at - min(share.began_at for share in due)
        case.thresholds = {"within_seconds": settings.within / SECOND, "min_bytes": int(settings.min_bytes)}
        case.measured |= {
            "window_bytes": case.counted, "after": _SAID[kind], "seconds_after": round(after / SECOND, 1),
        }  # fmt: skip
        case.silent_if = silent_if(f"min_bytes above {size_text(case.counted)}", label=second.label)
        return case


PLUGIN = UploadBurst
