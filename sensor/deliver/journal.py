"""What happens to letters, written to the store in batches by one thread; kept in memory while the disk refuses."""

import asyncio
import copy
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from sensor.base.bounded import BoundedDict
from sensor.deliver.unstored import Unstored
from sensor.errors import DataError, StoreError
from sensor.model.alert import State
from sensor.model.letter import Batch, Fresh, Letter, Written
from sensor.model.told import Told

MAX_BATCH = 100
"""Messages in one transaction, so that it needs little room on the disk and takes little time."""
MAX_CACHED = 64
"""Messages that were stored a moment ago and need not be read again."""
MAX_REFERENCES = 1_000
"""References that are kept in memory while the disk refuses them."""
RETRY_SECONDS = 15.0
"""From one try of a disk that refused to the next."""
LAZY_SECONDS = 600.0
"""What a restart can do without (tries that failed) is written along with something else, or after so long."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Store(Protocol):
    """Where letters outlive the daemon; blocks, and is called by one thread. StoreError: not now."""

    damage: list[str]

    @property
    def is_open(self) -> bool:
        """Whether it can be written to, as far as is known."""

    def open(self) -> list[Letter]:
        """What waits in it. DataError: it cannot be used at all."""

    def told(self) -> list[Told]:
        """What is remembered of alerts."""

    def close(self) -> None:
        """Let go."""

    def write(self, batch: Batch) -> Written:
        """All or nothing, safely."""

    def read(self, number: int, sink: str, key: str) -> tuple[str | None, str | None]:
        """A letter's message, and the reference of (sink, key)."""

    def reference(self, sink: str, key: str) -> str | None:
        """The reference of (sink, key)."""

    def dead(self) -> list[Letter]:
        """All dead letters."""

    def revive(self, number: int | None, sinks: Iterable[str]) -> list[Letter]:
        """Dead letters wait again."""


