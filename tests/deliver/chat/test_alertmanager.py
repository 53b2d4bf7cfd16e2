"""Against a server that holds alerts to Alertmanager's schema, and against the real one."""

import asyncio
import re
import shutil
import socket
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import aiohttp
import pytest

from sensor.base.settings import build
from sensor.deliver.chat.alertmanager import Alertmanager, Settings
from sensor.deliver.notice import Link, single
from sensor.deliver.shapes import alert_object
from sensor.errors import ConfigError
from tests.deliver.chat.far_end import (
    FarEnd,
    Reply,
    check_failures,
    fires,
    hostile,
    is_inert,
    is_over,
    opened,
    payloads,
    refusal,
)

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
needs_alertmanager = pytest.mark.skipif(
    BINARY is None, reason="needs prometheus-alertmanager (Debian package prometheus-alertmanager)"
)


def service(got):
    """prometheus/alertmanager: api/v2/openapi.yaml, postableAlerts."""
    assert (got.method, got.path) == ("POST", "/am/api/v2/alerts")
    assert got.headers["content-type"] == "application/json"
    assert got.json
    for alert in got.json:
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert alert["labels"]["alertname"]
        for key, value in [*alert["labels"].items(), *alert["annotations"].items()]:
            assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", key)
            assert isinstance(value, str)
            assert value
        assert datetime.fromisoformat(alert["startsAt"]) <= datetime.fromisoformat(alert["endsAt"])
    return Reply(200, None)


def sink_at(url, **more):
    return Alertmanager("family", build(Settings, {"url": f"{url}/am/", **more}), "0.1.0")


async def test_one_alert_and_its_end(examples):
    notice = replace(fires(examples), links=(Link("mute 1 h", "https://router.lan/mute?t=1"),))
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        earlier = await sink.send(notice, None)
        assert earlier == "warning"
        await sink.send(is_over(examples), earlier)
    assert far.complaints == []
    [told], [over] = (got.json for got in far.got)
    assert told["labels"] == over["labels"] == {
        "alertname": "watchlist", "detector": "watchlist", "severity": "warning", "client": examples.mac,
        "fingerprint": "f1", "sensor": "box",
    }  # fmt: skip
    assert told["annotations"]["summary"] == "phone sent 1.2 KB to Xiaomi in CN"
    assert told["annotations"]["link_1"] == "mute 1 h: https://router.lan/mute?t=1"
    assert told["annotations"]["client_name"] == "phone"
    assert told["generatorURL"] == "https://router.lan/mute?t=1"
    assert told["startsAt"] == "2026-09-21T14:13:20.000000Z"
    assert datetime.fromisoformat(told["endsAt"]).timestamp() == pytest.approx(time.time() + 15 * 60, abs=5)
    assert (over["startsAt"], over["endsAt"]) == ("2026-09-21T14:13:20.000000Z", "2026-09-21T14:13:22.000000Z")


async def test_a_name_that_changes_is_no_other_alert(examples):
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        for name in ("phone", "Anna's phone"):
            alert = examples.alert()
            await sink.send(fires(examples, client=replace(alert.client, name=name)), None)
    first, second = (got.json[0]["labels"] for got in far.got)
    assert first == second


async def test_a_severity_that_rises_ends_the_alert_of_the_lower_one(examples):
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        assert await sink.send(fires(examples, severity="critical"), "warning") == "critical"
    now, before = far.got[0].json
    assert (now["labels"].pop("severity"), before["labels"].pop("severity")) == ("critical", "warning")
    assert now["labels"] == before["labels"]
    assert before["endsAt"] == "2026-09-21T14:13:22.000000Z" < now["endsAt"]


async def test_a_client_without_a_mac(examples):
    alert = examples.alert()
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(fires(examples, client=replace(alert.client, mac=None, name=None, vendor=None)), None)
    assert far.complaints == []
    assert far.got[0].json[0]["labels"]["client"] == "192.168.2.100"


async def test_a_login(examples, tmp_path):
    def guarded(got):
        return service(got) if got.headers.get("authorization") == "Basic YW5uYTpwOjEgMg==" else Reply(401)

    (tmp_path / "password").write_text("p:1 2\n")
    login = {"username": "anna", "password_file": str(tmp_path / "password")}
    async with FarEnd(guarded).running() as far:
        async with opened(sink_at(far.url, **login)) as sink:
            await sink.send(fires(examples), None)
        async with opened(sink_at(far.url, username="anna", password="other")) as sink:
            assert not (await refusal(sink, fires(examples))).retry


