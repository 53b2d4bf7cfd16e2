"""Asked over real HTTP: shapes, filters, pages, and bad questions."""

import pytest

from sensor.deliver.shapes import alert_object, client_entry, destination_entry
from sensor.deliver.snapshots import Counters
from sensor.deliver.web.api import client_id
from sensor.model.foreground import Foreground


async def test_clients(site, world):
    assert await site.json("/api/v1/clients") == {"clients": [client_entry(world.all_clients[0])]}


async def test_alerts(site, world, examples):
    world.all_alerts.append(examples.alert("a2", started_at=examples.start + 5))
    newest, oldest = world.all_alerts[1], world.all_alerts[0]
    assert await site.json("/api/v1/alerts") == {
        "alerts": [alert_object(newest, world.info), alert_object(oldest, world.info)]
    }


async def test_destinations(site, world, examples):
    world.all_clients.append(examples.client("192.0.2.7", mac=None))
    world.all_destinations.append(examples.destination(client="192.0.2.7"))
    ours, theirs = world.all_destinations
    assert await site.json(f"/api/v1/destinations?client={examples.mac}") == {"destinations": [destination_entry(ours)]}
    assert await site.json("/api/v1/destinations?client=60-38-E0-C5-35-A0") == {
        "destinations": [destination_entry(ours)]
    }
    assert await site.json("/api/v1/destinations?client=192.0.2.7") == {"destinations": [destination_entry(theirs)]}
    assert len((await site.json("/api/v1/destinations"))["destinations"]) == 2


async def test_an_unknown_client_has_no_destinations(site):
    assert await site.json("/api/v1/destinations?client=02:00:00:00:00:01") == {"destinations": []}
    assert await site.json("/api/v1/destinations?client=other") == {"destinations": []}


async def test_foreground(site, world, examples):
    world.all_states.append(examples.phone_state("02:00:00:00:00:01", name=None, foreground=Foreground(), sources=()))
    first, second = (await site.json("/api/v1/foreground"))["clients"]
    assert first == {
        "client": "02:00:00:00:00:01",
        "name": None,
        "state": "unknown",
        "source": None,
        "age_seconds": None,
        "app": None,
        "since": None,
        "contradicted_by": [],
        "sources": [],
    }
    assert second == {
        "client": examples.mac,
        "name": "phone",
        "state": "foreground",
        "source": "push",
        "age_seconds": 30.0,
        "app": "com.foo",
        "since": "2026-09-21T14:13:20.000000Z",
        "contradicted_by": ["adb"],
        "sources": [
            {
                "source": "push",
                "state": "foreground",
                "observed_at": "2026-09-21T14:14:20.000000Z",
                "age_seconds": 30.0,
            },
            {
                "source": "adb",
                "state": "background",
                "observed_at": "2026-09-21T14:13:20.000000Z",
                "age_seconds": 90.0,
            },
        ],
    }


async def test_foreground_of_one_client_with_its_timeline(site, examples):
    answer = await site.json(f"/api/v1/foreground?client={examples.mac.upper()}")
    assert [row["client"] for row in answer["clients"]] == [examples.mac]
    assert answer["timeline"] == [
        {"time": "2026-09-21T14:13:20.000000Z", "state": "foreground", "source": "push", "app": "com.foo"}
    ]
    assert await site.json("/api/v1/foreground?client=02:00:00:00:00:01") == {"clients": [], "timeline": []}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("destinations?client=", "client: "),
        ("destinations?client=phone", "client: "),
        ("destinations?client=60:38:e0:c5:35:a0:00", "client: "),
        ("destinations?client=%3Cscript%3E", "client: "),
        ("destinations?client=%ff%00", "client: "),
        ("destinations?limit=0", "limit: "),
        ("foreground?client=phone", "client: "),
        ("foreground?cursor=AAAA", "cursor: "),
        ("clients?limit=many", "limit: "),
        ("alerts?cursor=AAAA", "cursor: "),
        ("alerts?cursor=WyJhIiwiYiJd", "cursor: "),
        ("clients?cursor=WzFd", "cursor: "),
        ("destinations?cursor=WzEsMiwzXQ==", "cursor: "),
    ],
)
async def test_bad_questions(site, path, says):
    response, _ = await site.get(f"/api/v1/{path}")
    assert response.status == 400
    error = (await response.json())["error"]
    assert error.startswith(says)
    assert "script" not in error


async def whole(site, question, limit):
    """All pages of /api/v1/destinations joined, and how many there were."""
    seen, pages, query = [], 0, ""
    while True:
        answer = await site.json(f"/api/v1/destinations?{question}&limit={limit}{query}")
        assert len(answer["destinations"]) <= limit
        seen += [(row["client"], row["address"]) for row in answer["destinations"]]
        pages += 1
        if "next" not in answer:
            return seen, pages
        query = f"&cursor={answer['next']}"


async def test_long_lists_carry_next(site, world, examples):
    world.all_destinations = [examples.destination(f"18.0.{number >> 8}.{number & 255}") for number in range(1200)]
    seen, pages = await whole(site, f"client={examples.mac}", 500)
    assert pages == 3
    assert len(set(seen)) == len(seen) == 1200


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 100])
async def test_pages_over_many_clients(site, world, examples, limit):
    sizes = {"02:00:00:00:00:01": 4, "02:00:00:00:00:02": 0, "192.0.2.9": 9, "other": 1, "02:00:00:00:00:03": 6}
    world.all_clients = [examples.client(name, mac=None) for name in sizes]
    world.all_destinations = [
        examples.destination(f"18.0.0.{number}", client=name) for name, size in sizes.items() for number in range(size)
    ]
    seen, _ = await whole(site, "x=y", limit)
    assert seen == sorted((row.client, row.address) for row in world.all_destinations)


async def test_status(site, examples):
    answer = await site.json("/api/v1/status")
    assert answer["sensor"] == {"name": "box", "version": "0.1.0"}
    assert answer["capture"]["interface"] == "br0"
    assert answer["capture"]["interface_up"] is True
    assert answer["capture"]["captured_ratio"] == 0.9
    assert answer["alerts_firing"] == 1
    assert answer["geo_database"]["name"] == "IPinfo Lite"
    assert answer["attribution"] == examples.info.attribution


async def test_a_missing_interface_shows(site, world):
    world.counts = Counters(interface="nope0", interface_up=False)
    capture = (await site.json("/api/v1/status"))["capture"]
    assert (capture["interface"], capture["interface_up"]) == ("nope0", False)


async def test_hostile_text_is_valid_json(site, world, examples):
    for payload in examples.payloads:
        hostile = examples.hostile_world(payload)
        world.all_clients, world.all_destinations = hostile.all_clients, hostile.all_destinations
        world.all_alerts, world.counts, world.info = hostile.all_alerts, hostile.counts, hostile.info
        world.all_states = hostile.all_states
        for path in ("clients", "destinations", "alerts", "status", "foreground"):
            await site.json(f"/api/v1/{path}")


@pytest.mark.parametrize(
    ("typed", "identity"),
    [
        ("60:38:E0:C5:35:A0", "60:38:e0:c5:35:a0"),
        ("6038e0c535a0", "60:38:e0:c5:35:a0"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("other", "other"),
    ],
)
def test_client_id(typed, identity):
    assert client_id(typed) == identity
