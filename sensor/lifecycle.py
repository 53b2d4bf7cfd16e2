"""Parts of the daemon: started in order, watched, drained and stopped in reverse.

1. A part is started when all before it are; what starts last (capture) stops first.
2. On the way down each part in turn hands on what it holds while its `run` still goes on, then `run` is
   cancelled, then it is stopped: an outbox is still sending when capture has already given its last alert.
3. A part whose `start` raises, or whose `run` raises or returns, takes the daemon down the same way; then its
   own error is raised, not a group of errors.
4. No part can hold up the end: all drains share `DRAIN_SECONDS`, all the rest `STOP_SECONDS`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sensor.errors import SensorError

DRAIN_SECONDS = 3.0
"""For the drains of all parts together."""

STOP_SECONDS = 1.0
"""For cancelling and stopping all parts together; a signal ends the daemon within 5 seconds."""

_LEAST = 0.02
"""Seconds that every step gets even when the others have used up the time."""

_log = logging.getLogger(__name__)


async def _nothing() -> None:
    """The hook that a part does not need."""


Hook = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that lives as long as the daemon."""

    name: str
    start: Hook = _nothing
    """Acquires; raising ends the daemon before it is up. Cancelled where the daemon must end first."""
    run: Hook | None = None
    """Works until cancelled; raising or returning ends the daemon."""
    drain: Hook = _nothing
    """Hands on what is held, while `run` still goes on; cut off at the deadline."""
    stop: Hook = _nothing
    """Releases; called once if `start` succeeded."""


async def run(parts: Sequence[Part], stop: asyncio.Event) -> None:
    """Starts the parts, waits for `stop` or a part's end, takes them down; raises the first error there was."""
    life = _Life()
    stopping = _task(stop.wait(), "stop")
    try:
        for part in parts:
            if not await life.start(part, stopping):
                break
        else:
            await life.watch(stopping)
    finally:
        asked = stopping.done()
        stopping.cancel()
        await life.end(asked=asked)
    if life.errors:
        raise life.errors[0]


class _Life:
    """The parts that are up, and what went wrong."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._up: list[tuple[Part, asyncio.Task[None] | None]] = []

    async def start(self, part: Part, stopping: asyncio.Task[Any]) -> bool:
        """True once the part is up; False where it failed, or something else ended the daemon meanwhile."""
        starting = _task(_call(part.start), f"{part.name} start")
        try:
            await asyncio.wait({starting, stopping, *self._running()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not starting.done():
                await _cancel(starting, STOP_SECONDS)
        if starting.cancelled() or starting.exception() is not None:
            self._keep(starting)
            return False
        _log.debug("%s is up", part.name)
        self._up.append((part, None if part.run is None else _task(_call(part.run), part.name)))
        return not stopping.done() and not any(running.done() for running in self._running())

    async def watch(self, stopping: asyncio.Task[Any]) -> None:
        """Until `stop`, or until a part's run ends."""
        await asyncio.wait({stopping, *self._running()}, return_when=asyncio.FIRST_COMPLETED)

    async def end(self, *, asked: bool) -> None:
        """Takes down what is up, the last first. `asked`: `stop` was set, so that a part may have returned for it."""
        self._find_ended(asked=asked)
        clock = asyncio.get_running_loop().time
        drain_until = clock() + DRAIN_SECONDS
        stop_left = STOP_SECONDS
        for part, running in reversed(self._up):
            if running is None or not running.done():
                await self._limited(part.drain, f"{part.name} drain", max(_LEAST, drain_until - clock()))
            begun = clock()
            if running is not None:
                await _cancel(running, max(_LEAST, stop_left))
                self._keep(running)
            await self._limited(part.stop, f"{part.name} stop", max(_LEAST, stop_left - (clock() - begun)))
            stop_left -= clock() - begun
        self._up.clear()

    def _running(self) -> list[asyncio.Task[None]]:
        return [running for _, running in self._up if running is not None]

    def _find_ended(self, *, asked: bool) -> None:
        """Keeps the errors of the parts whose run has ended."""
        for running in self._running():
            if not running.done():
                continue
            if not running.cancelled() and running.exception() is not None:
                self._keep(running)
            elif not asked:
                self.errors.append(SensorError(f"{running.get_name()} ended by itself"))

    async def _limited(self, hook: Hook, name: str, seconds: float) -> None:
        task = _task(_call(hook), name)
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            _log.warning("%s did not end in time", name)
            await _cancel(task, _LEAST)
        self._keep(task)

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Keeps the error of a task; what comes after the first is logged, since only one can be raised."""
        if not task.done() or task.cancelled():
            return
        error = task.exception()
        if error is None or error in self.errors:
            return
        if self.errors:
            _log.warning("%s failed too: %s", task.get_name(), error)
        self.errors.append(error)


def _task(work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work, name=name)


async def _call(hook: Hook) -> None:
    await hook()


async def _cancel(task: asyncio.Task[None], seconds: float) -> None:
    """Cancels and waits; a task that does not let itself be cancelled is left behind."""
    task.cancel()
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        _log.warning("%s could not be cancelled", task.get_name())
