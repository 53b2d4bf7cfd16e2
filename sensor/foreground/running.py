"""Keeps a source running: a failing one is started again, and takes nothing else down with it."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from sensor.foreground.base import Source

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds before it is started again: doubled each time, with up to half of it taken off by chance."""

STEADY = 60.0
"""Seconds of work after which it counts as being back."""

STOP_SECONDS = 3.0
"""For a source that is to end while the sensor goes on."""

FAILED = "crashed"
"""What a failure is counted as in `Source.counts`."""

_log = logging.getLogger(__name__)


class Runners:
    """All sources, each kept running; one can give way to another."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[Source, asyncio.Task[None]] = {}

    async def run(self, sources: Iterable[Source]) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for source in sources:
                self.start(source)
            await asyncio.Event().wait()

    def start(self, source: Source) -> None:
        """One more."""
        if self._group is not None:
            self._tasks[source] = self._group.create_task(keep_running(source), name=f"foreground.{source.name}")

    async def stop(self, source: Source) -> None:
        """One less; comes back when it has ended, or within STOP_SECONDS."""
        task = self._tasks.pop(source, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_SECONDS)


async def keep_running(source: Source, chance: Callable[[], float] = random.random) -> None:
    """Runs the source until cancelled; a source that has nothing to run is waited for, for ever."""
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        began = loop.time()
        steady = loop.call_later(STEADY, _say_back, source) if failures else None
        try:
            await source.run()
            await asyncio.Event().wait()
        except Exception:  # noqa: BLE001  # whatever a plug-in does wrong
            if loop.time() - began >= STEADY:
                failures = 0
            source.counts[FAILED] = source.counts.get(FAILED, 0) + 1
            if not failures:
                _log.warning("foreground.%s failed and is started again", source.name, exc_info=True)
            failures += 1
        finally:
            if steady is not None:
                steady.cancel()
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 16))
        await asyncio.sleep(pause * (1 - chance() / 2))


def _say_back(source: Source) -> None:
    _log.info("foreground.%s is back", source.name)
