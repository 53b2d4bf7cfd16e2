"""The HTTP servers: page, API and metrics on one address, and posts alone on another."""

# The event loop reaches for the first on first use, when a sensor that was started as root may have
# given up the right to read its own installation.
import asyncio
import concurrent.futures.thread  # noqa: F401
import errno
import ipaddress
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from sensor.base.fields import Listen
from sensor.deliver.exposition import CONTENT_TYPE
from sensor.deliver.metrics import Metrics
from sensor.deliver.snapshots import Snapshots
from sensor.deliver.web.api import Api
from sensor.deliver.web.intake import Intake, post_route
from sensor.deliver.web.pages import Pages
from sensor.deliver.web.security import add_headers, guard, own_names, problem
from sensor.errors import ConfigError
from sensor.model.posted import MAX_BODY

MAX_CONNECTIONS = 512
"""Open at once; the next is closed at once, so that file descriptors are left for the rest of the sensor."""
MAX_POSTING = 128
"""The same for a server that only takes posts."""
MAX_EACH, MAX_POSTING_EACH = 64, 8
"""Of those from one IPv4 address or /64 of IPv6; the oldest of them gives way. This machine may have all."""
IDLE_SECONDS, POSTING_SECONDS = 20.0, 5.0
"""A connection that has not sent a whole (or the next) request head by then is closed."""
STOP_SECONDS = 1.0
"""For answers under way at the end."""

STATIC = Path(__file__).with_name("static")

log = logging.getLogger(__name__)


