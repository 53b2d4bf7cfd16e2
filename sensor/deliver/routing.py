"""What people are told, and when: so that they keep it switched on.

1. Programs (webhook, Alertmanager, MQTT: sinks that take no groups) get every state of every alert at once.
2. People get the first alert of a client at once, but of FEW clients only within `group_wait`. What follows by then
   goes out together when that is over; if more than FEW clients have something to say, all of it is one message.
3. An alert that fires again within `cooldown` of its last message is not told again, and one that goes on is told of
   once per `reminder`. An end is told where its beginning was.
4. In quiet hours only `critical` is told; the rest comes as one digest afterwards.
5. Beyond `max_per_hour` messages only `critical` is told; the rest comes as one message with a number.
6. What somebody muted or allowed is told to nobody, what somebody acknowledged to programs only. In maintenance people
   are told nothing, programs only of ends. An end is told where its beginning was; what still fires after the silence,
   then.
7. Whatever is held back is counted by its reason. Nothing here knows a clock or a sink.
8. All of it outlives a restart (`memory.py`). An alert that fires again afterwards goes on: people are not told again.
   One that does not within GONE_AFTER is told to be over, where its beginning was told.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sensor.base.hours import LOCAL, QuietHours, Zone, within
from sensor.base.times import SECOND, rfc3339
from sensor.base.units import Count, Duration
from sensor.deliver.memory import MAX_HELD, Bucket, Known, Memory
from sensor.deliver.notice import Json, Notice, client_of, single
from sensor.deliver.together import together
from sensor.model.told import Told

FEW = 3
"""Clients that get a message each when several speak at once."""

GONE_AFTER = 3_600 * SECOND
"""ns that the sensor runs; by then an alert from before its start has fired again, or is over."""

MOST_AT_ONCE = 100
"""Alerts that are found to be over in one look."""

LONGEST_STEP = 5 * SECOND
"""ns between two looks; if there seem to be more, the clock was set."""

LOOK_AGAIN = 10 * SECOND
"""ns from one look at what nobody is to hear of to the next: whether that still is so."""

HOUR = 3_600 * SECOND

REASONS = (
    "muted", "allowed", "acknowledged", "maintenance", "cooldown", "continuing", "quiet", "cap", "room",
)  # fmt: skip

Audience = Literal["people", "programs"]


@dataclass(frozen=True)
class NotifySettings:
    """[notify]."""

    group_wait: Duration = Duration("30s")
    """What one client raises within this time is told together."""
    cooldown: Duration = Duration("1h")
    """The same alert is not told again so soon."""
    reminder: Duration = Duration("1d")
    """An alert that goes on is told of again so often; "0s" is never."""
    max_per_hour: Count = Count(30)
    """Messages; beyond it only critical alerts, and one that says how many there were."""
    quiet: tuple[QuietHours, ...] = ()
    """Only what is critical is told then; the rest together, afterwards."""
    timezone: Zone = Zone(LOCAL)  # noqa: RUF009
    """Whose clocks `quiet` is about."""

    def is_quiet(self, now: int) -> bool:
        """Whether it is quiet hours."""
        return within([each.hours for each in self.quiet], now, self.timezone.info)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message, and for whom."""

    notice: Notice
    audience: Audience


