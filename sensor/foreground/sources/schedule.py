"""Quiet hours: "nobody uses this TV between 23:00 and 7:00". Only expected, not seen: reports count more."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from sensor.base.fields import ClientRef
from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.foreground.base import Source, SourceFacts
from sensor.foreground.standing import Known, Standing

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
"""By number, as date.weekday counts."""

AHEAD = 8
"""Days that are looked at for the next quiet time: one of a week begins within them."""

LOCAL = "local"

_LAST = 253_370_000_000
"""Seconds; calendars end soon after."""


class TimeOfDay(str):
    """A time of day: `23:00`."""

    __slots__ = ()
    example = "23:00"

    def __new__(cls, text: str) -> "TimeOfDay":
        """ValueError for anything but hours and minutes."""
        if not re.fullmatch(r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9]", text.strip(), re.ASCII):
            raise ValueError(f"'{printable(text, 40)}' is not a time of day; write it like 23:00")
        return super().__new__(cls, text.strip())

    @property
    def minutes(self) -> int:
        """Since midnight by the clock on the wall."""
        hours, _, minutes = self.partition(":")
        return int(hours) * 60 + int(minutes)


class Zone(str):
    """The name of a time zone, or "local": the box's own."""

    example = "Europe/Berlin"
    info: ZoneInfo | None
    """None: the box's own."""

    def __new__(cls, text: str) -> "Zone":
        """ValueError: there is no data for a zone of that name."""
        zone = super().__new__(cls, text.strip())
        try:
            zone.info = None if zone == LOCAL else ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                f"no time zone '{printable(text, 60)}' here; write it like Europe/Berlin, "
                "and install the zones with: sudo apt install tzdata"
            ) from None
        return zone


@dataclass(frozen=True)
class Quiet:
    """One [[foreground.schedule.quiet]]."""

    clients: tuple[ClientRef, ...]
    from_: TimeOfDay
    to: TimeOfDay
    """On the next day, unless it is later than `from`; the same: a whole day."""
    days: tuple[Day, ...] = DAYS
    """Those on which it begins."""

    def __post_init__(self) -> None:
        """ValueError: for nobody, or on no day."""
        if not self.clients:
            raise ValueError("clients: expected at least one client")
        if not self.days:
            raise ValueError(f"days: expected at least one of {', '.join(DAYS)}")


@dataclass(frozen=True)
class Settings:
    """Keys of [foreground.schedule]."""

    enabled: bool = True
    timezone: Zone = Zone(LOCAL)  # noqa: RUF009
    quiet: tuple[Quiet, ...] = ()


class Schedule(Source):
    """Expects that nobody uses a client in its quiet hours, and nothing at other times."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: SourceFacts) -> None:
        super().__init__(settings, facts)
        self._zone = settings.timezone.info
        self._quiet: dict[str, list[Quiet]] = {}
        for quiet in settings.quiet:
            for client in dict.fromkeys(map(str, quiet.clients)):
                self._quiet.setdefault(client, []).append(quiet)

    def expected(self, client: str, now: int) -> tuple[Standing | None, int | None]:
        times = self._quiet.get(client)
        if times is None or not 0 <= now < _LAST * SECOND:
            return None, None
        spans = sorted({span for quiet in times for span in _spans(quiet, now, self._zone)})
        start, end = -1, now
        for first, last in spans:
            if first <= end < last:
                start, end = first if start < 0 else start, last
        if start < 0:
            return None, next((first for first, _ in spans if first > now), None)
        said = Standing(
            self.name, screen=Known(False, start), state="background", observed_at=start, since=start, until=end
        )
        return said, end


PLUGIN = Schedule


def _spans(quiet: Quiet, now: int, zone: ZoneInfo | None) -> Iterator[tuple[int, int]]:
    """The quiet times around and after `now`: (start, end) in ns."""
    today = datetime.fromtimestamp(now // SECOND, UTC).astimezone(zone).date()
    for offset in range(-2, AHEAD + 1):
        day = today + timedelta(days=offset)
        if DAYS[day.weekday()] not in quiet.days:
            continue
        last = day if quiet.to.minutes > quiet.from_.minutes else day + timedelta(days=1)
        start, end = _instant(day, quiet.from_, zone), _instant(last, quiet.to, zone)
        # Where clocks are set forward, a short quiet time may fall into the hour that is left out.
        if start < end:
            yield start, end


def _instant(day: date, time: TimeOfDay, zone: ZoneInfo | None) -> int:
    """When clocks in the zone show that, ns: the first time of two, and as if unchanged in an hour that is left out."""
    shown = datetime(day.year, day.month, day.day, time.minutes // 60, time.minutes % 60, tzinfo=zone)
    return round(shown.timestamp()) * SECOND
