"""Hours of the day and the week by a clock on the wall: when they begin and end, over the days on which it is set."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from sensor.base.text import printable
from sensor.base.times import SECOND

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
"""By number, as date.weekday counts."""

AHEAD = 8
"""Days that are looked at for what comes next: hours of a week begin within them."""

LOCAL = "local"

LAST = 253_370_000_000 * SECOND
"""ns; calendars end soon after."""


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
class Hours:
    """From one time of day to another, on some days of the week."""

    from_: TimeOfDay
    to: TimeOfDay
    """On the next day, unless it is later than `from_`; the same: a whole day."""
    days: tuple[Day, ...] = DAYS
    """Those on which it begins."""


class QuietHours(str):
    """Hours in one line: `22:00-07:00`, `Sat,Sun 00:00-10:00`, `Mon-Fri 23:00-06:30`."""

    __slots__ = ("hours",)
    example = "22:00-07:00"
    hours: Hours

    def __new__(cls, text: str) -> "QuietHours":
        """ValueError for anything else."""
        found = re.fullmatch(r"(?:([A-Za-z][A-Za-z, -]*?) +)?([0-9:]+) *- *([0-9:]+)", text.strip(), re.ASCII)
        if found is None:
            raise ValueError(
                f"'{printable(text, 40)}' are no hours; write them like 22:00-07:00 or Sat,Sun 00:00-10:00"
            )
        written = super().__new__(cls, text.strip())
        written.hours = Hours(TimeOfDay(found[2]), TimeOfDay(found[3]), _days(found[1]) if found[1] else DAYS)
        return written


def within(hours: Iterable[Hours], now: int, zone: ZoneInfo | None) -> bool:
    """Whether it is one of these hours; `now`: ns since 1970; `zone` None: the box's own."""
    return any(start <= now < end for each in hours for start, end in spans(each, now, zone, ahead=0))


def spans(hours: Hours, now: int, zone: ZoneInfo | None, ahead: int = AHEAD) -> Iterator[tuple[int, int]]:
    """When they are around `now` and up to so many days ahead: (start, end) in ns. Nothing beyond all calendars."""
    if not 0 <= now < LAST:
        return
    today = datetime.fromtimestamp(now // SECOND, UTC).astimezone(zone).date()
    for offset in range(-2, ahead + 1):
        day = today + timedelta(days=offset)
        if DAYS[day.weekday()] not in hours.days:
            continue
        last = day if hours.to.minutes > hours.from_.minutes else day + timedelta(days=1)
        start, end = _instant(day, hours.from_, zone), _instant(last, hours.to, zone)
        # Where clocks are set forward, short hours may fall into the one that is left out.
        if start < end:
            yield start, end


def _days(text: str) -> tuple[Day, ...]:
    """`Sat,Sun`, `Mon-Fri`, `Fri-Mon`."""
    found: set[Day] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"'{printable(part, 20)}' is no day; write it like {', '.join(DAYS)} or mon-fri")
        start, count = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7
        found |= {DAYS[(start + each) % 7] for each in range(count + 1)}
    return tuple(day for day in DAYS if day in found)


def _instant(day: date, time: TimeOfDay, zone: ZoneInfo | None) -> int:
    """When clocks in the zone show that, ns: the first time of two, and as if unchanged in an hour that is left out."""
    shown = datetime(day.year, day.month, day.day, time.minutes // 60, time.minutes % 60, tzinfo=zone)
    return round(shown.timestamp()) * SECOND
