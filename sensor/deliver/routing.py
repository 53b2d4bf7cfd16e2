"""What people are told, and when: so that they keep it switched on.

1. Programs (webhook, Alertmanager, MQTT: sinks that take no groups) get every state of every alert at once.
2. People get the first alert of a client at once, but of FEW clients only within `group_wait`. What follows by then
   goes out together when that is over; if more than FEW clients have something to say, all of it is one message.
3. An alert that fires again within `cooldown` of its last message is not told again, and one that goes on is told of
   once per `reminder`. An end is told where its beginning was.
4. In quiet hours only `critical` is told; the rest comes as one digest afterwards.
5. Beyond `max_per_hour` messages only `critical` is told; the rest comes as one message with a number.
6. Whatever is held back is counted by its reason. Nothing here knows a clock or a sink.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sensor.base.times import SECOND
from sensor.base.units import Count, Duration
from sensor.deliver.notice import Notice, single
from sensor.model.alert import SEVERITIES

FEW = 3
"""Clients that get a message each when several speak at once."""

SHOWN = 10
"""Alerts that one message tells of in words; of the others it gives the number."""

MAX_TOLD = 5_000
"""Fingerprints whose last message is remembered; the oldest go."""

MAX_HELD = 2_000
"""Alerts that wait to be told together; further ones are only counted."""

HOUR = 3_600 * SECOND

Json = dict[str, Any]
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


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message, and for whom."""

    notice: Notice
    audience: Audience


@dataclass(slots=True)
class _Told:
    """What people know of one fingerprint."""

    at: int
    """ns of the last message."""
    is_open: bool
    """They were told that it fires, and not that it is over."""
    alert: Json


@dataclass(slots=True)
class _Held:
    """Alerts that wait, by fingerprint: the latest state of each."""

    alerts: OrderedDict[str, Json] = field(default_factory=OrderedDict)
    beyond: int = 0

    def add(self, alert: Json) -> None:
        fingerprint = alert["fingerprint"]
        if fingerprint in self.alerts or len(self.alerts) < MAX_HELD:
            self.alerts[fingerprint] = alert
        else:
            self.beyond += 1

    def take(self) -> tuple[list[Json], int]:
        alerts, beyond = list(self.alerts.values()), self.beyond
        self.alerts.clear()
        self.beyond = 0
        return alerts, beyond


