"""All that is told: one log line per alert, and each notice to the outbox of every sink that is to get it."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

from sensor.deliver.journal import Journal
from sensor.deliver.log import log_alert
from sensor.deliver.notice import Notice, single
from sensor.deliver.outbox import Outbox
from sensor.deliver.routing import Outgoing, Router
from sensor.deliver.shapes import alert_object
from sensor.deliver.snapshots import SensorInfo
from sensor.model.alert import Alert, State
from sensor.model.letter import Fresh, Letter
from sensor.model.told import Told

TICK = 1.0
"""Seconds between two looks at what waits to be told together."""

UNKNOWN_SINK = "no sink of that name is configured any more"

log = logging.getLogger(__name__)


class Delivery:
    """All outboxes as one part of the daemon; `put` may be called from `start` on."""

    def __init__(
        self,
        sensor: Callable[[], SensorInfo],
        outboxes: Sequence[Outbox],
        journal: Journal,
        clock: Callable[[], int] = time.time_ns,
        router: Router | None = None,
        linked: Callable[[Notice, bool], Notice] = lambda notice, _people: notice,
    ) -> None:
        """`sensor` is asked once per alert, so that a new database shows; `clock`: ns since 1970.

        `router`: what people are told, and when; None: everything at once, as programs. `linked(notice, for people)`:
        the notice with its links.
        """
        self.outboxes = tuple(outboxes)
        self.journal = journal
        self._sensor = sensor
        self._clock = clock
        self.router = router
        self._linked = linked
        self._by_name = {outbox.name: outbox for outbox in outboxes}
        self._begun = asyncio.Event()
        self._closing = asyncio.Event()
        self._said = count(1)
        self._senders: asyncio.TaskGroup | None = None
        journal.release = lambda letter: self._of(letter, Outbox.release)
        journal.known = lambda letter: self._of(letter, Outbox.known)
        journal.drop = lambda letter: self._of(letter, Outbox.drop)
        journal.found = self._found
        journal.recall = self._recall
        journal.trouble = self._trouble
        for outbox in outboxes:
            self._join(outbox)

    def prepare(self) -> None:
        """Let the sinks read their secret files, while that is still allowed. ConfigError names the sink."""
        for outbox in self.outboxes:
            outbox.sink.prepare()

    def tell(self, alert: Alert) -> None:
        """One state of one alert; never waits for a sink."""
        shape = alert_object(alert, self._sensor())
        log_alert(shape)
        if self.router is None:
            self.put(single(shape, self._clock()))
        else:
            self._put_out(self.router, self.router.take(shape, self._clock()))

    async def remind(self) -> None:
        """Tells people what is due because time has passed; until cancelled."""
        while self.router is not None:
            self._put_out(self.router, self.router.tick(self._clock()))
            await asyncio.sleep(TICK)

    def _put_out(self, router: Router, messages: Iterable[Outgoing]) -> None:
        """What the router remembers from now on is stored with the messages that it made, so that a kill parts none."""
        several = []
        for message in messages:
            people = message.audience == "people"
            outboxes = [outbox for outbox in self.outboxes if outbox.sink.groups == people]
            several += self._fresh(self._linked(message.notice, people), outboxes)
        changes = router.memory.changes()
        self.journal.put_together(several, changes if self.outboxes else ())

    def _join(self, outbox: Outbox) -> None:
        outbox.on_gone, outbox.firing = self._gone, self._going_on

    def _going_on(self) -> Iterator[Notice]:
        now = self._clock()
        alerts = self.router.firing(now) if self.router is not None else ()
        return (self._linked(single(alert, now), False) for alert in alerts)

    def _recall(self, rows: list[Told] | None) -> None:
        if self.router is None:
            return
        if rows is not None:
            self.router.load(rows, self._clock())
            return
        self.router.memory.rewrite()
        self._put_out(self.router, ())

    def put(self, notice: Notice, but: Outbox | None = None) -> None:
        """One message, stored before it is sent for the first time; never waits. `but`: whose sink it is not for."""
        self._put(notice, [outbox for outbox in self.outboxes if outbox is not but])

    def _put(self, notice: Notice, outboxes: Sequence[Outbox]) -> None:
        for fresh in self._fresh(notice, outboxes):
            self.journal.put(fresh)

    def _fresh(self, notice: Notice, outboxes: Sequence[Outbox]) -> list[Fresh]:
        """One, or none where no sink is to get it."""
        letters = tuple(letter for outbox in outboxes if (letter := outbox.address(notice)) is not None)
        return [Fresh(json.dumps(notice.to_json(), separators=(",", ":")), letters)] if letters else []

    async def start(self) -> None:
        """Open the sinks; nothing is sent."""
        for outbox in self.outboxes:
            await outbox.sink.open()

    async def begin(self) -> None:
        """Open the store, and let the sending begin: a thread is started, so rights are given up before.

        DataError: a newer version wrote the store.
        """
        await self.journal.open()
        self._begun.set()

    async def run(self) -> None:
        """Send until cancelled, or until `drain` is through."""
        async with asyncio.TaskGroup() as group:
            await self._begun.wait()
            keeping = group.create_task(self.journal.run())
            async with asyncio.TaskGroup() as senders:
                for outbox in self.outboxes:
                    senders.create_task(outbox.run())
                self._senders = senders
                await self._closing.wait()
                self._senders = None
            keeping.cancel()

    def retune(self, outboxes: Sequence[Outbox]) -> None:
        """These are all outboxes from now on: new ones begin (their sinks are open), those left out end."""
        before, self.outboxes = self.outboxes, tuple(outboxes)
        self._by_name = {outbox.name: outbox for outbox in outboxes}
        for outbox in (each for each in outboxes if each not in before):
            self._join(outbox)
            if self._senders is not None:
                self._senders.create_task(outbox.run())
        if self.router is not None and not before and self.outboxes:
            self.router.memory.rewrite()  # without sinks nothing of it was stored
            self._put_out(self.router, ())
        for outbox in (each for each in before if each not in outboxes):
            if self._senders is not None:
                self._senders.create_task(outbox.retire(UNKNOWN_SINK))

    async def drain(self) -> None:
        """Send what can be sent at once, to all sinks; the rest waits in the store. The caller sets the deadline."""
        await self.journal.flushed()
        self._closing.set()
        await asyncio.gather(*(outbox.drain() for outbox in self.outboxes))

    async def stop(self) -> None:
        """Write what is left, close the sinks; one line for each that some messages did not reach yet."""
        try:
            await self.journal.close()
        finally:
            for outbox in self.outboxes:  # before any sink is closed: closing may be cut off, too
                self._say_what_is_left(outbox)
            for outbox in self.outboxes:
                await outbox.close()

    async def dead_letters(self) -> list[Letter]:
        """Those given up, oldest first. StoreError."""
        return await self.journal.dead_letters()

    async def replay(self, number: int | None, sink: str | None) -> int:
        """Send dead letters again, one or all of a sink; how many. LookupError: no such sink. StoreError."""
        open_sinks = [outbox.name for outbox in self.outboxes if outbox.gone is None]
        if sink is not None and sink not in open_sinks:
            raise LookupError(sink)
        revived = await self.journal.revive(number, open_sinks if sink is None else [sink])
        for letter in revived:
            self._by_name[letter.sink].restore(letter)
        return len(revived)

    def _of(self, letter: Letter, tell: Callable[[Outbox, Letter], None]) -> None:
        outbox = self._by_name.get(letter.sink)
        if outbox is not None:
            tell(outbox, letter)

    def _found(self, letter: Letter) -> bool:
        outbox = self._by_name.get(letter.sink)
        if outbox is None:
            letter.fate, letter.error = "dead", UNKNOWN_SINK
            self.journal.mark(letter)
            return False
        return outbox.restore(letter)

    def _trouble(self, what: str, state: State, text: str) -> None:
        self._say(f"outbox.{what}", state, "the outbox", text)

    def _gone(self, outbox: Outbox) -> None:
        text = f"nothing is sent to the sink {outbox.name} until the sensor is started again: {outbox.gone}"
        self._say(f"sink.{outbox.name}", "firing", f"sink {outbox.name} is gone", text, but=outbox)

    def _say(self, key: str, state: State, title: str, text: str, but: Outbox | None = None) -> None:
        """Something about the sensor itself, to whoever takes more than alerts."""
        now = self._clock()
        identity = f"{key}.{now}.{next(self._said)}"
        self.put(Notice(identity, key, "rest", state, "warning", now, title, (text,)), but)

    def _say_what_is_left(self, outbox: Outbox) -> None:
        left = outbox.letters()
        unstored = sum(letter.number is None for letter in left)
        if unstored:
            log.warning("sink %s: %d message%s lost, neither delivered nor stored", outbox.name, *_plural(unstored))
        if stored := len(left) - unstored:
            log.info("sink %s: %d message%s not delivered yet, kept for the next start", outbox.name, *_plural(stored))


def _plural(count: int) -> tuple[int, str]:
    return count, "" if count == 1 else "s"
