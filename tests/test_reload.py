"""A reload, on the real parts without an interface; with one it is tried in tests/system/test_reload.py."""

import asyncio
import errno
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sensor.app import App
from sensor.changes import read_files
from sensor.config import Config, parse
from sensor.deliver.chat.webhook import Webhook
from sensor.errors import ConfigError
from sensor.model.foreground import Report
from sensor.reload import with_remedy
from tests.frames import FAR, FAR_TOO, HOME, PHONE, SECOND, answer, batches, tcp

PHONE_ID = PHONE.hex(":")
HOOK = {"name": "hook", "type": "webhook", "url": "http://127.0.0.1:1/none"}
PUSH = {"push": {"phone": [{"client": PHONE_ID, "token": "a" * 20}]}}


class Running:
    """An app whose reload, delivery and sources run; its settings are what `settings` says."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder, self.settings = folder, settings
        self.app = App(self.read(), self.read)
        self.app.reload.started(read_files(self.app.config))
        self.at = 0

    def read(self) -> Config:
        return parse({"state_dir": str(self.folder), **self.settings})

    async def take(self, outcome: str = "taken", **settings: Any) -> None:
        reload = self.app.reload
        self.settings = settings
        before = reload.outcomes[outcome]
        reload.request()
        async with asyncio.timeout(5):
            while reload.outcomes[outcome] == before:
                await asyncio.sleep(0.005)

    def feed(self, *frames: bytes) -> None:
        for each in batches([(self.at + number, frame) for number, frame in enumerate(frames)]):
            self.app.house.pipeline.feed(each)
        self.at += SECOND
        self.app.house.pipeline.advance(self.app.house.now + SECOND)

    def rules(self) -> list[tuple[str, str]]:
        return [(alert.rule, alert.state) for alert in self.app.house.alerts()]


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[Running]:
        made = Running(tmp_path, settings)
        app = made.app
        await app.delivery.start()
        await app.delivery.begin()
        tasks = [
            asyncio.ensure_future(work)
            for work in (app.delivery.run(), app.reload.run(), app._runners.run(app.house.sources))
        ]
        await asyncio.sleep(0)
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await app.delivery.stop()

    return run


def watch(name: str, **places: Any) -> dict[str, Any]:
    return {"watch": [{"name": name, **places}]}


async def test_other_watches_see_what_was_known_before_and_open_alerts_stay(start: Any) -> None:
    async with start(**watch("old", cidrs=["42.62.0.0/16"]), detect={"watchlist": {"resolve_after": "1h"}}) as one:
        one.feed(answer("api.io.mi.com", FAR), tcp(HOME, FAR), answer("a.example", FAR_TOO), tcp(HOME, FAR_TOO))
        await one.take(**watch("new", domains=["example"]))
        packets = one.app.house.counters().packets
        old = one.rules()
        one.feed(tcp(HOME, FAR), tcp(HOME, FAR_TOO))
        assert one.rules() == [*old, ("new", "firing")]
        assert one.app.house.counters().packets == packets + 2
        assert [row.totals.sent_packets for row in one.app.house.destinations(PHONE_ID)] == [2, 2]


async def test_a_rule_that_is_switched_off_ends_its_alerts_and_keeps_its_counts(start: Any) -> None:
    async with start(**watch("a", cidrs=["0.0.0.0/0"])) as one:
        one.feed(tcp(HOME, FAR))
        await one.take(**watch("a", cidrs=["0.0.0.0/0"]), detect={"watchlist": {"enabled": False}})
        assert one.rules() == [("a", "resolved")]
        assert one.app.house.counters().alerts["watchlist", "warning"] == 1
        assert "watchlist" in one.app.house.counters().evaluations


async def test_names_and_local_networks(start: Any) -> None:
    async with start() as one:
        one.feed(tcp(HOME, FAR))
        await one.take(client=[{"mac": PHONE_ID, "name": "Redmi"}], local=["192.0.2.0/24"], name="attic")
        assert [row.name for row in one.app.house.clients() if row.id == PHONE_ID] == ["Redmi"]
        assert one.app.house.sensor().name == "attic"
        assert one.app.house.configured_local == ("192.0.2.0/24",)
        await one.take()
        assert [row.name for row in one.app.house.clients() if row.id == PHONE_ID] == [None]


async def test_sinks(start: Any) -> None:
    other = {**HOOK, "name": "other"}
    async with start(sink=[HOOK, other], **watch("a", cidrs=["0.0.0.0/0"])) as one:
        one.feed(tcp(HOME, FAR))
        before = {each.name: each for each in one.app.delivery.outboxes}
        await one.take(sink=[{**HOOK, "url": "http://127.0.0.1:1/b"}, {**HOOK, "name": "third"}])
        after = {each.name: each for each in one.app.delivery.outboxes}
        assert set(after) == {"hook", "third"}
        assert after["hook"] is before["hook"], "what waits for it goes on waiting"
        assert after["hook"].waiting == 1
        async with asyncio.timeout(5):
            while not (dead := await one.app.delivery.dead_letters()):
                await asyncio.sleep(0.01)
        assert [(each.sink, each.error) for each in dead] == [("other", "no sink of that name is configured any more")]
        kept = after["hook"].sink
        await one.take(sink=[{**HOOK, "url": "http://127.0.0.1:1/b", "min_severity": "critical"}])
        assert one.app.delivery.outboxes[0].sink is kept, "an unchanged sink keeps its connection"


async def test_sinks_are_all_opened_or_none(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were open by then are closed again; one that hangs holds up nobody for ever."""
    closed: list[str] = []

    async def opened(self: Webhook) -> None:
        if self.name == "bad":
            raise OSError(errno.ENOSPC, "full")
        if self.name == "slow":
            await asyncio.Event().wait()

    async def close(self: Webhook) -> None:
        closed.append(self.name)

    monkeypatch.setattr("sensor.reload.OPEN_SECONDS", 0.05)
    async with start(sink=[HOOK]) as one:
        with monkeypatch.context() as patch:
            patch.setattr(Webhook, "open", opened)
            patch.setattr(Webhook, "close", close)
            for name in ("bad", "slow"):
                await one.take("refused", sink=[HOOK, {**HOOK, "name": "first"}, {**HOOK, "name": name}])
            assert closed == ["first", "bad", "first", "slow"]
            assert [each.name for each in one.app.delivery.outboxes] == ["hook"]


