"""A source that fails is started again, and nobody else notices."""

import asyncio
import logging
from typing import Any

import pytest

from sensor.foreground import running
from sensor.foreground.base import Source, SourceFacts
from sensor.foreground.running import keep_running


class Failing(Source):
    """Fails so many times, then works."""

    def __init__(self, times: int) -> None:
        super().__init__(None, SourceFacts(report=lambda _: None, clock=lambda: 0))
        self.left = times
        self.works = asyncio.Event()

    async def run(self) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError("its server sent something odd")
        self.works.set()
        await asyncio.Event().wait()


async def until(event: asyncio.Event, source: Source) -> None:
    task = asyncio.ensure_future(keep_running(source, lambda: 0.0))
    async with asyncio.timeout(5):
        await event.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_failures_are_counted_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "FIRST_PAUSE", 0.001)
    source = Failing(5)
    with caplog.at_level(logging.INFO):
        await until(source.works, source)
    assert source.counts == {"crashed": 5}
    assert len([record for record in caplog.records if "started again" in record.message]) == 1


async def test_that_it_is_back_is_said_once_it_was_steady(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(running, "STEADY", 0.01)
    source, said = Failing(1), asyncio.Event()
    monkeypatch.setattr(running, "_say_back", lambda source: said.set())
    await until(said, source)


async def test_pauses_grow_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) >= 12:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(running.asyncio, "sleep", sleep)
    await until(enough, Failing(100))
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 300


async def test_a_source_with_nothing_to_run_is_left_alone() -> None:
    source: Any = Source(None, SourceFacts(report=lambda _: None, clock=lambda: 0))
    task = asyncio.ensure_future(keep_running(source))
    await asyncio.sleep(0.01)
    assert not task.done()
    assert source.counts == {}
    task.cancel()


async def test_one_source_ends_and_another_begins_while_the_others_go_on() -> None:
    first, second, third = Failing(0), Failing(0), Failing(0)
    runners = running.Runners()
    task = asyncio.ensure_future(runners.run([first, second]))
    async with asyncio.timeout(5):
        await first.works.wait()
        await second.works.wait()
        await runners.stop(first)
        await runners.stop(first)
        runners.start(third)
        await third.works.wait()
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})
