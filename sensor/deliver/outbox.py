"""One sink's letters and the worker that sends them; a dead or broken sink stays its own problem."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TypeVar

from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.deliver.journal import Journal
from sensor.deliver.notice import Notice
from sensor.deliver.schedule import Schedule
from sensor.deliver.sink import Sink, SinkGone
from sensor.errors import DeliveryError, StoreError
from sensor.model.alert import SEVERITIES, Severity
from sensor.model.letter import Letter

MAX_WAITING = 5_000
"""Letters that wait for one sink; beyond it the oldest of the lowest severity goes."""
SEND_SECONDS = 30.0
"""A sink that takes longer than this over one message is interrupted, as if it had failed."""
GIVE_UP_SECONDS = 3 * 86_400.0
"""What could not be delivered in so long is given up at the next failure; the sensor's own running time."""
READ_AGAIN_SECONDS = 15.0
"""When the disk does not give a message back."""
MAX_ERROR, MAX_REFERENCE = 300, 4_000
"""Characters of a reason, and of what a sink wants to remember."""
MAX_ID, MAX_TITLE = 1_000, 200
"""Characters of an id or a key, and of a title."""
ALONE = frozenset({"alert", "test"})
"""Kinds of notices that tell of one alert."""

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcomes:
    """What became of the letters of one outbox; they only grow."""

    delivered: int = 0
    refused: int = 0
    """Dead: the sink said that trying again cannot help, or broke."""
    expired: int = 0
    """Dead: given up after `GIVE_UP_SECONDS`."""
    gone: int = 0
    """Dead: the sink does not want to hear from us again."""
    dropped: int = 0
    """There was no room."""
    lost: int = 0
    """The message could not be read any more."""
    retried: int = 0
    """Attempts beyond the first; not an end."""
    renewed: int = 0
    """Alerts that were said again because they go on; not an end."""

    def items(self) -> list[tuple[str, int]]:
        """(outcome, count), in a fixed order."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


class Outbox:
    """Delivers one message at a time, those of one key in order; all calls on one event loop."""

    def __init__(
        self,
        sink: Sink,
        journal: Journal,
        min_severity: Severity = "info",
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`clock`: monotonic seconds, the journal's; `wall`: ns since 1970, only shown; `jitter`: 0 .. 1."""
        self.sink = sink
        self.outcomes = Outcomes()
        self.gone: str | None = None
        """Why nothing is sent any more, until the sensor is started again."""
        self.last_error: str | None = None
        """Why the last message did not arrive; None where it did."""
        self.on_gone: Callable[[Outbox], None] = lambda _: None
        self.firing: Callable[[], Iterable[Notice]] = lambda: ()
        """What goes on, for a sink whose service forgets it."""
        self._journal = journal
        self._floor = SEVERITIES.index(min_severity)
        self._clock = clock
        self._wall = wall
        self._schedule = Schedule(sink.pause, jitter)
        self._renew_at = 0.0
        self._live: dict[str, Letter] = {}
        self._ranks: dict[Severity, dict[str, Letter]] = {severity: {} for severity in SEVERITIES}
        self._in_hand: Letter | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._running = False
        self._finished = asyncio.Event()
        self._next: list[Sink] = []
        """Sinks that are to follow this one; the last of them stays."""
        self._retired: str | None = None

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.sink.name

    @property
    def waiting(self) -> int:
        """Letters that are not settled."""
        return len(self._live)

    def letters(self) -> list[Letter]:
        """Those that wait; the caller must not change them."""
        return list(self._live.values())

    def oldest_seconds(self) -> float:
        """For how long the oldest of them has waited; 0 where there is none."""
        return max(0.0, self._clock() - min((each.since for each in self._live.values()), default=self._clock()))

    def address(self, notice: Notice) -> Letter | None:
        """A letter for this sink; None where the sink is not to get it, it waits already, or there is no room."""
        if SEVERITIES.index(notice.severity) < self._floor or not (self.sink.groups or notice.kind in ALONE):
            return None
        identity = printable(notice.id, MAX_ID)
        if identity in self._live:
            self._journal.repeated += 1
            return None
        letter = Letter(
            self.name, identity, printable(notice.key, MAX_ID), notice.severity, printable(notice.title, MAX_TITLE),
            notice.at, self._clock(),
        )  # fmt: skip
        if self.gone is not None:
            letter.fate, letter.error = "dead", self.gone
            self.outcomes.gone += 1
            return letter
        self._admit(letter)
        return letter if letter.notice in self._live else None

    def release(self, letter: Letter) -> None:
        """It is stored, or cannot be: it may be sent."""
        if self._live.get(letter.notice) is letter:
            self._schedule.add(letter)
            self._wake.set()

    def restore(self, letter: Letter) -> bool:
        """One that the store has: it waits again. False where it waits here already."""
        if letter.notice in self._live:
            return False
        self._schedule.add(letter, earlier=True)
        self._admit(letter)
        self._wake.set()
        return True

    def known(self, letter: Letter) -> None:
        """The store has it already: it is none."""
        if self._live.get(letter.notice) is letter:
            self._end(letter)

    def drop(self, letter: Letter) -> None:
        """There is no room for it."""
        if self._live.get(letter.notice) is not letter:
            return
        self._end(letter)
        self.outcomes.dropped += 1
        self._journal.forget(letter)

    def make_room(self) -> None:
        """The oldest of the lowest severity goes."""
        for rank in self._ranks.values():
            for letter in rank.values():
                if letter is not self._in_hand:
                    self.drop(letter)
                    return

    def retarget(self, sink: Sink | None, min_severity: Severity) -> None:
        """What waits goes to that sink from now on, which is open already (None: the same one); tried again at once."""
        self._floor = SEVERITIES.index(min_severity)
        if sink is not None:
            self._next.append(sink)
            self._wake.set()

    async def retire(self, why: str) -> None:
        """There is no such sink any more: what waits is dead, once the message under way is settled."""
        self._retired = why
        self._wake.set()
        if self._running:
            await self._finished.wait()
        for letter in list(self._live.values()):
            self.outcomes.gone += 1
            self._bury(letter, why)
        await self.close()

    async def close(self) -> None:
        """Closes the sink, and those that were to follow."""
        await self._let_go(self.sink, *self._next)

    async def run(self) -> None:
        """Send until cancelled, or until `drain` or `retire` is through."""
        self._running = True
        try:
            while self._retired is None:
                if self._next:
                    await self._change()
                await self._renew()
                letter, wait = self._schedule.next(self._clock())
                if letter is not None:
                    await self._deliver(letter)
                elif self._closing and (wait is None or wait > self.sink.pause):
                    return
                else:
                    await self._sleep(self._until_renewal(wait))
        finally:
            self._running = False
            self._finished.set()

    async def drain(self) -> None:
        """Send what can be sent, without waiting for retries; the caller sets the deadline, and cancels `run` then."""
        self._closing = True
        self._wake.set()
        if self._running:
            await self._finished.wait()

    async def _change(self) -> None:
        *old, self.sink = (self.sink, *self._next)
        self._next, self.gone, self.last_error = [], None, None
        self._schedule.begin_anew(self.sink.pause)
        await self._let_go(*old)

    async def _let_go(self, *sinks: Sink) -> None:
        for outcome in await asyncio.gather(*(sink.close() for sink in sinks), return_exceptions=True):
            if isinstance(outcome, Exception):  # its text may hold a secret, as in `_asked`
                log.warning("sink %s: did not close: %s", self.name, type(outcome).__name__)

    async def _sleep(self, seconds: float | None) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _deliver(self, letter: Letter) -> None:
        """One attempt, and what follows from it."""
        self._in_hand = letter
        try:
            try:
                body, earlier = await self._journal.load(letter)
            except StoreError as error:
                self._failed(letter, str(error), READ_AGAIN_SECONDS)
                return
            if self._live.get(letter.notice) is not letter:
                return  # dropped meanwhile
            notice = _notice(body)
            if notice is None:
                self._lost(letter)
                return
            letter.attempts += 1
            self.outcomes.retried += letter.attempts > 1
            await self._attempt(letter, notice, earlier)
        finally:
            self._in_hand = None

    async def _renew(self) -> None:
        """Says again what goes on, where that is due; letters still tell how each alert goes."""
        every = self.sink.renew_seconds
        if every is None or self._closing or self.gone is not None or self._clock() < self._renew_at:
            return
        self._renew_at = self._clock() + every
        firing = [notice for notice in self.firing() if SEVERITIES.index(notice.severity) >= self._floor]
        if not firing:
            return
        try:
            await _asked(self.sink.renew(firing))
        except SinkGone as error:
            self._give_up_sink(str(error))
        except DeliveryError as error:
            self._say_failure(str(error))
        else:
            self._say_success()
            self.outcomes.renewed += len(firing)

    def _until_renewal(self, wait: float | None) -> float | None:
        if self.sink.renew_seconds is None or self.gone is not None:
            return wait
        left = max(0.0, self._renew_at - self._clock())
        return left if wait is None else min(wait, left)

    async def _attempt(self, letter: Letter, notice: Notice, earlier: str | None) -> None:
        try:
            reference = await _asked(self.sink.send(notice, earlier))
        except SinkGone as error:
            self._give_up_sink(str(error))
        except DeliveryError as error:
            if error.retry:
                self._failed(letter, str(error), error.retry_after)
            else:
                self._refused(letter, str(error))
        else:
            self._arrived(letter, reference)
            # Before the next attempt, so that a kill at any time repeats this one at most.
            await self._journal.flushed()

    def _arrived(self, letter: Letter, reference: str | None) -> None:
        self._say_success()
        self.outcomes.delivered += 1
        letter.fate, letter.error, letter.next_at = "delivered", None, None
        self._schedule.delivered(letter, self._clock())
        self._end(letter)
        if reference is not None and len(reference) <= MAX_REFERENCE and reference.isprintable():
            self._journal.refer(letter, reference)
        self._journal.mark(letter)

    def _failed(self, letter: Letter, why: str, retry_after: float | None) -> None:
        """Tried again, unless it is too old; the others that are too old go as well."""
        self._say_failure(why)
        letter.error = printable(why, MAX_ERROR)
        now = self._clock()
        wait = self._schedule.failed(letter, now, retry_after)
        letter.next_at = self._wall() + int(wait * SECOND)
        for each in [each for each in self._schedule if now - each.since >= GIVE_UP_SECONDS]:
            self.outcomes.expired += 1
            self._bury(each, each.error or letter.error)
        if letter.fate == "waiting":
            self._journal.mark(letter, lazily=True)

    def _refused(self, letter: Letter, why: str) -> None:
        self._say_failure(why)
        self.outcomes.refused += 1
        self._schedule.refused(letter, self._clock())
        self._bury(letter, why)

    def _lost(self, letter: Letter) -> None:
        log.error("sink %s: message %s cannot be read any more", self.name, printable(letter.notice, 100))
        self.outcomes.lost += 1
        self._end(letter)
        self._journal.forget(letter)

    def _give_up_sink(self, why: str) -> None:
        log.error("sink %s: gone for good, nothing is sent there until the sensor restarts: %s", self.name, why)
        self.gone = self.last_error = printable(why, MAX_ERROR)
        for letter in list(self._live.values()):
            self.outcomes.gone += 1
            self._bury(letter, why)
        self.on_gone(self)

    def _bury(self, letter: Letter, why: str) -> None:
        """It becomes a dead letter."""
        letter.fate, letter.error, letter.next_at = "dead", printable(why, MAX_ERROR), None
        self._end(letter)
        self._journal.mark(letter)

    def _end(self, letter: Letter) -> None:
        self._live.pop(letter.notice, None)
        self._ranks[letter.severity].pop(letter.notice, None)
        self._schedule.remove(letter)

    def _admit(self, letter: Letter) -> None:
        self._live[letter.notice] = self._ranks[letter.severity][letter.notice] = letter
        if len(self._live) > MAX_WAITING:
            self.make_room()

    def _say_success(self) -> None:
        if self.last_error is not None:
            self.last_error = None
            log.info("sink %s: delivers again", self.name)

    def _say_failure(self, why: str) -> None:
        """One line when it begins to fail, not one per attempt."""
        level = logging.WARNING if self.last_error is None else logging.DEBUG
        log.log(level, "sink %s: not delivered: %s", self.name, printable(why, MAX_ERROR))
        self.last_error = printable(why, MAX_ERROR)


async def _asked(work: Awaitable[T]) -> T:
    """What a sink makes of it; whatever goes wrong is a DeliveryError."""
    try:
        async with asyncio.timeout(SEND_SECONDS):
            return await work
    except DeliveryError:
        raise
    except TimeoutError:
        raise DeliveryError("no answer", retry=True) from None
    except Exception as error:  # noqa: BLE001  # a broken plug-in may cost its messages, never the sensor
        # Only the type: the text of an unknown error may hold the sink's URL, which is a secret.
        raise DeliveryError(f"broken: {type(error).__name__}", retry=False) from None


def _notice(body: str | None) -> Notice | None:
    """Out of the store; None where that is no longer one."""
    if body is None:
        return None
    try:
        return Notice.from_json(json.loads(body))
    except (ValueError, RecursionError):
        return None
