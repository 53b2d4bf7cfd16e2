"""What waits and what was given up, over HTTP; sent again by whoever has the token."""

import aiohttp
import pytest

from sensor.deliver.metrics import Metrics
from sensor.deliver.outbox import Outbox
from sensor.deliver.web.admin import Admin
from sensor.deliver.web.server import WebServer
from sensor.deliver.web.waiting import Waiting
from sensor.errors import DeliveryError, StoreError
from tests.deliver.letters import Scripted, built, down, notice, running, until
from tests.deliver.web.conftest import Site

TOKEN = "0123456789abcdef0123"
SEND = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def site(world, tmp_path):
    lab, chat = Scripted(name="lab"), Scripted(name="chat")
    delivery = built(tmp_path / "outbox.db", lab, chat, kind=Outbox)
    admin = Admin(TOKEN, "", lambda: 0)
    admin.prepare()
    waiting = Waiting(delivery, admin)
    server = WebServer("127.0.0.1:0", (), world, Metrics(world, delivery.outboxes, [], delivery.journal), {}, [waiting])
    await server.start()
    async with running(delivery), aiohttp.ClientSession() as session:
        lab.broken_keys = {"bad": DeliveryError("answered 404", retry=False)}
        chat.always = down(3600)
        site = Site(server, session)
        site.lab, site.delivery = lab, delivery
        yield site
    await server.stop()


async def replay(site, body, **headers):
    response, _ = await site.get("/api/v1/outbox/replay", "POST", json=body, headers={**SEND, **headers})
    return response.status, await response.json()


async def test_what_waits_and_what_was_given_up(site):
    for key in ("good", "bad"):
        site.delivery.put(notice(key))
    await until(lambda: site.delivery.journal.dead)
    answer = await site.json("/api/v1/outbox")
    lab, chat = answer["sinks"]
    assert (lab["sink"], lab["waiting"], lab["dead"], lab["outcomes"]["delivered"]) == ("lab", 0, 1, 1)
    assert (chat["state"], chat["error"], chat["waiting"], chat["dead"]) == ("failing", "down", 2, 0)
    rows = {(row["sink"], row["message"]): row for row in answer["messages"]}
    assert len(rows) == 3
    dead = rows["lab", "bad.firing"]
    assert (dead["state"], dead["error"], dead["attempts"]) == ("dead", "answered 404", 1)
    tried = rows["chat", "good.firing"]
    assert tried["next_at"] > tried["created_at"]
    for query, count in (("state=dead", 1), ("state=waiting", 2), ("sink=lab", 1), ("sink=nope", 0)):
        assert len((await site.json(f"/api/v1/outbox?{query}"))["messages"]) == count
    first = await site.json("/api/v1/outbox?limit=2")
    second = await site.json(f"/api/v1/outbox?limit=2&cursor={first['next']}")
    assert len(first["messages"] + second["messages"]) == 3
    _, text = await site.get("/metrics")
    assert b'idlewire_outbox_dead_messages{sink="lab"} 1.0' in text


async def test_sent_again(site):
    site.delivery.put(notice("bad"))
    await until(lambda: site.delivery.journal.dead)
    [row] = (await site.json("/api/v1/outbox?state=dead"))["messages"]
    site.lab.broken_keys = {}
    assert await replay(site, {"id": row["id"]}) == (200, {"replayed": 1})
    await until(lambda: site.lab.got == ["bad.firing"])
    assert (await replay(site, {"id": row["id"]}))[0] == 404
    assert await replay(site, {"sink": "lab"}) == (200, {"replayed": 0})


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"id": 1, "sink": "lab"}, 400), ({"id": True}, 400), ({"id": "1"}, 400), ({"id": -1}, 400),
     ({"id": 10**30}, 400), ({"sink": 5}, 400), ({"sink": "nope"}, 404), ({"id": 999}, 404), ({"what": 1}, 400)],
)  # fmt: skip
async def test_what_is_not_understood(site, body, status):
    assert (await replay(site, body))[0] == status


async def test_only_with_the_token_and_not_from_a_foreign_page(site):
    response, _ = await site.get("/api/v1/outbox/replay", "POST", json={"sink": "lab"})
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (await replay(site, {"sink": "lab"}, Origin="http://evil.example"))[0] == 403
    response, _ = await site.get("/api/v1/outbox/replay")
    assert response.status == 405


async def test_a_disk_that_does_not_answer(site, monkeypatch):
    async def fail(*_):
        raise StoreError("I/O error of /secret/path")

    monkeypatch.setattr(site.delivery.journal, "dead_letters", fail)
    monkeypatch.setattr(site.delivery.journal, "revive", fail)
    response, body = await site.get("/api/v1/outbox")
    assert response.status == 503
    assert b"secret" not in body
    assert (await replay(site, {"sink": "lab"}))[0] == 503


async def test_a_state_that_is_none(site):
    response, _ = await site.get("/api/v1/outbox?state=lost")
    assert response.status == 400
