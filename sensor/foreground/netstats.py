"""How much each app of an Android phone has sent, out of `dumpsys netstats`: pure, any text is taken.

Android 14 and later print the kernel's own counters, which are exact at once but count all interfaces (LIVE). Older
ones print a history (DETAIL) which counts Wi-Fi apart, but moves only when the system polls: half-hourly, or after a
lot of traffic. Both count an app's foreground services as background.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

LIVE = "dumpsys netstats | sed -n '/m[A-Za-z]*Map:$/,/mStatsMapA:$/p'"
DETAIL = "dumpsys netstats detail | sed -n '/^UID stats:/,/^UID tag stats:/p' | grep -E 'stats:|uid=|st='"

FIRST_APP = 10_000
"""Ids of apps begin here. What belongs to the system counts as in front at all times, and says nothing."""

PER_USER = 100_000
"""uid = user * PER_USER + id of the app."""

MAX_COUNTERS = 2_000
"""Counters of one phone; where there are more, none is believed."""

MAX_LINES = 40_000
"""Of one text; a longer one is not read."""


class Counter(NamedTuple):
    """What one number of bytes is about."""

    uid: int
    in_front: bool | None
    """What it sent while in front, or not; None: both."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes that apps have sent since the phone started."""

    sent: Mapping[Counter, int]
    in_front: frozenset[int] = frozenset()
    """uids that are in front now; of the live counters."""
    live: bool = True


def has_live(text: str) -> bool:
    """Whether the phone prints the kernel's counters at all."""
    return _LIVE_HEAD.search(text) is not None


def counters(text: str) -> Sent | None:
    """The live counters, else the history. None where the text has neither, breaks off within, or is too long."""
    if text.count("\n") > MAX_LINES:
        return None
    return _live(text) if has_live(text) else _detail(text)


_APPS, _IN_FRONT = "mAppUidStatsMap:", "mUidCounterSetMap:"
_HEAD = "uid rxBytes rxPackets txBytes txPackets"
_FAILED = ("Map dump end with error", "Map is null")
_LIVE_HEAD = re.compile(r"^[ \t]*mAppUidStatsMap:[ \t\r]*$", re.M)
_SECTION = re.compile(r"m\w{1,40}:", re.A)
_NUMBERS = re.compile(r"[0-9]{1,10}(?: [0-9]{1,20}){1,4}")
_IDENT = re.compile(
    r"ident=\[\{type=(-?\w{1,20})[,}][^\n]*\] uid=(-?[0-9]{1,10}) set=(\w{1,20}) tag=(0x[0-9a-f]{1,8})", re.A | re.I
)
_BUCKET = re.compile(r"st=[0-9]{1,20} rb=[0-9]{1,20} rp=[0-9]{1,20} tb=([0-9]{1,20})\b", re.A)
_WIFI = ("1", "WIFI")


def _live(text: str) -> Sent | None:
    """Lines like `mAppUidStatsMap: OK` say how a map is; what it holds stands under its bare name."""
    section = ""
    seen: set[str] = set()
    totals: dict[Counter, int] = {}
    in_front: set[int] = set()
    for line in map(str.strip, text.split("\n")):
        if _SECTION.fullmatch(line):
            if section == _APPS and _HEAD in seen and _IN_FRONT in seen:
                return Sent(totals, frozenset(in_front))
            section = line
            seen.add(line)
        elif section in (_APPS, _IN_FRONT) and line.startswith(_FAILED):
            return None
        elif section == _APPS and line == _HEAD:
            seen.add(line)
        elif (numbers := _row(line)) and _is_app(numbers[0]):
            # A map that changes while it is printed is printed again: the last line counts.
            if section == _APPS and len(numbers) == 5:
                totals[Counter(numbers[0], None)] = numbers[3]
            elif section == _IN_FRONT and numbers[1:] == [1]:
                in_front.add(numbers[0])
            if max(len(totals), len(in_front)) > MAX_COUNTERS:
                return None
    return None


def _detail(text: str) -> Sent | None:
    """Only the section `UID stats`: `UID tag stats`, which follows, repeats parts of it."""
    head = re.search(r"^[ \t]*UID stats:", text, re.M)
    if head is None:
        return None
    totals: dict[Counter, int] = {}
    counter = None
    for line in map(str.strip, text[head.end() :].split("\n")):
        if line.endswith("stats:"):
            return Sent(totals, live=False)
        if line.startswith("ident="):
            counter = _counter(line)
        elif counter is not None and (bucket := _BUCKET.match(line)):
            totals[counter] = totals.get(counter, 0) + int(bucket[1])
            if len(totals) > MAX_COUNTERS:
                return None
    return None


def _counter(line: str) -> Counter | None:
    """None for what is not an app's, did not cross the Wi-Fi (a VPN's bytes are there a second time), or is tagged."""
    found = _IDENT.fullmatch(line)
    if found is None or found[1] not in _WIFI or int(found[4], 16) or not _is_app(int(found[2])):
        return None
    return {"FOREGROUND": Counter(int(found[2]), True), "DEFAULT": Counter(int(found[2]), False)}.get(found[3])


def _row(line: str) -> list[int] | None:
    return [int(number) for number in line.split(" ")] if _NUMBERS.fullmatch(line) else None


def _is_app(uid: int) -> bool:
    return uid >= 0 and uid % PER_USER >= FIRST_APP
