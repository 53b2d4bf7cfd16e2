"""A started server on a free port, and ways to ask it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from sensor.deliver.metrics import Metrics
from sensor.deliver.web.server import WebServer


@dataclass
class Site:
    server: WebServer
    session: aiohttp.ClientSession

    async def get(self, path: str, method: str = "GET", **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with self.session.request(method, url, **options) as response:
            return response, await response.read()

    async def json(self, path: str) -> Any:
        response, _ = await self.get(path)
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        return await response.json()

    async def raw(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """What no client library would send; the whole answer until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(request)
            async with asyncio.timeout(5):
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, body


@pytest.fixture
async def site(world) -> AsyncIterator[Site]:
    server = WebServer("127.0.0.1:0", ("sensor.lan",), world, Metrics(world, [], ["watchlist"]))
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield Site(server, session)
    await server.stop()
