"""Starting, stopping, being flooded; and nothing is loaded or read once it runs."""

import asyncio
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from types import SimpleNamespace

import aiohttp
import pytest

from sensor.base.fields import Listen
from sensor.deliver.metrics import Metrics
from sensor.deliver.web import server as module
from sensor.deliver.web.server import WebServer, _near
from sensor.errors import ConfigError


def server_for(world, listen):
    return WebServer(listen, (), world, Metrics(world, [], ["watchlist"]))


async def test_health_metrics_and_style(site):
    _, body = await site.get("/healthz")
    assert body == b"ok\n"
    response, body = await site.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"idlewire_capture_frames_total 90.0" in body
    response, body = await site.get("/static/style.css")
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert b"color-scheme" in body


async def test_ipv6(world):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = server_for(world, "[::1]:0")
    try:
        await server.start()
    except ConfigError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    async with aiohttp.ClientSession() as session, session.get(f"http://[::1]:{server.port}/healthz") as response:
        assert response.status == 200
    await server.stop()


@pytest.mark.parametrize(("listen", "open_to_all"), [("0.0.0.0:0", True), ("127.0.0.1:0", False)])
async def test_who_can_read_the_page_is_said_where_it_is_not_this_machine_alone(world, caplog, listen, open_to_all):
    server = server_for(world, listen)
    with caplog.at_level("WARNING"):
        await server.start()
    await server.stop()
    assert ("has no password" in caplog.text) == open_to_all


async def test_port_in_use_is_one_line(world, site):
    taken = f"127.0.0.1:{site.server.port}"
    with pytest.raises(ConfigError, match=rf"^web\.listen: cannot listen on {taken}: another program uses it$"):
        await server_for(world, taken).start()


@pytest.mark.parametrize("listen", ["203.0.113.1:0", "no-such-host.invalid:0"])
async def test_not_our_address(world, listen):
    with pytest.raises(ConfigError, match=r"^web\.listen: cannot listen on ") as caught:
        await server_for(world, listen).start()
    assert "\n" not in str(caught.value)


async def test_stop_twice_and_without_start(world):
    server = server_for(world, "127.0.0.1:0")
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_stop_does_not_wait_for_idle_connections(world):
    server = server_for(world, "127.0.0.1:0")
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HT")
    await asyncio.sleep(0.02)
    start = time.monotonic()
    await server.stop()
    assert time.monotonic() - start < 2
    writer.close()


async def test_silent_connections_are_closed(world, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.1)
    server = server_for(world, "127.0.0.1:0")
    await server.start()
    ends = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
    ends[1][1].write(b"GET / HTTP/1.1\r\nHost: loc")
    ends[2][1].write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(3):
        answers = await asyncio.gather(*(reader.read() for reader, _ in ends))
    assert answers[0] == answers[1] == b""
    assert answers[2].endswith(b"ok\n")
    for _, writer in ends:
        writer.close()
    await server.stop()


async def test_many_idle_connections_leave_room_for_the_page(world, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 20)
    server = server_for(world, "127.0.0.1:0")
    await server.start()
    ends = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(19)]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{server.port}/healthz") as response:
            assert response.status == 200
            await response.read()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(2):
            assert await reader.read() == b"", "one too many is closed at once"
    for _, one in [*ends, (reader, writer)]:
        one.close()
    await server.stop()


async def test_large_and_endless_bodies(site):
    async def endless():
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0)

    start = time.monotonic()
    try:
        response, _ = await site.get("/", "POST", data=endless())
        assert response.status == 405
    except aiohttp.ClientError:
        pass
    assert time.monotonic() - start < 5
    _, body = await site.get("/healthz")
    assert body == b"ok\n"


async def test_a_broken_handler_says_nothing_about_itself(site, world, caplog):
    world.all_clients = None
    response, body = await site.get("/api/v1/clients")
    assert response.status == 500
    assert body == b'{"error":"internal error"}'
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "a request failed" in caplog.text


