"""The flow table: which flow each packet belongs to, and what every flow moved since it was last collected.

1. Open addressing in numpy: a whole slice of packets is looked up at once, by full keys; no two flows mix.
2. A slot is a flow in one direction; it knows its service row and whether its bytes count as sent.
3. The hash is seeded, so that nobody on the wire can choose keys that collide.
4. When the table is half full, flows that were quiet longest are forgotten; totals live in the ledger, not here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.model.packets import ACK, SYN, Packets

FLOW_BITS = 17
"""log2 of the slots; half of them may be in use."""

SLICE = 4096
"""Packets that may be added at once."""

RECEIVED, SENT = 0, 1
"""What a flow's bytes count as, seen from the client."""

UNKNOWN = -1
"""Service row of a flow that nobody classified yet."""

Slots = NDArray[np.int64]
Words = NDArray[np.uint64]

_NEVER = np.iinfo(np.int64).max


@dataclass(slots=True)
class Collected:
    """What flows moved since the last time, one entry per slot that moved."""

    slots: Slots
    service: Slots
    side: NDArray[np.int8]
    bytes: NDArray[np.int64]
    packets: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


class FlowTable:
    """Flows by their full key, at most 2**bits / 2 of them."""

    def __init__(self, bits: int = FLOW_BITS, seed: int | None = None) -> None:
        size = 1 << bits
        self.size = size
        self.count = 0
        self.expired = 0
        self._shift = np.uint64(64 - bits)
        self._mask = size - 1
        random = np.random.default_rng(seed)
        self._factors = random.integers(1 << 32, 1 << 63, 7, np.uint64) | np.uint64(1)
        self._words = np.zeros((4, size), np.uint64)
        self._tail = np.zeros((3, size), np.uint64)
        self._claim = np.zeros(size, np.int64)
        self._active: list[Slots] = []
        self._added = 0
        self.service = np.full(size, UNKNOWN, np.int64)
        self.side = np.zeros(size, np.int8)
        self.bytes = np.zeros(size, np.int64)
        self.packets = np.zeros(size, np.int64)
        self.first = np.full(size, _NEVER, np.int64)
        self.last = np.zeros(size, np.int64)
        self.wanted = np.zeros(size, np.bool_)
        """Later payload of this flow may belong to a message."""
        self.started = np.zeros(size, np.bool_)
        """The flow's SYN was seen; `start` is valid."""
        self.start = np.zeros(size, np.uint32)
        """TCP sequence number of the flow's first payload byte."""

    @property
    def full(self) -> bool:
        """Another slice must not be added before `expire`."""
        return self.count + SLICE > self.size // 2

    def add(self, packets: Packets, span: slice, time: NDArray[np.int64]) -> Slots:
        """Counts the packets in `span` (at most SLICE), whose settled times are `time`; returns [n] their slots."""
        words = packets.words[:, span]
        low, high = np.searchsorted(packets.six, (span.start, span.stop))
        six = packets.six[low:high] - span.start
        slots = self._locate(words, six, packets.tail[:, low:high])
        np.add.at(self.bytes, slots, packets.length[span])
        np.add.at(self.packets, slots, packets.segments[span])
        np.minimum.at(self.first, slots, time)
        np.maximum.at(self.last, slots, time)
        self._note_starts(slots, packets.flags[span], packets.sequence[span])
        self._active.append(slots)
        self._added += len(slots)
        return slots

    def unclassified(self, slots: Slots) -> Slots:
        """Ascending indices into `slots`: the first packet of each flow that has no service row."""
        open_ended = np.flatnonzero(self.service[slots] == UNKNOWN)
        if not len(open_ended):
            return open_ended
        firsts = np.unique(slots[open_ended], return_index=True)[1]
        return open_ended[np.sort(firsts)]

    def collect(self) -> Collected:
        """What moved since the last call; from now on it counts as collected."""
        slots = self._moved()
        collected = Collected(
            slots,
            self.service[slots],
            self.side[slots],
            self.bytes[slots],
            self.packets[slots],
            self.first[slots],
            self.last[slots],
        )
        self.bytes[slots] = 0
        self.packets[slots] = 0
        self.first[slots] = _NEVER
        self._active.clear()
        self._added = 0
        return collected

    def disown(self, services: Slots) -> None:
        """Flows of these service rows must be classified again; collect first."""
        gone = np.zeros(int(services.max(initial=0)) + 1, np.bool_)
        gone[services] = True
        owned = self.service.clip(0, len(gone) - 1)
        self.service[gone[owned] & (self.service == owned)] = UNKNOWN

    def expire(self) -> None:
        """Forgets the half of the flows that were quiet longest; collect first."""
        used = np.flatnonzero(self._words[3])
        order = np.argsort(self.last[used], kind="stable")
        kept = used[order[len(used) // 2 :]]
        self.expired += len(used) - len(kept)
        self._rebuild(kept)

    def _moved(self) -> Slots:
        if self._added > self.size // 8:
            return np.flatnonzero(self.packets)
        if not self._active:
            return np.empty(0, np.int64)
        return np.unique(np.concatenate(self._active))

    def _hash(self, words: Words, six: Slots, tail: Words) -> Slots:
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
            mixed[six] += rest * factors[0]
        mixed ^= mixed >> np.uint64(32)
        mixed *= factors[1]
        slots: Slots = (mixed >> self._shift).astype(np.int64)
        return slots

    def _locate(self, words: Words, six: Slots, tail: Words) -> Slots:
        slots = self._hash(words, six, tail)
        own, own_tail = self._words, self._tail
        hit = own[0][slots] == words[0]
        for word in (1, 2, 3):
            hit &= own[word][slots] == words[word]
        if len(six):
            at = slots[six]
            same = own_tail[0][at] == tail[0]
            same &= own_tail[1][at] == tail[1]
            same &= own_tail[2][at] == tail[2]
            hit[six] &= same
        miss = np.flatnonzero(~hit)
        while len(miss):
            miss = self._probe(words, six, tail, slots, miss)
        return slots

    def _probe(self, words: Words, six: Slots, tail: Words, slots: Slots, miss: Slots) -> Slots:
        """One step of linear probing for the packets `miss`; returns those that must go on."""
        at = slots[miss]
        places = np.minimum(np.searchsorted(six, miss), max(len(six) - 1, 0))
        is_six = six[places] == miss if len(six) else np.zeros(len(miss), np.bool_)
        empty = self._words[3][at] == 0
        if empty.any():
            seekers, free = miss[empty], at[empty]
            # Of several packets that want one empty slot, the first opens it.
            self._claim[free[::-1]] = seekers[::-1]
            won = self._claim[free] == seekers
            seekers, free = seekers[won], free[won]
            self._words[:, free] = words[:, seekers]
            opened_six = is_six[empty][won]
            self._tail[:, free] = 0
            self._tail[:, free[opened_six]] = tail[:, places[empty][won][opened_six]]
            self._open(free)
        same = (self._words[:, at] == words[:, miss]).all(axis=0)
        if len(six):
            same &= ~is_six | (self._tail[:, at] == tail[:, places]).all(axis=0)
        rest: Slots = miss[~same]
        slots[rest] = (slots[rest] + 1) & self._mask
        return rest

    def _open(self, slots: Slots) -> None:
        self.count += len(slots)
        self.service[slots] = UNKNOWN
        self.wanted[slots] = False
        self.started[slots] = False
        self.last[slots] = 0

    def _note_starts(self, slots: Slots, flags: NDArray[np.uint8], sequence: NDArray[np.uint32]) -> None:
        opening = np.flatnonzero(flags & SYN)
        if len(opening):
            at = slots[opening]
            self.start[at] = sequence[opening] + np.uint32(1)
            self.started[at] = True
            self.wanted[at] = (flags[opening] & ACK) == 0

    def _rebuild(self, kept: Slots) -> None:
        words, tail = self._words[:, kept].copy(), self._tail[:, kept].copy()
        columns = {
            name: getattr(self, name)[kept].copy() for name in ("service", "side", "last", "wanted", "started", "start")
        }
        self._words[:] = 0
        self.count = 0
        for begin in range(0, len(kept), SLICE):
            part = slice(begin, begin + SLICE)
            six = np.flatnonzero((words[3, part] >> np.uint64(8)) & np.uint64(0xFF) == np.uint64(6))
            slots = self._locate(words[:, part], six, tail[:, part][:, six])
            for name, column in columns.items():
                getattr(self, name)[slots] = column[part]
