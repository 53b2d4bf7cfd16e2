"""What somebody asks for, read with mistrust; each error names its key."""

from typing import Any

import pytest

from sensor.deliver.rulings import DAY
from sensor.deliver.wanted import MUTED, Known, acknowledgement, described, new_ruling, shape
from sensor.model.ruling import Key
from tests.deliver.test_rulings import NOW, PHONE, TABLET, alert

KNOWN = Known(["watchlist", "idle_drip"], {"Redmi Note": PHONE}, {"192.168.2.9": TABLET}.get)


def asked(**body: Any) -> Any:
    return new_ruling({"action": "mute", **body}, KNOWN, "api", NOW)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"detector": "idle_drip"}, Key(detector="idle_drip")),
        ({"client": "Redmi Note"}, Key(client=PHONE)),
        ({"client": "60-38-E0-C5-35-A0"}, Key(client=PHONE)),
        ({"client": "192.168.2.9"}, Key(client=TABLET)),
        ({"client": "fe80:0::1"}, Key(client="fe80::1")),
        ({"client": "other"}, Key(client="other")),
        ({"owner": " Xiaomi "}, Key(owner="Xiaomi")),
        ({"domain": "Bücher.example."}, Key(domain="xn--bcher-kva.example")),
        ({"address": "2001:DB8:0::1"}, Key(address="2001:db8::1")),
        ({"port": "443"}, Key(port="443")),
        ({"port": "TCP/0443"}, Key(port="tcp/443")),
        ({"detector": "watchlist", "port": "udp/53"}, Key(detector="watchlist", port="udp/53")),
    ],
)
def test_parts_in_the_form_that_alerts_have(body: dict[str, str], key: Key) -> None:
    assert asked(**body).key == key


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "detector: give at least one"),
        ({"action": "forgive"}, "action: expected"),
        ({"action": None}, "action: expected"),
        ({"action": "acknowledge"}, "action: expected"),
        ({"detector": "none"}, "detector: there is none of that name; known: watchlist, idle_drip"),
        ({"client": "Redmi"}, "client: expected its MAC"),
        ({"owner": ""}, "owner: expected a text"),
        ({"owner": 5}, "owner: expected a text"),
        ({"owner": "x" * 129}, "owner: expected a text of 1 to 128"),
        ({"domain": "*.mi.com"}, "domain: expected a domain name"),
        ({"domain": "10.0.0.1"}, "domain: that is an address"),
        ({"address": "42.62.48.0/24"}, "address: expected an address"),
        ({"port": "0"}, "port: expected"),
        ({"port": "65536"}, "port: expected"),
        ({"port": "ip/4"}, "port: expected"),
        ({"port": "\u0664\u0664\u0663"}, "port: expected"),
        ({"port": 443}, "port: expected"),
        ({"owner": "x", "for": "1d", "until": "2026-11-24T15:00Z"}, "until: give one of"),
        ({"owner": "x", "for": "later"}, "for: expected a duration"),
        ({"owner": "x", "for": "0s"}, "for: expected an end from now on, at most 366 days"),
        ({"owner": "x", "for": "367d"}, "for: expected an end"),
        ({"owner": "x", "until": "2026-11-24T15:00"}, "until: expected a time with its zone"),
        ({"owner": "x", "until": "1999-11-24T15:00Z"}, "until: expected an end"),
        ({"owner": "x", "note": "n" * 201}, "note: expected a text of 1 to 200"),
        ({"owner": "x", "who": ["me"]}, "who: expected"),
        ({"action": "maintenance"}, "for: maintenance needs an end"),
        ({"action": "maintenance", "for": "8d"}, "for: expected an end from now on, at most 7 days"),
        ({"action": "maintenance", "for": "1h", "owner": "x"}, "owner: maintenance is silent about everything"),
    ],
)
def test_what_is_wrong_names_its_key(body: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match="^" + wrong.replace("(", r"\(")) as caught:
        asked(**body)
    assert "\n" not in str(caught.value)


def test_ends() -> None:
    assert asked(owner="x").until == NOW + MUTED
    assert asked(owner="x", **{"for": "1h"}).until == NOW + DAY // 24
    assert asked(action="allow", owner="x").until is None
    assert asked(action="allow", owner="x", **{"for": "30d"}).until == NOW + 30 * DAY
    assert asked(action="maintenance", **{"for": "2h"}).key == Key()


def test_who_says_it_and_why() -> None:
    ruling = asked(owner="x", note="\x1b[31mred", who="lena")
    assert (ruling.note, ruling.who) == (r"\u001b[31mred", "lena")
    assert asked(owner="x").who == "api"
    assert asked(owner="x").id != asked(owner="x").id


def test_in_words() -> None:
    ruling = asked(detector="watchlist", client="Redmi Note", owner="Xiaomi", domain="mi.com", port="443")
    said = "watchlist, client Redmi Note, owner Xiaomi, names under mi.com, port 443"
    assert described(ruling, {PHONE: "Redmi Note"}.__getitem__) == said
    assert described(asked(action="maintenance", **{"for": "1h"})) == "everything"
    assert described(acknowledgement(alert(), "", "x", NOW)) == "alert a1"


def test_as_a_row() -> None:
    row = shape(asked(client="Redmi Note", note="why", who="lena"), NOW)
    assert (row["state"], row["client"], row["owner"], row["who"], row["note"]) == (
        "active",
        PHONE,
        None,
        "lena",
        "why",
    )
    assert row["until"] > row["made_at"]
    assert shape(asked(client="Redmi Note"), NOW + 8 * DAY)["state"] == "over"