class Router:
    """Turns alerts into messages; `now` is ns of the wall clock."""

    def __init__(
        self,
        settings: NotifySettings,
        *,
        quiet: Callable[[int], bool] = lambda _now: False,
        muted: Callable[[Json, int], str | None] = lambda _alert, _now: None,
    ) -> None:
        """`quiet(now)`: whether it is quiet hours; `muted(alert, now)`: why nobody wants to hear of it, or None."""
        self.suppressed: Counter[str] = Counter(dict.fromkeys(("muted", "cooldown", "quiet", "cap"), 0))
        """Reason -> states of alerts that were not told at their time."""
        self._settings = settings
        self._quiet = quiet
        self._muted = muted
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._waiting = _Held()
        self._waiting_since: int | None = None
        self._last_of: dict[str, int] = {}
        """Client -> ns of its last message, within `group_wait`."""
        self._digest, self._rest = _Held(), _Held()
        self._sent: deque[int] = deque()
        """ns of the messages of the last hour."""
        self._number = 0

    def retune(self, settings: NotifySettings) -> None:
        """Other settings hold from now on; what waits goes on waiting."""
        self._settings = settings

    def take(self, alert: Json, now: int) -> list[Outgoing]:
        """One state of one alert."""
        reason = self._muted(alert, now)
        if reason is not None:
            self.suppressed["muted"] += 1
            return []
        return [Outgoing(single(alert, now), "programs"), *self._for_people(alert, now)]

    def tick(self, now: int) -> list[Outgoing]:
        """What is due because time has passed."""
        out: list[Outgoing] = []
        self._last_of = {who: at for who, at in self._last_of.items() if 0 <= now - at < self._settings.group_wait}
        if self._waiting_since is not None and abs(now - self._waiting_since) >= self._settings.group_wait:
            out += self._flush(now)
        if self._digest.alerts and not self._quiet(now):
            out += self._told_together("digest", *self._digest.take(), now)
        if self._rest.alerts and self._has_room(now):
            out += self._told_together("rest", *self._rest.take(), now)
        return out + self._reminders(now)

    def _for_people(self, alert: Json, now: int) -> list[Outgoing]:
        fingerprint, firing = alert["fingerprint"], alert["state"] == "firing"
        told = self._told.get(fingerprint)
        waits = fingerprint in self._waiting.alerts or fingerprint in self._digest.alerts
        if not firing and not (waits or (told is not None and told.is_open)):
            return []
        if firing and told is not None and 0 <= now - told.at < self._settings.cooldown:
            self.suppressed["cooldown"] += 1
            told.is_open = True
            return []
        if self._quiet(now) and alert["severity"] != "critical":
            self.suppressed["quiet"] += 1
            self._digest.add(alert)
            return []
        client = _client(alert)
        if client not in self._last_of and len(self._last_of) < FEW and self._waiting_since is None:
            return self._message([alert], 0, now)
        self._waiting.add(alert)
        if self._waiting_since is None:
            self._waiting_since = now
        return []

    def _flush(self, now: int) -> list[Outgoing]:
        alerts, beyond = self._waiting.take()
        self._waiting_since = None
        by_client: dict[str, list[Json]] = {}
        for alert in alerts:
            by_client.setdefault(_client(alert), []).append(alert)
        if beyond or len(by_client) > FEW:
            return self._message(alerts, beyond, now)
        return [message for mine in by_client.values() for message in self._message(mine, 0, now)]

    def _message(self, alerts: list[Json], beyond: int, now: int) -> list[Outgoing]:
        """One message, unless the cap holds it back."""
        if not self._has_room(now):
            loud = [alert for alert in alerts if alert["severity"] == "critical"]
            for alert in alerts:
                if alert["severity"] != "critical":
                    self.suppressed["cap"] += 1
                    self._rest.add(alert)
            alerts = loud
        if not alerts:
            return []
        if len(alerts) == 1 and not beyond:
            return self._send(single(alerts[0], now), alerts, now)
        return self._told_together("group", alerts, beyond, now)

    def _told_together(
        self, kind: Literal["group", "digest", "rest"], alerts: list[Json], beyond: int, now: int
    ) -> list[Outgoing]:
        worst = max(alerts, key=lambda alert: SEVERITIES.index(alert["severity"]))
        self._number += 1
        identity = f"{kind}.{now}.{self._number}"
        notice = Notice(
            id=identity,
            key=identity,
            kind=kind,
            state="firing" if any(alert["state"] == "firing" for alert in alerts) else "resolved",
            severity=worst["severity"],
            at=now,
            title=_title(kind, alerts, beyond),
            lines=tuple(_lines(alerts, beyond)),
            alerts=tuple(alerts[:SHOWN]),
        )
        return self._send(notice, alerts, now)

    def _send(self, notice: Notice, alerts: Iterable[Json], now: int) -> list[Outgoing]:
        self._sent.append(now)
        for alert in alerts:
            self._last_of[_client(alert)] = now
            self._told[alert["fingerprint"]] = _Told(now, alert["state"] == "firing", alert)
            self._told.move_to_end(alert["fingerprint"])
            if len(self._told) > MAX_TOLD:
                self._told.popitem(last=False)
        return [Outgoing(notice, "people")]

    def _has_room(self, now: int) -> bool:
        while self._sent and not 0 <= now - self._sent[0] < HOUR:
            self._sent.popleft()
        return len(self._sent) < self._settings.max_per_hour

    def _reminders(self, now: int) -> list[Outgoing]:
        every = self._settings.reminder
        if not every or self._quiet(now):
            return []
        due = [told.alert for told in self._told.values() if told.is_open and now - told.at >= every]
        messages = self._message(due[:MAX_HELD], 0, now) if due else []
        return [replace(each, notice=replace(each.notice, id=f"{each.notice.id}.again.{now}")) for each in messages]


def _client(alert: Json) -> str:
    client = alert["client"]
    return client["mac"] or next(iter(client["addresses"]), "other")


def _title(kind: str, alerts: list[Json], beyond: int) -> str:
    count, clients = len(alerts) + beyond, len({_client(alert) for alert in alerts})
    who = f"{clients:,} client{'' if clients == 1 else 's'}"
    if kind == "digest":
        return f"while it was quiet: {count:,} alerts of {who}"
    if kind == "rest":
        return f"{count:,} more alerts of {who}"
    return f"{count:,} alerts of {who}"


def _lines(alerts: list[Json], beyond: int) -> Iterable[str]:
    worst_first = sorted(alerts, key=lambda alert: -SEVERITIES.index(alert["severity"]))
    for alert in worst_first[:SHOWN]:
        over = "over: " if alert["state"] == "resolved" else ""
        yield f"{over}{alert['summary']}"
    if len(alerts) + beyond > SHOWN:
        yield f"and {len(alerts) + beyond - SHOWN:,} more"
