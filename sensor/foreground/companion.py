"""One phone as the entities of Home Assistant's companion app show it, folded into reports. Pure.

What decides it is how the app updates its sensors: `interactive` at once when the screen goes on or off, all others
only along with it or every 1 to 15 minutes. So
1. nothing is reported while the interactive entity says nothing;
2. a screen that is on counts as in use, whatever the lock entity says: the app reads the lock when the screen goes on
   and does not look again when somebody unlocks. `locked` is reported only while the screen is off, and withdrawn
   (`unlocked`) when it goes on;
3. the app last used is told as app_opened only if it changed since the screen went on: an earlier one may be from
   another time, and one read when the screen went off is over already. There is no app_closed;
4. times are Home Assistant's `lc`, never later than now. A change that is told as it happens is not believed to be
   further off than MAX_SKEW: then that clock is wrong. A state that is told anew keeps its first time, because after
   a restart Home Assistant restores states with the time of the restart.
"""

from typing import Literal, NamedTuple

from sensor.base.text import printable
from sensor.foreground.base import believed
from sensor.model.foreground import Event, Report

Role = Literal["interactive", "locked", "app", "charging"]
ROLES: tuple[Role, ...] = ("interactive", "locked", "app", "charging")
"""In the order in which those of one message are to be told."""

WORDS = {"on": True, "off": False}
CHARGING_WORDS = {**WORDS, "charging": True, "discharging": False, "not_charging": False, "full": False}
"""Those of the battery's state, too."""
NO_APP = frozenset({"none", "null"})
MAX_APP = 128
"""Characters of an app's name that are kept."""


class Reading(NamedTuple):
    """The last that an entity said."""

    value: bool | str
    at: int


class Phone:
    """What one client's entities said."""

    def __init__(self, client: str, source: str, interval: int) -> None:
        """`interval`: ns between signs of life that the source promises."""
        self.client = client
        self._source = source
        self._interval = interval
        self._readings: dict[Role, Reading] = {}
        self._vouched: set[Role] = set()
        """Entities that have said something since the connection was made."""
        self._locked: int | None = None
        """When it was locked, ns, as reported; None: that does not hold any more."""

    @property
    def speaks(self) -> bool:
        """Whether its interactive entity says something at present."""
        return "interactive" in self._vouched

    def disconnected(self) -> None:
        """What it said may have changed unheard."""
        self._vouched.clear()

    def heartbeat(self, now: int) -> Report | None:
        """A sign of life, while what it said still holds."""
        return self._report("heartbeat", now, now) if self.speaks else None

    def again(self, now: int) -> list[Report]:
        """What it still says, for whoever let go of it; nothing while its interactive entity is silent."""
        if not self.speaks:
            return []
        self._locked = None
        return self._screen(self._readings["interactive"], now, current=True)

    def told(self, role: Role, state: str | None, changed: int | None, now: int) -> list[Report]:
        """What comes of one entity's state; `changed` and `now` in ns."""
        value = _value(role, state)
        if value is None:
            self._vouched.discard(role)
            return []
        anew = role not in self._vouched
        self._vouched.add(role)
        last = self._readings.get(role)
        at = min(now, (now if changed is None else changed) if anew else believed(changed, now))
        if last is not None:
            same = last.value == value
            if same and not anew:
                return []
            at = min(now, last.at) if same else max(at, min(now, last.at))
        reading = self._readings[role] = Reading(value, at)
        if not self.speaks:
            return []
        if role == "interactive":
            return self._screen(reading, now, current=anew)
        screen = self._readings["interactive"]
        match role:
            case "locked":
                return self._lock(reading, screen, now)
            case "app" if screen.value and reading.at > screen.at:
                return [self._report("app_opened", at, now, app=printable(str(value), MAX_APP))]
            case "charging" if value:
                return [self._report("charging", at, now)]
        return []

    def _screen(self, screen: Reading, now: int, *, current: bool) -> list[Report]:
        if screen.value:
            event: Event = "screen_on" if self._locked is None else "unlocked"
            at = max(screen.at, min(now, self._locked or 0))
            self._locked = None
            return [self._report(event, at, now, current=current)]
        reports = [self._report("screen_off", screen.at, now, current=current)]
        lock = self._readings.get("locked")
        if lock is not None and "locked" in self._vouched:
            reports += self._lock(lock, screen, now)
        return reports

    def _lock(self, lock: Reading, screen: Reading, now: int) -> list[Report]:
        at = max(lock.at, screen.at)
        if screen.value:
            return [] if lock.value else [self._report("unlocked", at, now)]
        if not lock.value or self._locked is not None:
            return []
        self._locked = at
        return [self._report("locked", at, now)]

    def _report(self, event: Event, at: int, now: int, *, app: str | None = None, current: bool = False) -> Report:
        return Report(self.client, self._source, event, app, at, now, interval=self._interval, current=current)


def _value(role: Role, state: str | None) -> bool | str | None:
    if state is None:
        return None
    word = state.lower()
    if role == "app":
        return None if word in NO_APP else state
    return (CHARGING_WORDS if role == "charging" else WORDS).get(word)