class HttpServer(ABC):
    """Answers between `start` and `stop`; all handlers run on the event loop and read nothing from disk."""

    def __init__(
        self, key: str, listen: Listen, hosts: Iterable[str], *, reading: bool = True, public: str = ""
    ) -> None:
        """`key`: where `listen` stands in the settings, port 0 for any free one; the others as for `WebServer`."""
        self._key = key
        self._listen = listen
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._hosts = tuple(hosts)
        self._reading = reading
        self._public = public
        self._names: frozenset[str] = frozenset()
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._refused = [0]

    @property
    def port(self) -> int:
        """The port in use, once started."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def place(self) -> str:
        """`127.0.0.1:8470`, once started."""
        return f"{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}"

    @property
    def most(self) -> int:
        """Connections at once."""
        return MAX_CONNECTIONS

    @property
    def each(self) -> int:
        """Connections at once from one place."""
        return MAX_EACH

    @property
    def idle(self) -> float:
        """Seconds for which one may be silent."""
        return IDLE_SECONDS

    @property
    def refused(self) -> int:
        """Connections that were one too many."""
        return self._refused[0]

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """All that it answers; called once, at the start."""

    async def start(self) -> None:
        """Listen. ConfigError naming the key: the address cannot be had."""
        self._names = own_names(socket.gethostname(), self._host, self._hosts)
        runner = web.AppRunner(self._app(), handle_signals=False, access_log=None, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        manager = runner.server
        if manager is None:
            raise RuntimeError("a runner that was set up has a server")
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Connection(manager, loop, self.most, self.each, self.idle, self._refused),
                self._host,
                self._port,
            )
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(f"{self._key}: cannot listen on {self._listen}: {_why(error)}") from None
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening, end what is under way within `STOP_SECONDS`; harmless twice."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def _app(self) -> web.Application:
        guarding = guard(lambda: self._names, reading=self._reading, public=self._public)
        app = web.Application(middlewares=[guarding], client_max_size=MAX_BODY)
        app.on_response_prepare.append(add_headers)
        app.add_routes(self.routes())
        return app


class Routes(Protocol):
    """Something that answers."""

    def routes(self) -> list[web.RouteDef]:
        """All paths of it."""


class IntakeServer(HttpServer):
    """Takes posts to one path and has nothing else, so that it may be open to more than the page is."""

    def __init__(self, key: str, listen: Listen, hosts: Iterable[str], path: str, intake: Intake) -> None:
        """`key`: where `listen` stands in the settings."""
        super().__init__(key, listen, hosts, reading=False)
        self._path = path
        self._intake = intake

    @property
    def most(self) -> int:
        return MAX_POSTING

    @property
    def each(self) -> int:
        return MAX_POSTING_EACH

    @property
    def idle(self) -> float:
        return POSTING_SECONDS

    def routes(self) -> list[web.RouteDef]:
        return [post_route(self._path, self._intake)]

    async def start(self) -> None:
        await super().start()
        log.info("posts to %s are also taken on http://%s", self._path, self.place)


class WebServer(HttpServer):
    """Page, API and metrics."""

    def __init__(
        self,
        listen: Listen,
        hosts: Iterable[str],
        snapshots: Snapshots,
        metrics: Metrics,
        intakes: Mapping[str, Intake] | None = None,
        further: Iterable[Routes] = (),
        *,
        api: Api | None = None,
        pages: Pages | None = None,
        public: str = "",
    ) -> None:
        """`listen`: where, port 0 for any free one; `hosts`: further names under which browsers may ask.

        `intakes`: path -> who takes what is posted there; `further`: what else it answers; `public`: an origin by which
        browsers may ask besides.
        """
        super().__init__("web.listen", listen, hosts, public=public)
        self._snapshots = snapshots
        self._metrics = metrics
        self._intakes = dict(intakes or {})
        self._further = tuple(further)
        self._api = api or Api(snapshots)
        self._pages = pages or Pages(snapshots)
        self._style = b""

    def routes(self) -> list[web.RouteDef]:
        return [
            *self._api.routes(),
            *(route for each in self._further for route in each.routes()),
            *(post_route(path, intake) for path, intake in self._intakes.items()),
            web.get("/", self._pages.overview),
            web.get("/metrics", self._scrape),
            web.get("/healthz", self._health),
            web.get("/static/style.css", self._stylesheet),
        ]

    async def start(self) -> None:
        self._style = (STATIC / "style.css").read_bytes()  # once, before the first request
        self._metrics.render()
        await super().start()
        log.info("page on http://%s", self.place)
        if not _is_loopback(self._host):
            log.warning("web.listen: whoever reaches this address can read the page; it has no password")

    async def _scrape(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _stylesheet(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._style, content_type="text/css", charset="utf-8", headers={"Cache-Control": "max-age=300"}
        )


class _Connection(RequestHandler):
    """One connection: capped in number, closed when silent, and with our own words for what is no HTTP.

    Made here instead of by the library, whose answer to a broken request carries none of our headers.
    """

    __slots__ = ("_each", "_most", "_siblings", "near", "refused")

    def __init__(
        self,
        manager: web.Server,
        loop: asyncio.AbstractEventLoop,
        most: int,
        each: int,
        idle: float,
        refused: list[int],
    ) -> None:
        """`most` connections in all, `each` from one place, silent for `idle` s; `refused`: a count."""
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=idle,
            lingering_time=STOP_SECONDS,
            access_log=None,  # type: ignore[arg-type]  # the library's own way to say "none"
            auto_decompress=False,
        )
        self._siblings = manager
        self._most, self._each, self.refused = most, each, refused
        self.near: bytes | None = None
        """Whence it comes: an IPv4 address, or the first half of an IPv6 one; None: this machine."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.near = _near(transport)
        everybody = self._siblings.connections
        if len(everybody) > self._most:
            self.refused[0] += 1
            self.force_close()
            return
        crowd = [one for one in everybody if self.near is not None and getattr(one, "near", None) == self.near]
        if len(crowd) > self._each:
            # The oldest gives way, unless it is being answered: all phones of a LAN share one IPv6 /64.
            self.refused[0] += 1
            waiting = (one for one in crowd if one is not self and getattr(one, "_current_request", None) is None)
            next(waiting, self).force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP, or broke in a handler; the text of either stays out of the answer."""
        if status >= 500:
            log.error("web: a request failed", exc_info=exc)
        response = problem(status)
        response.force_close()
        return response


def _near(transport: asyncio.BaseTransport) -> bytes | None:
    peer = transport.get_extra_info("peername")
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except (TypeError, IndexError, ValueError):
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return None if address.is_loopback else address.packed[:8]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program uses it"
    return error.strerror or "unknown address"
