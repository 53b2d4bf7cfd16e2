"""The HTTP server: page, API and metrics on one address."""

# The event loop reaches for the first on first use, when a sensor that was started as root may have
# given up the right to read its own installation.
import asyncio
import concurrent.futures.thread  # noqa: F401
import errno
import logging
import socket
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from sensor.base.fields import Listen
from sensor.deliver.metrics import CONTENT_TYPE, Metrics
from sensor.deliver.snapshots import Snapshots
from sensor.deliver.web.api import Api
from sensor.deliver.web.pages import Pages
from sensor.deliver.web.security import add_headers, guard, own_names, problem
from sensor.errors import ConfigError

MAX_CONNECTIONS = 512
"""Open at once; the next is closed at once, so that file descriptors are left for the rest of the sensor."""
IDLE_SECONDS = 20.0
"""A connection that has not sent a whole (or the next) request head by then is closed."""
STOP_SECONDS = 1.0
"""For answers under way at the end."""
MAX_BODY = 1_024
"""Bytes of a request body; nothing here reads one."""

STATIC = Path(__file__).with_name("static")

log = logging.getLogger(__name__)


class WebServer:
    """Answers between `start` and `stop`; all handlers run on the event loop and read nothing from disk."""

    def __init__(self, listen: Listen, hosts: Iterable[str], snapshots: Snapshots, metrics: Metrics) -> None:
        """`listen`: where, port 0 for any free one; `hosts`: further names under which browsers may ask."""
        self._listen = listen
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._hosts = tuple(hosts)
        self._snapshots = snapshots
        self._metrics = metrics
        self._names: frozenset[str] = frozenset()
        self._style = b""
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port in use, once started."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen. ConfigError naming `web.listen`: the address cannot be had."""
        self._names = own_names(socket.gethostname(), self._host, self._hosts)
        self._style = (STATIC / "style.css").read_bytes()  # once, before the first request
        self._metrics.render()
        runner = web.AppRunner(self._app(), handle_signals=False, access_log=None, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        manager = runner.server
        if manager is None:
            raise RuntimeError("a runner that was set up has a server")
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Connection(manager, loop), self._host, self._port)
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(f"web.listen: cannot listen on {self._listen}: {_why(error)}") from None
        self._runner = runner
        log.info("page on http://%s:%d", f"[{self._host}]" if ":" in self._host else self._host, self.port)

    async def stop(self) -> None:
        """Stop listening, end what is under way within `STOP_SECONDS`; harmless twice."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[guard(lambda: self._names)], client_max_size=MAX_BODY)
        app.on_response_prepare.append(add_headers)
        app.add_routes(
            [
                *Api(self._snapshots).routes(),
                web.get("/", Pages(self._snapshots).overview),
                web.get("/metrics", self._scrape),
                web.get("/healthz", self._health),
                web.get("/static/style.css", self._stylesheet),
            ]
        )
        return app

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

    __slots__ = ("_siblings",)

    def __init__(self, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=STOP_SECONDS,
            access_log=None,  # type: ignore[arg-type]  # the library's own way to say "none"
            auto_decompress=False,
        )
        self._siblings = manager

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._siblings.connections) > MAX_CONNECTIONS:
            self.force_close()

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


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program uses it"
    return error.strerror or "unknown address"
