"""What the router knows of alerts: what runs, what people were told of it, what waits. All of it outlives a kill."""

import json
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, get_args

from sensor.deliver.notice import Json
from sensor.model.told import Told

MAX_TOLD = 5_000
"""Alerts that are over of which the last message is remembered; the oldest go."""

MAX_RUNNING = 5_000
"""Alerts that run or wait; of the oldest only the number is kept, if people have yet to be told of it."""

MAX_HELD = 2_000
"""Alerts that wait to be told together; further ones are only counted, those first that are neither critical nor an
end of what people were told of."""

SPARED = 200
"""Critical ones that stay although they are the oldest: a program that is told each minute of what runs would take one
that it no longer hears of for over."""

Bucket = Literal["group", "digest", "rest", "unheard"]
"""What follows soon; what quiet hours hold back; what the cap holds back; what nobody wants to hear of."""
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)

COUNT = "#"
"""Before a bucket's name: the row of its `beyond`. Fingerprints are hexadecimal."""


@dataclass(slots=True, eq=False)
class Known:
    """What is known of one fingerprint; whoever changes it tells `Memory.note`."""

    alert: Json
    """In its last state; of what is over, only what tells it apart."""
    runs: bool = False
    """Programs were told that it fires, and not that it is over."""
    told_at: int | None = None
    """ns of the last message to people."""
    is_open: bool = False
    """They were told that it fires, and not that it is over."""
    key: str = ""
    """What that message was about, for edits and answers."""
    waits: Bucket | None = None
    seen: bool = True
    """Heard of since the sensor was started."""
    stored: tuple[str, Json] | None = None
    """Facts and alert as the store has them."""

    @property
    def fingerprint(self) -> str:
        """Its name."""
        return str(self.alert["fingerprint"])

    @property
    def is_live(self) -> bool:
        """Something is yet to come of it."""
        return self.runs or self.is_open or self.waits is not None


