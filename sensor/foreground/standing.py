"""What one source says of one client: its reports folded, one by one.

1. Screen, lock and app are told apart, each with the time of its last report: what is older than what is known of
   the same thing does not override it, so reports may come in any order.
2. screen_on and unlocked say that somebody is there; what app was closed before is then no news any more.
   app_opened says screen on and unlocked. A lock holds until unlocked or app_opened: a notification lights the
   screen of a locked phone, too.
3. app_closed of an app that is not in front says nothing.
4. Lost reports show as a gap in the sequence, or as MISSED heartbeats that did not come and that no sequence number
   proves to have been the only reports: all that was known is then in doubt until a report says that it is current (a
   source that is asked anew tells again what it told before, with its old time), or until the next transition, which
   counts for what it says itself and brings nothing of the rest back. app_closed of one app does not end the doubt:
   another app may be in front by now.
5. A number that came before is a repetition, unless its report is newer than all others: then the source counts anew.
   Only the first number says so for certain; any other just raises doubt.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from sensor.base.times import SECOND
from sensor.model.foreground import Report, State

MISSED = 3
"""Heartbeats or polls that may stay out; at the end of the last one's time the source is not believed any more."""

POLLED = frozenset({"adb"})
"""Sources whose every report is a poll."""

POLL = 10 * SECOND
"""ns between polls, until two of them have shown it."""

MAX_GAPS = 8
"""Gaps between heartbeats or polls from which the interval is learned: their median."""

LEAST_GAPS = 2
"""Gaps from which it is learned at least: a heartbeat that is sent twice, or after a night, is no rhythm."""

LEAST_GAP = 30 * SECOND
"""ns: heartbeats that follow sooner are repetitions."""

FORGOTTEN = 86_400 * SECOND
"""ns without a heartbeat after which a source that still reports has stopped to send them: none is missed then."""

RESTARTED = 1
"""A sequence number up to this says that the source counts anew."""


class Known(NamedTuple):
    """One thing that was reported, and when (ns)."""

    value: bool | None = None
    time: int = -1


_NEVER = Known()