SCRIPT = """
    import asyncio, builtins, pathlib, sys, time
    sys.path.insert(0, {tests!r})
    import aiohttp
    import conftest
    from sensor.deliver.chat.webhook import Settings, Webhook
    from sensor.deliver.delivery import Delivery
    from sensor.deliver.journal import Journal
    from sensor.deliver.metrics import Metrics
    from sensor.deliver.outbox import Outbox
    from sensor.deliver.web.admin import Admin
    from sensor.deliver.web.server import WebServer
    from sensor.deliver.web.waiting import Waiting
    from sensor.store.outbox import OutboxStore

    ALLOWED = ({state!r}, "/proc/", "/etc/", "/dev/", "/usr/share/zoneinfo")
    opened = []

    async def main():
        world = conftest.World()
        receiver = conftest.Receiver()
        receiver.answers = [conftest.reply(500), conftest.reply(200)]
        await receiver.start()
        url = receiver.url.replace("127.0.0.1", "localhost")
        urls = {{"lab": url, "no": "http://127.0.0.1:1/"}}
        journal = Journal(OutboxStore(pathlib.Path({state!r}, "outbox.db"), time.monotonic))
        outboxes = [Outbox(Webhook(name, Settings(url), "0"), journal) for name, url in urls.items()]
        delivery = Delivery(world.sensor, outboxes, journal)
        metrics = Metrics(world, outboxes, ["watchlist"], journal)
        waiting = Waiting(delivery, Admin("", "", time.time_ns))
        server = WebServer("127.0.0.1:0", (), world, metrics, further=[waiting])
        await server.start()
        await delivery.start()
        before = set(sys.modules)
        sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
        await delivery.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(delivery.run())
            delivery.tell(conftest.alert())
            for path in ("/", "/metrics", "/healthz", "/static/style.css", "/nothing", "/api/v1/clients",
                         "/api/v1/destinations", "/api/v1/alerts", "/api/v1/status", "/api/v1/outbox",
                         "/api/v1/clients?limit=x"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(f"GET {{path}} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n".encode())
                await reader.read()
                writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"rubbish\\r\\n\\r\\n")
            await reader.read()
            writer.close()
            await receiver.got(2)
            await delivery.drain()
        await delivery.stop()
        await server.stop()
        await receiver.stop()
        print("modules:", sorted(set(sys.modules) - before))
        print("files:", sorted({{str(name) for name in opened if not str(name).startswith(ALLOWED)}}))

    asyncio.run(main())
"""


def test_nothing_is_imported_or_read_once_it_runs(tmp_path):
    """The sensor may have given up the right to read its own files by then; what is in its state folder it may."""
    tests = str(__import__("pathlib").Path(__file__).parent.parent)
    script = textwrap.dedent(SCRIPT.format(tests=tests, state=str(tmp_path)))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "modules: []\nfiles: []\n"


async def test_one_neighbour_cannot_shut_out_the_others(world, monkeypatch) -> None:
    """All of a test come from this machine, which may have all: here it counts as one place."""
    monkeypatch.setattr("sensor.deliver.web.server._near", lambda transport: b"\xc0\xa8\x01\x09")
    monkeypatch.setattr("sensor.deliver.web.server.MAX_EACH", 3)
    server = WebServer(Listen("127.0.0.1:0"), (), world, Metrics(world, [], []))
    await server.start()
    try:
        opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(6)]
        ended = 0
        for reader, _ in opened:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    ended += await reader.read(1) == b""
        assert (ended, server.refused) == (3, 3)
        for _, writer in opened:
            writer.close()
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("peer", "near"),
    [
        (("127.0.0.1", 5), None),
        (("::1", 5, 0, 0), None),
        (("192.168.1.9", 5), bytes([192, 168, 1, 9])),
        (("::ffff:192.168.1.9", 5, 0, 0), bytes([192, 168, 1, 9])),
        (("fd00::9%eth0", 5, 0, 2), bytes.fromhex("fd00000000000000")),
        (None, None),
        ("", None),
    ],
)
def test_whence_a_connection_comes(peer, near) -> None:
    assert _near(SimpleNamespace(get_extra_info=lambda _: peer)) == near
