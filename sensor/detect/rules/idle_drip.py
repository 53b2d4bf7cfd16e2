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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sensor.base.times import SECOND
from sensor.base.units import Count, Duration, Size, size_text, span
from sensor.detect import explain
from sensor.detect.base import Coverage
from sensor.detect.followed import Key, Share
from sensor.detect.groups import Movement
from sensor.detect.idle import IdleCase, IdleDetector, case_of, key_of, silent_if
from sensor.detect.learned import Habit
from sensor.detect.owners import OwnerSecond
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


class IdleDrip(IdleDetector):
    """Follows contacts by client and owner."""

    settings_type = Settings
    settings: Settings

    def amount(self, window: Window) -> int:
        return window.net_sent

    def counts_on(self, key: Key) -> bool:
        habit = self.facts.learned.habit(*key)
        return super().counts_on(key) and not (habit is not None and habit.confirmed)

    def judge(self, second: OwnerSecond, known: Foreground, until: int, coverage: Coverage) -> Iterator[Alert]:
        label, state, movement = second
        if known.source == "schedule":
            return
        moved, idle = movement.sent_bytes + movement.received_bytes, state == BACKGROUND
        habit = self.facts.learned.note(
            label.client, label.owner, until,
            used=0 if idle else moved, idle=moved if idle else 0, sent=movement.net_sent if idle else 0,
        )  # fmt: skip
        key = key_of(label)
        if not movement.net_sent:
            if idle:
                self.go_on(second, known, coverage)
            return
        if idle:
            yield from self.lapsed(key, movement.first_seen)
        elif not self.followed.has_room(key):
            # It is followed to know where contacts begin: for that nothing goes that was told while idle.
            return
        share = self.followed.share(label)
        begins = self._begins(share, movement)
        if idle:
            if not share.window:
                share.before = coverage.frames_before, coverage.dropped_before
            share.window.add(until, self.settings.window, movement, contacts=begins)
            yield from self._weigh(share, habit, second, known, coverage)

    def judge_others(
        self, due: Sequence[Share], second: OwnerSecond, known: Foreground, coverage: Coverage
    ) -> Iterator[Alert]:
        why = self._why(due, Habit())
        if why is not None:
            yield from self.open(key_of(second.label), self._case(due, why, second, known, coverage))

    def _begins(self, share: Share, movement: Movement) -> bool:
        """Whether this sending is a contact of its own."""
        at, last = movement.first_seen, share.last
        if last < 0:
            # A name that is learned late makes another share of a contact that goes on.
            last = max((each.last for each in self.followed.shares(key_of(share.label))), default=-1)
            share.began_at = at
        begins = last < 0 or at - last >= SILENCE or at - share.began_at >= LONG
        share.last = movement.last_seen
        if begins:
            share.began_at = at
        return begins

    def _weigh(
        self, share: Share, habit: Habit, second: OwnerSecond, known: Foreground, coverage: Coverage
    ) -> Iterator[Alert]:
        key = key_of(second.label)
        due = self.due(key)
        if share not in due:
            if self._why([share], habit) is not None:
                self.excuse(share)
            return
        if self.follow(key, second.movement, known, coverage, second.movement.net_sent):
            return
        if sum(each.window.contacts for each in due) + 1 >= self.settings.min_contacts:
            self.suspects.add(second.label.client)
        for shares in ([each for each in due if each.label.watch is not None], due):
            why = self._why(shares, habit)
            if why is not None:
                yield from self.open(key, self._case(shares, why, second, known, coverage))
                return

    def _why(self, due: Sequence[Share], habit: Habit) -> str | None:
        """What makes it worth an alert; None: nothing does."""
        settings, nbytes = self.settings, sum(share.window.net_sent for share in due)
        if nbytes < settings.min_bytes or sum(share.window.contacts for share in due) < settings.min_contacts:
            return None
        if all(share.label.watch is not None for share in due):
            return f'on watch "{due[0].label.watch}"'
        if not habit.confirmed:
            return "no use by a person explains it"
        usual = habit.usual()
        if usual is None or nbytes <= max(FAR * usual[0], usual[0] + FAR * usual[1], FAR * settings.min_bytes):
            return None
        return f"usually {size_text(round(usual[0]))} while idle"

    def said(self, case: IdleCase, about: str, far: str, *, over: bool) -> str:
        took = span(case.active_at - case.started_at)
        times = case.measured["contacts"]
        so_far = "" if over else " so far"
        amount = f"{size_text(case.counted)}{so_far} in {took}"
        when = f"in at least {times} contacts {explain.idle(case.known)}"
        return f"{about} sent {amount} to {far}, {when}: {case.measured['why']}."

    def _case(
        self, due: Sequence[Share], why: str, second: OwnerSecond, known: Foreground, coverage: Coverage
    ) -> IdleCase:
        settings, before = self.settings, min(share.before for share in due)
        windows = [share.window for share in due]
        case = case_of(self, second.label, windows, second.movement, known, coverage, before)
        contacts = sum(window.contacts for window in windows)
        case.thresholds = {
            "window_seconds": settings.window / SECOND,
            "min_contacts": int(settings.min_contacts),
            "min_bytes": int(settings.min_bytes),
        }
        case.measured |= {"contacts": contacts, "window_bytes": case.counted, "why": why}
        case.silent_if = silent_if(
            f"min_contacts above {contacts}", f"min_bytes above {size_text(case.counted)}", label=second.label
        )
        return case


PLUGIN = IdleDrip
