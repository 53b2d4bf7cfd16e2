"""Against a real mosquitto on loopback that restarts, refuses, and passes on what anyone publishes."""

import asyncio
import json
import logging
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from sensor.base.settings import build
from sensor.base.times import SECOND
from sensor.config import parse
from sensor.errors import ConfigError
from sensor.foreground import reconnect
from sensor.foreground.base import SourceFacts
from sensor.foreground.book import ForegroundBook
from sensor.foreground.fusion import Rules
from sensor.foreground.payload import MAX_PAYLOAD
from sensor.foreground.sources import mqtt
from sensor.foreground.sources.mqtt import Mqtt, Settings, client_id
from sensor.model.foreground import Report
from tests.foreground.sources.waiting import until

MAC, OTHER = "60:38:e0:c5:35:a0", "60:38:e0:c5:35:a1"
TOPIC, OTHER_TOPIC = "phones/redmi/state", "phones/tablet"
PHONES = [{"client": MAC, "topic": TOPIC}, {"client": OTHER, "topic": OTHER_TOPIC}]
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/sbin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="needs mosquitto (Debian package mosquitto)")


class Broker:
    """A mosquitto of our own, which keeps nothing."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, *lines: str) -> None:
        """`lines`: further ones of its configuration."""
        config = self._folder / "mosquitto.conf"
        lines = lines or ("allow_anonymous true",)
        config.write_text("\n".join([f"listener {self.port} 127.0.0.1", "persistence false", "user root", *lines, ""]))
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        await until(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def publish(self, payload: str | bytes, topic: str = TOPIC, *, retain: bool = False, qos: int = 1) -> None:
        async with aiomqtt.Client("127.0.0.1", self.port) as client:
            await client.publish(topic, payload, qos=qos, retain=retain)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that tests have time for."""
    monkeypatch.setattr(reconnect, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(reconnect, "LAST_PAUSE", 0.1)


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
async def broker(stopped: Broker) -> Broker:
    await stopped.start()
    return stopped


class Lab:
    """A source, what it reported, and what the book makes of it."""

    def __init__(self, port: int, settings: dict[str, Any]) -> None:
        self.reports: list[Report] = []
        self.book = ForegroundBook(Rules(grace=0))
        table = {"host": "127.0.0.1", "port": port, "phone": PHONES, **settings}
        self.source = Mqtt(build(Settings, table, "foreground.mqtt"), SourceFacts(self._report, time.time_ns))

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self.book.report(report)

    @property
    def told(self) -> list[str]:
        return [each.event for each in self.reports if each.event != "heartbeat"]

    @property
    def counts(self) -> dict[str, int]:
        return self.source.counts

    def state(self, client: str = MAC) -> str:
        return self.book.at(client, time.time_ns()).state


@asynccontextmanager
async def running(broker: Broker, **settings: Any) -> AsyncIterator[Lab]:
    lab = Lab(broker.port, settings)
    lab.source.prepare()
    task = asyncio.ensure_future(lab.source.run())
    try:
        yield lab
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()


def connected(lab: Lab, times: int = 1) -> Awaitable[None]:
    return until(lambda: lab.counts["connected"] >= times)


@needs_mosquitto
async def test_what_is_published_is_reported(broker: Broker) -> None:
    async with running(broker) as lab:
        await connected(lab)
        before = time.time_ns()
        await broker.publish("on")
        await broker.publish(json.dumps({"event": "app_opened", "app": "com.foo", "sequence": 4}))
        await until(lambda: len(lab.told) == 2)
        first, second = lab.reports
        assert (first.client, first.source, first.event, first.sequence) == (MAC, "mqtt", "screen_on", None)
        assert before <= first.observed_at == first.received_at <= time.time_ns()
        assert (second.event, second.app, second.sequence) == ("app_opened", "com.foo", 4)
        assert (lab.state(), lab.state(OTHER)) == ("foreground", "unknown")
        await broker.publish('"off"', OTHER_TOPIC)
        await until(lambda: lab.state(OTHER) == "background")


@needs_mosquitto
async def test_other_topics_are_not_listened_to(broker: Broker) -> None:
    async with running(broker) as lab:
        await connected(lab)
        for topic in ("phones/redmi", f"{TOPIC}/more", f"/{TOPIC}", TOPIC.upper()):
            await broker.publish("off", topic)
        await broker.publish("on")
        await until(lambda: lab.told == ["screen_on"])
        assert lab.counts["messages"] == 1


@needs_mosquitto
async def test_nonsense_and_long_payloads_are_counted_and_change_nothing(broker: Broker) -> None:
    async with running(broker) as lab:
        await connected(lab)
        for payload in (b"", b"\xff", b"{", b'{"event": 7}', b"x" * MAX_PAYLOAD):
            await broker.publish(payload)
        # The broker passes on nothing that is longer than we want; the connection stays.
        await broker.publish(b"x" * 1_000_000)
        await broker.publish("on")
        await until(lambda: lab.told == ["screen_on"])
        assert (lab.counts["garbage"], lab.counts["broken"]) == (5, 0)


@needs_mosquitto
async def test_a_time_is_believed_if_it_is_near(broker: Broker) -> None:
    async with running(broker) as lab:
        await connected(lab)
        for skew in (-10, -3600, 3600, 5):
            await broker.publish(json.dumps({"event": "screen_on", "time": round(time.time() + skew, 3)}))
        await until(lambda: len(lab.told) == 4)
        ages = [(each.received_at - each.observed_at) / SECOND for each in lab.reports]
        assert ages[0] == pytest.approx(10, abs=2)
        assert ages[1:] == [0, 0, 0]


@needs_mosquitto
async def test_a_retained_message_is_of_unknown_age_unless_it_tells(broker: Broker) -> None:
    await broker.publish("off", retain=True)
    told_at = round(time.time() - 7200, 3)
    await broker.publish(json.dumps({"event": "screen_off", "time": told_at}), OTHER_TOPIC, retain=True)
    async with running(broker) as lab:
        await until(lambda: lab.counts["retained"] == 1 and lab.told == ["screen_off"])
        [report] = lab.reports
        assert (report.client, report.current, report.observed_at) == (OTHER, True, round(told_at * 1000) * 10**6)
        assert (lab.state(), lab.state(OTHER)) == ("unknown", "background")
        # What is published from now on is news, retained or not.
        await broker.publish("off", retain=True)
        await until(lambda: lab.state() == "background")


@needs_mosquitto
async def test_a_retained_message_from_the_future_or_a_sign_of_life_says_nothing(broker: Broker) -> None:
    await broker.publish(json.dumps({"event": "screen_off", "time": time.time() + 3600}), retain=True)
    await broker.publish(json.dumps({"event": "heartbeat", "time": time.time()}), OTHER_TOPIC, retain=True)
    async with running(broker) as lab:
        await until(lambda: lab.counts["retained"] == 2)
        assert lab.reports == []


@needs_mosquitto
async def test_what_was_known_expires_with_the_connection(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(mqtt, "BEAT_SECONDS", 0.5)
    async with running(broker) as lab:
        await connected(lab)
        await broker.publish("off")
        timed = {"event": "screen_off", "time": round(time.time(), 3)}
        await broker.publish(json.dumps(timed), OTHER_TOPIC)
        # Signs of life keep it believed beyond three times the promised interval.
        until_then = time.time_ns() + 2 * SECOND
        await until(lambda: time.time_ns() > until_then)
        assert (lab.state(), lab.state(OTHER)) == ("background", "background")
        broker.kill()
        await until(lambda: lab.state() == lab.state(OTHER) == "unknown")
        await broker.start()
        await broker.publish(json.dumps(timed), OTHER_TOPIC, retain=True)
        await connected(lab, 2)
        # One has told its time in a retained message; of the other a report may be lost.
        await until(lambda: lab.state(OTHER) == "background")
        assert lab.state() == "unknown"
        await broker.publish("off")
        await until(lambda: lab.state() == "background")
    lines = [line for line in caplog.messages if line.startswith("mqtt")]
    assert [lines[0], lines[-1], len(lines)] == ["mqtt: connected", "mqtt: connected again", 3]
    assert lines[1].startswith("mqtt: not connected: ")


@needs_mosquitto
async def test_who_sends_heartbeats_is_judged_by_them(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "BEAT_SECONDS", 0.05)
    async with running(broker) as lab:
        await connected(lab)
        await broker.publish("off")
        await broker.publish("heartbeat")
        await until(lambda: any(each.interval == mqtt.FIRST_OWN_BEAT for each in lab.reports))
        count = len(lab.reports)
        await broker.publish("on", OTHER_TOPIC)
        await until(lambda: [each.client for each in lab.reports].count(OTHER) > 3)
        assert [each.client for each in lab.reports].count(MAC) == count
        await broker.publish("heartbeat")
        await until(lambda: [each.client for each in lab.reports].count(MAC) > count)
        [*_, last] = [each for each in lab.reports if each.client == MAC]
        assert last.interval is not None
        assert 0 < last.interval < 10 * SECOND


@needs_mosquitto
async def test_a_refused_login_is_said_once_without_the_password(
    stopped: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "LOGIN_PAUSE", 0.05)
    await stopped.start("allow_anonymous false")
    secret = tmp_path / "password"
    secret.write_text("s3cret-passw0rd\n")
    async with running(stopped, username="idlewire", password_file=str(secret)) as lab:
        await until(lambda: lab.counts["login_refused"] >= 2)
    assert caplog.messages == ["mqtt: not connected: the broker refused the user name or the password"]


@needs_mosquitto
async def test_login(stopped: Broker, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    tool = shutil.which("mosquitto_passwd")
    assert tool is not None
    subprocess.run([tool, "-b", "-c", str(passwords), "idlewire", "s3cret"], check=True, capture_output=True)
    await stopped.start("allow_anonymous false", f"password_file {passwords}")
    async with running(stopped, username="idlewire", password="s3cret") as lab:
        await connected(lab)


@needs_mosquitto
async def test_tls(stopped: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=broker -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    await stopped.start("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    async with running(stopped, tls=True, ca_file=str(certificate)) as lab:
        await connected(lab)
    caplog.clear()
    async with running(stopped, tls=True) as lab:
        await until(lambda: lab.counts["broken"] >= 1)
        assert lab.counts["connected"] == 0
    assert "certificate verify failed" in caplog.text


async def test_no_broker_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker(tmp_path)
    async with running(broker) as lab:
        await until(lambda: lab.counts["broken"] >= 3)
    assert caplog.messages == ["mqtt: not connected: [Errno 111] Connection refused"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x00\x00\xff" * 50, b"\xff" * 99],
    ids=["nothing", "http", "an odd packet", "a broken length"],
)
async def test_what_is_no_broker(answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_SECONDS", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    broker = Broker(tmp_path)
    broker.port = server.sockets[0].getsockname()[1]
    async with server, running(broker) as lab:
        await until(lambda: lab.counts["broken"] >= 2)
        assert lab.reports == []


def test_the_sensors_name_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "raspberry-pi.attic.example")
    assert client_id() == "idlewireraspberrypiatti"


def refused(**changes: Any) -> str:
    table = {"host": "127.0.0.1", "phone": PHONES, **changes}
    with pytest.raises(ConfigError) as caught:
        build(Settings, {key: value for key, value in table.items() if value is not None}, "foreground.mqtt")
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_settings_that_are_wrong() -> None:
    assert refused(host=None) == 'foreground.mqtt.host: missing; for example host = "192.168.1.10"'
    assert "without mqtt://" in refused(host="mqtt://192.168.1.10")
    assert "foreground.mqtt.port: expected a port" in refused(port=70_000)
    assert "not both" in refused(username="me", password="s3cret", password_file="/x")
    assert "foreground.mqtt.username: missing" in refused(password="s3cret")
    assert "foreground.mqtt.ca_file: has no use" in refused(ca_file="/x")
    assert "needs at least one [[foreground.mqtt.phone]]" in refused(phone=[])
    assert "more than once" in refused(phone=[PHONES[0], PHONES[0]])
    assert "phone[0].topic: expected a topic without" in refused(phone=[{"client": MAC, "topic": "phones/+"}])


def test_clients_are_named_and_secrets_are_not_shown() -> None:
    table = {"host": "h", "username": "me", "password": "s3cret", "phone": [{"client": "Redmi", "topic": TOPIC}]}
    config = parse({"client": [{"mac": MAC, "name": "Redmi"}], "foreground": {"mqtt": table}})
    [chosen] = config.foreground.sources
    assert chosen.settings.phone[0].client == MAC
    assert "s3cret" not in repr(chosen.settings)


def test_a_password_file_that_is_not_there(tmp_path: Path) -> None:
    lab = Lab(1, {"username": "me", "password_file": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match=r"foreground.mqtt: password_file: .*none: No such file"):
        lab.source.prepare()


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    for why in ("No such file", "no certificates in PEM format"):
        with pytest.raises(ConfigError, match=f"foreground.mqtt: ca_file: .*ca.pem: {why}"):
            Lab(1, {"tls": True, "ca_file": str(file)}).source.prepare()
        file.write_text("nonsense")
