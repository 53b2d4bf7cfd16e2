"""The daemon's parts, joined; with a real interface it is tried in tests/system."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sensor.account.locality import Local
from sensor.app import App, run_daemon
from sensor.capture import privileges
from sensor.capture.interface import LocalNetworks
from sensor.capture.live import LiveStatistics
from sensor.config import parse
from sensor.errors import CaptureError
from sensor.lifecycle import Part
from sensor.model.frames import FrameBatch
from tests.frames import FAR, FAR_TOO, HOME, PHONE, ROUTER, SECOND, answer, batch, tcp, udp

PHONE_ID = PHONE.hex(":")
SETTINGS: dict[str, Any] = {
    "interface": "br0",
    "promiscuous": True,
    "web": {"listen": "127.0.0.1:0"},
    "watch": [{"name": "mi", "domains": ["mi.com"]}],
    "sink": [{"name": "hook", "type": "webhook", "url": "http://127.0.0.1:1/none"}],
}


@pytest.fixture(autouse=True)
def _state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "state_dir", str(tmp_path))


class FakeCapture:
    """Frames that are there, in place of an interface."""

    name = "br0"
    waiting = False
    local: LocalNetworks | None = LocalNetworks(frozenset(), ())

    def __init__(self, batches: list[FrameBatch], rest: list[FrameBatch], networks: list[LocalNetworks]) -> None:
        self._batches, self._rest, self._networks = batches, rest, networks
        self.statistics = LiveStatistics(waits=2, reopened=1)
        self.statistics.dropped = 7
        self.closed = False

    async def batches(self) -> AsyncIterator[FrameBatch]:
        for each in self._batches:
            yield each
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    async def networks(self) -> AsyncIterator[LocalNetworks]:
        for each in self._networks:
            yield each
        await asyncio.Event().wait()

    def rest(self) -> Iterator[FrameBatch]:
        return iter(self._rest)

    def close(self) -> None:
        self.closed = True


def app_with(capture: FakeCapture, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> App:
    """An app that keeps its rights."""
    monkeypatch.setattr(privileges, "drop", lambda user: None)
    monkeypatch.setattr(privileges, "preload", list)
    app = App(parse({**SETTINGS, "sink": [], **settings}))
    app.capture = app.house.capture = capture  # type: ignore[assignment]
    return app


def test_building_it_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "__init__", None)
    monkeypatch.setattr("builtins.open", None)
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(os, "open", None)
    app = App(parse(SETTINGS))
    assert app.capture.settings.interface == "br0"
    assert app.capture.settings.promiscuous == "always"
    assert app.web.port == 0


@pytest.mark.parametrize(("configured", "settings"), [(True, "always"), (False, "never"), ("auto", "auto")])
def test_promiscuous_in_the_words_of_capture(configured: object, settings: str) -> None:
    assert App(parse({"promiscuous": configured})).capture.settings.promiscuous == settings


def test_without_the_capability_nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(privileges, "_capabilities", lambda: SimpleNamespace(effective0=0))
    state = tmp_path / "state"
    with pytest.raises(CaptureError, match="CAP_NET_RAW") as caught:
        run_daemon(parse({**SETTINGS, "state_dir": str(state)}))
    assert "\n" not in str(caught.value)
    assert not state.exists()


def test_counters_of_capture_join_those_of_the_house() -> None:
    app = App(parse(SETTINGS))
    app.house.capture = FakeCapture([], [], [])  # type: ignore[assignment]
    counters = app.house.counters()
    assert (counters.interface, counters.dropped_frames) == ("br0", 7)
    assert (counters.interface_waits, counters.interface_reopens) == (2, 1)
    assert counters.interface_up


def test_an_interface_that_is_missing_or_was_never_there_is_not_up() -> None:
    app = App(parse(SETTINGS))
    assert not app.house.counters().interface_up
    capture = FakeCapture([], [], [])
    capture.waiting = True
    app.house.capture = capture  # type: ignore[assignment]
    assert not app.house.counters().interface_up


async def test_from_frames_to_a_clean_end(monkeypatch: pytest.MonkeyPatch) -> None:
    first = batch([(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR))])
    capture = FakeCapture([first], [batch([(SECOND, tcp(HOME, FAR))])], [])
    app = app_with(capture, monkeypatch)
    async with asyncio.timeout(10):
        await app.run()
    assert capture.closed
    assert [each.totals.sent_packets for each in app.house.destinations(PHONE_ID)] == [2]
    [alert] = app.house.alerts()
    assert (alert.rule, alert.evidence.dropped_frames) == ("mi", 7)


async def test_what_was_learned_outlives_the_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = app_with(FakeCapture([], [], []), monkeypatch, state_dir=str(tmp_path))
    first.house.learned.note(PHONE_ID, "Xiaomi", SECOND, used=90_000)
    async with asyncio.timeout(10):
        await first.run()
    second = app_with(FakeCapture([], [], []), monkeypatch, state_dir=str(tmp_path))
    async with asyncio.timeout(10):
        await second.run()
    assert second.house.learned.note(PHONE_ID, "Xiaomi", SECOND).used == 90_000


async def test_what_was_learned_wrongly_does_not_stop_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "learned.json").write_text('{"version": 1, "habits": [[1]], "acquaintances": []}')
    app = app_with(FakeCapture([], [], []), monkeypatch, state_dir=str(tmp_path))
    async with asyncio.timeout(10):
        await app.run()
    assert (tmp_path / "learned.broken").exists()


@pytest.mark.parametrize("known_at_first", [True, False])
async def test_what_the_interface_says_is_local_is_added_to_the_settings(
    monkeypatch: pytest.MonkeyPatch, known_at_first: bool
) -> None:
    networks = LocalNetworks(prefixes=("42.62.0.0/16",), addresses=frozenset({bytes([5, 6, 7, 8])}))
    late = batch([(0, udp(HOME, FAR)), (1, udp(HOME, FAR_TOO)), (2, udp(HOME, "8.8.8.8")), (3, udp(HOME, "9.9.9.9"))])
    capture = FakeCapture([], [late], [] if known_at_first else [networks])
    capture.local = networks if known_at_first else None
    app = app_with(capture, monkeypatch, local=["9.0.0.0/8"])
    replaced: list[Local] = []
    known = app.house.pipeline.classifier.replace
    monkeypatch.setattr(app.house.pipeline.classifier, "replace", lambda local: (replaced.append(local), known(local)))
    async with asyncio.timeout(10):
        await app.run()
    assert [local.prefixes for local in replaced] == [("9.0.0.0/8", "42.62.0.0/16")]
    assert [each.address for each in app.house.destinations(PHONE_ID)] == ["8.8.8.8"]


async def test_what_is_local_is_known_before_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = FakeCapture([batch([(0, udp(HOME, FAR)), (1, udp(HOME, FAR_TOO)), (2, udp(HOME, "8.8.8.8"))])], [], [])
    capture.local = LocalNetworks(prefixes=("42.62.0.0/16",), addresses=frozenset({bytes([5, 6, 7, 8])}))
    app = app_with(capture, monkeypatch)
    async with asyncio.timeout(10):
        await app.run()
    assert [each.address for each in app.house.destinations(PHONE_ID)] == ["8.8.8.8"]


async def test_running_flows_are_asked_anew_when_what_is_local_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_with(FakeCapture([], [], []), monkeypatch)
    pipeline = app.house.pipeline
    pipeline.feed(batch([(0, udp(HOME, FAR)), (1, udp(HOME, FAR_TOO))]))
    app._take_over(LocalNetworks(prefixes=("42.62.0.0/16",), addresses=frozenset()))
    pipeline.feed(batch([(2, udp(HOME, FAR)), (3, udp(HOME, FAR_TOO))]))
    pipeline.finish()
    sent = {each.address: each.totals.sent_packets for each in app.house.destinations(PHONE_ID)}
    assert sent == {FAR: 1, FAR_TOO: 2}


async def test_seconds_end_while_nothing_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.app.IDLE", 0.01)
    app = app_with(FakeCapture([], [], []), monkeypatch)
    app.house.pipeline.feed(batch([(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR))]))
    ticking = asyncio.ensure_future(app._tick())
    await asyncio.sleep(0.05)
    ticking.cancel()
    assert [alert.state for alert in app.house.alerts()] == ["resolved"]  # that was years ago


async def test_a_crash_of_capture_ends_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = FakeCapture([], [], [])

    async def broken() -> AsyncIterator[FrameBatch]:
        raise CaptureError("br0: no such interface")
        yield

    monkeypatch.setattr(capture, "batches", broken)
    app = app_with(capture, monkeypatch)
    with pytest.raises(CaptureError, match="no such interface"):
        async with asyncio.timeout(10):
            await app.run()
    assert capture.closed


async def test_rights_are_dropped_once_the_page_is_served_and_before_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    parts: list[Part] = []

    async def collect(given: list[Part], stop: asyncio.Event) -> None:
        parts.extend(given)

    monkeypatch.setattr("sensor.app.run", collect)
    app = app_with(FakeCapture([], [], []), monkeypatch)
    monkeypatch.setattr(privileges, "drop", lambda user: order.append(f"drop to {user}"))
    app.config = replace(app.config, user="nobody")
    await app.run()
    names = [part.name for part in parts]
    assert names.index("delivery") < names.index("web") < names.index("privileges") < names.index("capture")
    await app._drop()
    assert order == ["drop to nobody"]


def test_alerts_of_the_house_reach_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(parse(SETTINGS))
    put: list[str] = []
    monkeypatch.setattr(app.delivery, "put", lambda alert: put.append(alert.rule))
    app.house.pipeline.feed(batch([(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR, macs=(PHONE, ROUTER)))]))
    app.house.pipeline.finish()
    assert put == ["mi"]
