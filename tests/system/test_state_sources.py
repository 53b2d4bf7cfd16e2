"""The real daemon between a Home Assistant and an adb server that speak the real protocols: their word decides."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from daemon import HOOK_PORT, Hook, Sensor, running, until
from lab import CLIENT_MACS, Lab, Namespace
from test_foreground import state
from test_idle_uploads import FOR, LIMIT, uploading
from traffic import Internet, connect

from tests.foreground import fake_adb
from tests.foreground.dumps import Phone
from tests.foreground.sources import fake_home_assistant
from tests.foreground.sources.fake_home_assistant import TOKEN, FakeHomeAssistant

PHONE, TABLET = CLIENT_MACS["c1"], CLIENT_MACS["c2"]
SCREEN = "binary_sensor.phone_interactive"


class Fakes:
    """Both servers on the box's loopback, in a thread of their own."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.phone = fake_adb.FakePhone(Phone(14).text())
        self.home: FakeHomeAssistant | None = None
        self.adb_port = 0

    def __enter__(self) -> "Fakes":
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def screen(self, value: str) -> None:
        """As Home Assistant tells it."""
        assert self.home is not None
        asyncio.run_coroutine_threadsafe(self.home.change(SCREEN, value, time.time()), self._loop).result(5)

    def _work(self) -> None:
        with self._namespace.entered():
            self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            self.home = await stack.enter_async_context(fake_home_assistant.serving())
            self.home.set(SCREEN, "on", time.time() - 3_600)
            adb: Any = await stack.enter_async_context(fake_adb.serving(A1=self.phone))
            self.adb_port = adb.port
            self._up.set()
            await self._done.wait()


@pytest.fixture(scope="module")
def fakes(lab: Lab) -> Iterator[Fakes]:
    with Fakes(lab.box) as made:
        yield made


@pytest.fixture(scope="module")
def receiver(lab: Lab) -> Iterator[Hook]:
    server = Hook(lab.box)
    server.open()
    yield server
    server.close()


@pytest.fixture(scope="module")
def alerting(lab: Lab, internet: Internet, fakes: Fakes, receiver: Hook, folder: Path) -> Iterator[Sensor]:
    assert fakes.home is not None
    config = f"""
[foreground]
grace = "0s"
[foreground.home_assistant]
url = "{fakes.home.url}"
token = "{TOKEN}"
[[foreground.home_assistant.phone]]
client = "{PHONE}"
interactive = "{SCREEN}"
[foreground.adb]
port = {fakes.adb_port}
poll = "1s"
[[foreground.adb.phone]]
client = "{TABLET}"
serial = "A1"
[detect.background_upload]
for = "5s"
min_bytes = "50KB"
[[sink]]
name = "lab"
type = "webhook"
url = "http://127.0.0.1:{HOOK_PORT}/hook"
"""
    with running(lab.box, folder, config) as sensor:
        for client in (lab.c1, lab.c2):
            with connect(client, lab.new_address()):
                pass
        yield sensor


def alert_of(receiver: Hook, address: str, began: float) -> dict[str, Any]:
    until(lambda: receiver.about(address), FOR + 2 * LIMIT)
    [(arrived, alert)] = receiver.about(address)
    assert FOR <= arrived - began <= FOR + LIMIT
    return alert


def test_home_assistant_says_that_the_screen_is_off(alerting: Sensor, lab: Lab, fakes: Fakes, receiver: Hook) -> None:
    assert until(lambda: state(alerting, PHONE) == "foreground", 10), alerting.log
    used, idle = lab.new_address(), lab.new_address(six=True)
    uploading(lab.c1, used, FOR + 2).join(20)
    assert not receiver.about(used)
    fakes.screen("off")
    assert until(lambda: state(alerting, PHONE) == "background", 5)
    began = time.monotonic()
    uploading(lab.c1, idle, FOR + 4)
    alert = alert_of(receiver, idle, began)
    assert alert["evidence"]["foreground"]["source"] == "home_assistant"


def test_adb_says_that_the_phone_sleeps_and_then_nothing(
    alerting: Sensor, lab: Lab, fakes: Fakes, receiver: Hook
) -> None:
    assert until(lambda: state(alerting, TABLET) == "foreground", 10), alerting.log
    fakes.phone.printed = Phone(14, wakefulness="Asleep", locked=True).text()
    assert until(lambda: state(alerting, TABLET) == "background", 5)
    address, began = lab.new_address(), time.monotonic()
    uploading(lab.c2, address, FOR + 4)
    assert alert_of(receiver, address, began)["evidence"]["foreground"]["source"] == "adb"
    fakes.phone.state = "offline"
    assert until(lambda: state(alerting, TABLET) == "unknown", 8), "believed for three polls only"
    unknown = lab.new_address()
    uploading(lab.c2, unknown, FOR + 2).join(20)
    assert not receiver.about(unknown)
