"""SIGHUP: the configuration is read again, checked, and swapped while everything goes on.

1. Reading and checking happen in a thread (`changes.plan`); a file with a mistake changes nothing.
2. What can fail (a sink that does not open) comes before anything is swapped.
3. Then rules, names, sinks and sources change within one turn of the loop each; packets wait in the ring meanwhile.
4. At last the contacts that are known are matched against the new rules, a few per turn.
"""

import asyncio
import grp
import logging
import os
import pwd
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from sensor.base.references import named
from sensor.changes import Digests, Plan, plan
from sensor.config import Config, SinkSettings
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.metrics import Metrics
from sensor.deliver.outbox import Outbox
from sensor.deliver.sink import Sink
from sensor.deliver.web.admin import Admin
from sensor.errors import ConfigError, SensorError
from sensor.foreground.running import Runners
from sensor.foreground.settings import ChosenSource
from sensor.house import House

OPEN_SECONDS = 10.0
"""For a sink to open."""

CHUNK = 250
"""Contacts that are matched anew in one turn of the loop: some milliseconds."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reload changes."""

    house: House
    delivery: Delivery
    journal: Journal
    metrics: Metrics
    admin: Admin
    sources: Runners
    relocate: Callable[[], None]
    """Which addresses are local has to be told anew."""


class Reload:
    """Takes requests at any time; several that come together are one."""

    def __init__(
        self, config: Config, parts: Parts, reread: Callable[[], Config], clock: Callable[[], float] = time.time
    ) -> None:
        """`config`: what runs; `reread`: the configuration as it is now in the file; `clock`: seconds since 1970."""
        self.config = config
        self.outcomes: Counter[str] = Counter({"taken": 0, "refused": 0, "failed": 0})
        self.is_good = True
        """Whether the last one was taken."""
        self.taken_at = 0.0
        """Seconds since 1970; the start counts."""
        self.announce: Callable[[bool], None] = lambda _: None
        """Called with True when a reload begins and with False when it is over: whoever supervises wants to know."""
        self.digests: Digests = {}
        """What was in the files that settings name."""
        self._parts = parts
        self._reread = reread
        self._clock = clock
        self._asked = asyncio.Event()

    def started(self, digests: Digests) -> None:
        """The configuration was taken for the first time; `digests`: of the files that it names."""
        self.digests, self.taken_at = digests, self._clock()

    def request(self) -> None:
        """Read it again soon; from a signal."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled; whatever is wrong with a file, the sensor goes on."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self.announce(True)
            try:
                outcome = await self._once()
            finally:
                self.announce(False)
            self.outcomes[outcome] += 1
            self.is_good = outcome == "taken"

    async def _once(self) -> str:
        try:
            new = await asyncio.to_thread(lambda: plan(self.config, self._reread(), self.digests))
            await self._apply(new)
        except SensorError as error:
            for line in str(error).splitlines():
                _log.error("reload: %s", with_remedy(line))
            _log.error("reload: refused, the configuration that was running goes on")
            return "refused"
        except Exception:  # noqa: BLE001  # a file may not end the sensor, whatever it holds
            _log.exception("reload: failed; what was not changed by then goes on as it was")
            return "failed"
        self.taken_at = self._clock()
        _tell(new)
        return "taken"

    async def _apply(self, new: Plan) -> None:
        parts, config = self._parts, new.config
        await _opened(new.sinks)
        for name in new.gone:
            await self._change_source(name, None)
        for source in new.sources:
            await self._change_source(source.name, source)
        for source in config.foreground.sources:
            self._take_back(source)
        allowances = parts.house.shipped if new.allowances is None else new.allowances
        before, self.config, self.digests = self.config, config, new.digests
        if parts.delivery.router is not None:
            parts.delivery.router.retune(config.notify)
        outboxes = [self._outbox(each, new) for each in config.sink]
        parts.delivery.retune(outboxes)
        parts.metrics.retune(outboxes, [each.name for each in config.detect.detectors])
        if new.admin is not None:
            parts.admin.adopt(new.admin)
        parts.house.retune(config, allowances)
        if config.local != before.local:
            parts.relocate()
        await self._relearn()

    def _outbox(self, chosen: SinkSettings, new: Plan) -> Outbox:
        name = str(chosen.name)
        sink = new.sinks.get(name)
        outbox = next((each for each in self._parts.delivery.outboxes if each.name == name), None)
        if outbox is not None:
            outbox.retarget(sink, chosen.min_severity)
            return outbox
        if sink is None:
            raise RuntimeError("a sink without an outbox is a new one")
        return Outbox(sink, self._parts.journal, chosen.min_severity)

    async def _change_source(self, name: str, chosen: ChosenSource | None) -> None:
        house, runners = self._parts.house, self._parts.sources
        old = next((each for each in house.sources if each.name == name), None)
        if old is not None:
            await runners.stop(old)
        new = None
        if chosen is not None:
            new = house.source(chosen)
            try:
                new.prepare()  # was tried a moment ago
            except SensorError as error:
                _log.error("reload: %s; it goes on as it was", error)
                new = old
        if new is not old:
            house.change_source(old, new)
        if new is not None:
            runners.start(new)

    def _take_back(self, source: ChosenSource) -> None:
        """What was said of a client holds no more where the settings do not name it any more."""
        before = next((each for each in self.config.foreground.sources if each.name == source.name), None)
        lost = named(before.settings) - named(source.settings) if before is not None else set()
        if lost:
            house = self._parts.house
            house.foreground.withdraw_all(source.name, time.time_ns(), lost.__contains__)

    async def _relearn(self) -> None:
        start = 0
        while self._parts.house.pipeline.relearn(start, start + CHUNK):
            start += CHUNK
            await asyncio.sleep(0)


async def _opened(sinks: Mapping[str, Sink]) -> None:
    """Opens all of them, or none. ConfigError."""
    opened: list[Sink] = []
    try:
        for name, sink in sinks.items():
            opened.append(sink)
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    await sink.open()
            except TimeoutError:
                raise ConfigError(f"sink {name}: does not open within {OPEN_SECONDS:.0f} s") from None
            except (SensorError, OSError) as error:
                raise ConfigError(f"sink {name}: {error}") from None
    except BaseException:
        for sink in opened:
            with suppress(Exception):
                await sink.close()
        raise


def with_remedy(problem: str) -> str:
    """The line, with what to do about a file that only root may read."""
    if not problem.endswith(os.strerror(13)):
        return problem
    who, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    return (
        f"{problem}; the sensor is the user {who} by now: let it read the file "
        f"(sudo chgrp {group} FILE && sudo chmod 640 FILE), or restart"
    )


def _tell(new: Plan) -> None:
    for name in new.kept:
        _log.warning("reload: %s; what it held at the start goes on", with_remedy(f"{name}: {os.strerror(13)}"))
    for key in new.restart:
        _log.warning("reload: %s needs a restart; left as it is", key)
    _log.info("reload: taken; changed: %s", ", ".join(new.changed) or "nothing")
