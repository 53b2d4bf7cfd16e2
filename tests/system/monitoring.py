"""Real Prometheus and Alertmanager in a namespace, each with a folder of its own; they tell nobody."""

import contextlib
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from daemon import until
from lab import Namespace

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "idlewire.rules.yml"
PROMETHEUS_PORT, ALERTMANAGER_PORT = 9090, 9093
STEP = 1
"""Seconds between scrapes, and between looks at the rules."""


def lacking() -> str | None:
    """Why they cannot be started here, or None."""
    if shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None:
        return "needs the packages prometheus and prometheus-alertmanager"
    return None


class Server:
    """A program that answers HTTP on the namespace's loopback."""

    def __init__(self, namespace: Namespace, port: int, folder: Path) -> None:
        self.namespace, self.port = namespace, port
        self.folder = folder / str(port)
        self.folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str) -> None:
        """Start it and wait until it is ready."""
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(self.namespace.command(*words), stdout=log, stderr=log)
        if not until(self._is_ready, 30):
            raise AssertionError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def get(self, path: str, **query: object) -> Any:
        """The JSON of a GET; what was not answered with 200 is an error that shows the answer."""
        status, body = self._request(f"{path}?{urlencode(query)}" if query else path)
        assert status == 200, (path, query, body[:500])
        return json.loads(body)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self._request("/-/ready")[0] == 200
        return False

    def _request(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            with self.namespace.entered():
                connection.connect()
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()


class Alertmanager(Server):
    """Takes alerts."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        super().__init__(namespace, ALERTMANAGER_PORT, folder)

    def open(self) -> None:
        config = self.folder / "alertmanager.yml"
        config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        self.start(
            "prometheus-alertmanager",
            f"--config.file={config}",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        )

    def active(self, name: str) -> list[dict[str, Any]]:
        """Alerts of this name that are not over."""
        return [alert for alert in self.get("/api/v2/alerts") if alert["labels"]["alertname"] == name]


class Prometheus(Server):
    """Scrapes a sensor every second, with the rules that Idlewire ships."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        super().__init__(namespace, PROMETHEUS_PORT, folder)

    def open(self, sensor_port: int) -> None:
        config = self.folder / "prometheus.yml"
        config.write_text(f"""
global: {{scrape_interval: {STEP}s, evaluation_interval: {STEP}s}}
rule_files: ["{RULES}"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{ALERTMANAGER_PORT}"]}}]}}]}}
scrape_configs: [{{job_name: idlewire, static_configs: [{{targets: ["127.0.0.1:{sensor_port}"]}}]}}]
""")
        self.start(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        )

    def series(self, expression: str, *, seconds: int = 0) -> list[dict[str, Any]]:
        """What an expression yields now, or over the last `seconds`: rows of `metric` and `value` or `values`."""
        now = time.time()
        if seconds:
            span = {"start": now - seconds, "end": now, "step": STEP}
            answer = self.get("/api/v1/query_range", query=expression, **span)
        else:
            answer = self.get("/api/v1/query", query=expression, time=now)
        rows: list[dict[str, Any]] = answer["data"]["result"]
        return rows

    def value(self, expression: str) -> float | None:
        """Of an expression with one series."""
        rows = self.series(expression)
        return float(rows[0]["value"][1]) if rows else None

    def wait(self, expression: str, good: Callable[[float], bool], limit: float = 15) -> float | None:
        """Its value once it is good, or the last one."""

        def look() -> float | None:
            value = self.value(expression)
            return value if value is not None and good(value) else None

        return until(look, limit) or self.value(expression)
