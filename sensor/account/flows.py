"""The flow table: which flow each packet belongs to, and what every flow moved since it was last collected.

1. Flows are dense rows; an open-addressing index finds a whole span of packets at once. Full keys are compared:
   no two flows mix. The index is sparse, so that few packets need a second look.
2. A row is a flow in one direction; it knows its service row and whether its bytes count as sent.
3. The hash is seeded, so that nobody on the wire can choose keys that collide.
4. When the table is full, the half of the flows that was quiet longest is forgotten; totals live in the ledger.
"""

from dataclasses import dataclass
from random import Random, SystemRandom

import numpy as np
from numpy.typing import NDArray

from sensor.account.uploads import Uploads
from sensor.model.flow import FlowKey, unpack
from sensor.model.packets import ACK, SYN, Packets

MAX_FLOWS = 81_920
"""Flows in one direction."""

SPAN = 16_384
"""Packets that may be added at once."""

RECEIVED, SENT = 0, 1
"""What a flow's bytes count as, seen from the client."""

UNKNOWN = -1
"""Service row of a flow that nobody classified yet."""

Rows = NDArray[np.int64]
Words = NDArray[np.uint64]

_NEVER = np.iinfo(np.int64).max
_INDEX_PER_FLOW = 6


@dataclass(slots=True)
class Collected:
    """What flows moved since the last time, one entry per flow that moved."""

    flows: Rows
    service: Rows
    side: NDArray[np.int8]
    bytes: Rows
    packets: Rows
    first: Rows
    last: Rows
    uploaded: Rows
    """Of what the client sent: payload that was new; all 0 where it waits for the end of the second."""


