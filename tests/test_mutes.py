"""The commands about alerts, end to end: from the command line to a real web server on loopback."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensor import cli
from sensor.base.fields import Listen
from sensor.config import parse
from sensor.deliver.keeper import Keeper
from sensor.deliver.metrics import Metrics
from sensor.deliver.rulings import Rulings
from sensor.deliver.wanted import Known
from sensor.deliver.web.admin import Admin
from sensor.deliver.web.api import Api
from sensor.deliver.web.ruled import Ruled
from sensor.deliver.web.server import WebServer
from sensor.mutes import Mutes
from sensor.store.state_file import StateFile
from tests.deliver.conftest import MAC, World, alert

TOKEN = "a-token-of-the-owner"


class Daemon:
    """The web side of one, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.token = folder, 0, TOKEN
        self.world = World(all_alerts=[alert("5c0ffee1"), alert("5c0ffee2"), replace(alert("old"), state="resolved")])
        self.rulings = Rulings()
        self._loop = asyncio.new_event_loop()
        self._up, self._down = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> "Daemon":
        self._thread.start()
        assert self._up.wait(10)
        settings = self.folder / "idlewire.toml"
        settings.write_text(
            f'[web]\nlisten = "127.0.0.1:{self.port}"\ntoken = "{TOKEN}"\n'
            f'[[client]]\nmac = "{MAC}"\nname = "Redmi Note"\n'
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        keeper = Keeper(self.rulings, StateFile(self.folder / "mutes.json"))
        keeper.restore(time.time_ns())
        admin = Admin(self.token, "", time.time_ns)
        admin.prepare()
        ruled = Ruled(keeper, admin, self.world, Known(["watchlist"], {"Redmi Note": MAC}), time.time_ns)
        api = Api(self.world, lambda shape: self.rulings.why(shape, time.time_ns()))
        metrics = Metrics(self.world, [], [])
        server = WebServer(Listen("127.0.0.1:0"), (), self.world, metrics, {}, [ruled], api=api)
        await server.start()
        self.port = server.port
        self._up.set()
        await self._down.wait()
        await server.stop()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as started:
        yield started


@pytest.fixture
def idlewire(daemon: Daemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command: (exit code, what it printed)."""
    monkeypatch.setenv("SUDO_USER", "lena")

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.main([*arguments, "--config", str(daemon.folder / "idlewire.toml")])
        printed = capsys.readouterr()
        return code, (printed.out + printed.err).strip()

    return run


def test_mute_list_unmute(idlewire: Any, daemon: Daemon) -> None:
    code, said = idlewire("mute", "--client", "Redmi Note", "--owner", "Xiaomi", "--for", "2h", "--note", "not now")
    [row] = daemon.rulings
    assert code == 0
    assert said.startswith("muted: client Redmi Note, owner Xiaomi, until ")
    assert said.endswith(f"(take it back: idlewire unmute {row.id})")
    assert (row.key.client, row.who, row.note) == (MAC, "lena", "not now")
    code, said = idlewire("mutes")
    assert said.startswith(f"{row.id}  mute         client Redmi Note, owner Xiaomi; until ")
    assert '"not now"' in said
    assert "by lena" in said
    assert idlewire("unmute", row.id, "--note", "enough") == (0, "taken back: client Redmi Note, owner Xiaomi")
    assert idlewire("unmute", row.id) == (0, "taken back: client Redmi Note, owner Xiaomi"), "once is as good as twice"
    assert idlewire("mutes") == (0, "nothing is muted")
    assert "undone; by lena" in idlewire("mutes", "--all")[1]
    assert '"not now; enough"' in idlewire("mutes", "--all")[1]
    [shown] = json.loads(idlewire("mutes", "--all", "--json")[1])["mutes"]
    assert (shown["id"], shown["undone_note"]) == (row.id, "enough")


def test_each_part_and_for_ever(idlewire: Any, daemon: Daemon) -> None:
    parts = ("--detector", "watchlist", "--domain", "mi.com", "--address", "2001:DB8::1", "--port", "tcp/443")
    code, said = idlewire("allow", *parts)
    assert code == 0
    assert said.startswith("allowed: watchlist, domain mi.com, address 2001:db8::1, port tcp/443, for ever")
    [row] = daemon.rulings
    assert row.until is None


def test_until_a_time_of_day(idlewire: Any, daemon: Daemon) -> None:
    assert idlewire("mute", "--owner", "x", "--until", "15:00")[0] == 0
    [row] = daemon.rulings
    assert row.until is not None
    assert row.until % (60 * 10**9) == 0
    assert idlewire("mute", "--owner", "x", "--until", "late")[1].startswith("--until: expected a time of day")


def test_acknowledge_by_the_beginning_of_an_id(idlewire: Any, daemon: Daemon) -> None:
    code, said = idlewire("acknowledge")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == ["5c0ffee1", "5c0ffee2"]
    assert idlewire("acknowledge", "5c0") == (
        1,
        "several alerts fire whose ids begin with 5c0; idlewire acknowledge shows those that fire",
    )
    assert idlewire("acknowledge", "old")[0] == 1
    code, said = idlewire("acknowledge", "5c0ffee2", "--note", "asked the vendor")
    assert said.startswith("acknowledged: alert 5c0ffee2, until it is over")
    assert "(acknowledged)" in idlewire("acknowledge")[1].splitlines()[1]


def test_maintenance_and_its_end(idlewire: Any, daemon: Daemon) -> None:
    code, said = idlewire("maintenance", "--for", "2h")
    assert code == 0
    assert said.startswith("maintenance: nothing is told, until ")
    assert daemon.rulings.paused(time.time_ns())
    assert idlewire("maintenance", "--over") == (0, "maintenance is over; what still fires is told now")
    assert not daemon.rulings.paused(time.time_ns())
    assert idlewire("maintenance", "--over") == (0, "there is no maintenance")
    assert "for: expected an end" in idlewire("maintenance", "--for", "8d")[1]


def test_what_the_daemon_says_against_it_is_one_line(idlewire: Any, daemon: Daemon) -> None:
    code, said = idlewire("mute", "--client", "nobody")
    assert code == 1
    assert said.endswith("did not take that: client: expected its MAC, its address, or its name under [[client]]")
    assert idlewire("unmute", "none")[1].endswith("there is none of that id")
    assert list(daemon.rulings) == []


def test_more_than_a_page(idlewire: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.mutes.PAGE", 2)
    for number in range(5):
        idlewire("mute", "--owner", f"o{number}")
    assert len(idlewire("mutes")[1].splitlines()) == 5


def test_another_token(daemon: Daemon, idlewire: Any) -> None:
    path = daemon.folder / "idlewire.toml"
    path.write_text(path.read_text().replace(TOKEN, "another-one-that-is-wrong"))
    code, said = idlewire("mute", "--owner", "x")
    assert (code, "does not know this token" in said, "another-one" in said) == (1, True, False)
    path.write_text(path.read_text().replace('token = "another-one-that-is-wrong"\n', ""))
    code, said = idlewire("mute", "--owner", "x")
    assert said.startswith("web.token_file: not set, so the sensor takes no orders: put a token into a file")
    assert idlewire("mutes")[0] == 0, "looking needs none"


def test_a_disk_that_refuses_is_said(idlewire: Any, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StateFile, "write", lambda *_: False)
    assert idlewire("mute", "--owner", "x")[1].endswith("the disk refuses it: a restart of the sensor loses it")


def test_no_daemon() -> None:
    with pytest.raises(Exception, match="no sensor answers on"):
        Mutes(parse({"web": {"listen": "127.0.0.1:1"}}), 0).listing(past=False, as_json=False)