class Router:
    """Turns alerts into messages; `now` is ns of the wall clock, which may be set at any time."""

    def __init__(
        self,
        settings: NotifySettings,
        *,
        quiet: Callable[[int], bool] | None = None,
        muted: Callable[[Json, int], str | None] = lambda _alert, _now: None,
        paused: Callable[[int], bool] = lambda _now: False,
        gone: Callable[[Json, int], None] = lambda _alert, _now: None,
    ) -> None:
        """`muted(alert, now)`: which of REASONS there is to be silent of it; `paused(now)`: whether it is maintenance.

        `quiet(now)`: whether it is quiet hours; None: the settings say. `gone(alert, now)` is called with what is found
        to be over without an end of its own.
        """
        self.suppressed: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        """Reason -> states of alerts that were not told at their time."""
        self.memory = Memory()
        """Whoever stores the messages stores its `changes` along with them."""
        self._settings = settings
        self._is_quiet = quiet
        self._muted = muted
        self._paused = paused
        self._on_gone = gone
        self._was_paused = False
        self._looked = 0
        """ns of the last look at what nobody is to hear of."""
        self._waiting_since: int | None = None
        self._last_of: dict[str, int] = {}
        """Client -> ns of its last message, within `group_wait`."""
        self._sent: deque[int] = deque()
        """ns of the messages of the last hour."""
        self._number = 0
        self._now = 0
        self._gone_in: int | None = None
        """ns until alerts from before the start are over; None: there are none."""

    def retune(self, settings: NotifySettings) -> None:
        """Other settings hold from now on; what waits goes on waiting."""
        self._settings = settings

    def take(self, alert: Json, now: int) -> list[Outgoing]:
        """One state of one alert."""
        self._follow_clock(now)
        reason = "maintenance" if self._paused(now) else self._muted(alert, now)
        return self._taken(alert, now) if reason is None else self._silenced(alert, reason, now)

    def tick(self, now: int) -> list[Outgoing]:
        """What is due because time has passed."""
        self._follow_clock(now)
        if self._paused(now):
            self._was_paused = True
            return []
        out = self._heard_again(now)
        self._last_of = {who: at for who, at in self._last_of.items() if now - at < self._settings.group_wait}
        if self._waiting_since is not None and now - self._waiting_since >= self._settings.group_wait:
            out += self._flush(now)
        if not self._quiet(now):
            out += self._held_back("digest", now)
            if self._has_room(now):
                out += self._held_back("rest", now)
        return out + self._gone(now) + self._reminders(now)

    def firing(self, now: int) -> Iterator[Json]:
        """What programs were told of, is not over, and nobody muted or allowed since."""
        running = (known.alert for known in self.memory.live() if known.runs)
        return (alert for alert in running if self._muted(alert, now) not in ("muted", "allowed"))

    def load(self, rows: Iterable[Told], now: int) -> None:
        """What an earlier run knew."""
        self._follow_clock(now)
        self.memory.load(rows)
        self.memory.not_after(now)
        live = list(self.memory.live())
        if any(not known.seen for known in live):
            self._gone_in = GONE_AFTER
        self._was_paused |= self.memory.beyond["unheard"] > 0
        if self.memory.waiting("group") and self._waiting_since is None:
            self._waiting_since = now
        told = sorted({known.told_at for known in live if known.told_at is not None})
        self._sent.extendleft(at for at in reversed(told) if now - at < HOUR)

    def _taken(self, alert: Json, now: int) -> list[Outgoing]:
        known = self.memory.of(alert)
        firing = alert["state"] == "firing"
        unheard = known.waits == "unheard" and not (firing or known.runs)
        people = self._for_people(known, alert, now)
        known.runs = firing
        known.seen = True
        self.memory.note(known)
        return people if unheard else [Outgoing(single(alert, now), "programs"), *people]

    def _silenced(self, alert: Json, reason: str, now: int) -> list[Outgoing]:
        """What is told all the same: an end where the beginning was; to programs, what somebody acknowledged."""
        known, firing = self.memory.of(alert), alert["state"] == "firing"
        known.seen = True
        out: list[Outgoing] = []
        if known.runs if not firing else reason == "acknowledged":
            out.append(Outgoing(single(alert, now), "programs"))
            known.runs = firing
        if not firing and known.is_open and reason != "maintenance":
            out += self._for_people(known, alert, now)
        else:
            self.suppressed[reason] += 1
            known.alert = alert
            if reason == "acknowledged" or not (firing or known.is_open):
                self.memory.release(known)
            else:
                self._hold([known], "unheard")
        self.memory.note(known)
        return out

    def _heard_again(self, now: int) -> list[Outgoing]:
        """What nobody was told of, and somebody may be told of now: people together, programs one by one."""
        beyond = self.memory.take_beyond("unheard")
        if self._was_paused:  # else of those that somebody muted, which are told of while they have room, or not at all
            self.memory.add_beyond("digest", beyond)
        elif now - self._looked < LOOK_AGAIN:
            return []
        self._was_paused, self._looked = False, now
        out: list[Outgoing] = []
        for known in self.memory.waiting("unheard"):
            alert, firing = known.alert, known.alert["state"] == "firing"
            reason = self._muted(alert, now) if firing else None
            if reason in ("muted", "allowed"):
                continue
            self.memory.release(known)
            if firing and not known.runs:
                out.append(Outgoing(single(alert, now), "programs"))
                known.runs = True
            if firing != known.is_open and reason is None:
                if alert["severity"] == "critical" and self._quiet(now):
                    out += self._for_people(known, alert, now)
                else:
                    self._hold([known], "digest")
            self.memory.note(known)
        return out

    def _wanted(self, bucket: Bucket, now: int) -> list[Known]:
        """What waits, without what somebody muted meanwhile."""
        wanted = []
        for known in self.memory.waiting(bucket):
            firing = known.alert["state"] == "firing"
            reason = self._muted(known.alert, now) if firing or not known.is_open else None
            if reason is None:
                wanted.append(known)
                continue
            self.suppressed[reason] += 1
            self.memory.release(known)
            if firing and reason != "acknowledged":
                self._hold([known], "unheard")
            self.memory.note(known)
        return wanted

    def _for_people(self, known: Known, alert: Json, now: int) -> list[Outgoing]:
        before, known.alert = known.alert, alert
        firing, loud = alert["state"] == "firing", alert["severity"] == "critical"
        if firing and known.told_at is not None and (reason := self._told_already(known, now)):
            self.suppressed[reason] += 1
            known.is_open = True
            if before["state"] == "resolved":
                self.memory.release(known)  # an end that was to be told and is none
            return []
        if not (firing or known.waits or known.is_open):
            return []
        heard_of = firing or known.is_open
        if known.waits == "unheard" and not heard_of:
            self.memory.release(known)  # nobody was told that it began
            return []
        if known.waits and not (loud and heard_of and known.waits != "group"):
            return []
        if self._quiet(now) and not loud:
            self._hold([known], "digest", "quiet")
            return []
        if client_of(alert) not in self._last_of and len(self._last_of) < FEW and self._waiting_since is None:
            return self._message([known], 0, now)
        self._hold([known], "group")
        if self._waiting_since is None:
            self._waiting_since = now
        return []

    def _quiet(self, now: int) -> bool:
        return self._settings.is_quiet(now) if self._is_quiet is None else self._is_quiet(now)

    def _told_already(self, known: Known, now: int) -> str | None:
        if known.is_open and not known.seen:
            return "continuing"
        told_at = known.told_at
        return "cooldown" if told_at is not None and now - told_at < self._settings.cooldown else None

    def _hold(self, several: Iterable[Known], bucket: Bucket, reason: str | None = None) -> None:
        for known in several:
            if reason is not None:
                self.suppressed[reason] += 1
            self.suppressed["room"] += not self.memory.hold(known, bucket)
            self.memory.note(known)

    def _flush(self, now: int) -> list[Outgoing]:
        several, beyond = self._wanted("group", now), self.memory.take_beyond("group")
        self._waiting_since = None
        if self._quiet(now):
            self._hold([known for known in several if known.alert["severity"] != "critical"], "digest", "quiet")
            self.memory.add_beyond("digest", beyond)
            several, beyond = self.memory.waiting("group"), 0
        by_client: dict[str, list[Known]] = {}
        for known in several:
            by_client.setdefault(client_of(known.alert), []).append(known)
        if beyond or len(by_client) > FEW:
            return self._message(several, beyond, now)
        return [message for mine in by_client.values() for message in self._message(mine, 0, now)]

    def _held_back(self, bucket: Literal["digest", "rest"], now: int) -> list[Outgoing]:
        several, beyond = self._wanted(bucket, now), self.memory.take_beyond(bucket)
        return self._send_together(bucket, several, beyond, now) if several or beyond else []

    def _message(self, several: Sequence[Known], beyond: int, now: int) -> list[Outgoing]:
        """One message, unless the cap holds it back."""
        if not self._has_room(now):
            self._hold([known for known in several if known.alert["severity"] != "critical"], "rest", "cap")
            self.memory.add_beyond("rest", beyond)
            several, beyond = [known for known in several if known.alert["severity"] == "critical"], 0
        if not several and not beyond:
            return []
        if len(several) == 1 and not beyond:
            [known] = several
            key = known.key if known.is_open else known.alert["id"]
            return self._send(replace(single(known.alert, now), key=key), several, now)
        return self._send_together("group", several, beyond, now)

    def _send_together(
        self, kind: Literal["group", "digest", "rest"], several: Sequence[Known], beyond: int, now: int
    ) -> list[Outgoing]:
        self._number += 1
        notice = together(kind, [known.alert for known in several], beyond, now, self._number)
        return self._send(notice, several, now)

    def _send(self, notice: Notice, several: Iterable[Known], now: int) -> list[Outgoing]:
        self._sent.append(now)
        for known in several:
            self._last_of[client_of(known.alert)] = now
            if not known.is_open:
                known.key = known.alert["id"]
            known.told_at, known.is_open = now, known.alert["state"] == "firing"
            self.memory.release(known)
            self.memory.note(known)
        return [Outgoing(notice, "people")]

    def _has_room(self, now: int) -> bool:
        while self._sent and now - self._sent[0] >= HOUR:
            self._sent.popleft()
        return len(self._sent) < self._settings.max_per_hour

    def _reminders(self, now: int) -> list[Outgoing]:
        every = self._settings.reminder
        if not every or self._quiet(now):
            return []
        due = [
            known
            for known in self.memory.live()
            if known.is_open and known.waits is None and known.told_at is not None and now - known.told_at >= every
            if self._muted(known.alert, now) is None
        ]
        messages = self._message(due[:MAX_HELD], 0, now) if due else []
        return [replace(each, notice=replace(each.notice, id=f"{each.notice.id}.again.{now}")) for each in messages]

    def _gone(self, now: int) -> list[Outgoing]:
        """Ends of alerts from before the start that did not fire again."""
        if self._gone_in is None or self._gone_in > 0:
            return []
        unseen = [known for known in self.memory.live() if not known.seen and known.alert["state"] == "firing"]
        if len(unseen) <= MOST_AT_ONCE:
            self._gone_in = None
        out = []
        for known in unseen[:MOST_AT_ONCE]:
            over = _over(known.alert, now)
            out += self._taken(over, now)
            self._on_gone(over, now)
        return out

    def _follow_clock(self, now: int) -> None:
        """A clock that was set back holds nothing back until it is there again."""
        if self._gone_in is not None:
            self._gone_in -= min(max(0, now - self._now), LONGEST_STEP)
        if now < self._now:
            self.memory.not_after(now)
            self._looked = min(self._looked, now)
            self._sent = deque(min(at, now) for at in self._sent)
            self._last_of = {who: min(at, now) for who, at in self._last_of.items()}
            if self._waiting_since is not None:
                self._waiting_since = min(self._waiting_since, now)
        self._now = now


def _over(alert: Json, now: int) -> Json:
    end, why = rfc3339(now), "not seen again since the sensor restarted"
    return {
        **alert, "state": "resolved", "updated_at": end, "resolved_at": end, "summary": f"{alert['summary']} ({why})"
    }  # fmt: skip