class Journal:
    """All on one event loop; a letter is released to its outbox once it is stored, or cannot be."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds."""
        self.failures = 0
        """Writes that the disk refused."""
        self.repeated = 0
        """Letters that the store already had."""
        self.dead: dict[str, int] = {}
        """Sink -> dead letters in the store."""
        self.release: Callable[[Letter], None] = lambda _: None
        """Called with each letter that may be sent from now on."""
        self.known: Callable[[Letter], None] = lambda _: None
        """Called with each letter that is none: the store has sent it, or has given it up, or it waits already."""
        self.found: Callable[[Letter], bool] = lambda _: True
        """Called with each letter that waits in the store; whether it is new to its outbox."""
        self.recall: Callable[[list[Told] | None], None] = lambda _: None
        """Called with what the store remembers of alerts; None where it had to begin anew and has to be told."""
        self.drop: Callable[[Letter], None] = lambda _: None
        """Called with each letter for which there is no room in memory."""
        self.trouble: Callable[[str, State, str], None] = lambda what, state, text: None
        """Called when the disk begins to refuse and when it takes again ("disk"), and for a damaged file ("damage")."""
        self._store = store
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None
        self._queue = Unstored()
        self._held: dict[int, Letter] = {}
        self._marks: dict[int, Letter] = {}
        self._references: dict[tuple[str, str], str] = {}
        self._forgotten: set[int] = set()
        self._numbers: dict[int, Letter] = {}
        self._cache: BoundedDict[str, str] = BoundedDict(MAX_CACHED)
        self._wake = asyncio.Event()
        self._turn = asyncio.Condition()
        self._asked = self._done = 0
        self._broken = self._opened = False
        self._retry_at = 0.0
        self._lazy_at: float | None = None

    @property
    def unstored(self) -> int:
        """Messages that are in memory only."""
        return len(self._queue)

    async def open(self) -> None:
        """Open the store and hand out what waits in it. DataError: it is newer; a disk that refuses is tried again."""
        self._thread = ThreadPoolExecutor(1, "outbox")
        await self._write()

    async def close(self) -> None:
        """Write what is left, and let go of the store."""
        if self._thread is None:
            return
        self._retry_at = 0.0
        with suppress(DataError):
            await self._write()
        await self._call(self._store.close)
        self._thread.shutdown(wait=False)
        self._thread = None

    def put(self, fresh: Fresh) -> None:
        """A message to be stored; its letters are released afterwards."""
        self._held.update((id(letter), letter) for letter in fresh.letters)
        for letter in self._queue.put(fresh):
            self._held.pop(id(letter), None)
            if letter.fate == "waiting":
                self.drop(letter)
        self._request()

    def put_together(self, several: Sequence[Fresh], told: Sequence[Told]) -> None:
        """Messages, perhaps none, and what is remembered from then on: stored in one transaction."""
        for at, fresh in enumerate(several):
            self.put(replace(fresh, joined=at > 0))
        if told:
            self._queue.remember(told)
            self._request()

    def mark(self, letter: Letter, *, lazily: bool = False) -> None:
        """It changed. `lazily`: a restart can do without that."""
        if letter.number is not None:
            self._marks[letter.number] = letter
            if letter.fate != "waiting":
                self._numbers.pop(letter.number, None)
        if not lazily:
            self._request()
        elif self._lazy_at is None:
            self._lazy_at = self._clock() + LAZY_SECONDS

    def refer(self, letter: Letter, reference: str) -> None:
        """What the sink returned for the letter."""
        self._references.pop((letter.sink, letter.key), None)
        self._references[letter.sink, letter.key] = reference
        if len(self._references) > MAX_REFERENCES:
            del self._references[next(iter(self._references))]
        self._request()

    def forget(self, letter: Letter) -> None:
        """It had no room."""
        if letter.number is not None:
            self._forgotten.add(letter.number)
            self._marks.pop(letter.number, None)
            self._numbers.pop(letter.number, None)
        elif self._queue.leave_out(letter):
            self._held.pop(id(letter), None)
        self._request()

    async def flushed(self) -> None:
        """What was marked by now is stored, or cannot be."""
        wanted = self._asked
        async with self._turn:
            await self._turn.wait_for(lambda: self._done >= wanted or self._thread is None)

    async def load(self, letter: Letter) -> tuple[str | None, str | None]:
        """Its message as JSON, None where that is lost, and what the sink returned for the last one of its key.

        StoreError: it cannot be read now.
        """
        body = self._queue.bodies.get(letter.notice) or self._cache.get(letter.notice)
        reference = self._references.get((letter.sink, letter.key))
        if body is not None and reference is not None:
            return body, reference
        if body is not None:
            try:
                return body, await self._call(partial(self._store.reference, letter.sink, letter.key))
            except StoreError:
                return body, None  # better a second message than none
        if letter.number is None:
            return None, reference
        body, stored = await self._call(partial(self._store.read, letter.number, letter.sink, letter.key))
        return body, reference or stored

    async def dead_letters(self) -> list[Letter]:
        """Those in the store, oldest first. StoreError."""
        return await self._call(self._store.dead)

    async def revive(self, number: int | None, sinks: Iterable[str]) -> list[Letter]:
        """Dead letters wait again: one, or all of these sinks. StoreError."""
        revived = await self._call(partial(self._store.revive, number, tuple(sinks)))
        for letter in revived:
            self._numbers[letter.number or 0] = letter
            self.dead[letter.sink] = max(0, self.dead.get(letter.sink, 0) - 1)
        return revived

    async def run(self) -> None:
        """Write what is asked for, until cancelled."""
        while True:
            await self._due()
            await self._write()

    async def _due(self) -> None:
        """Until something is asked for, or a disk that refused or lazy marks have waited long enough."""
        moment = self._retry_at if self._broken else self._lazy_at
        with suppress(TimeoutError):
            async with asyncio.timeout(None if moment is None else max(0.0, moment - self._clock())):
                await self._wake.wait()

    async def _write(self) -> None:
        self._wake.clear()
        asked = self._asked
        if self._broken and self._clock() < self._retry_at:
            self._release(list(self._held.values()))
        else:
            for _ in range(max(1, math.ceil(len(self._queue.fresh) / MAX_BATCH))):
                await self._try_to_write()
                if self._broken:
                    break
        self._done = asked
        async with self._turn:
            self._turn.notify_all()

    async def _try_to_write(self) -> None:
        fresh, told = self._queue.take(MAX_BATCH)
        marks, references, forgotten = self._marks, self._references, self._forgotten
        self._marks, self._references, self._forgotten = {}, {}, set()
        self._lazy_at = None
        batch = Batch(
            tuple(Fresh(each.body, tuple(copy.copy(letter) for letter in each.letters)) for each in fresh),
            tuple(copy.copy(letter) for letter in marks.values()),
            dict(references),
            tuple(forgotten),
            tuple(told.values()),
        )
        try:
            await self._open_store(forgotten | marks.keys())
            written = await self._call(partial(self._store.write, batch))
        except BaseException as error:
            self._queue.give_back()
            self._marks = {**marks, **self._marks}
            self._references = {**references, **self._references}
            self._forgotten |= forgotten
            if not isinstance(error, StoreError):
                raise
            self._refused(error)
            self._release(list(self._held.values()))
            return
        self._queue.landed()
        self._taken()
        self.dead = dict(written.dead)
        for each, asked, numbers in zip(fresh, batch.fresh, written.known, strict=True):
            self._stored(each, asked, numbers)

    async def _open_store(self, settled: Set[int]) -> None:
        """Open the store where it is not; what waits in it is handed out, unless we know better. StoreError."""
        if self._store.is_open:
            return
        try:
            waiting = await self._call(self._store.open)
            told = await self._call(self._told)
        except DataError as error:
            if self._opened:
                raise StoreError(str(error)) from None
            raise
        if not self._opened:
            self.recall(told)
        elif not told:
            self.recall(None)
        self._opened = True
        settled = settled | self._marks.keys() | self._forgotten | self._numbers.keys()
        # A commit that failed may have been one.
        ours = {(each.sink, each.notice) for fresh in self._queue for each in fresh.letters}
        for letter in waiting:
            is_ours = letter.number in settled or (letter.sink, letter.notice) in ours
            if letter.number is not None and not is_ours and self.found(letter):
                self._numbers[letter.number] = letter

    def _told(self) -> list[Told]:
        """Where it cannot be read the store is opened again, so that nothing is taken for forgotten."""
        try:
            return self._store.told()
        except StoreError:
            self._store.close()
            raise

    def _stored(self, fresh: Fresh, asked: Fresh, numbers: tuple[tuple[int, str], ...]) -> None:
        """The letters of a message have numbers now; what changed meanwhile is written next."""
        notice = fresh.letters[0].notice
        self._queue.bodies.pop(notice, None)
        self._cache.put(notice, fresh.body)
        for letter, then, (number, fate) in zip(fresh.letters, asked.letters, numbers, strict=True):
            was_left_out = self._queue.settle(letter)
            owner = self._numbers.get(number)
            is_known = then.fate == "waiting" and (fate != "waiting" or owner not in (None, letter))
            if is_known and self._held.pop(id(letter), None) is not None:
                self.repeated += 1
                self.known(letter)
                continue
            has_changed = letter != then
            letter.number = number
            if was_left_out:
                self.forget(letter)
            elif letter.fate == "waiting":
                self._numbers[number] = letter
            if (has_changed or fate != letter.fate) and fate != "delivered":
                self.mark(letter)
        self._release(fresh.letters)

    def _release(self, letters: Iterable[Letter]) -> None:
        for letter in letters:
            if self._held.pop(id(letter), None) is not None and letter.fate == "waiting":
                self.release(letter)

    def _request(self) -> None:
        self._asked += 1
        self._wake.set()

    def _refused(self, error: StoreError) -> None:
        self.failures += 1
        self._retry_at = self._clock() + RETRY_SECONDS
        self._tell_damage()
        if not self._broken:
            self._broken = True
            log.error("%s; messages are kept in memory and written when that is over", error)
            self.trouble("disk", "firing", "messages cannot be written to the disk: a restart would lose what waits")

    def _taken(self) -> None:
        self._tell_damage()
        if self._broken:
            self._broken = False
            log.info("messages are written to the disk again")
            self.trouble("disk", "resolved", "messages are written to the disk again")

    def _tell_damage(self) -> None:
        while self._store.damage:
            self._store.damage.pop()
            self.trouble("damage", "firing", "the file of waiting messages was damaged: it was put aside, unsent")

    async def _call(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise StoreError("the outbox is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
