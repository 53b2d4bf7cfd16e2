"""A client that nobody uses uploads much at once just after it joined the network, was locked or began to charge.

That is when a client sends what it has hoarded: the phone of 2014 waited for Wi-Fi. What goes on for longer is also the
matter of `background_upload`; this rule catches what is over before that one looks twice, and is a hint by default.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sensor.base.times import SECOND
from sensor.base.units import Duration, Size, size_text
from sensor.detect import explain
from sensor.detect.base import Coverage, Facts
from sensor.detect.idle import Followed, IdleCase, IdleDetector, key_of, silent_if, window_case
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


@dataclass(slots=True)
class _Burst:
    moment_at: int = -1
    allowed: bool = False
    before: tuple[int, int] = (0, 0)
    window: Window = field(default_factory=Window)


class UploadBurst(IdleDetector):
    """Adds up, by client and owner, from the last such moment on."""

    settings_type = Settings
    settings: Settings

    def __init__(self, settings: Settings, facts: Facts) -> None:
        super().__init__(settings, facts)
        self._bursts: Followed[_Burst] = Followed(_Burst)

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if state != BACKGROUND or known.source == "schedule":
            return
        key, settings = key_of(label), self.settings
        if self.is_open(key):
            yield from self.follow(key, movement, coverage, active=movement.uploaded > 0)
        last = self._last_moment(label.client, movement.first_seen)
        if self.is_open(key) or not movement.uploaded or last is None:
            return
        kind, at = last
        burst = self._bursts.get(key)
        if burst.moment_at != at:
            burst.moment_at, burst.allowed, burst.window = at, False, Window()
            burst.before = coverage.frames_before, coverage.dropped_before
        # Twice as long as what may be in it, so that nothing leaves it meanwhile.
        burst.window.add(until, 2 * max(settings.within, SECOND), movement)
        uploaded = burst.window.uploaded
        if uploaded < settings.min_bytes:
            return
        if label.excuse(self.name, uploaded) is not None:
            self.allowed += not burst.allowed
            burst.allowed = True
            return
        case = window_case(self.name, label, burst.window, movement, known, coverage, burst.before)
        case.thresholds = {"within_seconds": settings.within / SECOND, "min_bytes": int(settings.min_bytes)}
        case.measured |= {
            "window_bytes": uploaded, "after": _SAID[kind], "seconds_after": round((case.started_at - at) / SECOND, 1),
        }  # fmt: skip
        case.silent_if = silent_if(f"min_bytes above {size_text(uploaded)}", label=label)
        self._bursts.pop(key)
        yield from self.open(key, case)

    def expire(self, now: int) -> None:
        for key, burst in self._bursts.items():
            if abs(now - burst.moment_at) > self.settings.within:
                self._bursts.pop(key)

    def restart(self) -> None:
        self._bursts.clear()

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        so_far = "" if over else " so far"
        amount = f"{size_text(case.sent_bytes)}{so_far}"
        return f"{about} sent {amount} to {far} just after {case.measured['after']}, {explain.idle(case.known)}."

    def _last_moment(self, client: str, time: int) -> tuple[Moment, int] | None:
        moments = self.facts.states.moments(client)
        lately = [(at, kind) for kind, at in moments.items() if 0 <= time - at <= self.settings.within]
        return max(lately)[::-1] if lately else None


PLUGIN = UploadBurst
