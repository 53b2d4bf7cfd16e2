"""Against a real mosquitto on loopback, and against ports where nobody, or nobody of that kind, answers."""

import asyncio
import contextlib
import gc
import json
import shutil
import socket
import subprocess
from dataclasses import replace
from typing import Any

import aiomqtt
import pytest

from sensor.base.settings import build
from sensor.deliver.chat import mqtt
from sensor.deliver.chat.mqtt import Mqtt, Settings, discovery
from sensor.errors import ConfigError
from tests.deliver.chat.far_end import fires, hostile, is_over, opened, payloads, refusal, self_signed

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/sbin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="needs mosquitto (Debian package mosquitto)")


@contextlib.asynccontextmanager
async def broker(folder, *lines):
    """A mosquitto of our own, which keeps nothing beyond its end; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    head = [f"listener {port} 127.0.0.1", "persistence false", "user root"]
    (folder / "mosquitto.conf").write_text("\n".join([*head, *(lines or ["allow_anonymous true"]), ""]))
    command = [MOSQUITTO, "-c", str(folder / "mosquitto.conf")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(10):
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                await asyncio.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()


def sink_at(port, **more):
    return Mqtt("home", build(Settings, {"host": "127.0.0.1", "port": port, **more}), "0.1.0")


async def retained(port, **login) -> dict[str, bytes]:
    """Topic -> payload of all that a newcomer is told."""
    found: dict[str, Any] = {}
    async with aiomqtt.Client("127.0.0.1", port, **login) as client:
        await client.subscribe("#", qos=1)
        await client.publish("end", b"x", qos=1)
        async for message in client.messages:
            if str(message.topic) == "end":
                return found
            if message.retain:
                found[str(message.topic)] = message.payload
    return found


@needs_mosquitto
async def test_an_alert_is_there_until_it_is_over(examples, tmp_path):
    async with broker(tmp_path) as port, opened(sink_at(port)) as sink:
        notice = fires(examples)
        assert await sink.send(notice, None) is None
        told = await retained(port)
        assert json.loads(told["idlewire/alert/f1"]) == json.loads(json.dumps(notice.alerts[0]))
        assert told["idlewire/sensor/box/firing"] == b"ON"
        await sink.send(is_over(examples), None)
        told = await retained(port)
        assert "idlewire/alert/f1" not in told
        assert told["idlewire/sensor/box/firing"] == b"OFF"
        assert json.loads(told["idlewire/sensor/box/last"])["state"] == "resolved"


@needs_mosquitto
async def test_home_assistant_learns_of_one_binary_sensor(examples, tmp_path):
    async with broker(tmp_path) as port, opened(sink_at(port)) as sink:
        await sink.send(fires(examples), None)
        config = json.loads((await retained(port))["homeassistant/binary_sensor/idlewire_box/config"])
    assert config["state_topic"] == "idlewire/sensor/box/firing"
    assert config["json_attributes_topic"] == "idlewire/sensor/box/last"
    assert config["unique_id"] == "idlewire_box_firing"
    assert config["device_class"] == "problem"
    assert set(config["origin"]) <= {"name", "sw_version", "support_url"}


@needs_mosquitto
async def test_home_assistant_need_not_be_told(examples, tmp_path):
    async with broker(tmp_path) as port, opened(sink_at(port, discovery="", base="net/idle")) as sink:
        await sink.send(fires(examples), None)
        assert sorted(await retained(port)) == [
            "net/idle/alert/f1",
            "net/idle/sensor/box/firing",
            "net/idle/sensor/box/last",
        ]


@needs_mosquitto
async def test_the_binary_sensor_stays_on_while_another_alert_fires_even_over_a_restart(examples, tmp_path):
    async with broker(tmp_path) as port:
        async with opened(sink_at(port)) as sink:
            await sink.send(fires(examples, fingerprint="f1"), None)
            await sink.send(fires(examples, fingerprint="f2"), None)
            stranger = fires(examples, fingerprint="f3").alerts[0]
            async with aiomqtt.Client("127.0.0.1", port) as other:
                theirs = json.dumps({**stranger, "sensor": {"name": "attic"}})
                await other.publish("idlewire/alert/f3", theirs, retain=True)
                for at, garbage in enumerate([b"[]", b"\xff", b"{" * 10_000, b'{"sensor": 1}', b"x" * 200_000]):
                    await other.publish(f"idlewire/alert/garbage{at}", garbage, retain=True)
        async with opened(sink_at(port)) as sink:
            await sink.send(is_over(examples, fingerprint="f1"), None)
            assert (await retained(port))["idlewire/sensor/box/firing"] == b"ON"
            await sink.send(is_over(examples, fingerprint="f2"), None)
            assert (await retained(port))["idlewire/sensor/box/firing"] == b"OFF"


@needs_mosquitto
async def test_a_try_leaves_nothing(examples, tmp_path):
    async with broker(tmp_path) as port, opened(sink_at(port)) as sink, aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("idlewire/#")
        await sink.send(replace(fires(examples), kind="test"), None)
        async with asyncio.timeout(5):
            message = await anext(aiter(client.messages))
        assert str(message.topic) == "idlewire/test"
        assert await retained(port) == {}


@needs_mosquitto
async def test_nothing_that_others_write_makes_topics(examples, tmp_path):
    async with broker(tmp_path) as port, opened(sink_at(port)) as sink:
        for written in [*payloads(examples), "+", "#", "a/b", "$SYS/x"]:
            notice = hostile(examples, written)
            for name in ("box", written):
                shape = {**notice.alerts[0], "fingerprint": written, "sensor": {"name": name, "version": "1"}}
                await sink.send(replace(notice, alerts=(shape,)), None)
        told = await retained(port)
    for topic, payload in told.items():
        assert topic.isascii()
        assert topic.isprintable()
        assert len(topic.split("/")) <= 4
        assert payload in (b"ON", b"OFF") or isinstance(json.loads(payload), dict)


@needs_mosquitto
async def test_logins_and_rights(examples, tmp_path, caplog):
    caplog.set_level(0)
    (tmp_path / "users").write_text("")
    for name in ("sensor", "reader"):
        command = ["mosquitto_passwd", "-b", str(tmp_path / "users"), name, "s3cret-word"]
        subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "rights").write_text("user sensor\ntopic readwrite #\nuser reader\ntopic read #\n")
    lines = ["allow_anonymous false", f"password_file {tmp_path}/users", f"acl_file {tmp_path}/rights"]
    async with broker(tmp_path, *lines) as port:
        (tmp_path / "password").write_text("s3cret-word\n")
        async with opened(sink_at(port, username="sensor", password_file=str(tmp_path / "password"))) as sink:
            await sink.send(fires(examples), None)
            assert "s3cret" not in repr(sink)
        for name, password in (("sensor", "s3cret-wrong"), ("reader", "s3cret-word")):
            async with opened(sink_at(port, username=name, password=password)) as sink:
                error = await refusal(sink, fires(examples))
                assert not error.retry
                assert str(error) == "mqtt://127.0.0.1: the broker refused the user name, the password or the topic"
    assert "s3cret" not in caplog.text


@needs_mosquitto
async def test_tls(examples, tmp_path):
    self_signed(tmp_path)
    lines = ["allow_anonymous true", f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem"]
    async with broker(tmp_path, *lines) as port:
        async with opened(sink_at(port, tls=True, ca_file=str(tmp_path / "cert.pem"))) as sink:
            await sink.send(fires(examples), None)
        async with opened(sink_at(port, tls=True)) as sink:
            error = await refusal(sink, fires(examples))
        assert error.retry
        assert "certificate" in str(error).lower()
        del error
        gc.collect()  # which would complain of a socket that was left to it


@needs_mosquitto
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_certificate_of_another_broker(examples, tmp_path, another_certificate):
    chain, authority = another_certificate.chain, another_certificate.authority
    async with broker(tmp_path, "allow_anonymous true", f"certfile {chain}", f"keyfile {chain}") as port:
        async with opened(sink_at(port, tls=True, ca_file=str(authority))) as sink:
            error = await refusal(sink, fires(examples))
        assert error.retry
        assert "certificate" in str(error).lower()
        del error
        gc.collect()


async def test_nobody_there(examples):
    async with opened(sink_at(1)) as sink:
        error = await refusal(sink, fires(examples))
    assert error.retry
    assert str(error).startswith("mqtt://127.0.0.1: ")


@contextlib.asynccontextmanager
async def stranger(answer):
    """Something that is no broker; gives its port. Without an answer it waits for the other end to give up."""
    over = asyncio.Event()

    async def talk(reader, writer):
        await reader.read(16)
        if answer:
            writer.write(answer)
        else:
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(10):
            await over.wait()


async def test_accepts_and_never_answers(examples, monkeypatch):
    monkeypatch.setattr(mqtt, "TOTAL_SECONDS", 0.3)
    async with stranger(b"") as port, opened(sink_at(port)) as sink:
        error = await refusal(sink, fires(examples))
        assert error.retry
        assert "no answer within" in str(error)


STRANGE = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 64, b"\xff" * 64, b" \xff\xff\xff\x7f"]


@pytest.mark.parametrize("answer", STRANGE, ids=range(4))
async def test_no_broker_at_all(examples, monkeypatch, answer):
    monkeypatch.setattr(mqtt, "TOTAL_SECONDS", 0.5)
    async with stranger(answer) as port, opened(sink_at(port)) as sink:
        assert (await refusal(sink, fires(examples))).retry


@needs_mosquitto
async def test_what_is_too_large_is_refused(examples, tmp_path):
    notice = fires(examples)
    notice = replace(notice, alerts=({**notice.alerts[0], "reason": "x" * 200_000},))
    async with broker(tmp_path) as port, opened(sink_at(port)) as sink:
        assert not (await refusal(sink, notice)).retry


def test_one_binary_sensor_per_name():
    topics = {discovery("homeassistant", "x", name, "1")[0] for name in ("a b", "a/b", "a+b")}
    assert topics == {"homeassistant/binary_sensor/idlewire_a_b/config"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"host": "mqtt://broker"}, "host: expected a name or an address"),
        ({"base": "a/#"}, "base: expected the beginning of a topic"),
        ({"base": ""}, "base: must not be empty"),
        ({"discovery": "$SYS"}, "discovery: expected the beginning"),
        ({"password": "s3cret"}, "username: missing"),
        ({"ca_file": "/x"}, "ca_file: has no use without tls"),
    ],
)
def test_settings_that_cannot_be(changes, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        build(Settings, {"host": "127.0.0.1", **changes}, "sink")
    assert "s3cret" not in str(caught.value)
