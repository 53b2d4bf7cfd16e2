"""Following a link shows, and only a POST acts: once, and only what the link says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sensor.deliver.keeper import Keeper
from sensor.deliver.links import Links
from sensor.deliver.metrics import Metrics
from sensor.deliver.notice import single
from sensor.deliver.rulings import DAY, Rulings
from sensor.deliver.shapes import alert_object
from sensor.deliver.web.acting import Acting
from sensor.deliver.web.server import WebServer
from sensor.store.state_file import StateFile
from tests.deliver.web.conftest import Site
from tests.deliver.web.test_pages import Outline

PUBLIC = "http://router.lan:8470"


class Lab(Site):
    """A site with links to it, and a clock."""

    now: int
    folder: Path
    links: Links
    keeper: Keeper
    shape: dict[str, Any]

    def token(self, number: int, links: Links | None = None) -> str:
        """0: acknowledge, 1: mute, 2: allow."""
        notice = (links or self.links).on(single(self.shape, self.now), people=True)
        return notice.links[number].url.removeprefix(f"{PUBLIC}/act/")

    async def text(self, path: str, method: str = "GET", status: int = 200, **headers: str) -> str:
        response, body = await self.get(path, method, headers=headers)
        assert response.status == status, body
        return unescape(body.decode())

    @property
    def stored(self) -> bytes:
        path = self.folder / "mutes.json"
        return path.read_bytes() if path.exists() else b""


@pytest.fixture
async def lab(world, examples, tmp_path) -> AsyncIterator[Lab]:
    links = Links(PUBLIC, 7 * DAY, tmp_path / "links.key")
    links.prepare()
    keeper = Keeper(Rulings(), StateFile(tmp_path / "mutes.json"))
    keeper.restore(examples.start)
    acting = Acting(links, keeper, world, lambda: site.now, {examples.mac: "Redmi Note"}.get)
    metrics = Metrics(world, [], ["watchlist"])
    server = WebServer("127.0.0.1:0", ("router.lan",), world, metrics, {}, [acting], public=PUBLIC)
    await server.start()
    async with aiohttp.ClientSession() as session:
        site = Lab(server, session)
        site.now, site.folder, site.links, site.keeper = examples.start, tmp_path, links, keeper
        site.shape = alert_object(world.all_alerts[0], examples.info)
        yield site
    await server.stop()


async def test_looking_three_times_changes_nothing(lab):
    for number in range(3):
        path = f"/act/{lab.token(number)}"
        for method in ("GET", "HEAD", "GET", "GET"):
            await lab.text(path, method)
        await lab.text(f"{path}/undo", "GET", 405)
    assert list(lab.keeper.rulings) == []
    assert lab.stored == b""


async def test_a_post_mutes_once_and_only_that(lab):
    path = f"/act/{lab.token(1)}"
    asked = await lab.text(path)
    assert "Mute for 7 days?" in asked
    assert "phone sent 1.2 KB to Xiaomi in CN" in asked
    assert "watchlist, client Redmi Note, owner Xiaomi" in asked
    assert "Until 2026-09-28 14:13:20 UTC" in asked
    assert "Mute: done" in await lab.text(path, "POST")
    [ruling] = lab.keeper.rulings
    assert (ruling.action, ruling.who, ruling.until) == ("mute", "link", lab.now + 7 * DAY)
    stored = lab.stored
    lab.now += DAY
    assert "Until 2026-09-28 14:13:20 UTC" in await lab.text(path, "POST")
    assert "Take it back" in await lab.text(path)
    assert list(lab.keeper.rulings) == [ruling]
    assert lab.stored == stored
    assert lab.keeper.rulings.reason(lab.shape, lab.now) == "muted"
    assert lab.keeper.rulings.reason({**lab.shape, "detector": "idle_drip"}, lab.now) is None
    assert lab.keeper.rulings.reason(lab.shape, lab.now + 6 * DAY) is None


async def test_taken_back_on_the_page_and_not_done_again_by_the_same_link(lab):
    path = f"/act/{lab.token(2)}"
    await lab.text(f"{path}/undo", "POST", 404)
    await lab.text(path, "POST")
    assert "taken back by link" in await lab.text(f"{path}/undo", "POST")
    assert "taken back by link" in await lab.text(path, "POST")
    assert "A link acts once" in await lab.text(path)
    assert lab.keeper.rulings.reason(lab.shape, lab.now) is None


async def test_acknowledged_while_it_fires(lab, world, examples):
    path = f"/act/{lab.token(0)}"
    assert "Acknowledge?" in await lab.text(path)
    await lab.text(path, "POST")
    assert lab.keeper.rulings.reason(lab.shape, lab.now) == "acknowledged"
    world.all_alerts = []
    lab.keeper.over(lab.shape["fingerprint"], lab.now)
    assert "Acknowledge: over" in await lab.text(path)


async def test_nothing_to_acknowledge_any_more(lab, world):
    path = f"/act/{lab.token(0)}"
    world.all_alerts = []
    for method in ("GET", "POST"):
        assert "This alert is over" in await lab.text(path, method, 410)
    assert list(lab.keeper.rulings) == []


async def test_too_old_is_told_and_does_nothing(lab):
    path = f"/act/{lab.token(1)}"
    lab.now += 7 * DAY
    for method in ("GET", "HEAD", "POST"):
        await lab.text(path, method, 410)
    await lab.text(f"{path}/undo", "POST", 410)
    assert list(lab.keeper.rulings) == []


async def test_changed_foreign_and_revoked_tokens_get_one_and_the_same_answer(lab, tmp_path):
    token = lab.token(1)
    strange = Links(PUBLIC, 7 * DAY, tmp_path / "other.key")
    strange.prepare()
    old = Links(PUBLIC, -DAY, tmp_path / "third.key")
    old.prepare()
    changed = [("B" if token[at] == "A" else "A").join([token[:at], token[at + 1 :]]) for at in (0, 9, len(token) - 1)]
    bad = [
        *changed,
        token[:-1],
        f"{token}A",
        lab.token(1, strange),
        lab.token(1, old),
        "x",
        "A" * 5_000,
        "%00",
        "a%2fb",
    ]
    answers = set()
    for each in bad:
        for method, path in (("GET", ""), ("POST", ""), ("POST", "/undo")):
            response, body = await lab.get(f"/act/{each}{path}", method)
            answers.add((response.status, body if path == "" else b"", path))
            assert token not in body.decode()
    assert {(status, path) for status, _, path in answers} == {(403, ""), (403, "/undo")}
    assert len(answers) == 2, "no oracle"
    assert list(lab.keeper.rulings) == []


async def test_another_page_cannot_post_it(lab):
    path = f"/act/{lab.token(1)}"
    for origin in ("http://evil.example", "null", "", "http://router.lan", "http://router.lan:8470.evil.example"):
        response, _ = await lab.get(path, "POST", headers={"Origin": origin})
        assert response.status == 403, origin
    assert list(lab.keeper.rulings) == []
    await lab.text(path, "POST", Origin=PUBLIC)
    assert len(list(lab.keeper.rulings)) == 1


async def test_by_the_public_name_and_no_other(lab):
    path = f"/act/{lab.token(1)}"
    await lab.text(path, Host="router.lan:8470")
    response, _ = await lab.get(path, headers={"Host": "evil.example"})
    assert response.status == 403


async def test_the_browser_may_say_where_its_form_comes_from_but_tells_no_other_server(lab):
    response, _ = await lab.get(f"/act/{lab.token(1)}")
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"
    assert "form-action 'self'" in response.headers["Content-Security-Policy"]


async def test_no_token_in_logs(lab, caplog):
    caplog.set_level(0)
    token = lab.token(1)
    for method in ("GET", "POST", "HEAD"):
        await lab.get(f"/act/{token}", method)
    assert token not in caplog.text
    assert "mute by link" in caplog.text


async def test_a_disk_that_refuses_is_told(lab, monkeypatch):
    monkeypatch.setattr(lab.keeper._file, "write", lambda _: False)
    assert "a restart of the sensor loses it" in await lab.text(f"/act/{lab.token(1)}", "POST")
    assert lab.keeper.rulings.reason(lab.shape, lab.now) == "muted"


async def test_many_clicks_at_once_are_one(lab):
    path = f"/act/{lab.token(1)}"
    await asyncio.gather(*(lab.text(path, "POST") for _ in range(20)))
    assert len(list(lab.keeper.rulings)) == 1


async def test_hostile_names_add_no_element(lab, world, examples):
    def shown(payload):
        world.all_alerts = [replace(each, id="a1") for each in examples.hostile_world(payload).alerts()]
        lab.shape = alert_object(world.all_alerts[0], examples.info)
        return lab.token(1)

    plain = Outline((await lab.get(f"/act/{shown('x')}"))[1].decode())
    for payload in examples.payloads:
        _, body = await lab.get(f"/act/{shown(payload)}")
        outline = Outline(body.decode())
        assert outline.elements == plain.elements, payload
        assert outline.attributes == plain.attributes
