"""A service as its vendor describes it: a real server on loopback that checks what it gets, fails and stalls."""

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sensor.deliver import http
from sensor.deliver.notice import Notice, single
from sensor.deliver.shapes import alert_object
from sensor.deliver.sink import Sink
from sensor.errors import DeliveryError
from tests.deliver.chat.contract import MORE_PAYLOADS, honest

AT = 1_790_000_002 * 10**9


@dataclass
class Got:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class FarEnd:
    """Answers with what `service` returns for a request; its AssertionError is a 400, and remembered."""

    def __init__(self, service: Callable[[Got], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.got: list[Got] = []
        self.complaints: list[AssertionError] = []
        self.service = service
        self.stalls = False
        self._over = asyncio.Event()
        self.url = ""
        self._tls = tls

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FarEnd"]:
        server = web.Server(self._serve, access_log=None)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        got = Got(
            request.method, request.path, dict(request.query), {k.lower(): v for k, v in request.headers.items()},
            await request.read(),
        )  # fmt: skip
        self.got.append(got)
        if self.stalls:
            await self._over.wait()
        try:
            reply = self.service(got)
        except AssertionError as error:
            self.complaints.append(error)
            reply = Reply(400, {"message": "Invalid Form Body"})
        return web.Response(
            status=reply.status, text=json.dumps(reply.body), headers=reply.headers, content_type="application/json"
        )


@contextlib.asynccontextmanager
async def opened(sink: Sink) -> AsyncIterator[Sink]:
    sink.prepare()
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


def fires(examples: Any, **changes: Any) -> Notice:
    """The notice of an alert that begins."""
    return single(alert_object(examples.alert(**changes), examples.info), AT)


def is_over(examples: Any, **changes: Any) -> Notice:
    """The notice of its end."""
    return fires(examples, state="resolved", resolved_at=AT, **changes)


def payloads(examples: Any) -> list[str]:
    """Everything that others might choose."""
    return [*examples.payloads, *MORE_PAYLOADS]


def hostile(examples: Any, written: str) -> Notice:
    """A notice in which everything that others choose is `written`."""
    [alert] = examples.hostile_world(written).all_alerts
    return single(alert_object(alert, examples.info), AT)


async def refusal(sink: Sink, notice: Notice, earlier: str | None = None) -> DeliveryError:
    """The error of a message that does not arrive."""
    with pytest.raises(DeliveryError) as caught:
        await sink.send(notice, earlier)
    return caught.value


async def check_failures(
    service: Callable[[Got], Reply],
    sink_at: Callable[[str], Sink],
    notice: Notice,
    secrets: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    final: int = 403,
) -> None:
    """What every sink that speaks HTTP does with a far end that refuses, redirects, stalls, is away, or is another."""
    caplog.set_level(0)
    texts: list[str] = []

    def note(error: DeliveryError, *, retry: bool) -> DeliveryError:
        texts.extend([str(error), repr(error)])
        assert error.retry is retry, str(error)
        return error

    async with FarEnd(service).running() as far:
        sink = sink_at(far.url)
        async with opened(sink):
            texts.append(repr(sink))
            for status in (408, 425, 429, 500, 502, 503):
                far.service = lambda _, status=status: Reply(status, headers={"Retry-After": "7"})
                assert note(await refusal(sink, notice), retry=True).retry_after == 7
            far.service = lambda _: Reply(final, {"message": f"no {secrets[0]}", "error": f"no {secrets[0]}"})
            note(await refusal(sink, notice), retry=False)
            before = len(far.got)
            for status in (301, 302, 303, 307, 308):
                far.service = lambda _, status=status: Reply(status, headers={"Location": f"{far.url}/elsewhere"})
                note(await refusal(sink, notice), retry=False)
            assert len(far.got) == before + 5, "no redirect is followed"
        monkeypatch.setattr(http, "TOTAL_SECONDS", 0.2)
        async with opened(sink_at(far.url)) as sink:
            far.stalls = True
            assert "no answer within" in str(note(await refusal(sink, notice), retry=True))
        monkeypatch.undo()
    async with opened(sink_at(far.url)) as sink:
        note(await refusal(sink, notice), retry=True)
    async with FarEnd(service, self_signed(folder)).running() as stranger, opened(sink_at(stranger.url)) as sink:
        assert "Certificate" in str(note(await refusal(sink, notice), retry=True))
        assert stranger.got == []
    for secret in secrets:
        assert all(secret not in each for each in [*texts, caplog.text])


def self_signed(folder: Path) -> ssl.SSLContext:
    """Of a server that nobody vouches for; `folder` gets its certificate as cert.pem."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    return context


def is_inert(shown: str) -> bool:
    """Whether it is one or more lines of what can be seen, and is what it seems to be."""
    return all(char.isprintable() or char == "\n" for char in shown) and honest(shown)
