"""What every sink must do: notices that hold whatever others may have chosen, and a far end that fails in all ways."""

import asyncio
import re
import ssl
from dataclasses import replace

import pytest

from sensor.deliver import http
from sensor.deliver.notice import Link, Notice, single
from sensor.deliver.shapes import alert_object
from sensor.errors import DeliveryError

LINKS = (Link("Mute", "http://192.168.1.1:8470/mute?token=a.b&x=%3C"), Link("Show", "http://192.168.1.1:8470/"))

MORE_PAYLOADS = (
    "<!channel> <!here> <@U0123> <https://evil.example|your bank>",
    "[your bank](https://evil.example) ![x](https://evil.example/a.png)",
    "**b** _i_ ~~s~~ `c` ```d``` # h > q | t",
    "@channel @all @here @room @everyone",
    "`@channel` ``a.b`` `",
    "<at>everyone</at> <users/all> <b>x</b>",
    "evil.example www.evil.example evil@evil.example 42.62.48.10 //evil.example",
    "/start #tag $X tg://resolve?domain=x",
    "a.b " * 300,
    "\r\n.\r\nMAIL FROM:<x@y>\r\n",
    "\u0430pple.com xi\u0430omi paypa\u217c",
    "\u0430\u0440\u0440\u04cf\u0435.com",
    "blank\u3164\u2800\u115f",
)


def alert(examples, **changes):
    return single(alert_object(examples.alert(**changes), examples.info), examples.start)


def over(examples):
    return alert(examples, state="resolved", resolved_at=examples.start + examples.second)


def with_links(notice):
    return replace(notice, links=LINKS)


def hostile(examples):
    """(payload, notice) with the payload in every place that others can reach, alone and in a group."""
    for payload in (*examples.payloads, *MORE_PAYLOADS):
        [shape] = [alert_object(each, examples.info) for each in examples.hostile_world(payload).alerts()]
        one = replace(
            single(shape, examples.start), title=payload or "x", lines=(payload, f"{payload} sent to {payload}")
        )
        yield payload, with_links(one)
        yield payload, Notice("i", payload, "group", "resolved", "info", 0, payload, (payload,) * 40)


def long(examples):
    """Far more than any service takes."""
    line = "phone sent 1.2 KB to mi.com & <Xiaomi> in CN 😀 "
    lines = tuple(f"{number}: {line * 20}" for number in range(500))
    whole = alert(examples)
    return with_links(replace(whole, title=line * 20, lines=lines))


async def sent(make, receiver, notice, earlier=None):
    """(the request's, what `send` returned)."""
    before = len(receiver.requests)
    async with opened(make(receiver)) as sink:
        returned = await sink.send(notice, earlier)
    return receiver.requests[before:], returned


class opened:
    def __init__(self, sink):
        self.sink = sink

    async def __aenter__(self):
        self.sink.prepare()
        await self.sink.open()
        return self.sink

    async def __aexit__(self, *_):
        await self.sink.close()


async def fails_well(make, receiver, examples, monkeypatch, caplog, secrets):
    """Each failure has its kind, and nothing of the secrets is in errors, logs or repr."""
    notice = with_links(alert(examples))

    async def failure(answer):
        receiver.answers = [answer]
        async with opened(make(receiver)) as sink:
            with pytest.raises(DeliveryError) as caught:
                await sink.send(notice, None)
        for secret in secrets:
            assert secret not in f"{caught.value} {caught.value!r} {sink!r} {vars(sink)!r} {caplog.text}"
        return caught.value

    async def silence(_):
        await asyncio.sleep(5)

    echo = " ".join(secrets).encode()
    final, passing = (400, 401, 403, 404), (408, 425, 500, 502, 503)
    for status, retry in [(each, each in passing) for each in (*final, *passing)]:
        for body in (b"", echo, b'{"description": "%b", "error": "%b"}' % (echo, echo), b"\xff<html>"):
            error = await failure(examples.reply(status, body=body))
            assert error.retry is retry
            assert str(status) in str(error)
    error = await failure(examples.reply(429, "Retry-After: 7"))
    assert (error.retry, error.retry_after) == (True, 7.0)
    for status in (301, 302, 303, 307, 308):
        asked = len(receiver.requests)
        error = await failure(examples.reply(status, f"Location: http://127.0.0.1:{receiver.port}/elsewhere"))
        assert (error.retry, len(receiver.requests)) == (False, asked + 1)
    assert (await failure(b"SSH-2.0-OpenSSH_9.2\r\n")).retry
    with monkeypatch.context() as patch:
        patch.setattr(http, "TOTAL_SECONDS", 0.2)
        assert (await failure(silence)).retry
    port = receiver.port
    await receiver.stop()
    assert (await failure(b"")).retry, "nobody there"
    receiver.port = port
    await receiver.start()
    receiver.answers = [examples.reply(410)]


async def takes_no_bad_certificate(make, certificate, examples, body=b"{}"):
    """`make(base URL, ca_file)`."""

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        writer.write(examples.reply(200, body=body))
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with opened(make(base, "")) as sink:
            with pytest.raises(DeliveryError, match="Certificate") as caught:
                await sink.send(alert(examples), None)
        assert caught.value.retry
        async with opened(make(base, str(certificate.authority))) as sink:
            await sink.send(alert(examples), None)
    finally:
        server.close()


PRETENDERS = re.compile("[\u04cf\u217c\u3164\u2800\u115f]|\u0430[a-z]|[a-z]\u0430")
"""What of the payloads looks like something else, or like nothing."""


def inert(text):
    """Nothing invisible, no other direction, no line break; nothing that a client makes a link of."""
    return text.isprintable() and http_free(text) and honest(text)


def honest(text):
    return PRETENDERS.search(text) is None


def http_free(text):
    return not any(bad in text for bad in ("://evil", "evil.example", "@everyone", "@channel", "mi.com"))
