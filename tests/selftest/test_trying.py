"""`idlewire selftest`, as a user runs it: settings, sinks that are there or not, and what is left afterwards."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sensor.config import parse
from sensor.deliver.snapshots import SensorInfo
from sensor.model.alert import Alert, AlertClient
from sensor.selftest.clients import CLIENTS
from sensor.selftest.network import CLIENT_END, SENSOR_END
from sensor.selftest.steps import Report
from sensor.selftest.trying import Deliveries, notices
from sensor.store.outbox import OutboxStore
from tests.selftest.test_network import Watched, interfaces

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "sensor", "selftest"]
ours = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


class Web(ThreadingHTTPServer):
    """Takes what is posted, but for /refused."""

    def __init__(self):
        self.got = []
        super().__init__(("127.0.0.1", 0), Post)
        self.url = f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class Post(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, json.loads(body)))
        refused = self.path.startswith("/refused")
        self.send_response(403 if refused else 200)
        self.end_headers()
        self.wfile.write(b"invalid_token" if refused else b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    with Web().running() as server:
        yield server


def run(*arguments):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT, timeout=90
    )


def written(folder, text):
    path = folder / "idlewire.toml"
    path.write_text(text)
    return path


@ours
def test_all_of_it_beside_a_running_sensor(web, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    store = OutboxStore(state / "outbox.db", time.monotonic)
    store.open()
    before = {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in state.iterdir()}
    settings = written(
        tmp_path,
        f"""
        name = "attic"
        state_dir = "{state}"
        [[sink]]
        name = "lab"
        type = "webhook"
        min_severity = "critical"
        url = "{web.url}/hook"
        [[sink]]
        name = "family"
        type = "slack"
        url = "{web.url}/services/T0/B0/x"
        [[sink]]
        name = "other family"
        type = "mattermost"
        url = "{web.url}/refused/s3cretT0ken"
        """,
    )
    done = run("--config", settings)
    assert (done.returncode, done.stderr) == (1, ""), done
    lines = done.stdout.splitlines()
    for client in CLIENTS:
        mine = [line.split()[0] for line in lines if f" {client.family}: " in line]
        assert mine == ["captured", "alert", "alert", "counted"]
    assert sum(line.startswith("captured     IPv") and line.endswith(" ok") for line in lines) == 2, done.stdout
    assert sum(line.startswith("alert        IPv") and line.endswith(" ok") for line in lines) == 4, done.stdout
    assert sum(line.startswith("counted      IPv") and line.endswith(" ok") for line in lines) == 2, done.stdout
    told = {line.split()[1]: line for line in lines if line.startswith("sink ")}
    assert told["lab"].startswith("sink lab     webhook, delivered in ")
    assert told["lab"].endswith(" ok")
    assert told["family"].endswith(" ok")
    assert told["other"] == f"sink other family mattermost: {web.url}/…: answered 403 (invalid_token) FAILED"
    assert lines[-2:] == [
        "1 step failed. What to do:",
        f"  - mend sink other family, and try it alone: idlewire notify-test 'other family' --config {settings}",
    ]
    assert "s3cret" not in done.stdout

    hooked = [body for path, body in web.got if path == "/hook"]
    assert {(each["detector"], each["destination"]["address"]) for each in hooked} == {
        (detector, client.destination) for detector in ("watchlist", "background_upload") for client in CLIENTS
    }
    assert all("This is a self-test of the sensor attic: nothing has happened." in each["summary"] for each in hooked)
    assert all(each["evidence"]["coverage"]["dropped_frames"] == 0 for each in hooked)
    [message] = [body for path, body in web.got if path.startswith("/services")]
    assert message["text"] == "Idlewire: self-test"
    [told] = [block["text"]["text"] for block in message["attachments"][0]["blocks"] if block["type"] == "section"]
    assert told.startswith("This is a self-test of the sensor attic: nothing has happened.\n")
    assert len(told.splitlines()) == 5

    assert {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in state.iterdir()} == before
    store.close()


@ours
def test_one_sink_as_json(web, tmp_path):
    settings = written(
        tmp_path,
        f'[[sink]]\nname = "lab"\ntype = "webhook"\nurl = "{web.url}/hook"\n'
        f'[[sink]]\nname = "no"\ntype = "webhook"\nurl = "{web.url}/refused"\n'
        "[detect.background_upload]\nenabled = false\n",
    )
    done = run("--config", settings, "--sink", "lab", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["succeeded"]
    assert {path for path, _ in web.got} == {"/hook"}
    assert [each["what"] for each in found["steps"] if each["outcome"] == "off"] == [
        "background_upload is off in the settings"
    ]
    assert found["steps"][-1]["step"] == "sink lab"
    assert 0 < found["steps"][-1]["seconds"] < 10


@ours
def test_without_a_sink(tmp_path):
    done = run("--config", written(tmp_path, "[detect.background_upload]\nenabled = false\n"))
    assert done.returncode == 0
    assert "none in the settings: alerts go to the log and the page" in done.stdout
    assert done.stdout.endswith("\nEverything that was tried works.\n")


def delivered(settings, alerts):
    report = Report(lambda _: None)
    sinks = parse(settings).sink
    asyncio.run(Deliveries(alerts, SensorInfo("attic", "0"), report, "").run(sinks))
    [step] = report.steps
    return step


def test_without_an_alert_no_sink_is_tried(web):
    step = delivered({"sink": [{"name": "lab", "type": "webhook", "url": f"{web.url}/hook"}]}, [])
    assert (step.what, step.outcome, web.got) == ("webhook: not tried, there is no alert", "FAILED", [])


def test_a_secret_that_cannot_be_read():
    step = delivered({"sink": [{"name": "lab", "type": "slack", "url_file": "/nowhere/url"}]}, [alert("watchlist")])
    assert (step.what, step.outcome) == ("slack: url_file: /nowhere/url: No such file or directory", "FAILED")
    assert step.advice == "mend sink lab, and try it alone: idlewire notify-test lab"


@ours
def test_a_sink_that_is_not_there(tmp_path):
    done = run("--config", written(tmp_path, ""), "--sink", "lab")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no sink is configured: add a [[sink]] to the settings, or name their file with --config\n"


@ours
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 1), (signal.SIGINT, 130)], ids=str)
def test_ended_early_it_leaves_nothing(number, code, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    assert any(line.startswith("captured") for line in running.stdout), "told as it happens"
    watched = Watched(running.pid)
    assert watched.exists
    running.send_signal(number)
    _, told = running.communicate(timeout=20)
    assert running.returncode == code
    assert told == ("ended before all steps were tried; nothing of it is left\n" if code == 1 else "")
    assert watched.is_gone_soon()
    assert not interfaces() & {CLIENT_END, SENSOR_END}
    assert list(tmp_path.iterdir()) == []


def test_without_rights():
    # Loaded before: where the tests lie, another user may not read.
    code = "import os, sensor.cli, sensor.config, sensor.selftest.trying; os.getuid() or os.setuid(65534)"
    code += "; raise SystemExit(sensor.cli.main(['selftest']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "selftest makes a network of its own: start it with sudo (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW missing)\n"
    )


def alert(detector):
    client = AlertClient("02:1d:fe:00:00:04", "02:1d:fe:00:00:04", "Idlewire self-test IPv4", None, ())
    return Alert(detector, "f", detector, "warning", "firing", 0, 0, None, client, None, f"{detector} it was.", "r")


def test_people_get_one_message_and_programs_each_alert():
    alerts = [alert("watchlist"), alert("background_upload")]
    [people] = notices(alerts, SensorInfo("attic", "0"), together=True, now=7)
    assert (people.kind, people.severity, people.title) == ("test", "info", "Idlewire: self-test")
    plain = "This is a self-test of the sensor attic: nothing has happened."
    assert people.lines == (plain, "watchlist it was.", "background_upload it was.")
    programs = notices(alerts, SensorInfo("attic", "0"), together=False, now=7)
    assert [len(each.alerts) for each in programs] == [1, 1]
    assert len({each.id for each in programs}) == 2
    for each in programs:
        assert each.alerts[0]["severity"] == "info"
        assert each.alerts[0]["summary"] == f"{plain} {each.alerts[0]['detector']} it was."
        assert type(each).from_json(json.loads(json.dumps(each.to_json()))) == each