@dataclass(frozen=True, slots=True)
class Standing:
    """All that one source is known to have said."""

    source: str
    screen: Known = _NEVER
    locked: Known = _NEVER
    app_open: Known = _NEVER
    app: str | None = None
    state: State = "unknown"
    before: State = "unknown"
    """The state before this one."""
    observed_at: int = -1
    """The last transition, or the last poll."""
    since: int = -1
    """When `state` began."""
    latest: int = -1
    """When the latest of its reports of any kind was made."""
    last_sign: int = -1
    """Receipt of the last report of any kind."""
    beat: int = -1
    """Receipt of the last heartbeat or poll."""
    gaps: tuple[int, ...] = ()
    """ns between heartbeats or polls, the latest last."""
    promised: int | None = None
    """ns between reports, as the source promises."""
    sequence: int | None = None
    lost: int = 0
    """Reports that the sequence numbers say are missing."""
    doubted: bool = False
    until: int | None = None

    @property
    def polled(self) -> bool:
        """Every report of the source is a poll."""
        return self.source in POLLED

    @property
    def because(self) -> str | None:
        """What was seen, in words that complete "while ..."."""
        if self.until is not None:
            return "nobody was to touch it"
        if self.screen.value is False:
            return "its screen was off"
        if self.locked.value:
            return "it was locked"
        if self.app_open.value is False:
            return "no app was open"
        return "somebody used it" if self.state == "foreground" else None

    @property
    def interval(self) -> int | None:
        """ns between signs of life; None for a source that gives none."""
        if self.promised is not None:
            return self.promised
        if len(self.gaps) >= (1 if self.polled else LEAST_GAPS):
            return sorted(self.gaps)[len(self.gaps) // 2]
        return POLL if self.polled else None

    @property
    def silent_at(self) -> int | None:
        """When its silence makes it unbelievable, ns; None: it promises no signs of life."""
        interval = self.interval
        return None if interval is None or self.last_sign < 0 else self.last_sign + MISSED * interval


def fold(standing: Standing, report: Report) -> Standing:
    """The standing after one more report; a repeated or outdated one changes nothing but the sign of life."""
    behind = _is_behind(standing, report)
    if behind and report.observed_at <= standing.latest:
        return standing
    silent_at = standing.silent_at
    silent = silent_at is not None and report.received_at >= silent_at
    told = _beaten(_counted(standing, report), report, overdue=silent and not _is_next(standing, report))
    if report.event in ("heartbeat", "charging") or (behind and report.sequence not in (0, RESTARTED)):
        return told
    if told.doubted and report.event == "app_closed" and report.app is not None:
        return told
    changed = _transition(_without_values(told) if told.doubted else told, report)
    if changed is None:
        return told
    state = _state(changed)
    lapsed = silent or standing.doubted or told.doubted
    moved = state != standing.state or lapsed
    return replace(
        changed,
        state=state,
        before=("unknown" if lapsed else standing.state) if moved else standing.before,
        since=report.observed_at if moved else standing.since,
        observed_at=max(changed.observed_at, report.observed_at),
        doubted=False,
        until=report.until,
    )


def _is_behind(standing: Standing, report: Report) -> bool:
    """Whether its sequence number came before, or was overtaken."""
    return report.sequence is not None and standing.sequence is not None and report.sequence <= standing.sequence


def _is_next(standing: Standing, report: Report) -> bool:
    """Whether its sequence number proves that no report between it and the one before was lost."""
    return report.sequence is not None and standing.sequence is not None and report.sequence == standing.sequence + 1


def _counted(standing: Standing, report: Report) -> Standing:
    """With its sequence number noted, and doubt where that leaves room for lost reports."""
    last, number = standing.sequence, report.sequence
    if number is None or last is None:
        return standing if number is None else replace(standing, sequence=number)
    if number <= last:
        return replace(standing, sequence=number, doubted=standing.doubted or number > RESTARTED)
    missing = number - last - 1
    return replace(standing, sequence=number, lost=standing.lost + missing, doubted=standing.doubted or missing > 0)


def _beaten(standing: Standing, report: Report, *, overdue: bool) -> Standing:
    """With the sign of life noted; `overdue`: it comes after the source was silent for too long."""
    now = report.received_at
    overdue &= not (standing.polled or report.current)
    gaps, beat, promised = standing.gaps, standing.beat, report.interval or standing.promised
    if standing.polled or report.event == "heartbeat":
        least = 1 if standing.polled else LEAST_GAP
        if beat >= 0 and now - beat >= least:
            gaps = (*gaps, now - beat)[-MAX_GAPS:]
        beat = max(beat, now)
    elif report.interval is None and beat >= 0 and now - beat >= FORGOTTEN:
        gaps, beat, promised = (), -1, None
    return replace(
        standing,
        latest=max(standing.latest, report.observed_at),
        last_sign=max(standing.last_sign, now),
        beat=beat,
        gaps=gaps,
        promised=promised,
        doubted=(standing.doubted and not report.current) or overdue,
        observed_at=max(standing.observed_at, report.observed_at) if standing.polled else standing.observed_at,
    )


def _transition(standing: Standing, report: Report) -> Standing | None:
    """With what the report says of screen, lock and app; None where newer reports said all that already."""
    at = report.observed_at
    screen, locked, app_open, app = standing.screen, standing.locked, standing.app_open, standing.app
    yes, no, open_question = Known(True, at), Known(False, at), Known(None, at)
    match report.event:
        case "screen_off":
            screen = _newer(screen, no)
        case "locked":
            locked = _newer(locked, yes)
        case "screen_on" | "unlocked":
            screen = _newer(screen, yes)
            if report.event == "unlocked":
                locked = _newer(locked, no)
            if app_open.value is False:
                app_open = _newer(app_open, open_question)
        case "app_opened":
            screen, locked = _newer(screen, yes), _newer(locked, no)
            if at >= app_open.time:
                app_open, app = yes, report.app
        case "app_closed":
            if at >= app_open.time and (app is None or report.app is None or report.app == app):
                app_open, app = no if at >= _woken(standing) else open_question, None
    changed = replace(standing, screen=screen, locked=locked, app_open=app_open, app=app)
    told = (changed.screen, changed.locked, changed.app_open) != (standing.screen, standing.locked, standing.app_open)
    return changed if told else None


def _without_values(standing: Standing) -> Standing:
    """What was known is none any more; the times stay, so that what was said up to then still does not count."""
    known = (standing.screen, standing.locked, standing.app_open)
    screen, locked, app_open = (Known(None, each.time + 1) for each in known)
    return replace(standing, screen=screen, locked=locked, app_open=app_open, app=None)


def _woken(standing: Standing) -> int:
    """When somebody was last known to be there, ns."""
    on = standing.screen.time if standing.screen.value else -1
    return max(on, standing.locked.time) if standing.locked.value is False else on


def _newer(known: Known, told: Known) -> Known:
    return told if told.time >= known.time else known


def _state(standing: Standing) -> State:
    if standing.screen.value is False or standing.locked.value or standing.app_open.value is False:
        return "background"
    return "foreground" if standing.screen.value or standing.app_open.value else "unknown"
