"""What the service manager is told, heard at a real socket."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.base import notify_socket
from sensor.base.notify_socket import NotifySocket


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The service manager's end, and what it calls it in NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@idlewire-test-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(name.replace("@", "\0", 1))
        opened.settimeout(5)
        yield opened, name


def test_each_thing_that_can_be_said(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    notify = NotifySocket({"NOTIFY_SOCKET": name}, 1)
    notify.ready()
    notify.watchdog()
    notify.stopping()
    assert [end.recv(999) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_reload_says_since_when(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    before = time.monotonic_ns() // 1000
    NotifySocket({"NOTIFY_SOCKET": name}, 1).reloading()
    kind, since = end.recv(999).decode().split("\n")
    assert kind == "RELOADING=1"
    assert before <= int(since.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_a_status_is_one_line_and_sent_when_it_changes(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    notify = NotifySocket({"NOTIFY_SOCKET": name}, 1)
    notify.status("watching br0\nREADY=1")
    notify.status("watching br0\nREADY=1")
    notify.status("waiting")
    assert [end.recv(999) for _ in range(2)] == [b"STATUS=watching br0 READY=1", b"STATUS=waiting"]


@pytest.mark.parametrize("name", [None, "", "relative", "vsock-stream:2:1234"])
def test_where_nobody_listens_nothing_is_said(name: str | None, caplog: pytest.LogCaptureFixture) -> None:
    environment = {"WATCHDOG_USEC": "30000000"} | ({} if name is None else {"NOTIFY_SOCKET": name})
    notify = NotifySocket(environment, 1)
    notify.ready()
    notify.status("waiting")
    assert notify.watchdog_seconds is None
    assert not caplog.records


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "17"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "18"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_a_watchdog_that_is_meant_for_this_process(given: dict[str, str], seconds: float | None) -> None:
    assert NotifySocket({"NOTIFY_SOCKET": "/run/notify", **given}, 17).watchdog_seconds == seconds


def test_a_manager_that_is_gone_is_a_line_in_the_log_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notify = NotifySocket({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 1)
    for _ in range(3):
        notify.watchdog()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_manager_that_does_not_read_holds_nobody_up(
    manager: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify_socket, "SECONDS", 0.01)
    notify = NotifySocket({"NOTIFY_SOCKET": manager[1]}, 1)
    talking = threading.Thread(target=lambda: [notify.watchdog() for _ in range(600)], daemon=True)
    talking.start()
    talking.join(30)
    assert not talking.is_alive()
