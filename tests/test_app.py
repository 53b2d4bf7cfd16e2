"""The daemon's parts, joined; with a real interface it is tried in tests/system."""

import asyncio
import os
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from sensor import cli
from sensor.account.locality import Local
from sensor.app import App, run_daemon
from sensor.capture import privileges
from sensor.capture.interface import LocalNetworks
from sensor.capture.live import LiveStatistics
from sensor.config import parse
from sensor.errors import CaptureError, ConfigError, DataError
from sensor.lifecycle import Part
from sensor.model.foreground import Report
from sensor.model.frames import FrameBatch
from sensor.model.ruling import Key, Ruling
from tests.enrich.mmdb import database
from tests.far_database import NOW, WORLD
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
    turns = 0
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


async def test_what_was_muted_outlives_the_daemon_and_is_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ruling = Ruling("m1", "mute", time.time_ns(), time.time_ns() + 3_600 * SECOND, "lena", key=Key(domain="mi.com"))
    first = app_with(FakeCapture([], [], []), monkeypatch, web={**SETTINGS["web"], "public_url": "http://router.lan"})

    async def mute() -> AsyncIterator[FrameBatch]:
        assert (await first.keeper.make(ruling, time.time_ns())).stored
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(first.capture, "batches", mute)
    async with asyncio.timeout(10):
        await first.run()
    assert (tmp_path / "links.key").stat().st_mode & 0o777 == 0o600
    frames = batch([(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR))])
    second = app_with(FakeCapture([frames], [], []), monkeypatch)
    async with asyncio.timeout(10):
        await second.run()
    assert second.delivery.router is not None
    assert second.delivery.router.suppressed["muted"] == 1
    assert "names under mi.com" in second._beside_alerts()


async def test_what_was_learned_wrongly_does_not_stop_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "learned.json").write_text('{"version": 1, "habits": [[1]], "acquaintances": []}')
    app = app_with(FakeCapture([], [], []), monkeypatch, state_dir=str(tmp_path))
    async with asyncio.timeout(10):
        await app.run()
    assert (tmp_path / "learned.broken").exists()


