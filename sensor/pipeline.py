"""The way of a batch through the house: read this first.

`feed` takes frames and walks them through decode, account, enrich and detect, without a task, a queue or a lock.
Packets are worked on in spans that end where a second of packet time ends; what detectors see is handed on at those
ends, so the result does not depend on how capture cut its batches. All alerts leave through `on_alert`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensor.account.classify import Classifier
from sensor.account.flows import SPAN, FlowTable
from sensor.account.ledger import AWAY, UNSETTLED, Ledger, Limits, client_id
from sensor.account.locality import Local
from sensor.account.timeline import LEAP, Timeline
from sensor.account.usage import Usage
from sensor.base.bounded import BoundedDict
from sensor.base.times import SECOND
from sensor.decode.headers import HeaderDecoder
from sensor.decode.messages import MessageDecoder
from sensor.detect.engine import Engine
from sensor.listen import Budget, listen
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert
from sensor.model.destination import Name, Place
from sensor.model.foreground import BACKGROUND
from sensor.model.foreground import UNKNOWN as UNKNOWN_STATE
from sensor.model.frames import FrameBatch
from sensor.model.message import DnsAnswer, Heard, Joined, TlsHello
from sensor.model.packets import Packets

MAX_UNSETTLED = 4096
"""New contacts that wait for the end of the second to get their names and place."""

WORTH_A_LOOK = 2
"""Packets within one second that make a flow without room worth another look; decoys of a flood have one."""

MAX_RECONSIDERED = 500
"""Flows that get such a look at the end of a second."""

MAX_NAMES_SEEN = 10_000
"""Server names of TLS hellos that are remembered for the report."""


class Places(Protocol):
    """Where an address is and whose."""

    def lookup(self, address: bytes) -> Place:
        """Never raises; unknown parts are None."""


class Names(Protocol):
    """What each client itself called an address."""

    def learn(
        self,
        client: bytes,
        address: bytes,
        names: Sequence[Name],
        now: int,
        ttl: int | None = None,
        *,
        known: bool = True,
    ) -> list[Name]:
        """The client heard these names for the address; returns all that it calls it now, best first."""

    def lookup(self, client: bytes, address: bytes, now: int) -> list[Name]:
        """Best first."""

    def forget(self, client: bytes) -> None:
        """The client is not known any more."""


class PhoneStates(Protocol):
    """Whether a person uses a client."""

    def codes(self, clients: Sequence[str], time: int) -> list[int]:
        """The state numbers of clients at `time`."""

    def joined(self, client: str, now: int, *, back_at: int, was_away: bool) -> bool:
        """The client joins the network, where it is again since `back_at` ns; `was_away`: after an absence.

        True where what was known of it does not hold any more.
        """

    def interrupted(self, now: int) -> None:
        """Packet time stepped: what was reported before cannot be set against it."""


class NobodyReports:
    """The phone states of a sensor without sources."""

    def codes(self, clients: Sequence[str], time: int) -> list[int]:
        """All unknown."""
        return [UNKNOWN_STATE] * len(clients)

    def joined(self, client: str, now: int, *, back_at: int, was_away: bool) -> bool:
        """Nobody asks."""
        return False

    def interrupted(self, now: int) -> None:
        """Nobody asks."""


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
        self,
        *,
        places: Places,
        names: Names,
        engine: Engine,
        local: Local,
        limits: Limits,
        on_alert: Callable[[Alert], None],
        states: PhoneStates | None = None,
    ) -> None:
        self.counts = Counts()
        self.headers = HeaderDecoder()
        self.messages = MessageDecoder()
        self.timeline = Timeline()
        self.flows = FlowTable()
        self.ledger = Ledger(limits)
        self.classifier = Classifier(self.ledger, local)
        self.engine = engine
        self.usage = Usage()
        self.names_seen: BoundedDict[str, bool] = BoundedDict(MAX_NAMES_SEEN)
        self._places = places
        self._names = names
        self._on_alert = on_alert
        self._states = states or NobodyReports()
        self.follows_uploads = True
        """Whether what is upload is told apart; only rules about clients whose use is known ask for it."""
        self.before_second: Callable[[int], None] = lambda _: None
        """Called with the end (ns) of each second before it is judged, and with the start of one after a silence."""
        self.lookers: list[Callable[[Activity, dict[int, str]], None]] = []
        """Shown what each second moved, and the ids of its clients, before it is judged."""
        self._second: int | None = None
        self._tunnels = Budget()
        self._provisional: list[int] = []
        """Flows that the account had no room for in this second."""

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
        for span in self._spans(clock // SECOND, before + packets.row):
            self._count(batch, packets, span, times[span])
        self.counts.frames = before + len(batch)

    def advance(self, now: int) -> None:
        """Time went on to `now` without a frame: seconds that are over are closed."""
        second = now // SECOND
        if self._second is not None and second > self._second:
            self._close()
            if second > self._second + LEAP // SECOND:
                self._step(second * SECOND)
            self._second = second
            self._tick(second * SECOND)

    def relocate(self, local: Local) -> None:
        """From now on something else is local: running flows are asked anew whose they are."""
        self._settle()
        self._post()
        self.classifier.replace(local)
        self.flows.forget_owners()

    def relearn(self, start: int, stop: int) -> bool:
        """Other rules hold: asks them about the contacts in these rows; False where there are no more."""
        contacts = self.ledger.contacts.destinations_in(start, stop)
        for contact in contacts or ():
            if contact.place is not UNSETTLED:
                self.engine.relearn(contact, self.now)
        return contacts is not None

    def finish(self) -> None:
        """No frame will follow: what waits for more is judged as it is, the running second is closed."""
        for heard in self.messages.flush():
            self._learn(heard)
        self._close()

    def _spans(self, seconds: NDArray[np.int64], frames: NDArray[np.int64]) -> Iterator[slice]:
        """Cuts where seconds end, and closes those; no span is longer than SPAN. `frames`: [n] how many came before."""
        borders = np.flatnonzero(seconds[1:] != seconds[:-1]) + 1
        start = 0
        for stop in (*(int(border) for border in borders), len(seconds)):
            if start < stop:
                self.counts.frames = int(frames[start])
                self._enter(int(seconds[start]))
            for begin in range(start, stop, SPAN):
                yield slice(begin, min(begin + SPAN, stop))
            start = stop

    def _enter(self, second: int) -> None:
        if second == self._second:
            return
        if self._second is not None:
            self._close()
            if not self._second <= second <= self._second + LEAP // SECOND:
                self._step(second * SECOND)
            # What was reported in a silence was known before the packets that end it.
            self.before_second(second * SECOND)
            self._tick(second * SECOND)
        else:
            self.before_second(second * SECOND)
        self._second = second
        self._tunnels.refill()

    def _step(self, now: int) -> None:
        """Packet time stepped to `now`: spans of time that reach across it mean nothing."""
        self._states.interrupted(now)
        self._deliver(self.engine.stepped(now))

    def _count(self, batch: FrameBatch, packets: Packets, span: slice, times: NDArray[np.int64]) -> None:
        if self.flows.full:
            self._settle()
            self._post()
            self.flows.expire()
        flows = self.flows.add(packets, span, times)
        new = self.flows.unclassified(flows)
        if len(new):
            if self.ledger.crowded:
                self.ledger.post(self.flows.collect(held=False))  # so that it is known which contacts are quiet
            self._classify(packets, new + span.start, flows[new], times[new])
        if self.follows_uploads:
            self.flows.note_uploads(packets, span, flows)
        for heard in listen(self.messages, self.flows, batch, packets, span, flows, times, self._tunnels):
            self._learn(heard)

    def _classify(
        self, packets: Packets, new: NDArray[np.int64], flows: NDArray[np.int64], times: NDArray[np.int64]
    ) -> None:
        owners = self.classifier.classify(packets, new, times)
        self.flows.service[flows], self.flows.side[flows] = owners.services, owners.sent
        provisional = flows[owners.refused]
        self._provisional += provisional.tolist()
        self.flows.held[provisional] = True
        if len(self.ledger.opened) >= MAX_UNSETTLED:
            self._settle()

    def _learn(self, heard: Heard) -> None:
        message = heard.message
        if isinstance(message, DnsAnswer):
            self.counts.messages["dns"] += 1
            client = heard.destination_mac or heard.destination
            for address, ttl, names in message.addresses:
                called = [Name(name, "dns" if at == 0 else "cname") for at, name in enumerate(names)]
                self._call(client, heard.destination, address, called, heard.time, ttl)
        elif isinstance(message, TlsHello):
            self.counts.messages["tls"] += 1
            if message.server_name is not None:
                self.names_seen.put(message.server_name, True)
                name = [Name(message.server_name, "tls")]
                self._call(heard.source_mac or heard.source, heard.source, heard.destination, name, heard.time, None)
        elif isinstance(message, Joined):
            self._join(heard)

    def _join(self, heard: Heard) -> None:
        client = self.ledger.clients.get(heard.source_mac or heard.source)
        if client is not None:
            back_at, absence = self.ledger.came_back(client, heard.time)
            if absence and self._states.joined(
                client.id, heard.time, back_at=back_at, was_away=absence >= AWAY
            ):  # fmt: skip
                self.engine.suspect(client.id)

    def _call(
        self, client: bytes, own: bytes, address: bytes, names: Sequence[Name], now: int, ttl: int | None
    ) -> None:
        if not names:
            return
        called = self._names.learn(client, address, names, now, ttl, known=client in self.ledger.clients)
        for contact in self.ledger.find(client, address, own):
            if called != contact.names:
                contact.names = list(called)
                if contact.place is not UNSETTLED:
                    self.engine.learned(contact, now)

    def _settle(self) -> None:
        """Contacts that were opened get their names and place; what was evicted is let go of."""
        now = ((self._second or 0) + 1) * SECOND
        gone = set(self.ledger.forgotten)
        for contact in self.ledger.opened:
            if contact.row in gone:
                continue
            contact.place = self._places.lookup(contact.address)
            if not contact.names:
                contact.names = self._names_of(contact, now)
            self.engine.learned(contact, now)
        if self.ledger.overflow:
            self._deliver(self.engine.crowded(now, self.ledger.limits.clients))
        retired = self.ledger.services.retired()
        if len(retired):
            self.ledger.post(self.flows.collect())
            self.flows.disown(retired)
        for row in self.ledger.forgotten:
            self.engine.forgotten(row)
        for client in self.ledger.gone:
            if client not in self.ledger.clients:
                self._names.forget(client)
                self.usage.forget(client_id(client))
        self.ledger.release()

    def _names_of(self, contact: Contact, now: int) -> list[Name]:
        # A cooked capture (SLL) has no receiver's MAC: answers are then known by the client's address only.
        by_mac = self._names.lookup(self.ledger.key(contact), contact.address, now)
        return by_mac or self._names.lookup(contact.client_address, contact.address, now)

    def _close(self) -> None:
        """Ends the running second."""
        if self._second is None:
            return
        self._reconsider()
        self._settle()
        self._post()
        until = (self._second + 1) * SECOND
        self.before_second(until)
        activity = self.ledger.close(until)
        if len(activity.rows):
            clients = np.flatnonzero(np.bincount(activity.clients))
            at = np.searchsorted(clients, activity.clients)
            identities = [self.ledger.identity(number) for number in clients.tolist()]
            for look in self.lookers:
                look(activity, dict(zip(clients.tolist(), identities, strict=True)))
            states = np.array(self._states.codes(identities, until), np.int8)
            activity.states = states[at]
            sent = np.zeros(len(identities), np.int64)
            np.add.at(sent, at, activity.sent_bytes)
            self.usage.add(identities, states, sent)
            self._note_idle(activity)
            self._deliver(self.engine.second(activity, self.counts.frames, self.counts.dropped))

    def _note_idle(self, activity: Activity) -> None:
        idle = np.flatnonzero((activity.states == BACKGROUND) & (activity.sent_bytes > 0))
        for row, sent in zip(activity.rows[idle].tolist(), activity.sent_bytes[idle].tolist(), strict=True):
            contact = self.ledger.contacts.entry(row)
            self.usage.add_idle(contact.client, contact.place.country, sent)

    def _reconsider(self) -> None:
        """Of the flows that there was no room for, those that moved most in this second get it after all."""
        if not self._provisional:
            return
        flows = np.unique(np.array(self._provisional, np.int64))
        flows = flows[self.flows.packets[flows] >= WORTH_A_LOOK]
        flows = flows[np.argsort(-self.flows.bytes[flows], kind="stable")[:MAX_RECONSIDERED]]
        now = ((self._second or 0) + 1) * SECOND - 1
        for flow, key in zip(flows.tolist(), self.flows.keys(flows), strict=True):
            owner = self.classifier.reconsider(key, now)
            if owner is not None:
                self.flows.service[flow], self.flows.side[flow] = owner

    def _post(self) -> None:
        """What flows moved goes to the ledger; those that it had no room for are asked about again."""
        self.ledger.post(self.flows.collect())
        self.flows.doubt(self._provisional)
        self._provisional.clear()

    def _tick(self, now: int) -> None:
        for heard in self.messages.expire(now):
            self._learn(heard)
        self._deliver(self.engine.tick(now))

    def _deliver(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            self._on_alert(alert)
