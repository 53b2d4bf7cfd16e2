"""What a phone's own counters say of its uploads, against which the sensor's verdicts are held: pure.

1. Between two samples, apps that were in front at both ends sent in front, apps that were in front at neither end sent
   behind; what an app sent that changed sides meanwhile is unsure.
2. A span is background when at least SHARE of what was sent in it was sent behind, and no app that was in front at
   both ends sent anything. Otherwise it is foreground. Where nothing was sent, or the phone restarted, it is neither.
3. A history that stands still for half an hour tells of all that time at once: its span begins where it last moved.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sensor.foreground.netstats import Sent

SHARE_PERCENT = 90


class Sample(NamedTuple):
    """The counters of one client at one moment (ns)."""

    time: int
    counted: Sent


class Span(NamedTuple):
    """Bytes that apps sent from `start` to `end` (ns)."""

    start: int
    end: int
    front: int
    behind: int
    unsure: int = 0

    @property
    def background(self) -> bool | None:
        """Whether they were sent while their app was not in front; None: nothing was sent."""
        total = self.front + self.behind + self.unsure
        return None if not total else not self.front and self.behind * 100 >= SHARE_PERCENT * total


class Spans:
    """Spans out of successive samples of one client, of which only the last is kept."""

    def __init__(self) -> None:
        self._last: Sample | None = None
        self._still_since: int | None = None
        """Since when the history has stood still (ns)."""

    def add(self, sample: Sample) -> Span | None:
        """The span that ends here; None where nothing was sent, or the counters cannot be compared."""
        span = None if self._last is None else _span(self._last, sample)
        self._last = sample
        if span is None:
            self._still_since = None
        elif not sample.counted.live:
            began = span.start if self._still_since is None else self._still_since
            self._still_since = began if span.background is None else None
            span = span._replace(start=began)
        return span if span is not None and span.background is not None else None


def label(start: int, end: int, found: Iterable[Span]) -> bool | None:
    """Whether what was sent from `start` to `end` was background: all spans that overlap it, taken together."""
    inside = [span for span in found if span.start < end and span.end > start]
    total = Span(
        start,
        end,
        sum(span.front for span in inside),
        sum(span.behind for span in inside),
        sum(span.unsure for span in inside),
    )
    return total.background


def _span(before: Sample, after: Sample) -> Span | None:
    """None: the phone restarted, or the samples cannot be compared."""
    old, new = before.counted, after.counted
    if old.live != new.live or after.time <= before.time:
        return None
    front = behind = unsure = 0
    for counter, sent in new.sent.items():
        # An app that was not counted before has sent nothing before: incomplete samples are none.
        moved = sent - old.sent.get(counter, 0)
        if moved < 0:
            return None
        if counter.in_front is not None:
            ends = {counter.in_front}
        else:
            ends = {counter.uid in old.in_front, counter.uid in new.in_front}
        if len(ends) > 1:
            unsure += moved
        elif True in ends:
            front += moved
        else:
            behind += moved
    return Span(before.time, after.time, front, behind, unsure)