async def test_an_ip_database_that_comes_while_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A broken one at the start stops nothing; contacts that are known stay where they were."""
    monkeypatch.setattr("sensor.app.GEO_EVERY", 0.05)
    (tmp_path / "geo").mkdir()
    update = tmp_path / "geo" / "updated.mmdb"
    update.write_bytes(b"broken")
    moved = {network: {"country_code": "CA"} for network in ("42.0.0.0/8", "8.0.0.0/8")}
    content = database({**WORLD, **moved}, "Own-DB", NOW // SECOND)
    app = app_with(FakeCapture([], [], []), monkeypatch, state_dir=str(tmp_path))

    async def frames() -> AsyncIterator[FrameBatch]:
        assert app.house.counters().events["geo_refused"] == 1
        assert app.house.sensor().geo_database == "IPinfo Lite"
        yield batch([(0, tcp(HOME, FAR)), (SECOND, tcp(HOME, FAR))])
        (tmp_path / "new").write_bytes(content)
        (tmp_path / "new").replace(update)
        while app.house.sensor().geo_database != "Own-DB":
            await asyncio.sleep(0.02)
        yield batch([(2 * SECOND, tcp(HOME, FAR)), (3 * SECOND, tcp(HOME, "8.8.8.8")), (4 * SECOND, tcp(HOME, FAR))])
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(app.capture, "batches", frames)
    app.house.open()
    async with asyncio.timeout(20):
        await app.run()
    assert {row.address: row.place.country for row in app.house.destinations(None)} == {FAR: "CN", "8.8.8.8": "CA"}
    assert app.house.sensor().attribution is None
    app.house.close()


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
    assert names.index("privileges") < names.index("outbox") < names.index("capture"), "its thread must have no rights"
    await app._drop()
    assert order == ["drop to nobody"]


def test_alerts_of_the_house_reach_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(parse(SETTINGS))
    put: list[str] = []
    monkeypatch.setattr(app.delivery, "tell", lambda alert: put.append(alert.rule))
    app.house.pipeline.feed(batch([(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR, macs=(PHONE, ROUTER)))]))
    app.house.pipeline.finish()
    assert put == ["mi"]


async def test_what_a_newer_version_left_waiting_ends_the_start_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "outbox.db") as connection:
        connection.execute(f"PRAGMA application_id={0x49444C57}")
        connection.execute("PRAGMA user_version=99")
        connection.execute("CREATE TABLE letter (later)")
    connection.close()
    with pytest.raises(DataError, match=r"outbox\.db: written by a newer version") as caught:
        await app_with(FakeCapture([], [], []), monkeypatch).run()
    assert "\n" not in str(caught.value)


PHONE_TOKEN, OPEN_TOKEN, OWNER_TOKEN = "a-token-of-the-phone", "a-token-for-whoever", "a-token-of-the-owner"
FOREGROUND: dict[str, Any] = {
    "client": [{"mac": PHONE_ID, "name": "Redmi Note"}],
    "foreground": {
        "grace": "0s",
        "push": {
            "listen": "127.0.0.1:0",
            "phone": [{"client": "Redmi Note", "token": PHONE_TOKEN}, {"token": OPEN_TOKEN}],
        },
        "manual": {"token": OWNER_TOKEN},
        "schedule": {"quiet": [{"clients": ["02:00:00:00:00:01"], "from": "00:00", "to": "00:00"}]},
    },
}


class Serving:
    """A daemon that runs, and ways to talk to it over its sockets."""

    def __init__(self, app: App, session: aiohttp.ClientSession) -> None:
        self.app = app
        self.session = session

    async def post(self, path: str = "", token: str = PHONE_TOKEN, *, also: bool = False, **body: Any) -> int:
        port = self.app.also[0].port if also else self.app.web.port
        url = f"http://127.0.0.1:{port}/api/v1/foreground{path}"
        async with self.session.post(url, headers={"Authorization": f"Bearer {token}"}, **body) as response:
            assert response.headers["Content-Type"] == "application/json"
            return response.status

    async def rows(self, query: str = "") -> Any:
        async with self.session.get(f"http://127.0.0.1:{self.app.web.port}/api/v1/foreground{query}") as response:
            assert response.status == 200
            return await response.json()

    async def state(self, client: str = PHONE_ID) -> tuple[str, str | None]:
        [row] = (await self.rows(f"?client={client}"))["clients"]
        return row["state"], row["source"]


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: Any) -> AsyncIterator[Serving]:
    capture = FakeCapture([], [], [])

    async def nothing() -> AsyncIterator[FrameBatch]:
        await asyncio.Event().wait()
        yield batch([])

    monkeypatch.setattr(capture, "batches", nothing)
    app = app_with(capture, monkeypatch, state_dir=str(folder), **{**FOREGROUND, **settings})
    for source in app.house.sources:
        source.prepare()
    running = asyncio.ensure_future(app.run())
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            while app.web._server is None or any(each._server is None for each in app.also):
                assert not running.done(), running
                await asyncio.sleep(0.005)
            yield Serving(app, session)
    finally:
        app._stop.set()
        await asyncio.wait_for(running, 10)


async def test_a_phone_pushes_its_state_over_http(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with serving(monkeypatch, tmp_path) as daemon:
        assert await daemon.post(json={"event": "app_opened", "app": "com.foo"}) == 200
        assert await daemon.state() == ("foreground", "push")
        assert await daemon.post(data={"event": "screen_off"}, also=True) == 200
        assert await daemon.state() == ("background", "push")
        shown = await daemon.rows(f"?client={PHONE_ID}")
        assert [(each["state"], each["app"]) for each in shown["timeline"]] == [
            ("foreground", "com.foo"),
            ("background", None),
        ]
        assert 0 <= shown["clients"][0]["age_seconds"] < 20
        assert shown["clients"][0]["name"] == "Redmi Note"


async def test_what_is_not_the_phones_own_word_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with serving(monkeypatch, tmp_path) as daemon:
        screen_on = {"event": "screen_on"}
        assert await daemon.post(token="a-token-of-somebody", json=screen_on) == 401
        assert await daemon.post(token=OWNER_TOKEN, json=screen_on) == 401
        assert await daemon.post(json={**screen_on, "client": "02:00:00:00:00:01"}) == 403
        assert await daemon.post(token=OPEN_TOKEN, json=screen_on) == 422
        assert await daemon.post(json={"event": "x"}) == 400
        assert await daemon.post(data=b"event=screen_on") == 415
        assert await daemon.post("/manual", json={"client": "Redmi Note", "state": "background", "for": "2h"}) == 401
        assert (await daemon.rows(f"?client={PHONE_ID}"))["clients"] == []
        assert daemon.app.house.foreground.clients() == []


async def test_a_flood_of_one_phone_is_refused_and_the_others_are_heard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    phones = [{"client": "Redmi Note", "token": PHONE_TOKEN}, {"client": "02:00:00:00:00:07", "token": OPEN_TOKEN}]
    async with serving(monkeypatch, tmp_path, foreground={"push": {"phone": phones}}) as daemon:
        same = {"event": "screen_off", "time": time.time()}
        statuses = await asyncio.gather(*(daemon.post(json=same) for _ in range(150)))
        assert set(statuses) == {200, 429}
        assert await daemon.post(token=OPEN_TOKEN, json={"event": "screen_on"}) == 200
        assert await daemon.state("02:00:00:00:00:07") == ("foreground", "push")
        [push] = daemon.app.house.sources
        assert (push.counts["accepted"], push.counts["limited"]) == (2, statuses.count(429))
        assert push.counts["repeated"] == statuses.count(200) - 1


async def test_a_sender_is_found_by_its_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = app_with(FakeCapture([], [], []), monkeypatch, **FOREGROUND)
    app.house.pipeline.feed(batch([(0, tcp(HOME, FAR))]))
    assert app.house.client_at(HOME) == PHONE_ID
    monkeypatch.setattr(app.neighbours, "_table", {socket.inet_aton(HOME): bytes([2, 0, 0, 0, 0, 9])})
    assert app.house.client_at(HOME) == "02:00:00:00:00:09", "the kernel knows better who has it now"


async def test_a_persons_word_outlives_a_restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with serving(monkeypatch, tmp_path) as daemon:
        assert await daemon.post(json={"event": "screen_on"}) == 200
        said = {"client": "Redmi Note", "state": "background", "for": "2h"}
        assert await daemon.post("/manual", OWNER_TOKEN, json=said) == 200
        assert await daemon.state() == ("background", "manual")
    async with serving(monkeypatch, tmp_path) as daemon:
        assert await daemon.state() == ("background", "manual")
        assert await daemon.post("/manual", OWNER_TOKEN, data={"client": PHONE_ID, "state": "none"}) == 200
        assert await daemon.state() == ("unknown", None)
    async with serving(monkeypatch, tmp_path) as daemon:
        assert (await daemon.rows(f"?client={PHONE_ID}"))["clients"] == []


async def test_the_command_tells_the_daemon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(monkeypatch, tmp_path / "state") as daemon:
        file = tmp_path / "idlewire.toml"
        file.write_text(
            f'[web]\nlisten = "127.0.0.1:{daemon.app.web.port}"\n[foreground.manual]\ntoken = "{OWNER_TOKEN}"\n'
        )

        def command(*words: str) -> int:
            return cli.main(["idle", "Redmi Note", *words, "--config", str(file)])

        monkeypatch.setattr("gc.freeze", lambda: None)
        monkeypatch.setattr("gc.set_threshold", lambda *_: None)
        assert await asyncio.to_thread(command, "--for", "2h", "--note", "in the drawer") == 0
        assert await daemon.state() == ("background", "manual")
        assert await asyncio.to_thread(command, "--for", "8d") == 1
        assert await asyncio.to_thread(command, "--over") == 0
        assert await daemon.state() == ("unknown", None)
    said = capsys.readouterr()
    first, second = said.out.splitlines()
    assert first.startswith(f"Redmi Note ({PHONE_ID}): counts as not in use until ")
    assert second.startswith(f"Redmi Note ({PHONE_ID}): your statement is over")
    assert "for: expected an end from now on, at most 7 days ahead" in said.err


async def test_a_source_that_breaks_takes_nothing_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def broken() -> None:
        raise RuntimeError("odd")

    async with serving(monkeypatch, tmp_path) as daemon:
        [manual] = [source for source in daemon.app.house.sources if source.name == "manual"]
        assert "crashed" not in manual.counts
    capture = FakeCapture([], [], [])
    app = app_with(capture, monkeypatch, **FOREGROUND)
    for source in app.house.sources:
        monkeypatch.setattr(source, "run", broken)
    async with asyncio.timeout(10):
        await app.run()
    assert [source.counts["crashed"] for source in app.house.sources] == [1, 1, 1]
    assert capture.closed


async def test_eight_hours_of_sleep_are_not_eight_hours_in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.app.IDLE", 0.005)
    app = app_with(FakeCapture([], [], []), monkeypatch, **FOREGROUND)
    began = time.time_ns()
    app.house.report(Report(PHONE_ID, "push", "screen_off", None, began, began))
    ticking = asyncio.ensure_future(app._tick())
    await asyncio.sleep(0.05)
    assert app.house.phone_states(PHONE_ID)[0].foreground.state == "background"
    wall, boot = time.time_ns, time.clock_gettime_ns
    asleep = 8 * 3600 * SECOND
    monkeypatch.setattr("sensor.app.time.time_ns", lambda: wall() + asleep)
    monkeypatch.setattr("sensor.app.time.clock_gettime_ns", lambda clock: boot(clock) + asleep)
    async with asyncio.timeout(5):
        while not app._absence.noticed:
            await asyncio.sleep(0.005)
    ticking.cancel()
    assert app.house.phone_states(PHONE_ID)[0].foreground.state == "unknown"


def test_token_files_are_read_before_rights_are_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(privileges, "can_capture", lambda: None)
    monkeypatch.setattr(privileges, "prepare_state", lambda path, user: None)
    app = app_with(
        FakeCapture([], [], []), monkeypatch, foreground={"push": {"phone": [{"token_file": str(tmp_path / "no")}]}}
    )
    with pytest.raises(ConfigError, match=r"^foreground\.push\.phone\[0\]\.token_file: .*No such file"):
        app.prepare()


def test_a_reload_that_is_asked_for_during_the_start_is_kept_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default SIGHUP ends a process, and a service manager takes that for a wanted end."""
    asked: list[str] = []
    monkeypatch.setattr("sensor.reload.Reload.request", lambda _: asked.append("reload"))

    def prepare(_: App) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        raise ConfigError("enough")

    monkeypatch.setattr(App, "prepare", prepare)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(ConfigError, match="enough"):
            run_daemon(parse(SETTINGS))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert asked == ["reload"]