class FlowTable:
    """Flows by their full key."""

    def __init__(self, most: int = MAX_FLOWS, seed: int | None = None) -> None:
        self.most = most
        self.count = 0
        self.expired = 0
        bits = (most * _INDEX_PER_FLOW - 1).bit_length()
        self._shift = np.uint64(64 - bits)
        self._mask = (1 << bits) - 1
        self._index = np.full(1 << bits, -1, np.int32)
        self._claim = np.zeros(1 << bits, np.int32)
        # numpy.random takes longer to import than all of this.
        random = SystemRandom() if seed is None else Random(seed)  # noqa: S311  # tests seed it
        self._factors = np.array([random.randrange(1 << 32, 1 << 63) | 1 for _ in range(7)], np.uint64)
        # One row more, never used: the index says -1 for "none", and that row equals no key.
        self._rows = rows = _lines(most + 1)
        self._words = rows[:, :4]
        self._tail = np.zeros((most + 1, 3), np.uint64)
        self.service = np.full(most, UNKNOWN, np.int64)
        self.side = np.zeros(most, np.int8)
        self._classified = 0
        """All flows in rows before this one have a service row."""
        self.bytes, self.packets, self.first, self.last = rows[:most, 4:].view(np.int64).T
        self.held = np.zeros(most, np.bool_)
        """What the flow moves waits for the end of the second: until then it is open whose it is."""
        self.wanted = np.zeros(most, np.bool_)
        """Later payload of this flow may belong to a message."""
        self.started = np.zeros(most, np.bool_)
        """The flow's SYN was seen; `start` is valid."""
        self.start = np.zeros(most, np.uint32)
        """TCP sequence number of the flow's first payload byte."""
        self._uploads: Uploads | None = None
        """Made when somebody first asks what is upload."""

    @property
    def full(self) -> bool:
        """Another span must not be added before `expire`."""
        return self.count + SPAN > self.most

    def add(self, packets: Packets, span: slice, time: Rows) -> Rows:
        """Counts the packets in `span` (at most SPAN), whose settled times are `time`; returns [n] their flows."""
        low, high = np.searchsorted(packets.six, (span.start, span.stop))
        six = packets.six[low:high] - span.start
        flows = self._locate(packets.words[:, span], six, packets.tail[:, low:high])
        np.add.at(self.bytes, flows, packets.length[span])
        np.add.at(self.packets, flows, packets.segments[span])
        np.minimum.at(self.first, flows, time)
        np.maximum.at(self.last, flows, time)
        self._note_starts(flows, packets.flags[span], packets.sequence[span])
        return flows

    def note_uploads(self, packets: Packets, span: slice, flows: Rows) -> None:
        """Counts what of the packets in `span` is upload, once their flows are classified."""
        if self._uploads is None:
            self._uploads = Uploads(self.most)
        self._uploads.add(flows, self.side[flows] == SENT, packets, span)

    def unclassified(self, flows: Rows) -> Rows:
        """Ascending indices into `flows`: the first packet of each flow that has no service row."""
        self._skip_classified()
        unknown = np.flatnonzero(flows >= self._classified)
        unknown = unknown[self.service[flows[unknown]] == UNKNOWN]
        return self.firsts(flows, unknown) if len(unknown) else unknown

    def firsts(self, flows: Rows, indices: Rows) -> Rows:
        """Of ascending `indices` into `flows` (at most SPAN): the first for each different flow, ascending."""
        chosen = flows[indices]
        self._claim[chosen[::-1]] = indices[::-1]
        first: Rows = indices[self._claim[chosen] == indices]
        return first

    def collect(self, *, held: bool = True) -> Collected:
        """What classified flows moved since the last call; from now on it counts as collected.

        `held` False: without those that wait for the end of the second, and without uploads.
        """
        ready = (self.packets[: self.count] > 0) & (self.service[: self.count] != UNKNOWN)
        uploads = self._uploads if held else None
        if uploads is not None:
            ready |= uploads.waiting(self.count) & (self.service[: self.count] != UNKNOWN)
        if not held:
            ready &= ~self.held[: self.count]
        flows = np.flatnonzero(ready)
        collected = Collected(
            flows,
            self.service[flows],
            self.side[flows],
            self.bytes[flows],
            self.packets[flows],
            self.first[flows],
            self.last[flows],
            np.zeros(len(flows), np.int64) if uploads is None else uploads.settle(flows),
        )
        self.bytes[flows] = 0
        self.packets[flows] = 0
        self.first[flows] = _NEVER
        return collected

    def keys(self, flows: Rows) -> list[FlowKey]:
        """Who sends to whom in these flows."""
        return unpack(np.ascontiguousarray(self._words[flows].T), np.ascontiguousarray(self._tail[flows].T))

    def forget_owners(self) -> None:
        """All flows must be classified again; collect first."""
        self.service[: self.count] = UNKNOWN
        self._classified = 0

    def doubt(self, flows: list[int]) -> None:
        """These flows must be classified again, and are held no more; collect first."""
        self.service[flows] = UNKNOWN
        self.held[flows] = False
        self._classified = min((self._classified, *flows))

    def disown(self, services: Rows) -> None:
        """Flows of these service rows must be classified again; collect first."""
        gone = np.zeros(int(services.max(initial=0)) + 1, np.bool_)
        gone[services] = True
        held = self.service[: self.count]
        inside = held.clip(0, len(gone) - 1)
        held[gone[inside] & (held == inside)] = UNKNOWN
        self._classified = 0

    def expire(self) -> None:
        """Forgets the half of the flows that were quiet longest; collect first."""
        order = np.argsort(self.last[: self.count], kind="stable")
        kept = np.sort(order[self.count // 2 :])
        self.expired += self.count - len(kept)
        for name in ("_words", "_tail", "service", "side", "last", "held", "wanted", "started", "start"):
            column = getattr(self, name)
            column[: len(kept)] = column[kept]
        if self._uploads is not None:
            self._uploads.keep(kept)
        gone = slice(len(kept), self.count)
        self.service[gone] = UNKNOWN
        for column in (self.bytes, self.packets, self.last, self.held, self.wanted, self.started):
            column[gone] = 0
        self.count = len(kept)
        self._classified = 0
        self._index[:] = -1
        self._reindex()

    def _hash(self, words: Words, six: Rows, tail: Words) -> Rows:
        factors = self._factors
        mixed = words[0] * factors[0]
        mixed += words[1] * factors[1]
        mixed ^= mixed >> np.uint64(29)
        mixed += words[2] * factors[2]
        mixed += words[3] * factors[3]
        if len(six):
            rest = tail[0] * factors[4]
            rest += tail[1] * factors[5]
            rest ^= rest >> np.uint64(31)
            rest += tail[2] * factors[6]
            rest ^= rest >> np.uint64(30)
            rest *= factors[0]
            mixed[six] += rest
        mixed ^= mixed >> np.uint64(32)
        mixed *= factors[1]
        mixed >>= self._shift
        places: Rows = mixed.view(np.int64)
        return places

    def _locate(self, words: Words, six: Rows, tail: Words) -> Rows:
        places = self._hash(words, six, tail)
        flows = self._index[places].astype(np.int64)
        own = self._rows.take(flows, axis=0)
        hit = own[:, 0] == words[0]
        for word in (1, 2, 3):
            hit &= own[:, word] == words[word]
        if len(six):
            own = self._tail.take(flows[six], axis=0)
            same = own[:, 0] == tail[0]
            same &= own[:, 1] == tail[1]
            same &= own[:, 2] == tail[2]
            hit[six] &= same
        if not hit.all():
            self._search(words, six, tail, places, flows, np.flatnonzero(~hit))
        return flows

    def _search(self, words: Words, six: Rows, tail: Words, places: Rows, flows: Rows, miss: Rows) -> None:
        """Linear probing for the packets `miss`, whose first place is empty or another flow's; completes `flows`."""
        wanted = np.ascontiguousarray(words[:, miss].T)
        wanted_tail = np.zeros((len(miss), 3), np.uint64)
        is_six = np.zeros(len(miss), np.bool_)
        if len(six):
            spot = np.minimum(np.searchsorted(six, miss), len(six) - 1)
            is_six = six[spot] == miss
            wanted_tail[is_six] = tail[:, spot[is_six]].T
        at = (places[miss] + (flows[miss] >= 0)) & self._mask
        while len(miss):
            found = self._index[at]
            empty = np.flatnonzero(found < 0)
            if len(empty):
                # Of several packets that want one empty place, the first opens the flow.
                self._claim[at[empty[::-1]]] = empty[::-1]
                empty = empty[self._claim[at[empty]] == empty]
                self._open(wanted[empty], wanted_tail[empty], at[empty])
                found = self._index[at]
            same = _equal_rows(self._words[found], wanted)
            both = np.flatnonzero(same & is_six)
            same[both] = (self._tail[found[both]] == wanted_tail[both]).all(axis=1)
            flows[miss[same]] = found[same]
            other = np.flatnonzero(~same)
            miss, wanted, wanted_tail, is_six = miss[other], wanted[other], wanted_tail[other], is_six[other]
            at = (at[other] + 1) & self._mask

    def _open(self, words: Words, tail: Words, places: Rows) -> None:
        new = slice(self.count, self.count + len(words))
        self.count = new.stop
        self._words[new] = words
        self._tail[new] = tail
        self._index[places] = np.arange(new.start, new.stop, dtype=np.int32)
        self.first[new] = _NEVER  # all else is as `expire` leaves it: this is done often, that is not
        if self._uploads is not None:
            self._uploads.open(new)

    def _note_starts(self, flows: Rows, flags: NDArray[np.uint8], sequence: NDArray[np.uint32]) -> None:
        opening = np.flatnonzero(flags & SYN != 0)
        if len(opening):
            at = flows[opening]
            self.start[at] = sequence[opening] + np.uint32(1)
            self.started[at] = True
            self.wanted[at] = (flags[opening] & ACK) == 0

    def _reindex(self) -> None:
        """Enters all rows into the empty index."""
        words = np.ascontiguousarray(self._words[: self.count].T)
        six = np.flatnonzero((words[3] >> np.uint64(8)) & np.uint64(0xFF) == np.uint64(6))
        places = self._hash(words, six, np.ascontiguousarray(self._tail[six].T))
        rows = np.arange(self.count, dtype=np.int32)
        while len(rows):
            at = places[rows]
            free = self._index[at] < 0
            self._claim[at[free][::-1]] = rows[free][::-1]
            won = free & (self._claim[at] == rows)
            self._index[at[won]] = rows[won]
            rows = rows[~won]
            places[rows] = (places[rows] + 1) & self._mask

    def _skip_classified(self) -> None:
        if self._classified < self.count and self.service[self._classified] != UNKNOWN:
            unknown = self.service[self._classified : self.count] == UNKNOWN
            self._classified = self._classified + int(unknown.argmax()) if unknown.any() else self.count


def _lines(rows: int) -> Words:
    """[rows, 8] zeros, each row one line of the processor's caches: what is asked of a flow lies together."""
    room = np.zeros(rows * 8 + 7, np.uint64)
    start = -room.__array_interface__["data"][0] % 64 // 8
    return room[start : start + rows * 8].reshape(rows, 8)


def _equal_rows(left: Words, right: Words) -> NDArray[np.bool_]:
    """[n] whether the four words of each row are the same."""
    equal: NDArray[np.bool_] = (left == right).view(np.uint32)[:, 0] == 0x01010101
    return equal