async def test_long_texts_are_cut(examples):
    alert = examples.alert()
    notice = fires(examples, summary="x " * 5_000, client=replace(alert.client, name="y" * 5_000))
    notice = replace(notice, links=(Link("mute", f"https://router.lan/{'x' * 5_000}"),))
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(notice, None)
    [posted] = far.got[0].json
    assert all(len(value) <= 2_000 for value in posted["annotations"].values())
    assert "generatorURL" not in posted


async def test_nothing_that_others_write_does_anything_in_what_comes_behind(examples):
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        for written in [*payloads(examples), "<http://evil.example|click>"]:
            notice = hostile(examples, written)
            shape = {**notice.alerts[0], "fingerprint": "f1"}
            await sink.send(replace(notice, alerts=(shape,)), None)
    assert far.complaints == []
    for posted in (got.json[0] for got in far.got):
        assert posted["labels"]["fingerprint"] == "f1"
        assert all(is_inert(value) for value in posted["labels"].values())
        for value in posted["annotations"].values():
            assert is_inert(value)
            assert not re.search(r"<|>|://|@everyone", value), value


async def test_failures(examples, caplog, monkeypatch, tmp_path):
    def make(url):
        return sink_at(url, username="anna", password="s3cret-word")

    secrets = ["s3cret-word", "YW5uYTpzM2NyZXQtd29yZA==", "/am/"]
    await check_failures(service, make, fires(examples), secrets, caplog, monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": ""}, "needs url or url_file"),
        ({"hold": "1m"}, "hold: expected at least 5m"),
        ({"password": "x"}, "username: missing"),
        ({"username": "x"}, "needs password or password_file"),
    ],
)
def test_settings_that_cannot_be(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        build(Settings, {"url": "http://127.0.0.1:9093", **changes}, "sink")


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@asynccontextmanager
async def started(folder, port):
    """A real one of our own; it tells nobody."""
    (folder / "am.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    process = subprocess.Popen(
        [
            BINARY, f"--config.file={folder}/am.yml", f"--storage.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{port}/-/ready") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def alertmanager(tmp_path, port):
    async with started(tmp_path, port) as url:
        yield url


async def active(url):
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v2/alerts") as answer:
        assert answer.status == 200
        return await answer.json()


@needs_alertmanager
async def test_the_real_one_receives_and_resolves(examples, alertmanager):
    now = time.time_ns()

    def told(state, at, severity="warning", began=now - 3_600 * 10**9):
        over = at if state == "resolved" else None
        alert = examples.alert(
            state=state,
            severity=severity,
            started_at=began,
            updated_at=at,
            resolved_at=over,
            summary="<!channel> a.com",
        )
        return single(alert_object(alert, examples.info), at)

    async with opened(Alertmanager("family", Settings(alertmanager), "0.1.0")) as sink:
        earlier = await sink.send(told("firing", now), None)
        [alert] = await active(alertmanager)
        assert alert["labels"]["alertname"] == "watchlist"
        assert alert["status"]["state"] in ("active", "unprocessed")
        ends = datetime.fromisoformat(alert["endsAt"]).timestamp()
        assert ends - now / 10**9 == pytest.approx(15 * 60, abs=2)
        earlier = await sink.send(told("firing", time.time_ns(), "critical"), earlier)
        [alert] = await active(alertmanager)
        assert alert["labels"]["severity"] == "critical", "the one of the lower severity is over"
        await sink.send(told("resolved", time.time_ns(), "critical"), earlier)
        assert await active(alertmanager) == []


@needs_alertmanager
async def test_the_real_one_that_was_started_again_is_told_all_that_goes_on(examples, tmp_path, port):
    firing = [fires(examples, id=f"a{at}", fingerprint=f"f{at}") for at in range(250)]
    async with opened(Alertmanager("family", Settings(f"http://127.0.0.1:{port}"), "0.1.0")) as sink:
        async with started(tmp_path, port):
            await sink.send(firing[0], None)
        async with started(tmp_path, port) as url:
            assert await active(url) == [], "it keeps no alerts"
            await sink.renew(firing)
            assert len(await active(url)) == len(firing)
            await sink.send(is_over(examples, id="a7", fingerprint="f7"), "warning")
            left = {alert["labels"]["fingerprint"] for alert in await active(url)}
            assert left == {f"f{at}" for at in range(250)} - {"f7"}


@needs_alertmanager
async def test_the_real_one_takes_hostile_text_and_lets_a_try_end(examples, alertmanager):
    async with opened(Alertmanager("family", Settings(alertmanager), "0.1.0")) as sink:
        for written in examples.payloads:
            await sink.send(hostile(examples, written), None)
        test = replace(fires(examples, fingerprint="f2"), kind="test", at=time.time_ns())
        await sink.send(test, None)
        ends = [datetime.fromisoformat(alert["endsAt"]).timestamp() for alert in await active(alertmanager)]
        assert min(ends) - time.time() <= 60
