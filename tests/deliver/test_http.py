"""Against a real HTTP server that behaves, refuses, redirects, stalls and floods."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest

from sensor.base.settings import build
from sensor.deliver import http
from sensor.deliver.http import Http, UrlSettings, UrlSink, server_url, shown_place, tls_context
from sensor.deliver.notice import Notice
from sensor.deliver.secret import Secret
from sensor.deliver.sink import SinkGone
from sensor.errors import ConfigError, DeliveryError


@asynccontextmanager
async def opened(ca_file=""):
    client = Http("0.1.0", ca_file)
    client.prepare("lab")
    await client.open()
    try:
        yield client
    finally:
        await client.close()


async def test_the_request(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with opened() as client:
        answer = await client.send_json(receiver.url, {"a": "\u202e"}, {"x-key": "k3y-of-mine"})
    [request] = receiver.requests
    assert request.head == "POST /hook/s3cret?token=t0ken HTTP/1.1"
    assert request.body == b'{"a":"\\u202e"}'
    assert (request.headers["content-type"], request.headers["user-agent"]) == ("application/json", "idlewire/0.1.0")
    assert (request.headers["accept-encoding"], request.headers["x-key"]) == ("identity", "k3y-of-mine")
    assert (answer.arrived, answer.body, answer.json()) == (True, b"ok", {})
    assert "s3cret" not in repr(answer)
    assert "k3y-of-mine" not in repr(answer)


@pytest.mark.parametrize(
    ("status", "retry"),
    [(400, False), (401, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
async def test_failures(receiver, examples, status, retry):
    receiver.answers = [examples.reply(status, "Retry-After: 7")]
    async with opened() as client:
        answer = await client.send_json(receiver.url, {})
    with pytest.raises(DeliveryError, match=rf"^http://127\.0\.0\.1:{receiver.port}/…: answered {status}$") as caught:
        answer.judge()
    assert (caught.value.retry, caught.value.retry_after) == (retry, 7.0 if retry else None)
    with pytest.raises(DeliveryError) as caught:
        answer.judge(wait=3.5)
    assert caught.value.retry_after == (3.5 if retry else None)


async def test_gone(receiver, examples):
    receiver.answers = [examples.reply(410)]
    async with opened() as client:
        answer = await client.send_json(receiver.url, {})
    with pytest.raises(SinkGone):
        answer.judge()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("there", ["/again", "http://127.0.0.1:{port}/x", "file:///etc/passwd"])
async def test_redirects_are_not_followed(receiver, examples, status, there):
    receiver.answers = [examples.reply(status, f"Location: {there.format(port=receiver.port)}")]
    async with opened() as client:
        answer = await client.send_json(receiver.url, {})
    with pytest.raises(DeliveryError) as caught:
        answer.judge()
    assert not caught.value.retry
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("chat not found", " (chat not found)"),
        ("no \x1b[31m\r\nsuch", r" (no \u001b[31m\u000d\u000asuch)"),
        ("no such hook: s3cret", ""),
        ("bad t0ken", ""),
        ("bad k3y-of-mine", ""),
        ("x" * 500, f" ({'x' * 120})"),
        (None, ""),
        (5, ""),
    ],
)
async def test_the_far_ends_reason_is_told_unless_it_repeats_a_secret(receiver, examples, said, shown):
    receiver.answers = [examples.reply(400)]
    async with opened() as client:
        answer = await client.send_json(receiver.url, {}, {"Authorization": "Bearer k3y-of-mine"})
    with pytest.raises(DeliveryError) as caught:
        answer.judge(said=said)
    assert str(caught.value) == f"http://127.0.0.1:{receiver.port}/…: answered 400{shown}"


async def test_nobody_there():
    async with opened() as client:
        with pytest.raises(DeliveryError, match=r"^http://127\.0\.0\.1:1/…: ClientConnector") as caught:
            await client.send_json("http://127.0.0.1:1/s3cret", {})
    assert caught.value.retry


async def test_accepts_and_never_answers(receiver, monkeypatch):
    async def silence(_):
        await asyncio.sleep(5)

    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.1)
    receiver.answers = [silence]
    async with opened() as client:
        with pytest.raises(DeliveryError, match="no answer within") as caught:
            await client.send_json(receiver.url, {})
    assert caught.value.retry


async def test_no_http_at_all(receiver):
    receiver.answers = [b"SSH-2.0-OpenSSH_9.2\r\n"]
    async with opened() as client:
        with pytest.raises(DeliveryError) as caught:
            await client.send_json(receiver.url, {})
    assert caught.value.retry


async def test_an_endless_slow_body_costs_little(receiver, monkeypatch):
    async def trickle(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    monkeypatch.setattr(http, "READ_SECONDS", 0.1)
    receiver.answers = [trickle]
    async with opened() as client, asyncio.timeout(2):
        answer = await client.send_json(receiver.url, {})
    answer.judge()


async def test_an_endless_fast_body_is_cut(receiver):
    async def flood(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    receiver.answers = [flood]
    async with opened() as client, asyncio.timeout(2):
        answer = await client.send_json(receiver.url, {})
    assert len(answer.body) == http.MAX_ANSWER


@pytest.mark.parametrize("body", [b"", b"ok", b"[1]", b'"x"', b"[" * 20_000, b"\xff", b'{"a": 1'])
async def test_a_body_that_is_no_object(receiver, examples, body):
    receiver.answers = [examples.reply(200, body=body)]
    async with opened() as client:
        assert (await client.send_json(receiver.url, {})).json() == {}


async def test_headers_that_cannot_be_written(receiver):
    async with opened() as client:
        with pytest.raises(DeliveryError) as caught:
            await client.send_json(receiver.url, {}, {"x": "a\r\ny: s3cret"})
    assert not caught.value.retry
    assert "s3cret" not in str(caught.value)
    assert receiver.requests == []


async def test_send_before_open():
    with pytest.raises(DeliveryError, match="not open"):
        await Http("0").send_json("http://h/", {})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@hooks.example.com:8443/T0/s3cret?sig=x", "https://hooks.example.com:8443/…"),
        ("http://[::1]:9000/x", "http://[::1]:9000/…"),
    ],
)
def test_only_the_place_is_shown(url, shown):
    assert shown_place(url) == shown


@pytest.mark.parametrize(
    "url",
    ["ftp://h/s3cret", "s3cret", "http://", "http://h:99999/s3cret", "http://h:0/", "http://h/\ns3cret", "http://["],
)
def test_no_url(url):
    with pytest.raises(ValueError, match="URL") as caught:
        shown_place(url)
    assert "s3cret" not in str(caught.value)


async def test_a_secret_that_is_only_in_the_body_is_not_repeated_either(receiver, examples):
    receiver.answers = [examples.reply(400)]
    client = Http("0", secrets=[Secret("topic", "topicsecret", "")])
    await client.open()
    answer = await client.send_json(receiver.url, {})
    await client.close()
    with pytest.raises(DeliveryError, match=r"answered 400$"):
        answer.judge(said="no such topic: topicsecret")


class Posting(UrlSink):
    async def send(self, notice, earlier):
        await self.post({"id": notice.id}, "thread=1")


async def test_a_sink_with_one_secret_url(receiver, examples, tmp_path):
    (tmp_path / "url").write_text(f"{receiver.url}\n")
    sink = Posting("lab", UrlSettings(url_file=str(tmp_path / "url")), "0.1.0")
    sink.prepare()
    await sink.open()
    await sink.send(notice := Notice("i", "k", "test", "firing", "info", 0, "t", ()), None)
    receiver.answers = [examples.reply(403, body=b"invalid_token\nmore")]
    with pytest.raises(DeliveryError, match=r"…: answered 403 \(invalid_token\)$"):
        await sink.send(notice, None)
    await sink.close()
    assert receiver.requests[0].head == "POST /hook/s3cret?token=t0ken&thread=1 HTTP/1.1"
    assert "s3cret" not in f"{sink!r} {vars(sink)!r}"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "needs url or url_file"),
        ({"url": "https://h/", "url_file": "/x"}, "give one of url and url_file, not both"),
        ({"url": "h/s3cret"}, "url: the URL must begin"),
    ],
)
def test_settings_with_one_secret_url(keys, said):
    with pytest.raises(ConfigError, match=said) as caught:
        build(UrlSettings, keys, "sink[0]")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://u:p@h/", "https://h/?token=x", "https://h/#x", "h", "ftp://h"])
def test_a_servers_address_holds_no_secret(url):
    server_url("https://chat.example.com:8448/matrix/")
    with pytest.raises(ValueError, match=r"expected only scheme|must begin"):
        server_url(url)


# TLS.


@asynccontextmanager
async def serving(certificate):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/s3cret"
    finally:
        server.close()


@pytest.fixture
async def secure(certificate):
    async with serving(certificate) as url:
        yield url


async def test_a_certificate_that_nobody_vouches_for(secure):
    async with opened() as client:
        with pytest.raises(DeliveryError, match="Certificate") as caught:
            await client.send_json(secure, {})
    assert caught.value.retry, "the clock may be wrong, or the certificate renewed"
    assert "s3cret" not in str(caught.value)


async def test_ones_own_authority(secure, certificate):
    async with opened(str(certificate.authority)) as client:
        assert (await client.send_json(secure, {})).arrived


async def test_a_certificate_of_another_server(another_certificate):
    async with serving(another_certificate) as url, opened(str(another_certificate.authority)) as client:
        with pytest.raises(DeliveryError, match="Certificate") as caught:
            await client.send_json(url, {})
    assert caught.value.retry


async def test_no_tls_where_it_should_be(receiver):
    async with opened() as client:
        with pytest.raises(DeliveryError) as caught:
            await client.send_json(f"https://127.0.0.1:{receiver.port}/s3cret", {})
    assert (caught.value.retry, receiver.requests) == (True, [])
    assert "s3cret" not in str(caught.value)


def test_ca_files_that_cannot_be_used(tmp_path):
    with pytest.raises(ConfigError, match=r"^sink lab: ca_file: .*none: No such file"):
        tls_context(str(tmp_path / "none"), "lab")
    (tmp_path / "rubbish").write_text("x")
    with pytest.raises(ConfigError, match="no certificates in PEM format"):
        tls_context(str(tmp_path / "rubbish"), "lab")
