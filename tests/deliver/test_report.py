"""One object, one table, the same whatever order the tables were in."""

import json

import pytest

from sensor.deliver.report import MAX_ROWS, MIN_WIDTH, Replayed, Result, replay_object, replay_table
from sensor.deliver.shapes import json_bytes


@pytest.fixture
def result(examples):
    def build(world=None, **changes):
        world = world or examples.world()
        by_client = {}
        for row in world.destinations(None):
            by_client.setdefault(row.client, []).append(row)
        values = {
            "replayed": Replayed(("a.pcap", "b.pcap"), 1234, 5, examples.start, examples.start + examples.second),
            "clients": world.clients(),
            "destinations": by_client,
            "names_seen": {"z.example", "a.example"},
            "alerts": world.alerts(),
            "sensor": world.info,
        }
        return Result(**{**values, **changes})

    return build


def test_object(result, examples):
    shape = replay_object(result())
    assert list(shape) == ["capture", "clients", "names_seen", "alerts"]
    assert shape["capture"] == {
        "files": ["a.pcap", "b.pcap"],
        "frames": 1234,
        "undecodable_frames": 5,
        "first": "2026-09-21T14:13:20.000000Z",
        "last": "2026-09-21T14:13:21.000000Z",
    }
    assert shape["clients"][0]["mac"] == examples.mac
    assert list(shape["clients"][0]["destinations"][0])[:3] == ["client_address", "address", "names"]
    assert "client" not in shape["clients"][0]["destinations"][0]
    assert shape["names_seen"] == ["a.example", "z.example"]
    assert shape["alerts"][0]["id"] == "a1"


def test_object_does_not_depend_on_order(result, examples):
    world = examples.world()
    world.all_clients = [examples.client(), examples.client("02:00:00:00:00:01")]
    world.all_destinations = [examples.destination(), examples.destination("1.1.1.1")]
    world.all_alerts = [examples.alert(), examples.alert("a0")]
    there = json_bytes(replay_object(result(world)))
    for rows in (world.all_clients, world.all_destinations, world.all_alerts):
        rows.reverse()
    assert json_bytes(replay_object(result(world))) == there


def test_empty_capture(result, examples):
    empty = result(
        replayed=Replayed(("a.pcap",), 0, 0, None, None), clients=[], destinations={}, names_seen=[], alerts=[]
    )
    assert replay_object(empty)["capture"]["first"] is None
    assert replay_table(empty) == (
        f"No alerts.\n\n0 frames in a.pcap; 0 could not be decoded.\n\n{examples.info.attribution}\n"
    )


def test_table(result):
    assert replay_table(result(), 120).splitlines() == [
        "1 alert:",
        "  warning  2026-09-21T14:13:20Z  phone sent 1.2 KB to Xiaomi in CN",
        "",
        "1,234 frames in a.pcap, b.pcap, 2026-09-21T14:13:20Z to 2026-09-21T14:13:21Z; 5 could not be decoded.",
        "",
        "60:38:e0:c5:35:a0  phone, Wistron Neweb, 192.168.2.100",
        "  sent 1.2 KB, received 340 B; of that local: sent 200 B, received 40 B",
        "  destination            address         country  owner         sent  received",
        "  api.example.com (tls)  18.193.233.122  DE       Amazon.com  1.0 KB     300 B",
        "",
        "IP data by IPinfo, CC BY-SA 4.0",
    ]


def test_only_the_way_that_was_used(result, examples):
    world = examples.world()
    world.all_clients = [examples.client(local=type(examples.totals())(200, 0))]
    assert "  sent 1.2 KB, received 340 B; of that local: sent 200 B" in replay_table(result(world)).splitlines()


@pytest.mark.parametrize("width", [0, 80, 200])
def test_rows_fit_the_terminal(result, examples, width):
    world = examples.world()
    long = "very-long-label." * 12
    world.all_destinations = [
        examples.destination("2400:3200:1111:2222:3333:4444:5555:6666", names=(name,), place=place)
        for name, place in [
            (type(examples.destination().names[0])(long, "tls"), examples.destination().place),
            (type(examples.destination().names[0])("名" * 80, "dns"), examples.destination().place),
        ]
    ]
    rows = [line for line in replay_table(result(world), width).splitlines() if "…" in line]
    assert len(rows) == 2
    assert all(len(line) <= max(width, MIN_WIDTH) for line in rows)


def test_long_lists_say_how_many_more(result, examples):
    world = examples.world()
    world.all_destinations = [examples.destination(f"18.0.0.{number}") for number in range(MAX_ROWS + 2)]
    assert "  and 2 more (--json shows all)" in replay_table(result(world)).splitlines()


def test_what_says_nothing_is_left_out(result, examples):
    world = examples.world()
    nothing = type(examples.client().local)()
    lone = examples.client("192.0.2.7", addresses=("192.0.2.7",), name=None, vendor=None, local=nothing)
    world.all_clients, world.all_destinations = [lone], []
    files = Replayed(tuple("abcdef"), 1, 0, None, None)
    lines = replay_table(result(world, replayed=files)).splitlines()
    assert "1 frames in a, b, c, d and 2 more files; 0 could not be decoded." in lines
    assert lines[lines.index("192.0.2.7") + 1] == "  sent 1.2 KB, received 340 B"


def test_hostile_text(result, examples):
    for payload in examples.payloads:
        whole = result(
            examples.hostile_world(payload), replayed=Replayed((payload,), 1, 0, None, None), names_seen=[payload]
        )
        assert json.loads(json_bytes(replay_object(whole)))
        assert all(line.isprintable() for line in replay_table(whole).split("\n"))
