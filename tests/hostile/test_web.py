"""Every path of the daemon's web server against who may not: previews, foreign pages, bodies that bite."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from sensor.app import App
from sensor.config import parse
from sensor.deliver.links import Offer
from sensor.model.ruling import Key, Ruling

TOKEN = "0123456789abcdef0123"
PUBLIC = "http://router.lan:8470"
SECOND = 1_000_000_000
BLOCKED = 0.5
"""Seconds for which a body may keep everybody else waiting, on a machine that does much else."""


@dataclass
class Site:
    """The daemon's own web server with all that it serves, and a browser's side of it."""

    app: App
    folder: Path
    session: aiohttp.ClientSession

    @property
    def port(self) -> int:
        return self.app.web.port

    def paths(self, method: str, link: str = "") -> list[str]:
        found = [route.path for route in self.app.web.routes() if route.method == method]
        return [path.replace("{token}", link or self.link()).replace("{id}", "m1") for path in found]

    def link(self) -> str:
        expires = time.time_ns() // SECOND + 3_600
        return self.app.links.sign(Offer("mute", Key(owner="Xiaomi"), "", expires))

    async def ask(self, method: str, path: str, **options: object) -> int:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, **options) as response:  # type: ignore[arg-type]
            await response.read()
            return response.status

    def state(self) -> object:
        """All that a request could have changed."""
        files = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in self.folder.glob("*.[jk]*")}
        outbox = [letter for each in self.app.delivery.outboxes for letter in each.letters()]
        statements = [source.counts for source in self.app.house.sources]
        return files, self.app.rulings.dump(), outbox, dict(self.app.delivery.journal.dead), statements


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    settings = {
        "state_dir": str(tmp_path),
        "web": {"listen": "127.0.0.1:0", "token": TOKEN, "public_url": PUBLIC},
        "foreground": {"push": {"phone": [{"token": "x" * 20}]}, "manual": {"token": "y" * 20}},
        "sink": [{"name": "lab", "type": "webhook", "url": "http://127.0.0.1:1/x"}],
    }
    app = App(parse(settings))
    app.admin.prepare()
    for source in app.house.sources:
        source.prepare()
    app.keeper.restore(time.time_ns())
    app.links.prepare()
    await app.delivery.start()
    await app.delivery.begin()
    await app.web.start()
    await app.keeper.make(Ruling("m1", "mute", 1, None, "lena", key=Key(owner="x")), time.time_ns())
    async with aiohttp.ClientSession() as session:
        yield Site(app, tmp_path, session)
    await app.web.stop()
    await app.delivery.stop()


async def test_looking_at_every_path_changes_nothing(site: Site) -> None:
    before = site.state()
    paths = [*site.paths("GET"), *site.paths("POST")]
    assert len(paths) > 15
    for path in paths:
        for method in ("GET", "HEAD"):
            for query in ("", "?confirm=1&action=mute", "?client=60:38:e0:c5:35:a0&state=dead"):
                assert await site.ask(method, path + query) in (200, 400, 403, 404, 405), path
    assert site.state() == before


async def test_no_path_takes_a_post_from_a_foreign_page(site: Site) -> None:
    before = site.state()
    login = {"Authorization": f"Bearer {TOKEN}"}
    for path in site.paths("POST"):
        for origin in ("http://evil.example", "null", "", "file://", f"{PUBLIC}.evil.example", "http://127.0.0.1"):
            assert await site.ask("POST", path, json={}, headers={**login, "Origin": origin}) == 403, (path, origin)
    assert site.state() == before


async def test_no_path_takes_a_post_without_its_token_or_its_type(site: Site) -> None:
    before = site.app.rulings.dump()
    for path in site.paths("POST", link="A" * 100):
        assert await site.ask("POST", path, json={"action": "mute", "owner": "x"}) in (401, 403), path
        wrong = {"Authorization": "Bearer wrong-wrong-wrong-wrong"}
        assert await site.ask("POST", path, json={"sink": "lab"}, headers=wrong) in (401, 403), path
        login = {"Authorization": f"Bearer {TOKEN}"}
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            headers = {**login, "Content-Type": kind}
            assert await site.ask("POST", path, data=b'{"action": "mute", "owner": "x"}', headers=headers) in (
                401,
                403,
                415,
            ), path
    assert site.app.rulings.dump() == before


def bodies() -> dict[str, tuple[bytes, dict[str, str]]]:
    kind = {"Content-Type": "application/json"}
    return {
        "10 MB": (b" " * 10_000_000, kind),
        "gzip": (gzip.compress(bytes(10_000_000)), {**kind, "Content-Encoding": "gzip"}),
        "nested": (b"[" * 1_000 + b"]" * 24, kind),
        "multipart": (b"--x\r\n\r\n" * 100, {"Content-Type": "multipart/form-data; boundary=x"}),
        "no UTF-8": (b"\xff" * 100, kind),
        "many fields": (b"a&" * 500, {"Content-Type": "application/x-www-form-urlencoded"}),
    }


@pytest.mark.parametrize("name", bodies())
async def test_bodies_that_bite(site: Site, name: str) -> None:
    before = site.app.rulings.dump()
    body, headers = bodies()[name]
    longest = 0.0

    async def beside() -> None:
        nonlocal longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - began)

    watching = asyncio.ensure_future(beside())
    for path in site.paths("POST", link="A" * 100):
        status = await raw(site.port, path, body, {**headers, "Authorization": f"Bearer {TOKEN}"})
        assert status in (None, 400, 401, 403, 413, 415, 429), (path, status)
    watching.cancel()
    assert longest < BLOCKED
    assert site.app.rulings.dump() == before


async def test_a_hundred_thousand_chunks(site: Site) -> None:
    for path in site.paths("POST", link="A" * 100):
        status = await raw(site.port, path, b"1\r\n \r\n" * 100_000 + b"0\r\n\r\n", {"Transfer-Encoding": "chunked"})
        assert status in (None, 400, 401, 403, 413, 415), path


async def raw(port: int, path: str, body: bytes, headers: dict[str, str]) -> int | None:
    """The status, None where the server hung up on who sends too much."""
    length = {} if "Transfer-Encoding" in headers else {"Content-Length": str(len(body))}
    lines = [f"{key}: {value}" for key, value in {**headers, **length}.items()]
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *lines, "", ""])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            writer.write(head.encode() + body)
            line = await reader.readline()
            return int(line.split()[1]) if line else None
    except ConnectionError:
        return None
    finally:
        writer.close()
