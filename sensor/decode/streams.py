"""The beginnings of TCP streams, put together from segments in any order, in bounded memory (RFC 9293 section 3.4)."""

from bisect import bisect_left
from collections.abc import Iterator

from sensor.base.bounded import BoundedDict
from sensor.model.message import Segment

MAX_BUFFER = 16_384
"""Bytes of one stream that are held at once; what lies beyond is not taken."""

MAX_HELD = 1_000_000
"""Bytes that all streams together may hold, STREAM_COST for each included."""

STREAM_COST = 1_024
"""Bytes that a stream is taken to need for itself."""

RUN_COST = 128
"""Bytes that each further piece of a stream with gaps is taken to need."""

MAX_OWNERS = 512
"""Owners (pairs of MACs) with open streams."""

STREAM_IDLE = 30 * 1_000_000_000
"""Nanoseconds without a segment after which a stream is given up."""

_MASK = 0xFFFF_FFFF
_HALF = 0x8000_0000


def ahead(sequence: int, base: int) -> int:
    """How far a sequence number lies behind another in the stream; negative: before it (mod 2^32)."""
    distance = (sequence - base) & _MASK
    return distance - _MASK - 1 if distance >= _HALF else distance


class Stream:
    """One direction of a connection from a sequence number on. Where segments overlap, the first bytes win."""

    __slots__ = ("_buffer", "_runs", "base", "goal", "opener", "time")

    def __init__(self, base: int, opener: Segment) -> None:
        self.base = base
        """Sequence number of the first byte of `ready`."""
        self.goal = 1
        """For its reader: bytes that must be ready before another look pays."""
        self.opener = Segment(*opener[:10], b"", opener.length)
        """The segment that opened it, without its payload (which still has to be added)."""
        self.time = opener.time
        """Of the last segment."""
        self._buffer = bytearray()
        self._runs: list[tuple[int, int]] = [(0, 0)]  # (start, end) of what is there, apart and ascending

    @property
    def ready(self) -> int:
        """Bytes without a gap from `base` on."""
        return self._runs[0][1]

    @property
    def empty(self) -> bool:
        """Nothing is held, ready or not."""
        return not self._buffer

    @property
    def held(self) -> int:
        """Bytes of memory."""
        return len(self._buffer) + RUN_COST * len(self._runs) + STREAM_COST

    def content(self) -> bytes:
        """What is ready."""
        return bytes(self._buffer[: self._runs[0][1]])

    def apart(self, sequence: int) -> bool:
        """Whether a segment neither joins nor overlaps what is ready."""
        distance = ahead(sequence, self.base)
        return distance > self._runs[0][1] or distance < -MAX_BUFFER

    def add(self, sequence: int, payload: bytes) -> bool:
        """Takes a segment; False when (part of) it lies beyond the buffer: that part is lost."""
        start = ahead(sequence, self.base)
        if start < 0:
            payload = payload[-start:]
            start = 0
        fits = start + len(payload) <= MAX_BUFFER
        if not fits:
            payload = payload[: max(MAX_BUFFER - start, 0)]
        if payload:
            if len(self._runs) == 1 and start == len(self._buffer):
                self._buffer += payload
                self._runs[0] = (0, len(self._buffer))
            else:
                self._merge(start, payload)
        return fits

    def skip(self, size: int) -> None:
        """Goes on `size` bytes further; they need not be there yet."""
        self.base = (self.base + size) & _MASK
        del self._buffer[:size]
        runs = [(max(start - size, 0), end - size) for start, end in self._runs if end > size]
        self._runs = runs if runs and runs[0][0] == 0 else [(0, 0), *runs]
        self.goal = 1

    def _merge(self, start: int, payload: bytes) -> None:
        """Fills the gaps that the payload covers."""
        end = start + len(payload)
        if end > len(self._buffer):
            self._buffer.extend(bytes(end - len(self._buffer)))
        runs = self._runs
        first = max(bisect_left(runs, (start, start)) - 1, 0)
        if runs[first][1] < start:
            first += 1
        last, at = first, start
        while last < len(runs) and runs[last][0] <= end:
            there, until = runs[last]
            if at < there:
                self._buffer[at:there] = payload[at - start : there - start]
            at = max(at, until)
            last += 1
        if at < end:
            self._buffer[at:end] = payload[at - start :]
        if last > first:
            start, end = min(start, runs[first][0]), max(end, runs[last - 1][1])
        runs[first:last] = [(start, end)]


class _Share:
    """The streams of one owner."""

    __slots__ = ("held", "streams")

    def __init__(self) -> None:
        self.streams: BoundedDict[bytes, Stream] = BoundedDict(MAX_HELD // STREAM_COST)
        self.held = 0


class StreamTable:
    """All open streams. Where memory is short, the owner who holds most loses its oldest, and no other."""

    def __init__(self) -> None:
        self.held = 0
        """Bytes."""
        self.evicted = 0
        """Streams given up for want of memory."""
        self.expired = 0
        """Streams given up after STREAM_IDLE."""
        self._shares: BoundedDict[bytes, _Share] = BoundedDict(MAX_OWNERS)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, owner: bytes, key: bytes) -> Stream | None:
        """The open stream of that key, which counts as a use."""
        share = self._shares.get(owner)
        return share.streams.get(key) if share is not None else None

    def open(self, owner: bytes, key: bytes, stream: Stream) -> None:
        """Adds a stream, in place of an older one of that key."""
        self.close(owner, key)
        share = self._shares.get(owner)
        if share is None:
            share = _Share()
            lost = self._shares.put(owner, share)
            if lost is not None:
                self._forget(lost[1], len(lost[1].streams))
        share.streams.put(key, stream)
        self._count += 1
        self._grow(share, stream.held)

    def add(self, owner: bytes, stream: Stream, sequence: int, payload: bytes) -> bool:
        """`Stream.add` for an open stream; memory may be taken from others, or from this one, for it."""
        before = stream.held
        fits = stream.add(sequence, payload)
        self._grow(self._shares.peek(owner), stream.held - before)
        return fits

    def skip(self, owner: bytes, stream: Stream, size: int) -> None:
        """`Stream.skip` for an open stream."""
        before = stream.held
        stream.skip(size)
        self._grow(self._shares.peek(owner), stream.held - before)

    def close(self, owner: bytes, key: bytes) -> None:
        """Takes a stream out, if there is one."""
        share = self._shares.peek(owner)
        stream = share.streams.pop(key) if share is not None else None
        if share is not None and stream is not None:
            self._leave(share, stream)
            if not share.streams:
                self._shares.pop(owner)

    def expire(self, now: int) -> Iterator[Stream]:
        """Takes out and yields those without a segment since STREAM_IDLE."""
        for owner, share in list(self._shares.items()):
            for key, stream in list(share.streams.items()):
                if now - stream.time <= STREAM_IDLE:
                    break
                self.close(owner, key)
                self.expired += 1
                yield stream

    def _grow(self, share: _Share | None, change: int) -> None:
        if share is None:
            return
        share.held += change
        self.held += change
        while self.held > MAX_HELD:
            heaviest = max(self._shares.values(), key=lambda each: each.held)
            self._forget(heaviest, (len(heaviest.streams) + 1) // 2)  # half of them, so that a flood pays this rarely

    def _forget(self, share: _Share, count: int) -> None:
        for key in list(share.streams)[:count]:
            stream = share.streams.pop(key)
            if stream is not None:
                self._leave(share, stream)
                self.evicted += 1

    def _leave(self, share: _Share, stream: Stream) -> None:
        share.held -= stream.held
        self.held -= stream.held
        self._count -= 1
