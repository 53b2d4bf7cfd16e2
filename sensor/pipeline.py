"""The way of a batch through the house: read this first.

`feed` takes frames and walks them through decode, account, enrich and detect, without a task, a queue or a lock.
Packets are worked on in slices that end where a second of packet time ends and at every `SLICE`-th packet, so
the result does not depend on how capture cut its batches. All alerts leave through `on_alert`.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensor.account.flows import SLICE, FlowTable
from sensor.account.ledger import UNSETTLED, Ledger, Limits
from sensor.account.locality import Local, Locality
from sensor.account.timeline import Timeline
from sensor.base.bounded import BoundedDict
from sensor.base.times import SECOND
from sensor.decode.headers import HeaderDecoder
from sensor.decode.messages import MessageDecoder
from sensor.decode.tunnel import is_tunnel
from sensor.detect.engine import Engine
from sensor.model.activity import Contact
from sensor.model.alert import Alert
from sensor.model.destination import Name, Place
from sensor.model.flow import FlowKey
from sensor.model.frames import FrameBatch
from sensor.model.message import DnsAnswer, Heard, Segment, TlsHello
from sensor.model.packets import Packets

MAX_NAMES_SEEN = 10_000
"""Server names of TLS hellos that are remembered for the report."""


class Places(Protocol):
    """Where an address is and whose."""

    def lookup(self, address: bytes) -> Place:
        """Never raises; unknown parts are None."""


class Names(Protocol):
    """What each client itself called an address."""

    def learn(self, client: bytes, address: bytes, names: Sequence[Name], now: int, ttl: int | None = None) -> None:
        """The client heard these names for the address."""

    def lookup(self, client: bytes, address: bytes, now: int) -> list[Name]:
        """Best first."""


@dataclass(slots=True)
class Counts:
    """What passed through the pipeline."""

    frames: int = 0
    """Frames that capture handed over."""
    dropped: int = 0
    """Frames that the kernel had no room for; set by whoever drives the pipeline."""
    ip_bytes: int = 0
    """IP-layer bytes of all packets."""
    messages: dict[str, int] = field(default_factory=lambda: {"dns": 0, "tls": 0})
    """Messages that were understood."""


class Pipeline:
    """Frames in, totals and alerts out; runs on the packets' own time."""

    def __init__(
        self, *, places: Places, names: Names, engine: Engine, local: Local, limits: Limits,
        on_alert: Callable[[Alert], None],
    ) -> None:
        self.counts = Counts()
        self.headers = HeaderDecoder()
        self.messages = MessageDecoder()
        self.timeline = Timeline()
        self.flows = FlowTable()
        self.locality = Locality(local)
        self.ledger = Ledger(limits)
        self.engine = engine
        self.names_seen: BoundedDict[str, bool] = BoundedDict(MAX_NAMES_SEEN)
        self._places = places
        self._names = names
        self._on_alert = on_alert
        self._second: int | None = None
        self._in_slice = 0

    @property
    def now(self) -> int:
        """Packet time, ns; in silence it goes on with `advance`."""
        return max(self.timeline.now or 0, (self._second or 0) * SECOND)

    def feed(self, batch: FrameBatch) -> None:
        """Counts a batch; the batch's memory is not used after this returns."""
        packets = self.headers.decode(batch)
        self.counts.ip_bytes += int(packets.length.sum())
        before = self.counts.frames
        times, clock = self.timeline.settle(packets.time)
        for span in self._slices(clock // SECOND):
            self.counts.frames = before + int(packets.row[span.stop - 1]) + 1
            self._count(batch, packets, span, times[span])
            if not self._in_slice:
                self._settle()
        self.counts.frames = before + len(batch)

    def advance(self, now: int) -> None:
        """Time went on to `now` without a frame: seconds that are over are closed."""
        second = now // SECOND
        if self._second is not None and second > self._second:
            self._close()
            self._second = second
            self._tick(second * SECOND)

    def finish(self) -> None:
        """No frame will follow: what waits for more is judged as it is, the running second is closed."""
        for heard in self.messages.flush():
            self._learn(heard)
        self._close()

    def _slices(self, seconds: NDArray[np.int64]) -> Iterator[slice]:
        """Cuts at the ends of seconds and at every SLICE-th packet; closes the seconds that end."""
        borders = np.flatnonzero(np.diff(seconds)) + 1 if len(seconds) and seconds[0] != seconds[-1] else ()
        start = 0
        for stop in (*(int(border) for border in borders), len(seconds)):
            if start < stop:
                self._enter(int(seconds[start]))
            while start < stop:
                end = min(stop, start + SLICE - self._in_slice)
                self._in_slice = (self._in_slice + end - start) % SLICE
                yield slice(start, end)
                start = end

    def _enter(self, second: int) -> None:
        if second == self._second:
            return
        if self._second is not None:
            self._close()
            self._tick(second * SECOND)
        self._second = second
        self._in_slice = 0

    def _count(self, batch: FrameBatch, packets: Packets, span: slice, times: NDArray[np.int64]) -> None:
        if self.flows.full:
            self.ledger.post(self.flows.collect())
            self.flows.expire()
        slots = self.flows.add(packets, span, times)
        for index in self.flows.unclassified(slots).tolist():
            self._classify(packets, span.start + index, int(slots[index]), int(times[index]))
        for heard in self._listen(batch, packets, span, slots, times):
            self._learn(heard)

    def _classify(self, packets: Packets, index: int, slot: int, time: int) -> None:
        key = packets.key(index)
        ends = self.locality.ends(key, int(packets.flags[index]))
        self.flows.side[slot] = ends.sent
        self.flows.service[slot] = self.ledger.assign(key, ends, time)

    def _listen(
        self, batch: FrameBatch, packets: Packets, span: slice, slots: NDArray[np.int64], times: NDArray[np.int64]
    ) -> Iterator[Heard]:
        """Looks at the packets that may carry a message, in order; a stream once begun draws in its later packets."""
        carries = packets.payload_length[span] > 0
        single = packets.message[span]
        wanted = self.flows.wanted
        queue = np.flatnonzero(single | (wanted[slots] & carries)).tolist()
        while queue:
            index = heapq.heappop(queue)
            slot = slots[index]
            if not (single[index] or wanted[slot]):
                continue
            key, payload = self._payload(batch, packets, span.start + index)
            time, length = int(times[index]), int(packets.payload_length[span.start + index])
            if is_tunnel(key.protocol, key.source_port, key.destination_port):
                yield from self.messages.feed_tunnel(time, key, payload)
                continue
            sequence, flags = int(packets.sequence[span.start + index]), int(packets.flags[span.start + index])
            segment = Segment(
                time, key.source_mac, key.destination_mac, key.source, key.destination, key.protocol,
                key.source_port, key.destination_port, sequence, flags, payload, length,
            )  # fmt: skip
            fed = self.messages.feed(segment, int(self.flows.start[slot]) if self.flows.started[slot] else None)
            yield from fed.heard
            if fed.more and not wanted[slot]:
                later = np.flatnonzero((slots[index + 1 :] == slot) & carries[index + 1 :]) + index + 1
                for other in later[~single[later]].tolist():
                    heapq.heappush(queue, other)
            wanted[slot] = fed.more

    @staticmethod
    def _payload(batch: FrameBatch, packets: Packets, index: int) -> tuple[FlowKey, bytes]:
        begin, length = int(packets.payload[index]), int(packets.payload_length[index])
        payload = batch.frame(int(packets.row[index]))[begin : begin + length] if begin else b""
        return packets.key(index), payload

    def _learn(self, heard: Heard) -> None:
        message = heard.message
        if isinstance(message, DnsAnswer):
            self.counts.messages["dns"] += 1
            client = heard.destination_mac or heard.destination
            for address, ttl, names in message.addresses:
                called = [Name(name, "dns" if at == 0 else "cname") for at, name in enumerate(names)]
                self._call(client, address, called, heard.time, ttl)
        elif isinstance(message, TlsHello):
            self.counts.messages["tls"] += 1
            if message.server_name is not None:
                self.names_seen.put(message.server_name, True)
                name = [Name(message.server_name, "tls")]
                self._call(heard.source_mac or heard.source, heard.destination, name, heard.time, None)

    def _call(self, client: bytes, address: bytes, names: Sequence[Name], now: int, ttl: int | None) -> None:
        if not names:
            return
        self._names.learn(client, address, names, now, ttl)
        for contact in self.ledger.find(client, address):
            known = self._names.lookup(client, address, now)
            if known != contact.names:
                contact.names = known
                if contact.place is not UNSETTLED:
                    self.engine.learned(contact, now)

    def _settle(self) -> None:
        """Contacts that were opened get their names and place; what was evicted is let go of."""
        now = ((self._second or 0) + 1) * SECOND
        for contact in self.ledger.opened:
            contact.place = self._places.lookup(contact.address)
            if not contact.names:
                contact.names = self._names_of(contact, now)
            self.engine.learned(contact, now)
        if self.ledger.overflow:
            self._deliver(self.engine.crowded(now, self.ledger.limits.clients))
        if self.ledger.forgotten:
            self.ledger.post(self.flows.collect())
            self.flows.disown(self.ledger.services.retired())
            for row in self.ledger.forgotten:
                self.engine.forgotten(row)
        self.ledger.release()

    def _names_of(self, contact: Contact, now: int) -> list[Name]:
        # A cooked capture (SLL) has no receiver's MAC: answers are then known by the client's address only.
        by_mac = self._names.lookup(self.ledger.key(contact), contact.address, now)
        return by_mac or self._names.lookup(contact.client_address, contact.address, now)

    def _close(self) -> None:
        """Ends the running second."""
        if self._second is None:
            return
        self._settle()
        self.ledger.post(self.flows.collect())
        activity = self.ledger.close((self._second + 1) * SECOND)
        if len(activity.rows):
            self._deliver(self.engine.second(activity, self.counts.frames, self.counts.dropped))

    def _tick(self, now: int) -> None:
        for heard in self.messages.expire(now):
            self._learn(heard)
        self._deliver(self.engine.tick(now))

    def _deliver(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            self._on_alert(alert)
