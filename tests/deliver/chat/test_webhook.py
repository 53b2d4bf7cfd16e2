"""Against a real HTTP server that behaves, refuses, redirects, stalls and floods."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sensor.base.settings import build
from sensor.deliver.chat import webhook
from sensor.deliver.chat.webhook import Settings, Webhook, shown_place
from sensor.deliver.notice import single
from sensor.deliver.shapes import alert_object
from sensor.deliver.sink import SinkGone
from sensor.errors import ConfigError, DeliveryError


@asynccontextmanager
async def opened(url):
    sink = Webhook("lab", Settings(url), "0.1.0")
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


@pytest.fixture
def told(examples):
    return single(alert_object(examples.alert(), examples.info), 5)


async def test_the_request(receiver, told):
    async with opened(receiver.url) as sink:
        await sink.send(told, None)
        await sink.send(told, None)
    first, second = receiver.requests
    assert first.head == "POST /hook/s3cret?token=t0ken HTTP/1.1"
    assert first.json == json.loads(json.dumps(told.alerts[0]))
    assert first.headers["content-type"] == "application/json"
    assert first.headers["user-agent"] == "idlewire/0.1.0"
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "a1.firing"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_arrived(receiver, told, examples, status):
    receiver.answers = [examples.reply(status, body=b"" if status == 204 else b"ok")]
    async with opened(receiver.url) as sink:
        await sink.send(told, None)


@pytest.mark.parametrize(
    ("status", "retry"),
    [(400, False), (401, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
async def test_failures(receiver, told, examples, status, retry):
    receiver.answers = [examples.reply(status)]
    async with opened(receiver.url) as sink:
        with pytest.raises(DeliveryError) as caught:
            await sink.send(told, None)
    assert caught.value.retry is retry
    assert str(status) in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(("header", "seconds"), [("0", 0), ("-5", -5), ("1000000000", 1e9), ("soon", None)])
async def test_retry_after_is_passed_on(receiver, told, examples, header, seconds):
    receiver.answers = [examples.reply(429, f"Retry-After: {header}")]
    async with opened(receiver.url) as sink:
        with pytest.raises(DeliveryError) as caught:
            await sink.send(told, None)
    assert caught.value.retry_after == seconds


async def test_gone(receiver, told, examples):
    receiver.answers = [examples.reply(410)]
    async with opened(receiver.url) as sink:
        with pytest.raises(SinkGone):
            await sink.send(told, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("there", ["/again", "http://127.0.0.1:{port}/x", "file:///etc/passwd"])
async def test_redirects_are_not_followed(receiver, told, examples, status, there):
    receiver.answers = [examples.reply(status, f"Location: {there.format(port=receiver.port)}")]
    async with opened(receiver.url) as sink:
        with pytest.raises(DeliveryError) as caught:
            await sink.send(told, None)
    assert not caught.value.retry
    assert len(receiver.requests) == 1


async def test_nobody_there(told):
    async with opened("http://127.0.0.1:1/s3cret") as sink:
        with pytest.raises(DeliveryError, match=r"^http://127\.0\.0\.1:1/…: ClientConnector") as caught:
            await sink.send(told, None)
    assert caught.value.retry


async def test_accepts_and_never_answers(receiver, told, monkeypatch):
    async def silence(_):
        await asyncio.sleep(5)

    monkeypatch.setattr(webhook, "TOTAL_SECONDS", 0.1)
    receiver.answers = [silence]
    async with opened(receiver.url) as sink:
        with pytest.raises(DeliveryError, match="no answer within") as caught:
            await sink.send(told, None)
    assert caught.value.retry


async def test_no_http_at_all(receiver, told):
    receiver.answers = [b"SSH-2.0-OpenSSH_9.2\r\n"]
    async with opened(receiver.url) as sink:
        with pytest.raises(DeliveryError) as caught:
            await sink.send(told, None)
    assert caught.value.retry


async def test_a_slow_body_after_200_is_still_an_arrival(receiver, told, monkeypatch):
    async def trickle(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    monkeypatch.setattr(webhook, "READ_SECONDS", 0.1)
    receiver.answers = [trickle]
    async with opened(receiver.url) as sink, asyncio.timeout(1):
        await sink.send(told, None)


async def test_an_endless_body_is_cut(receiver, told):
    written = 0

    async def flood(writer):
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            written += 65_536

    receiver.answers = [flood]
    async with opened(receiver.url) as sink, asyncio.timeout(1):
        await sink.send(told, None)
    await asyncio.sleep(0.05)
    assert written < 10_000_000, "what fits into socket buffers, not more"


async def test_hostile_ids_stay_in_one_header(receiver, told):
    async with opened(receiver.url) as sink:
        await sink.send(replace(told, id="a\r\nx: y\u202e.firing"), None)
    assert receiver.requests[0].headers["webhook-id"] == "a%0d%0ax%3a%20y%e2%80%ae.firing".replace("%3a", ":")


async def test_environment_proxies_are_ignored(receiver, told, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with opened(receiver.url) as sink:
        await sink.send(told, None)


def test_only_the_place_is_shown():
    sink = Webhook("lab", Settings("https://user:pass@hooks.example.com:8443/T0/s3cret?sig=x"), "0.1.0")
    assert sink.place == "https://hooks.example.com:8443/…"
    assert "s3cret" not in repr(sink)
    assert "s3cret" not in repr(Settings("https://h/s3cret"))
    assert shown_place("http://[::1]:9000/x") == "http://[::1]:9000/…"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/s3cret", "the URL must begin"),
        ("file:///s3cret", "the URL must begin"),
        ("s3cret", "the URL must begin"),
        ("http://", "the URL must begin"),
        ("http://h:99999/s3cret", "the port of the URL"),
        ("http://h:0/s3cret", "the port of the URL"),
        ("http://h:s3cret/", "the port of the URL"),
        ("http://h/\ns3cret", "the URL has a blank"),
        ("http://h/ s3cret", "the URL has a blank"),
    ],
)
def test_no_url(url, said):
    with pytest.raises(ConfigError, match=rf'^sink\[0\] \("lab"\)\.url: {said}') as caught:
        build(Settings, {"url": url}, 'sink[0] ("lab")')
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "needs url or url_file"),
        ({"url": "http://h/", "url_file": "/x"}, "give one of url and url_file, not both"),
    ],
)
def test_one_of_the_two(table, said):
    with pytest.raises(ConfigError, match=said):
        build(Settings, table, "sink[0]")


async def test_url_file(tmp_path, receiver, told):
    path = tmp_path / "url"
    path.write_text(f"  {receiver.url}\n")
    sink = Webhook("lab", Settings(url_file=str(path)), "0.1.0")
    sink.prepare()
    await sink.open()
    await sink.send(told, None)
    await sink.close()
    assert len(receiver.requests) == 1


def test_url_file_that_is_missing_or_rubbish(tmp_path):
    with pytest.raises(ConfigError, match=r"url_file: .*nothing: No such file"):
        Webhook("lab", Settings(url_file=str(tmp_path / "nothing")), "0").prepare()
    path = tmp_path / "rubbish"
    path.write_bytes(b"\xff\x00s3cret")
    with pytest.raises(ConfigError, match="must begin") as caught:
        Webhook("lab", Settings(url_file=str(path)), "0").prepare()
    assert "s3cret" not in str(caught.value)


async def test_send_before_open(told):
    with pytest.raises(DeliveryError, match="not open"):
        await Webhook("lab", Settings("http://h/"), "0").send(told, None)


SECRET, NEWER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 32


async def test_signed_with_each_secret_while_one_replaces_the_other(receiver, told):
    sink = Webhook(
        "lab", Settings(receiver.url, secret=f"{NEWER} {SECRET}"), "0.1.0", clock=lambda: 1_614_265_330 * 10**9
    )
    await sink.open()
    await sink.send(told, None)
    await sink.close()
    [request] = receiver.requests
    assert request.headers["webhook-timestamp"] == "1614265330"
    content = b"a1.firing.1614265330." + request.body
    marks = request.headers["webhook-signature"].split(" ")
    assert len(marks) == 2
    # As whoever gets it checks it: https://www.standardwebhooks.com.
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert marks[1].lower() == f"v1,{expected}".lower(), "the receiver of this test lowers its headers"


async def test_without_a_secret_nothing_is_signed(receiver, told):
    async with opened(receiver.url) as sink:
        await sink.send(told, None)
    assert "webhook-signature" not in receiver.requests[0].headers


def test_secrets_are_checked_and_never_shown(tmp_path):
    with pytest.raises(ConfigError, match=r"secret: expected whsec_ and base64") as caught:
        build(Settings, {"url": "http://h/", "secret": "s3cret"}, "sink[0]")
    assert "s3cret" not in str(caught.value)
    assert "MfKQ" not in repr(Settings("http://h/", secret=SECRET))
    with pytest.raises(ConfigError, match="give one of secret and secret_file, not both"):
        build(Settings, {"url": "http://h/", "secret": SECRET, "secret_file": "/x"}, "sink[0]")
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    with pytest.raises(ConfigError, match=r"secret_file: .*expected whsec_") as caught:
        Webhook("lab", Settings("http://h/", secret_file=str(path)), "0").prepare()
    assert "s3cret" not in str(caught.value)
    path.write_text(f"{NEWER}\n{SECRET}\n")
    sink = Webhook("lab", Settings("http://h/", secret_file=str(path)), "0")
    sink.prepare()
    assert len(sink._secrets) == 2


async def test_what_tells_of_no_alert_is_refused(receiver, told):
    async with opened(receiver.url) as sink:
        with pytest.raises(DeliveryError) as caught:
            await sink.send(replace(told, alerts=()), None)
    assert not caught.value.retry
    assert not receiver.requests


async def test_a_bad_certificate_is_tried_again(told, certificate) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    sink = Webhook("lab", Settings(url=url), "0")
    await sink.open()
    try:
        with pytest.raises(DeliveryError, match="Certificate") as caught:
            await sink.send(told, None)
        assert caught.value.retry
    finally:
        await sink.close()
        server.close()
