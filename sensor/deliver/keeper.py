"""The rulings over restarts: each change is on the disk before whoever made it is told so."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Protocol

from sensor.deliver.rulings import Rulings
from sensor.model.ruling import Ruling

RETRY_SECONDS = 60.0
"""From one look at whether something is not written yet to the next."""

log = logging.getLogger(__name__)


class File(Protocol):
    """Where they are kept; never raises."""

    def read(self) -> dict[str, Any] | None:
        """What was written; None: nothing that can be used."""

    def refuse(self, why: str) -> None:
        """What was read cannot be used."""

    def write(self, value: dict[str, Any]) -> bool:
        """Whether it is on the disk now. Blocks."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of a change."""

    ruling: Ruling
    stored: bool
    """False: it holds, but a restart loses it: the disk refuses."""


class Keeper:
    """All on one event loop; only the writing is done by a thread."""

    def __init__(self, rulings: Rulings, file: File) -> None:
        self.rulings = rulings
        self._file = file
        self._lock = asyncio.Lock()
        self._changes = self._written = 0
        self._restored = False

    def restore(self, now: int) -> None:
        """Takes up what held before a restart; before that nothing is taken, which it would lose."""
        self._restored = True
        values = self._file.read()
        if values is None:
            return
        try:
            self.rulings.load(values, now)
        except ValueError as error:
            self._file.refuse(str(error))

    async def make(self, ruling: Ruling, now: int) -> Kept:
        """It holds from now on. ValueError: too many do, or the sensor is not up yet."""
        if not self._restored:
            raise ValueError("the sensor is starting; try again in a moment")
        known = self.rulings.get(ruling.id)
        if known is None:
            known = self.rulings.add(ruling, now)
            self._changes += 1
            log.info("%s by %s: %s", ruling.action, ruling.who, ruling.id)
        return Kept(known, await self._store())

    async def undo(self, identity: str, who: str, note: str, now: int) -> Kept | None:
        """Taken back, if it still holds. None: there is none of that id."""
        before = self.rulings.get(identity)
        ruling = self.rulings.undo(identity, who, note, now)
        if ruling is None:
            return None
        if ruling != before:
            self._changes += 1
            log.info("%s undone by %s: %s", ruling.action, who, ruling.id)
        return Kept(ruling, await self._store())

    def over(self, fingerprint: str, now: int) -> None:
        """The alert is over; written soon: a restart can do without."""
        if self.rulings.over(fingerprint, now):
            self._changes += 1

    async def run(self) -> None:
        """Writes what the disk refused, and what ended by itself; until cancelled."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            await self._store()

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._restored:
            await self._store()

    async def _store(self) -> bool:
        async with self._lock:
            if self._written == self._changes:
                return True
            changes, values = self._changes, self.rulings.dump()
            # A handler that is cancelled must not leave a thread behind that writes an older state over a newer one.
            writing = asyncio.ensure_future(asyncio.to_thread(self._file.write, values))
            try:
                stored = await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing
                raise
            if stored:
                self._written = changes
            return stored