class Memory:
    """Fingerprint -> Known, with a cap; says what has changed."""

    def __init__(self) -> None:
        self.beyond: dict[Bucket, int] = dict.fromkeys(BUCKETS, 0)
        """Alerts for which a bucket had no room."""
        self._live: OrderedDict[str, Known] = OrderedDict()
        self._past: OrderedDict[str, Known] = OrderedDict()
        self._held: dict[Bucket, OrderedDict[str, Known]] = {bucket: OrderedDict() for bucket in BUCKETS}
        self._minor: dict[Bucket, OrderedDict[str, Known]] = {bucket: OrderedDict() for bucket in BUCKETS}
        """Those of `_held` that give way to the others."""
        self._changed: dict[str, None] = {}

    def of(self, alert: Json) -> Known:
        """What is known of its fingerprint; where it is nothing, that is remembered from `note` on."""
        fingerprint = str(alert["fingerprint"])
        return self._live.get(fingerprint) or self._past.get(fingerprint) or Known(alert)

    def live(self) -> Iterator[Known]:
        """All of which something is yet to come, the oldest first."""
        return iter(self._live.values())

    def waiting(self, bucket: Bucket) -> list[Known]:
        """In the order in which they came."""
        return list(self._held[bucket].values())

    def hold(self, known: Known, bucket: Bucket) -> bool:
        """It waits; False where there is no room, so that it is only counted, or one that matters less."""
        self.release(known)
        is_minor = known.alert.get("severity") != "critical" and not known.is_open
        has_room = len(self._held[bucket]) < MAX_HELD
        if not has_room:
            self.add_beyond(bucket, 1)
            if is_minor or not self._minor[bucket]:
                return False
            oldest = next(iter(self._minor[bucket].values()))
            self.release(oldest)
            self.note(oldest)
        known.waits = bucket
        for table in (self._held, self._minor) if is_minor else (self._held,):
            table[bucket][known.fingerprint] = known
        return has_room

    def release(self, known: Known) -> None:
        """It no longer waits."""
        if known.waits is not None:
            del self._held[known.waits][known.fingerprint]
            self._minor[known.waits].pop(known.fingerprint, None)
            known.waits = None

    def take_beyond(self, bucket: Bucket) -> int:
        """How many more there were; from now on none."""
        count, self.beyond[bucket] = self.beyond[bucket], 0
        if count:
            self._changed[COUNT + bucket] = None
        return count

    def add_beyond(self, bucket: Bucket, count: int) -> None:
        """So many more wait of which only the number is known."""
        self.beyond[bucket] += count
        if count:
            self._changed[COUNT + bucket] = None

    def note(self, known: Known) -> None:
        """It has changed."""
        fingerprint = known.fingerprint
        self._changed[fingerprint] = None
        if known.is_live:
            self._past.pop(fingerprint, None)
            self._live[fingerprint] = known
            if len(self._live) > MAX_RUNNING:
                self._forget_oldest()
        else:
            self._live.pop(fingerprint, None)
            self._past.pop(fingerprint, None)
            if known.told_at is not None:
                known.alert = {"fingerprint": fingerprint, "state": known.alert["state"]}  # all that is needed of it
                self._past[fingerprint] = known
            if len(self._past) > MAX_TOLD:
                self._changed[self._past.popitem(last=False)[0]] = None

    def not_after(self, now: int) -> None:
        """The clock was set back: nothing was told later than now."""
        for known in (*self._live.values(), *self._past.values()):
            if known.told_at is not None:
                known.told_at = min(known.told_at, now)

    def changes(self) -> list[Told]:
        """What has changed since this was asked last, as rows for the store."""
        rows = []
        for fingerprint in self._changed:
            if fingerprint.startswith(COUNT):
                rows.append(Told(fingerprint, str(self.beyond[fingerprint.removeprefix(COUNT)])))  # type: ignore[index]
            elif (known := self._live.get(fingerprint) or self._past.get(fingerprint)) is None:
                rows.append(Told(fingerprint, None))
            elif (row := _row(known)) is not None:
                rows.append(row)
        self._changed = {}
        return rows

    def load(self, rows: Iterable[Told]) -> None:
        """What an earlier run knew; what this one knows already counts more. What is not understood is left out."""
        for row in rows:
            if row.fingerprint.startswith(COUNT):
                self._load_count(row)
            elif row.fingerprint not in self._live and row.fingerprint not in self._past:
                known = _known(row)
                if known is not None:
                    bucket, known.waits = known.waits, None
                    if bucket is not None:
                        self.hold(known, bucket)
                    self.note(known)
                    self._changed.pop(row.fingerprint, None)

    def rewrite(self) -> None:
        """The store has nothing of it any more."""
        for known in (*self._live.values(), *self._past.values()):
            known.stored = None
            self._changed[known.fingerprint] = None
        self._changed.update((COUNT + bucket, None) for bucket, count in self.beyond.items() if count)

    def _load_count(self, row: Told) -> None:
        bucket, facts = row.fingerprint.removeprefix(COUNT), row.facts or ""
        if bucket in BUCKETS and facts.isdecimal() and len(facts) < 10:
            self.beyond[bucket] += int(facts)

    def _forget_oldest(self) -> None:
        front = islice(self._live.items(), SPARED + 1)
        minor = (name for name, known in front if known.alert.get("severity") != "critical")
        fingerprint = next(minor, None) or next(iter(self._live))
        oldest = self._live.pop(fingerprint)
        self._changed[fingerprint] = None
        if oldest.waits is not None:
            self.add_beyond(oldest.waits, 1)
            self.release(oldest)


def _row(known: Known) -> Told | None:
    """None: the store has just that."""
    facts = json.dumps([known.runs, known.told_at, known.is_open, known.key, known.waits], separators=(",", ":"))
    before, known.stored = known.stored, (facts, known.alert)
    has_alert = before is not None and before[1] is known.alert
    if has_alert and before is not None and before[0] == facts:
        return None
    alert = None if has_alert else json.dumps(known.alert, separators=(",", ":"))
    return Told(known.fingerprint, facts, alert)


def _lean(pairs: list[tuple[str, Any]]) -> Json:
    """Thousands of alerts have the same keys."""
    return {sys.intern(key): value for key, value in pairs}


def _known(row: Told) -> Known | None:
    """Out of the store; None where it is not what `_row` wrote."""
    try:
        runs, told_at, is_open, key, waits = json.loads(row.facts or "")
        alert = json.loads(row.alert or "", object_pairs_hook=_lean)
        if alert["fingerprint"] != row.fingerprint or waits not in (*BUCKETS, None):
            return None
        known = Known(alert, bool(runs), None if told_at is None else int(told_at), bool(is_open), str(key), waits)
        known.seen = False
        known.stored = (row.facts or "", alert)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return known
