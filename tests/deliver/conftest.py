"""A small world to deliver: one phone, one destination, one alert, and a real HTTP receiver."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sensor.deliver.snapshots import ClientForeground, Counters, SensorInfo, SourceState
from sensor.model.alert import Alert, AlertClient, AlertDestination, Evidence
from sensor.model.client import Client, Rates, Totals
from sensor.model.destination import Destination, Name, Place, Service
from sensor.model.foreground import Change, Foreground

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
MAC = "60:38:e0:c5:35:a0"
INFO = SensorInfo("box", "0.1.0", "IPinfo Lite", START, "IP data by IPinfo, CC BY-SA 4.0")


def totals(sent: int = 1200, received: int = 340) -> Totals:
    return Totals(sent, received, 12, 3, START, START + 90 * SECOND)


def client(identity: str = MAC, **changes: Any) -> Client:
    whole = Client(
        id=identity,
        mac=identity if ":" in identity else None,
        addresses=("192.168.2.100",),
        vendor="Wistron Neweb",
        name="phone",
        totals=totals(),
        local=Totals(200, 40),
        other=Totals(),
        rates=Rates(10.0, 0.0, 5.5, 1.25),
    )
    return replace(whole, **changes)


def destination(address: str = "18.193.233.122", **changes: Any) -> Destination:
    whole = Destination(
        client=MAC,
        client_address="192.168.2.100",
        address=address,
        names=(Name("api.example.com", "tls"), Name("cdn.example.net", "cname")),
        place=Place("DE", 16509, "Amazon.com"),
        totals=totals(1000, 300),
        rates=Rates(),
        services=(Service(6, 443, totals(1000, 300)),),
    )
    return replace(whole, **changes)


def alert(identity: str = "a1", **changes: Any) -> Alert:
    whole = Alert(
        id=identity,
        fingerprint="f1",
        detector="watchlist",
        severity="warning",
        state="firing",
        started_at=START,
        updated_at=START + SECOND,
        resolved_at=None,
        client=AlertClient(MAC, MAC, "phone", "Wistron Neweb", ("192.168.2.100",)),
        destination=AlertDestination("42.62.48.10", "mi.com", "dns", Place("CN", 4837, "Xiaomi")),
        summary="phone sent 1.2 KB to Xiaomi in CN",
        rule="china",
        thresholds={"countries": ("CN",)},
        measured={"country": "CN"},
        evidence=Evidence(1200, 340, START, START + SECOND, 90, 10),
    )
    return replace(whole, **changes)


def phone_state(identity: str = MAC, **changes: Any) -> ClientForeground:
    whole = ClientForeground(
        client=identity,
        name="phone",
        at=START + 90 * SECOND,
        foreground=Foreground("foreground", "push", START + 60 * SECOND, START, "com.foo", ("adb",)),
        sources=(SourceState("push", "foreground", START + 60 * SECOND), SourceState("adb", "background", START)),
    )
    return replace(whole, **changes)


@dataclass
class World:
    """What `Snapshots` asks for, as lists that a test may change."""

    all_clients: list[Client] = field(default_factory=lambda: [client()])
    all_destinations: list[Destination] = field(default_factory=lambda: [destination()])
    all_alerts: list[Alert] = field(default_factory=lambda: [alert()])
    counts: Counters = field(default_factory=lambda: Counters(interface="br0", frames=90, dropped_frames=10))
    info: SensorInfo = INFO
    all_states: list[ClientForeground] = field(default_factory=lambda: [phone_state()])

    def sensor(self) -> SensorInfo:
        return self.info

    def counters(self) -> Counters:
        return self.counts

    def clients(self) -> list[Client]:
        return list(self.all_clients)

    def destinations(self, wanted: str | None) -> list[Destination]:
        rows = [row for row in self.all_destinations if wanted is None or row.client == wanted]
        return sorted(rows, key=lambda row: -(row.totals.sent_bytes + row.totals.received_bytes))

    def alerts(self) -> list[Alert]:
        return list(self.all_alerts)

    def phone_states(self, wanted: str | None) -> list[ClientForeground]:
        return [row for row in self.all_states if wanted is None or row.client == wanted]

    def timeline(self, wanted: str) -> list[Change]:
        return [Change(row.foreground.since or 0, row.foreground) for row in self.phone_states(wanted)]


@dataclass
class Request:
    head: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """A real HTTP server that keeps what it got and answers by a script; the last answer repeats."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[bytes | Script] = [reply(200)]
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/s3cret?token=t0ken"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def got(self, count: int, seconds: float = 5.0) -> list[Request]:
        async with asyncio.timeout(seconds):
            while len(self.requests) < count:
                await asyncio.sleep(0.005)
        return self.requests

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append(Request(head, headers, body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def reply(status: int, *headers: str, body: bytes = b"ok") -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


PAYLOADS: Sequence[str] = [
    "<script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "<img src=x onerror=alert(1)>",
    '"><b id=x>',
    "' onmouseover='x",
    '" style="x',
    "</td></tr></table><iframe>",
    "</script><script>",
    "<!--",
    "-->",
    "<![CDATA[x]]>",
    "&lt;b&gt;",
    "&#60;b&#62;",
    "{{7*7}}",
    "${7*7}",
    "{% x %}",
    "\x1b[31mred",
    "\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x85next",
    "a\r\nSet-Cookie: x=1",
    "a\nalert critical forged: line",
    "a\x0bb\x0cc",
    "\u2028line\u2029",
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "\u200bzero",
    "\ufeffbom",
    "nul\x00l",
    "\ud800lone",
    "\udcff\udcfe",
    "<!channel>",
    "@everyone",
    "=cmd|' /C calc'!A0",
    '";DROP TABLE x;--',
    "back\\slash\\",
    'quote"quote',
    'x"} 1\nidlewire_forged_total 1',
    "javascript:alert(1)",
    "%0d%0aX: y",
    "\U000e0001tag",
    "x" * 5000,
]


def hostile_world(text: str) -> World:
    """Every text that the network chooses is `text`."""
    place = Place(text[:2], 1, text)
    return World(
        [client(name=text, vendor=text, addresses=(text,)), client(text)],
        [destination(names=(Name(text, "tls"),), place=place), destination(text, client=text, client_address=text)],
        [
            alert(
                text,
                summary=text,
                rule=text,
                client=AlertClient(MAC, MAC, text, text, (text,)),
                destination=AlertDestination(text, text, "dns", place),
                measured={text: text},
            )
        ],
        Counters(interface=text, country_sent={(text, text): 5}),
        replace(INFO, geo_database=text, attribution=text),
        [phone_state(name=text, foreground=Foreground("foreground", text, START, START, text, (text,)))],
    )


@dataclass(frozen=True)
class Examples:
    """Builders for tests: `examples.alert(severity="info")`."""

    client = staticmethod(client)
    destination = staticmethod(destination)
    alert = staticmethod(alert)
    totals = staticmethod(totals)
    phone_state = staticmethod(phone_state)
    reply = staticmethod(reply)
    hostile_world = staticmethod(hostile_world)
    world = World
    info = INFO
    payloads = PAYLOADS
    mac = MAC
    start = START
    second = SECOND


@pytest.fixture
def examples() -> Examples:
    return Examples()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    server = Receiver()
    await server.start()
    yield server
    await server.stop()


@dataclass(frozen=True)
class Certificate:
    """Of a server on 127.0.0.1, signed by itself."""

    chain: Path
    """Certificate and key."""
    authority: Path
    """The certificate alone."""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return _certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


@pytest.fixture(scope="session")
def another_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Of a server elsewhere, which must not be taken here by those who trust it."""
    return _certificate(tmp_path_factory.mktemp("tls-of-another"), "DNS:other.example,IP:127.0.0.2")


def _certificate(folder: Path, names: str) -> Certificate:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    key, chain, authority = folder / "key.pem", folder / "chain.pem", folder / "authority.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lab"
    files = ["-keyout", str(key), "-out", str(authority), "-addext", f"subjectAltName={names}"]
    subprocess.run(["openssl", *made.split(), *files], check=True, capture_output=True)
    chain.write_text(authority.read_text() + key.read_text())
    return Certificate(chain, authority)
