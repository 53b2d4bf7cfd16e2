"""Posts over real HTTP: what reaches whoever takes them, and what does not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from sensor.deliver.metrics import Metrics
from sensor.deliver.web import intake as module
from sensor.deliver.web import server as server_module
from sensor.deliver.web.intake import sender_address
from sensor.deliver.web.security import HEADERS
from sensor.deliver.web.server import IntakeServer, WebServer
from sensor.errors import ConfigError
from sensor.model.posted import MAX_BODY, Answer, Posted, refused

PATH = "/api/v1/foreground"
BEARER = {"Authorization": "Bearer s3cret-s3cret-s3cret"}


@dataclass
class Mailbox:
    """Keeps what came, and answers as told."""

    answer: Answer = field(default_factory=lambda: Answer(200, {"accepted": True}))
    posted: list[Posted] = field(default_factory=list)

    async def __call__(self, posted: Posted) -> Answer:
        self.posted.append(posted)
        return self.answer


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def page(world, mailbox) -> AsyncIterator[WebServer]:
    metrics = Metrics(world, [], [])
    server = WebServer("127.0.0.1:0", ("sensor.lan",), world, metrics, {PATH: mailbox, f"{PATH}/manual": mailbox})
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def alone(mailbox) -> AsyncIterator[IntakeServer]:
    server = IntakeServer("foreground.push.listen", "127.0.0.1:0", ("sensor.lan",), PATH, mailbox)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def ask(session, server, path=PATH, method="POST", **options):
    async with session.request(method, f"http://127.0.0.1:{server.port}{path}", **options) as response:
        await response.read()
        return response


async def test_json_and_forms_arrive_with_their_sender(session, page, alone, mailbox):
    for server in (page, alone):
        for body in ({"json": {"event": "screen_on"}}, {"data": {"event": "screen_on"}}):
            response = await ask(session, server, headers=BEARER, **body)
            assert response.status == 200
            assert await response.json() == {"accepted": True}
            assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert [posted.content_type for posted in mailbox.posted] == [
        "application/json",
        "application/x-www-form-urlencoded",
    ] * 2
    assert {posted.body for posted in mailbox.posted} == {b'{"event": "screen_on"}', b"event=screen_on"}
    assert {(posted.sender, posted.authorization) for posted in mailbox.posted} == {
        ("127.0.0.1", BEARER["Authorization"])
    }
    assert "s3cret" not in repr(mailbox.posted)


async def test_refusals_carry_what_the_sender_needs(session, page, mailbox):
    mailbox.answer = refused(429, "too many posts", 1)
    response = await ask(session, page)
    assert (response.status, response.headers["Retry-After"]) == (429, "1")
    assert await response.json() == {"error": "too many posts"}
    mailbox.answer = refused(401, "no")
    assert (await ask(session, page)).headers["WWW-Authenticate"] == "Bearer"


async def test_no_more_of_a_body_is_read_than_shows_that_it_is_too_large(session, page, mailbox):
    await ask(session, page, data=b"x" * MAX_BODY)
    await ask(session, page, data=b"x" * (MAX_BODY + 1))
    await ask(session, page, data=b"x" * 500_000)
    assert [len(posted.body) for posted in mailbox.posted] == [MAX_BODY, MAX_BODY + 1, MAX_BODY + 1]


@pytest.mark.parametrize("origin", ["http://evil.example", "https://evil.example", "null", "http://127.0.0.1:1", ""])
async def test_pages_of_others_cannot_post(session, page, alone, mailbox, origin):
    for server in (page, alone):
        response = await ask(session, server, headers={**BEARER, "Origin": origin})
        assert response.status == 403
    assert mailbox.posted == []


async def test_our_own_page_could(session, page, mailbox):
    own = f"http://127.0.0.1:{page.port}"
    assert (await ask(session, page, headers={**BEARER, "Origin": own})).status == 200


async def test_a_foreign_host_cannot(session, page, alone, mailbox):
    for server in (page, alone):
        assert (await ask(session, server, headers={**BEARER, "Host": "evil.example"})).status == 403
        assert (await ask(session, server, headers={**BEARER, "Host": "sensor.lan"})).status == 200
    assert len(mailbox.posted) == 2


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_stay_closed(session, page, alone, mailbox, method):
    for server, allowed in ((page, "GET, HEAD, POST"), (alone, "POST")):
        response = await ask(session, server, method=method)
        assert (response.status, response.headers["Allow"]) == (405, allowed)
    assert mailbox.posted == []


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/api/v1/clients", "/api/v1/foreground/manual", "/no"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_the_further_address_serves_nothing_else(session, alone, mailbox, path, method):
    response = await ask(session, alone, path, method)
    assert response.status == 404
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert mailbox.posted == []


async def test_reading_is_no_posting(session, page, alone, mailbox):
    assert (await ask(session, page, method="GET")).status == 200
    response = await ask(session, alone, f"{PATH}?event=screen_on", "GET")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert mailbox.posted == []


async def connection(server, head: bytes):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + head)
    return reader, writer


async def test_a_body_that_does_not_come(page, mailbox, monkeypatch):
    monkeypatch.setattr(module, "BODY_SECONDS", 0.05)
    reader, writer = await connection(page, b"Content-Length: 20\r\n\r\n{")
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    assert mailbox.posted == []


async def test_a_sender_that_goes_away_leaves_no_line_in_the_log(page, mailbox, caplog):
    for head in (b"Content-Length: 20\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"):
        _, writer = await connection(page, head)
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert mailbox.posted == []
    assert [record for record in caplog.records if record.name.startswith("sensor.deliver.web")] == []


async def test_chunks_that_are_none(page, mailbox):
    reader, writer = await connection(page, b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).partition(b" ")[2].startswith(b"400 ")
    writer.close()
    assert mailbox.posted == []


async def test_a_further_address_in_use_is_named_by_its_key(page, mailbox):
    taken = IntakeServer("foreground.push.listen", f"127.0.0.1:{page.port}", (), PATH, mailbox)
    with pytest.raises(ConfigError, match=r"^foreground\.push\.listen: cannot listen on .* another program uses it$"):
        await taken.start()


@pytest.mark.parametrize(
    ("remote", "sender"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%br0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("", ""),
        (None, ""),
        ("unix", ""),
    ],
)
def test_sender_addresses(remote, sender):
    assert sender_address(remote) == sender


async def test_senders_that_stay_silent_take_no_room_from_others(session, alone, mailbox, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_POSTING", 5)
    ends = [await asyncio.open_connection("127.0.0.1", alone.port) for _ in range(4)]
    assert (await ask(session, alone, headers={"Connection": "close"})).status == 200
    for _, writer in ends:
        writer.close()
        await writer.wait_closed()
