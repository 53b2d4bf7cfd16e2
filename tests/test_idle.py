"""`idlewire idle` against a real server on loopback that answers as the daemon does."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor import idle
from sensor.base.fields import Listen
from sensor.config import Config, parse
from sensor.deliver.web.server import IntakeServer
from sensor.errors import ConfigError, SensorError
from sensor.model.posted import Answer, Posted, refused

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
TOKEN = "a-token-of-the-owner"
TAKEN = {
    "accepted": True,
    "client": "60:38:e0:c5:35:a0",
    "name": "Redmi Note",
    "state": "background",
    "until": "2026-09-21T15:00:00.000000Z",
}


class Daemon:
    """Takes statements in a thread of its own."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answer = Answer(200, TAKEN)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._down = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> "Daemon":
        self._thread.start()
        assert self._up.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(5)
        self._loop.close()

    def config(self, host: str = "127.0.0.1") -> Config:
        return config(f"{host}:{self.port}")

    async def _serve(self) -> None:
        server = IntakeServer("web.listen", Listen("127.0.0.1:0"), (), idle.PATH, self._take)
        await server.start()
        self.port = server.port
        self._up.set()
        await self._down.wait()
        await server.stop()

    async def _take(self, posted: Posted) -> Answer:
        self.posted.append(posted)
        return self.answer


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as started:
        yield started


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    """The box's own zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def config(listen: str, **manual: Any) -> Config:
    return parse({"web": {"listen": listen}, "foreground": {"manual": manual or {"token": TOKEN}}})


def test_what_it_posts_and_says(daemon: Daemon) -> None:
    line = idle.state(daemon.config(), {"client": "Redmi Note", "state": "background", "for": "2h"}, NOW)
    assert line == "Redmi Note (60:38:e0:c5:35:a0): counts as not in use until 17:00"
    [posted] = daemon.posted
    assert posted.authorization == f"Bearer {TOKEN}"
    assert posted.body == b'{"client": "Redmi Note", "state": "background", "for": "2h"}'


def test_an_end_on_another_day_is_named_with_it(daemon: Daemon) -> None:
    daemon.answer = Answer(200, {**TAKEN, "until": "2026-09-22T15:00:00Z", "name": TAKEN["client"]})
    line = idle.state(daemon.config(), {}, NOW)
    assert line == "60:38:e0:c5:35:a0: counts as not in use until 2026-09-22 17:00"


def test_taking_it_back(daemon: Daemon) -> None:
    daemon.answer = Answer(200, {**TAKEN, "state": "none", "until": None})
    assert "your statement is over" in idle.state(daemon.config(), {}, NOW)


def test_a_server_on_all_addresses_is_asked_over_loopback(daemon: Daemon) -> None:
    assert idle.state(daemon.config("0.0.0.0"), {}, NOW)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refused(401, "no"), "does not know this token"),
        (refused(400, "client: expected a MAC"), "did not take that: client: expected a MAC"),
        (refused(405, "only GET"), r"runs without \[foreground\.manual\]: restart it"),
        (refused(429, "too many posts", 1), "too many posts"),
        (Answer(500, {}), "it answered 500"),
        (Answer(200, {"state": "background", "until": "soon"}), "makes no sense"),
        (refused(400, "\x1b[31mred"), r"u001b\[31mred"),
    ],
)
def test_what_the_daemon_says_against_it_is_one_line(daemon: Daemon, answer: Answer, says: str) -> None:
    daemon.answer = answer
    with pytest.raises(SensorError, match=says) as caught:
        idle.state(daemon.config(), {}, NOW)
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_no_daemon(daemon: Daemon) -> None:
    with Daemon() as gone:
        settings = gone.config()
    with pytest.raises(SensorError, match=r"^no sensor answers on 127\.0\.0\.1:\d+: start it with idlewire run"):
        idle.state(settings, {}, NOW)


def test_no_token() -> None:
    for settings in (Config(), config("127.0.0.1:1", enabled=True)):
        with pytest.raises(ConfigError, match=r"^foreground\.manual\.token_file: not set.*openssl rand") as caught:
            idle.state(settings, {}, NOW)
        assert "\n" not in str(caught.value)


def test_a_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^foreground\.manual\.token_file: .*none: No such file"):
        idle.state(config("127.0.0.1:1", token_file=str(tmp_path / "none")), {}, NOW)


def test_a_port_that_nobody_knows() -> None:
    with pytest.raises(ConfigError, match=r"^web\.listen: with port 0"):
        idle.state(config("127.0.0.1:0"), {}, NOW)


def test_it_says_what_was_not_seen_and_what_held_nothing() -> None:
    with Daemon() as daemon:
        daemon.answer = Answer(200, {**TAKEN, "seen": False})
        assert idle.state(daemon.config(), {}, NOW).endswith("(no such client was seen so far)")
        daemon.answer = Answer(200, {**TAKEN, "state": "none", "until": None, "held_before": False})
        assert idle.state(daemon.config(), {}, NOW).endswith("there was no statement of yours")


def test_another_program_on_the_port() -> None:
    with Daemon() as daemon:
        daemon.answer = Answer(200, {"hello": "world"})
        with pytest.raises(SensorError, match=r"is no sensor: check web\.listen"):
            idle.state(daemon.config(), {}, NOW)
