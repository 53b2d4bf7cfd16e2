"""The page of messages that were given up, and its form."""

from html import unescape

import aiohttp
import pytest

from sensor.deliver.metrics import Metrics
from sensor.deliver.outbox import Outbox
from sensor.deliver.web.admin import Admin
from sensor.deliver.web.resend import Resend
from sensor.deliver.web.server import WebServer
from sensor.errors import DeliveryError, StoreError
from tests.deliver.letters import Scripted, built, notice, running, until
from tests.deliver.web.conftest import Site
from tests.deliver.web.test_pages import Outline

TOKEN = "0123456789abcdef0123"


@pytest.fixture(params=[TOKEN])
async def site(request, world, tmp_path):
    lab = Scripted(name="lab")
    delivery = built(tmp_path / "outbox.db", lab, kind=Outbox)
    admin = Admin(request.param, "", lambda: 0)
    admin.prepare()
    metrics = Metrics(world, delivery.outboxes, [], delivery.journal)
    server = WebServer("127.0.0.1:0", (), world, metrics, {}, [Resend(delivery, admin)])
    await server.start()
    async with running(delivery), aiohttp.ClientSession() as session:
        lab.always = DeliveryError("answered <b>404</b>", retry=False)
        site = Site(server, session)
        site.lab, site.delivery = lab, delivery
        yield site
    await server.stop()


async def page(site, status=200, **form):
    response, body = await site.get("/outbox", "POST" if form else "GET", data=form or None)
    assert response.status == status
    return unescape(body.decode())


async def given_up(site, *keys):
    for key in keys:
        site.delivery.put(notice(key))
    await until(lambda: site.delivery.journal.dead.get("lab") == len(keys))


async def test_sent_again_by_whoever_has_the_token(site):
    assert "None." in await page(site)
    await given_up(site, "a", "b")
    shown = await page(site)
    assert "Send 2 to lab again" in shown
    outline = Outline((await site.get("/outbox"))[1].decode())
    assert (outline.elements["form"], outline.elements["b"]) == (1, 0)
    assert any("answered <b>404</b>" in text for text in outline.texts)
    site.lab.always = None
    assert "2 messages wait to be sent to lab again" in await page(site, sink="lab", token=TOKEN)
    await until(lambda: site.lab.got == ["a.firing", "b.firing"])
    assert "0 messages wait" in await page(site, sink="lab", token=TOKEN)


async def test_not_without_it(site):
    await given_up(site, "a")
    assert "That is not the token." in await page(site, 401, sink="lab", token="wrong")
    assert "That is not the token." in await page(site, 401, sink="lab")
    response, body = await site.get("/outbox", "POST", json={"sink": "lab", "token": TOKEN})
    assert response.status == 401
    assert TOKEN not in body.decode()
    for origin in ("http://evil.example", "null"):
        data = {"sink": "lab", "token": TOKEN}
        response, _ = await site.get("/outbox", "POST", data=data, headers={"Origin": origin})
        assert response.status == 403
    assert site.delivery.journal.dead["lab"] == 1
    assert "no such sink" in await page(site, 404, sink="none", token=TOKEN)


@pytest.mark.parametrize("site", [""], indirect=True)
async def test_without_a_token_it_says_how_to_get_one(site):
    await given_up(site, "a")
    assert "openssl rand -hex 16" in await page(site)
    assert "<form" not in await page(site)
    assert "openssl rand -hex 16" in await page(site, 403, sink="lab", token=TOKEN)


async def test_bodies_that_bite(site):
    for data in (b"x" * 900_000, b"&" * 900, b"sink=%ff%00&token=%0d%0a", b"\xff\xfe", b"sink=a" * 100):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            response, _ = await site.get("/outbox", "POST", data=data, headers=headers)
        except aiohttp.ClientError:
            continue  # cut off while it still sent
        assert response.status in (401, 413, 429)


async def test_a_disk_that_does_not_answer(site, monkeypatch):
    async def fail(*_):
        raise StoreError("I/O error of /secret/path")

    monkeypatch.setattr(site.delivery.journal, "dead_letters", fail)
    monkeypatch.setattr(site.delivery.journal, "revive", fail)
    assert "secret" not in await page(site, 503)
    assert "secret" not in await page(site, 503, sink="lab", token=TOKEN)


async def test_the_form_may_say_where_it_comes_from(site):
    response, _ = await site.get("/outbox")
    assert response.headers["Referrer-Policy"] == "same-origin"
