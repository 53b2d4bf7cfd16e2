"""What the service manager hears of the real daemon, at a real notify socket."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import ROOT, Sensor, until
from lab import Lab
from traffic import Internet, load

WATCHDOG = 0.6
"""Seconds that the service manager waits for WATCHDOG=1."""

STUCK = {
    "the pipeline": "import time, sensor.pipeline; sensor.pipeline.Pipeline.feed = lambda *_: time.sleep(60)",
    "capture": (
        "import asyncio, sensor.capture.live as live\n"
        "class Stuck(live.LiveCapture):\n"
        "    async def batches(self):\n"
        "        async for batch in super().batches():\n"
        "            yield batch\n"
        "            await asyncio.Event().wait()\n"
        "live.LiveCapture = Stuck"
    ),
}
"""What gets stuck with the first frame -> what makes it so."""


class Manager:
    """The service manager's end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self.path.chmod(0o777)
        self.heard: list[str] = []

    @property
    def environment(self) -> tuple[str, ...]:
        """The words before a command that is to find it."""
        return ("env", f"NOTIFY_SOCKET={self.path}", f"WATCHDOG_USEC={WATCHDOG * 1e6:.0f}")

    def hears(self, message: str, seconds: float) -> bool:
        """Whether this comes from now on, within so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except TimeoutError:
                break
            if self.heard[-1].startswith(message):
                return True
        return False

    def forget(self) -> None:
        """Takes what has already come off the socket."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(sensor: Sensor) -> Iterator[Manager]:
    made = Manager(sensor.config.parent)
    yield made
    made.close()


def test_from_ready_to_stopping(sensor: Sensor, lab: Lab, manager: Manager) -> None:
    sensor.launch(wrapper=manager.environment)
    assert manager.hears("READY=1", 10), sensor.log
    assert manager.heard[0].startswith("STATUS=watching br0, ")
    assert sensor.request("/")[0] == 200, "ready means that the page is there"
    assert all(manager.hears("WATCHDOG=1", WATCHDOG / 2) for _ in range(4)), sensor.log
    assert sensor.stop() == 0
    assert manager.hears("STOPPING=1", 1)
    assert "READY=1" not in manager.heard[manager.heard.index("READY=1") + 1 :]


def test_an_interface_that_is_not_there_is_waited_for_and_the_watchdog_is_fed(
    sensor: Sensor, lab: Lab, manager: Manager
) -> None:
    sensor.launch(interface="late0", wrapper=(*manager.environment[:2], "WATCHDOG_USEC=5000000"))
    assert manager.hears("READY=1", 10), sensor.log
    assert "STATUS=waiting for late0" in manager.heard
    assert all(manager.hears("WATCHDOG=1", 2.5) for _ in range(3)), sensor.log
    lab.box.ip("link add late0 type veth peer name late1", "link set late1 up", "link set late0 up")
    try:
        assert manager.hears("STATUS=watching late0", 10)
    finally:
        lab.box.ip("link del late0")
    assert manager.hears("STATUS=waiting for late0", 10)
    assert manager.hears("WATCHDOG=1", 2.5)


def test_a_bad_start_is_never_ready(sensor: Sensor, manager: Manager) -> None:
    sensor.launch('interfaces = "br0"', wrapper=manager.environment)
    assert sensor.process is not None
    assert sensor.process.wait(10) == 1
    assert not manager.hears("READY=1", 0.1)


def test_a_process_that_stands_still_is_not_fed_for(sensor: Sensor, lab: Lab, manager: Manager) -> None:
    sensor.launch(wrapper=manager.environment)
    assert manager.hears("WATCHDOG=1", 10), sensor.log
    os.kill(sensor.pid, signal.SIGSTOP)
    manager.forget()
    assert not manager.hears("WATCHDOG=1", 2 * WATCHDOG)
    os.kill(sensor.pid, signal.SIGCONT)
    assert manager.hears("WATCHDOG=1", WATCHDOG)


@pytest.mark.parametrize("what", STUCK)
def test_what_is_stuck_ends_the_feeding(
    sensor: Sensor, lab: Lab, internet: Internet, manager: Manager, what: str
) -> None:
    """Under traffic; the process lives on, so that only the watchdog can tell."""
    stuck = sensor.config.parent / "stuck.py"
    stuck.write_text(f"{STUCK[what]}\nimport sys\nfrom sensor.cli import main\nsys.exit(main(sys.argv[1:]))\n")
    sensor.config.write_text(f'state_dir = "{sensor.state}"\n')
    words = [*manager.environment, f"PYTHONPATH={ROOT}", sys.executable, str(stuck), "run", "--config"]
    with sensor.log_file.open("ab") as log:
        sensor.process = subprocess.Popen(
            lab.box.command(*words, str(sensor.config), "--interface", "br0"), stdout=log, stderr=log
        )
    assert manager.hears("WATCHDOG=1", 10), sensor.log
    with load(lab.c1, lab.new_address()):
        assert until(lambda: not manager.hears("WATCHDOG=1", 2 * WATCHDOG), 10), sensor.log
        assert not manager.hears("WATCHDOG=1", 2 * WATCHDOG)
    assert sensor.process.poll() is None


def test_under_load_it_is_fed_in_time(sensor: Sensor, lab: Lab, internet: Internet, manager: Manager) -> None:
    sensor.launch(wrapper=manager.environment)
    assert manager.hears("READY=1", 10), sensor.log
    with load(lab.c1, lab.new_address()):
        assert all(manager.hears("WATCHDOG=1", WATCHDOG) for _ in range(6)), sensor.log


def test_a_reload_begins_and_ends(sensor: Sensor, manager: Manager) -> None:
    sensor.launch("", wrapper=manager.environment)
    assert manager.hears("READY=1", 30)
    for config in ("", "no_such_key = 1\n"):
        sensor.config.write_text(config)
        manager.forget()
        assert sensor.process is not None
        sensor.process.send_signal(signal.SIGHUP)
        assert manager.hears("RELOADING=1\nMONOTONIC_USEC=", 10)
        assert manager.hears("READY=1", 10), "a file with a mistake ends it, too"
