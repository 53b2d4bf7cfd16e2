"""Capturing on an interface that comes late, goes and comes back."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from sensor.capture import live
from sensor.capture.interface import LocalNetworks
from sensor.capture.live import LiveCapture, LiveSettings
from sensor.errors import CaptureError


class Watched:
    """A running capture, and what it has handed over."""

    def __init__(self, capture: LiveCapture) -> None:
        self.capture = capture
        self.lengths: list[int] = []
        self.networks: list[LocalNetworks] = []

    async def frames(self) -> None:
        async for batch in self.capture.batches():
            self.lengths += batch.length.tolist()

    async def local(self) -> None:
        async for networks in self.capture.networks():
            self.networks.append(networks)

    async def until(self, condition: Callable[[], bool], seconds: float = 8.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(settings: LiveSettings) -> AsyncIterator[Watched]:
    watched = Watched(LiveCapture(settings))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watched.frames()), group.create_task(watched.local())]
        try:
            yield watched
        finally:
            for task in tasks:
                task.cancel()
            watched.capture.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RETRY", 0.1)
    monkeypatch.setattr(live, "SETTLE", 0.1)


def send(world: Any, size: int, to: str = "10.77.0.1") -> None:
    with world.socket("c1") as sender, suppress(OSError):
        sender.sendto(bytes(size), (to, 9999))


async def test_it_waits_goes_on_and_counts(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sensor.capture")
    world.ip("ap", "link del br0")
    with world.inside("ap"):
        async with running(LiveSettings(interface="br0", interval=0.02)) as watched:
            capture = watched.capture
            await watched.until(lambda: capture.waiting)
            await asyncio.sleep(0.35)
            assert (capture.statistics.waits, capture.statistics.frames) == (1, 0)
            for turn in (1, 2):
                world.bridge()
                world.plug()
                await watched.until(lambda: not capture.waiting)
                await watched.until(lambda turn=turn: send(world, 500 + turn) or 542 + turn in watched.lengths)
                assert capture.statistics.reopened == turn - 1
                world.ip("ap", "link del br0")
                await watched.until(lambda: capture.waiting)
    world.bridge()
    world.plug()
    assert capture.statistics.waits == 3
    assert capture.statistics.frames == len(watched.lengths), "summed over both rings"
    said = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
    assert len(said) == 3, "once for each time it was away"
    assert said[0] == "waiting for the interface: there is no interface br0"


async def test_an_interface_that_is_switched_off_is_waited_for(world: Any) -> None:
    with world.inside("ap"):
        async with running(LiveSettings(interface="br0", interval=0.02)) as watched:
            await watched.until(lambda: watched.capture.local is not None)
            world.ip("ap", "link set br0 down")
            await watched.until(lambda: watched.capture.waiting)
            world.ip("ap", "link set br0 up")
            await watched.until(lambda: watched.capture.statistics.reopened == 1)


async def test_local_networks_are_followed(world: Any) -> None:
    with world.inside("ap"):
        async with running(LiveSettings(interface="auto")) as watched:
            await watched.until(lambda: bool(watched.networks))
            assert watched.capture.name == "br0"
            assert watched.networks[0].prefixes == ("10.77.0.0/24",)
            world.ip("ap", "addr add 10.84.0.1/24 dev br0")
            await watched.until(lambda: len(watched.networks) == 2)
            world.ip("ap", "addr del 10.84.0.1/24 dev br0")
            await watched.until(lambda: len(watched.networks) == 3)
    assert watched.networks[1].prefixes == ("10.77.0.0/24", "10.84.0.0/24")
    assert watched.networks[2] == watched.networks[0]


async def test_promiscuous_mode_follows_the_routes(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sensor.capture")
    with world.inside("ap"):
        async with running(LiveSettings(interface="br0", interval=0.02)) as watched:
            await watched.until(lambda: bool(watched.networks))
            for _ in range(5):
                send(world, 700, to="10.77.0.12")
            await asyncio.sleep(0.1)
            assert 742 not in watched.lengths
            world.ip("ap", "route del default")
            await watched.until(lambda: send(world, 700, to="10.77.0.12") or 742 in watched.lengths)
            world.ip("ap", "route add default via 42.62.48.10")
            await asyncio.sleep(0.3)
    said = [record.getMessage() for record in caplog.records if "promiscuous" in record.getMessage()]
    assert [line.split(":")[0] for line in said] == [
        "promiscuous mode off",
        "promiscuous mode on",
        "promiscuous mode off",
    ]
    assert "no default route" in said[1]


@pytest.mark.parametrize(("setting", "seen"), [("always", True), ("never", False)])
async def test_promiscuous_mode_as_configured(world: Any, setting: Any, seen: bool) -> None:
    with world.inside("ap"):
        async with running(LiveSettings(interface="br0", promiscuous=setting, interval=0.02)) as watched:
            await watched.until(lambda: bool(watched.networks))
            for _ in range(5):
                send(world, 710, to="10.77.0.12")
                await asyncio.sleep(0.05)
    assert (752 in watched.lengths) == seen


async def test_what_the_ring_holds_at_the_end_is_not_lost(world: Any) -> None:
    with world.inside("ap"):
        capture = LiveCapture(LiveSettings(interface="br0"))
        assert await asyncio.to_thread(capture.try_open)
        for _ in range(20):
            send(world, 900)
        rest = [length for batch in capture.rest() for length in batch.length.tolist()]
        capture.close()
        capture.close()
    assert rest.count(942) == 20
    assert capture.statistics.frames == len(rest)


def test_opening_before_the_loop_says_whether_it_is_there(world: Any) -> None:
    with world.inside("ap"):
        missing = LiveCapture(LiveSettings(interface="nothing0"))
        assert not missing.try_open()
        assert missing.waiting
        missing.close()
        there = LiveCapture(LiveSettings(interface="br0"))
        assert there.try_open()
        assert there.local is not None
        there.close()


async def test_without_permission_it_ends_with_an_error(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    with world.inside("ap"):
        capture = LiveCapture(LiveSettings(interface="br0"))
        around = await asyncio.to_thread(capture._look)
        monkeypatch.setattr(socket, "socket", refuse)
        with pytest.raises(CaptureError, match="CAP_NET_RAW"):
            capture._start(around)