async def test_a_sink_that_does_not_close_is_no_reason_to_end(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    closes = Webhook.close

    async def close(sink: Webhook) -> None:
        await closes(sink)
        raise OSError(errno.EIO, "broken")

    async with start(sink=[HOOK, {**HOOK, "name": "other"}], **watch("a", cidrs=["0.0.0.0/0"])) as one:
        with monkeypatch.context() as patch:
            patch.setattr(Webhook, "close", close)
            await one.take(sink=[HOOK], **watch("a", cidrs=["0.0.0.0/0"]))
            await asyncio.sleep(0.05)
        one.feed(tcp(HOME, FAR))
        async with asyncio.timeout(5):
            while not one.app.delivery.outboxes[0].last_error:
                await asyncio.sleep(0.01)


async def test_sources(start: Any) -> None:
    async with start(foreground=PUSH) as one:
        now = time.time_ns()
        one.app.house.report(Report(PHONE_ID, "push", "screen_on", None, now, now))
        await one.take(foreground={**PUSH, "schedule": {}, "max_age": "1h"})
        assert {each.name for each in one.app.house.sources} == {"push", "schedule"}
        assert one.app.house.foreground.at(PHONE_ID, time.time_ns()).state == "foreground", "what was reported stays"
        other = {"push": {"phone": [{"client": "02:00:00:00:00:01", "token": "a" * 20}]}}
        await one.take(foreground=other)
        assert one.app.house.foreground.at(PHONE_ID, time.time_ns()).state == "unknown", "nobody reports on it now"
        one.app.house.report(Report("02:00:00:00:00:01", "push", "screen_off", None, now, now))
        await one.take()
        assert one.app.house.sources == []
        assert one.app.house.foreground.at("02:00:00:00:00:01", time.time_ns() + 10**12).state == "unknown"


async def test_a_bad_file_changes_nothing(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with start(**watch("a", cidrs=["42.62.0.0/16"])) as one:
        began = one.app.reload.taken_at
        await one.take("refused", watch=[{"name": "a", "countries": ["CHN"]}])
        assert not one.app.reload.is_good
        assert one.app.reload.taken_at == began
        one.feed(tcp(HOME, FAR))
        assert one.rules() == [("a", "firing")]
        assert caplog.messages[-1].startswith("alert") or "refused" in " ".join(caplog.messages)


async def test_what_breaks_in_reading_does_not_end_the_sensor(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start() as one:
        monkeypatch.setattr("sensor.reload.plan", lambda *_: 1 / 0)
        await one.take("failed")
        monkeypatch.undo()
        await one.take("taken")
        assert one.app.reload.is_good


async def test_requests_that_come_together_are_one(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with start() as one:
        for _ in range(50):
            one.app.reload.request()
        await one.take()
        await asyncio.sleep(0.05)
        assert one.app.reload.outcomes["taken"] <= 2


async def test_it_is_announced(start: Any) -> None:
    async with start() as one:
        heard: list[bool] = []
        one.app.reload.announce = heard.append
        await one.take()
        await one.take("refused", nonsense=1)
        assert heard == [True, False, True, False]


async def test_thousands_of_contacts_hold_up_the_loop_for_moments(start: Any) -> None:
    """They are matched a few at a time."""
    async with start() as one:
        for block in range(40):
            one.feed(*(tcp(HOME, f"5.{block}.{number // 250}.{number % 250 + 1}") for number in range(240)))
        assert one.app.house.counters().destinations > 3_000
        longest, last = 0.0, time.perf_counter()
        task = asyncio.ensure_future(one.take(**watch("all", cidrs=["5.0.0.0/8"], domains=["a.example"])))
        while not task.done():
            await asyncio.sleep(0)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        await task
        assert longest < 0.5


def test_the_remedy_for_a_file_that_only_root_may_read() -> None:
    assert with_remedy("a: No such file or directory") == "a: No such file or directory"
    assert "sudo chgrp" in with_remedy(f"a: {os.strerror(13)}")


def test_errors_have_one_line_each() -> None:
    assert str(ConfigError("a", "b")).splitlines() == ["a", "b"]
