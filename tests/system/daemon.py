"""The sensor as its users run it: a process in the box's namespace, its API, and a web server that takes its alerts."""

import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab import Namespace
from traffic import listening

ROOT = Path(__file__).resolve().parents[2]
PORT, HOOK_PORT = 8470, 9000
START_LIMIT = 5.0
"""Seconds from start until the page answers (DESIGN.md section 6)."""


class Sensor:
    """`idlewire run`, from `start` to `stop`."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        """The folder takes config, state and log; anybody may enter it, the sensor does not stay root."""
        self.namespace = namespace
        self.config, self.log_file, self.state = folder / "idlewire.toml", folder / "log", folder / "state"
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self, config: str = "", *, interface: str = "br0", wrapper: tuple[str, ...] = ()) -> None:
        """Start the process and do not wait; `wrapper` goes before its command line."""
        self.config.write_text(f'state_dir = "{self.state}"\n{config}')
        words = [
            *wrapper,
            sys.executable,
            "-m",
            "sensor",
            "run",
            "--config",
            str(self.config),
            "--interface",
            interface,
        ]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(self.namespace.command(*words), cwd=ROOT, stdout=log, stderr=log)

    def start(self, config: str = "", *, interface: str = "br0") -> float:
        """Start it; seconds until the page answered."""
        began = time.monotonic()
        self.launch(config, interface=interface)
        self.await_page(began + 3 * START_LIMIT)
        return time.monotonic() - began

    def await_page(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if self.request("/")[0] == 200:
                    assert self.process is not None
                    assert self.process.poll() is None, f"another sensor answers:\n{self.log}"
                    return
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the sensor ended with {self.process.returncode}:\n{self.log}")
            time.sleep(0.02)
        raise AssertionError(f"the page does not answer:\n{self.log}")

    def stop(self) -> int:
        """SIGTERM; its exit code. It is killed after 10 s."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the sensor did not end on SIGTERM:\n{self.log}") from None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def request(
        self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """(status, headers, body) of one request to 127.0.0.1:8470 in the box."""
        with self.namespace.entered():
            opened = socket.create_connection(("127.0.0.1", PORT), 10)
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
        connection.sock = opened
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def get(self, path: str) -> Any:
        status, _, body = self.request(path)
        assert status == 200, (path, status, body[:300])
        return json.loads(body)

    def destinations(self, mac: str) -> dict[tuple[str, str], dict[str, Any]]:
        """(client address, remote address) -> row of GET destinations."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        path = f"/api/v1/destinations?client={mac}"
        while path:
            answer = self.get(path)
            found |= {(row["client_address"], row["address"]): row for row in answer["destinations"]}
            path = answer.get("next") or ""
        return found

    def metrics(self) -> dict[str, float]:
        """Sample with its labels as written -> value."""
        lines = self.request("/metrics")[2].decode().splitlines()
        return {
            name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] not in ("#", ""))
        }

    def metrics_of_frames(self) -> tuple[float, float]:
        """(seen, dropped) so far."""
        return (
            self.metric("idlewire_capture_frames_total"),
            self.metric("idlewire_capture_dropped_frames_total"),
        )

    def metric(self, name: str) -> float:
        """The sum over a metric's labels."""
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)


class Hook:
    """A web server in the box that takes webhooks."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.received: list[tuple[float, dict[str, Any]]] = []
        """(monotonic seconds, body) of each request that was answered with 200."""
        self.refused = 0
        self.status = 200
        self._server: http.server.ThreadingHTTPServer | None = None

    def open(self) -> None:
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                arrived = time.monotonic()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status == 200:
                    hook.received.append((arrived, json.loads(body)))
                else:
                    hook.refused += 1
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with self.namespace.entered():
            listener = listening(HOOK_PORT, "127.0.0.1")
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", HOOK_PORT), Handler, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.socket.close()
        self._server.socket = listener
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def about(self, address: str) -> list[tuple[float, dict[str, Any]]]:
        """The firing alerts about one destination."""
        return [
            (arrived, alert)
            for arrived, alert in self.received
            if alert["state"] == "firing" and (alert["destination"] or {}).get("address") == address
        ]


def until(condition: Callable[[], Any], seconds: float) -> Any:
    """What the condition said when it first was true, else what it said last."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


@contextlib.contextmanager
def running(namespace: Namespace, folder: Path, config: str = "") -> Iterator[Sensor]:
    """A sensor that was started and that is gone afterwards."""
    sensor = Sensor(namespace, folder)
    try:
        sensor.start(config)
        yield sensor
    finally:
        sensor.kill()


def capabilities(pid: int) -> list[dict[str, str]]:
    """The lines of /proc/PID/task/*/status, of every thread."""
    return [
        dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]


def cpu_seconds(pid: int) -> float:
    """What the process has used, in all its threads, to the nanosecond."""
    return (
        sum(
            int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
            for task in os.listdir(f"/proc/{pid}/task")
        )
        / 1e9
    )


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """VmRSS, or VmHWM."""
    key = "VmHWM" if peak else "VmRSS"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    return 0.0
