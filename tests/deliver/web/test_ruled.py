"""What people say about alerts, over HTTP: with the token, and with clear refusals."""

from typing import Any

import aiohttp
import pytest

from sensor.deliver.keeper import Keeper
from sensor.deliver.metrics import Metrics
from sensor.deliver.rulings import MAX_ACTIVE, Rulings
from sensor.deliver.wanted import Known
from sensor.deliver.web.admin import Admin
from sensor.deliver.web.api import Api
from sensor.deliver.web.ruled import Ruled
from sensor.deliver.web.server import WebServer
from sensor.store.state_file import StateFile
from tests.deliver.web.conftest import Site

TOKEN = "0123456789abcdef0123"
MUTE = {"action": "mute", "client": "phone", "owner": "Xiaomi", "for": "2h", "note": "not now"}


@pytest.fixture
async def site(world, examples, tmp_path):
    keeper = Keeper(Rulings(), StateFile(tmp_path / "mutes.json"))
    keeper.restore(examples.start)
    moments = iter(range(10**9))

    def now() -> int:
        return examples.start + next(moments)

    admin = Admin(TOKEN, "", now)
    admin.prepare()
    known = Known(["watchlist"], {"phone": examples.mac})
    api = Api(world, lambda alert: keeper.rulings.why(alert, now()))
    ruled = Ruled(keeper, admin, world, known, now)
    server = WebServer("127.0.0.1:0", (), world, Metrics(world, [], []), {}, [ruled], api=api)
    await server.start()
    async with aiohttp.ClientSession() as session:
        site = Site(server, session)
        site.keeper, site.admin = keeper, admin
        yield site
    await server.stop()


async def post(site, path: str, body: Any = None, token: str = TOKEN, **headers: str) -> tuple[int, Any]:
    headers |= {"Authorization": f"Bearer {token}"}
    response, _ = await site.get(f"/api/v1/{path}", "POST", json={} if body is None else body, headers=headers)
    return response.status, await response.json()


async def test_muted_shown_and_undone(site):
    status, row = await post(site, "mutes", MUTE)
    assert (status, row["state"], row["client"], row["owner"], row["stored"]) == (
        200, "active", "60:38:e0:c5:35:a0", "Xiaomi", True,
    )  # fmt: skip
    [listed] = (await site.json("/api/v1/mutes"))["mutes"]
    assert {**listed, "stored": True} == row
    [alert] = (await site.json("/api/v1/alerts"))["alerts"]
    assert alert["muted"] == "muted"
    status, undone = await post(site, f"mutes/{row['id']}/undo", {"note": "enough", "who": "lena"})
    assert (status, undone["state"], undone["undone_by"], undone["undone_note"]) == (200, "undone", "lena", "enough")
    [alert] = (await site.json("/api/v1/alerts"))["alerts"]
    assert "muted" not in alert
    assert (await site.json("/api/v1/mutes?state=active"))["mutes"] == []
    assert len((await site.json("/api/v1/mutes?state=past"))["mutes"]) == 1
    assert (await post(site, "mutes/none/undo"))[0] == 404


async def test_acknowledged(site):
    status, row = await post(site, "alerts/none/acknowledge", {"note": "asked the vendor"})
    assert status == 404
    [alert] = (await site.json("/api/v1/alerts"))["alerts"]
    status, row = await post(site, f"alerts/{alert['id']}/acknowledge", {"note": "asked the vendor"})
    assert (status, row["action"], row["alert"], row["note"]) == (200, "acknowledge", alert["id"], "asked the vendor")
    [alert] = (await site.json("/api/v1/alerts"))["alerts"]
    assert alert["muted"] == "acknowledged"
    assert (await post(site, f"alerts/{alert['id']}/acknowledge", {"note": 5}))[0] == 400


async def test_maintenance(site):
    assert (await post(site, "mutes", {"action": "maintenance", "for": "2h"}))[0] == 200
    [alert] = (await site.json("/api/v1/alerts"))["alerts"]
    assert alert["muted"] == "maintenance"


async def test_in_pages_newest_first(site):
    for number in range(5):
        await post(site, "mutes", {"action": "allow", "owner": f"o{number}"})
    first = await site.json("/api/v1/mutes?limit=3")
    second = await site.json(f"/api/v1/mutes?limit=3&cursor={first['next']}")
    assert [row["owner"] for row in first["mutes"] + second["mutes"]] == ["o4", "o3", "o2", "o1", "o0"]
    assert "next" not in second


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, 'action: expected "mute", "allow" or "maintenance"'),
        ({"action": "mute"}, "detector: give at least one of"),
        ({"action": "mute", "owner": "x", "for": "soon"}, "for: expected a duration"),
        ({"action": "mute", "domain": "<script>"}, "domain: expected a domain name"),
        ({"action": "mute", "colour": "red"}, "unknown key; known: action, detector"),
        ([1], "body: expected a JSON object"),
    ],
)
async def test_what_is_wrong_is_said(site, body, error):
    status, answer = await post(site, "mutes", body)
    assert status == 400
    assert answer["error"].startswith(error)
    assert list(site.keeper.rulings) == []


async def test_only_with_the_token_and_not_from_a_foreign_page(site):
    for path in ("mutes", "mutes/x/undo", "alerts/x/acknowledge"):
        assert (await post(site, path, MUTE, "wrong-wrong-wrong-wrong"))[0] == 401
        assert (await post(site, path, MUTE, Origin="http://evil.example"))[0] == 403
        response, _ = await site.get(f"/api/v1/{path}", "POST", data=b"action=mute")
        assert response.status == 401
    site.admin._digest = None
    assert (await post(site, "mutes", MUTE))[0] == 403
    assert list(site.keeper.rulings) == []


async def test_looking_changes_nothing(site):
    await post(site, "mutes", MUTE)
    before = site.keeper.rulings.dump()
    [row] = (await site.json("/api/v1/mutes"))["mutes"]
    for path in (f"mutes/{row['id']}/undo", "alerts/a/acknowledge"):
        assert (await site.get(f"/api/v1/{path}"))[0].status == 405
    assert (await site.get("/api/v1/mutes?state=x"))[0].status == 400
    assert (await site.get("/api/v1/mutes?cursor=x"))[0].status == 400
    assert site.keeper.rulings.dump() == before


async def test_a_full_book(site, examples):
    for number in range(MAX_ACTIVE):
        ruling = (await _row(site, number), examples.start)
        site.keeper.rulings.add(*ruling)
    status, answer = await post(site, "mutes", MUTE)
    assert (status, answer["error"]) == (400, f"{MAX_ACTIVE} of them hold already; take some back first")


async def _row(site, number):
    from sensor.model.ruling import Key, Ruling

    return Ruling(f"m{number}", "allow", 1, None, "x", key=Key(owner="x"))
