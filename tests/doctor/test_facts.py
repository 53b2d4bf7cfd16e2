"""What the doctor looks at, on this machine; with a sensor that runs: tests/system/test_doctor.py."""

import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from sensor.doctor import facts
from sensor.doctor.facts import Waiting, gather
from sensor.store.outbox import OutboxStore


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking takes a second."""
    monkeypatch.setattr(facts, "_geo", lambda _: None)


def config(folder: Path, text: str = "") -> Path:
    path = folder / "idlewire.toml"
    path.write_text(f'state_dir = "{folder}/state"\n{text}')
    return path


def test_a_machine_without_a_sensor(tmp_path: Path) -> None:
    found = gather(config(tmp_path, '[web]\nlisten = "127.0.0.1:1"'))
    assert found.problems == []
    assert (found.status, found.outbox, found.reached) == (None, None, [])
    assert found.box is not None
    assert found.geo is not None
    assert found.geo[0].startswith("IPinfo")
    assert found.state is not None
    assert not found.state.exists
    assert found.state.free > 0
    assert found.synchronised in (True, False, None)
    assert [each.name for each in tmp_path.iterdir()] == ["idlewire.toml"], "it only looks"


@pytest.mark.usefixtures("without_database")
def test_a_file_with_mistakes(tmp_path: Path) -> None:
    found = gather(config(tmp_path, "[web]\nlisen = 1"), network=False)
    assert found.problems == [f"{tmp_path}/idlewire.toml: web.lisen: unknown key; did you mean 'web.listen'?"]


def test_a_port_that_somebody_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0.1)
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert facts._cannot_listen(listen) == "another program uses it"
    assert facts._cannot_listen("127.0.0.1:0") is None
    assert facts._cannot_listen("192.0.2.77:80")


def test_messages_that_wait_while_no_sensor_runs(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    assert facts._outbox(path) is None
    store = OutboxStore(path, lambda: 0.0)
    store.open()
    store.close()
    before = sorted(each.name for each in tmp_path.iterdir())
    assert facts._outbox(path) == Waiting(0, 0)
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    path.write_text("no database at all, but long enough to be one" * 99)
    assert "not a database" in str(facts._outbox(path))


class Daemon(http.server.BaseHTTPRequestHandler):
    """Answers like a sensor, or like something else."""

    answers: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        body = self.answers.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def daemon() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Daemon) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f'[web]\nlisten = "127.0.0.1:{server.server_address[1]}"'
        server.shutdown()


@pytest.mark.usefixtures("without_database")
def test_a_sensor_that_runs(tmp_path: Path, daemon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "LOOK_SECONDS", 0)
    Daemon.answers = {
        "/api/v1/status": json.dumps({"capture": {"frames": 5}}).encode(),
        "/api/v1/outbox": json.dumps({"sinks": [{"waiting": 2, "dead": 1}, {"waiting": 1, "dead": 0}]}).encode(),
        "/metrics": b"# HELP x\nidlewire_config_last_reload_successful 0.0\n",
    }
    found = gather(config(tmp_path, daemon), network=False)
    assert (found.status, found.frames, found.outbox) == ({"capture": {"frames": 5}}, 0, Waiting(3, 1))
    assert found.reload_ok is False


@pytest.mark.usefixtures("without_database")
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'{"capture": 5}'])
def test_what_is_no_sensor(tmp_path: Path, daemon: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "LOOK_SECONDS", 0)
    Daemon.answers = {"/api/v1/status": body}
    gather(config(tmp_path, daemon), network=False)


def test_features_of_an_interface() -> None:
    assert facts._features("lo")
    assert facts._features("nothing-here") == {}


def test_flowtables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nft"
    listed = {"nftables": [{"metainfo": {}}, {"flowtable": {"name": "f", "dev": ["a", "b"], "flags": ["offload"]}}]}
    tool.write_text(f"#!/bin/sh\necho '{json.dumps(listed)}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert facts._flowtables() == [("f", True, ("a", "b"))]
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert facts._flowtables() is None
    tool.write_text("#!/bin/sh\necho nonsense\n")
    assert facts._flowtables() is None
