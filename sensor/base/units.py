"""Spans of time and amounts of data, as settings and sentences write them."""

import re
from typing import ClassVar

from sensor.base.text import printable

NS_PER_SECOND = 1_000_000_000

LONGEST = 100 * 365 * 86_400 * NS_PER_SECOND
"""Nanoseconds: no setting needs more than a century, and int64 times cannot take much more."""

LARGEST = 2**63 - 1
"""Bytes."""

_SPANS = {"ms": 1_000_000, "s": NS_PER_SECOND, "m": 60 * NS_PER_SECOND, "h": 3_600 * NS_PER_SECOND}
_SPANS |= {"d": 24 * _SPANS["h"], "w": 7 * 24 * _SPANS["h"]}
_SIZES = {"b": 1} | {unit + "b": 1000 ** (power + 1) for power, unit in enumerate("kmgt")}
_SIZES |= {unit + "ib": 1024 ** (power + 1) for power, unit in enumerate("kmgt")}

_SPAN = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))? ?(ms|s|m|h|d|w)")
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))? ?((?:[kmgt]i?)?b)")


class Duration(int):
    """A span of time in nanoseconds, written `90s`, `12h`, `50ms`, `1.5s` or `1h30m`."""

    __slots__ = ()
    example = "90s"

    def __new__(cls, value: str | int) -> "Duration":
        """From text, or from nanoseconds; ValueError for other text, below 0 and beyond `LONGEST`."""
        total = value if isinstance(value, int) else _span(value)
        if total is None or total < 0:
            raise ValueError(f'expected a duration like "90s", "12h" or "1h30m", got {_quoted(value)}')
        if total > LONGEST:
            raise ValueError(f"{_quoted(value)} is longer than 100 years")
        return super().__new__(cls, total)

    @property
    def seconds(self) -> float:
        """For clocks and loops, which count in seconds."""
        return self / NS_PER_SECOND


class Size(int):
    """An amount of data in bytes, written `20KB` (1 KB = 1000 bytes), `8MiB` (1 MiB = 1024 * 1024), or a number."""

    __slots__ = ()
    example = "20KB"
    accepts: ClassVar[tuple[type, ...]] = (str, int)

    def __new__(cls, value: str | int) -> "Size":
        """ValueError for anything else, for negative amounts and beyond `LARGEST`."""
        total = value if isinstance(value, int) else _size(value)
        if total is None or total < 0:
            raise ValueError(f'expected a size like "20KB" or "8MiB", got {_quoted(value)}')
        if total > LARGEST:
            raise ValueError(f"{_quoted(value)} is too large")
        return super().__new__(cls, total)


class Count(int):
    """How many of something: a whole number from 1 to ten million."""

    __slots__ = ()
    example = 1000
    accepts: ClassVar[tuple[type, ...]] = (int,)
    most = 10_000_000

    def __new__(cls, number: int) -> "Count":
        """ValueError outside of that."""
        if not 1 <= number <= cls.most:
            raise ValueError(f"expected a whole number from 1 to {cls.most}, got {number}")
        return super().__new__(cls, number)


def size_text(count: int) -> str:
    """`0 B`, `999 B`, `1.0 KB`, `12.3 MB`."""
    value, name = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < (1000 if name == "B" else 999.95):
            break
        value, name = value / 1000, larger
    return f"{count} B" if name == "B" else f"{value:.1f} {name}"


def span(nanoseconds: int) -> str:
    """`40 s`, `11 min`, `3 h 20 min`, `2 days`."""
    seconds = round(nanoseconds / NS_PER_SECOND)
    if seconds < 120:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{round(hours / 24)} days"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _span(text: str) -> int | None:
    total, at, rest = 0, 0, text.strip().lower()
    while (part := _SPAN.match(rest, at)) is not None:
        total, at = total + _amount(part, _SPANS), part.end()
    return total if rest and at == len(rest) else None


def _size(text: str) -> int | None:
    text = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    part = _SIZE.fullmatch(text)
    return None if part is None else _amount(part, _SIZES)


def _amount(part: re.Match[str], units: dict[str, int]) -> int:
    whole, fraction, unit = part.groups(default="")
    return int(whole + fraction) * units[unit] // int(10 ** len(fraction))


def _quoted(value: object) -> str:
    return f'"{printable(value, 60)}"' if isinstance(value, str) else str(value)
