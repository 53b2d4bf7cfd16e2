"""Which alerts a ruling is about, and for how long; and that it is about no others."""

import time
from dataclasses import replace
from typing import Any

import pytest

from sensor.deliver.notice import client_of
from sensor.deliver.rulings import DAY, MAX_ACTIVE, MAX_PAST, Rulings, matches
from sensor.model.ruling import Key, Ruling

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
HOUR = 3_600 * SECOND
PHONE, TABLET = "60:38:e0:c5:35:a0", "64:09:80:00:00:02"


def alert(**changes: Any) -> dict[str, Any]:
    """One of the phone; keys of destination, client and measured may be given flat."""
    far = {"address": "42.62.48.10", "name": "api.io.mi.com", "owner": "Xiaomi Communications Co Ltd"}
    client = {"mac": PHONE, "name": "Redmi Note", "addresses": ["192.168.2.100"]}
    measured: dict[str, Any] = {"ports": ["tcp/443"]}
    for part in (far, client, measured):
        part.update({key: value for key, value in changes.items() if key in part or key == "others"})
    whole = {
        "id": "a1",
        "fingerprint": "f1",
        "detector": "watchlist",
        "client": client,
        "destination": far,
        "reason": {"measured": measured},
    }
    return {**whole, **{key: value for key, value in changes.items() if key in whole}}


def mute(identity: str = "m1", **parts: str) -> Ruling:
    return Ruling(identity, "mute", NOW, NOW + HOUR, "lena", key=Key(**parts))


ALL = {
    "detector": "watchlist",
    "client": PHONE,
    "owner": "xiaomi",
    "domain": "mi.com",
    "address": "42.62.48.10",
    "port": "443",
}


@pytest.mark.parametrize(
    ("parts", "changes"),
    [
        ({"detector": "watchlist"}, {"detector": "idle_drip"}),
        ({"client": PHONE}, {"mac": TABLET}),
        ({"client": PHONE}, {"mac": None}),
        ({"owner": "Xiaomi"}, {"owner": "Google LLC"}),
        ({"owner": "Xiaomi"}, {"owner": None}),
        ({"owner": "XIAOMI comm"}, {"owner": "Xiaomi"}),
        ({"domain": "mi.com"}, {"name": "ami.com"}),
        ({"domain": "mi.com"}, {"name": "mi.com.evil.example"}),
        ({"domain": "io.mi.com"}, {"name": "mi.com"}),
        ({"domain": "mi.com"}, {"name": None}),
        ({"address": "42.62.48.10"}, {"address": "42.62.48.101"}),
        ({"address": "42.62.48.10"}, {"address": "not an address"}),
        ({"port": "443"}, {"ports": ["tcp/4433"]}),
        ({"port": "443"}, {"ports": ["tcp/22", "tcp/443"]}),
        ({"port": "443"}, {"ports": []}),
        ({"port": "443"}, {"ports": None}),
        ({"port": "tcp/443"}, {"ports": ["udp/443"]}),
        ({"port": "443"}, {"ports": ["tcp/443", "more"]}),
        (ALL, {"mac": TABLET}),
        (ALL, {"ports": ["udp/53"]}),
    ],
)
def test_a_part_matches_its_own_and_nothing_else(parts: dict[str, str], changes: dict[str, Any]) -> None:
    assert matches(mute(**parts), alert())
    assert not matches(mute(**parts), alert(**changes))


def test_ipv6_however_it_is_written() -> None:
    ruling = mute(address="2400:3200::1")
    assert matches(ruling, alert(address="2400:3200:0::1"))
    assert not matches(ruling, alert(address="2400:3200::10"))


def test_names_in_other_letters_are_compared_as_on_the_wire() -> None:
    ruling = mute(domain="xn--bcher-kva.example")
    assert matches(ruling, alert(name="www.XN--BCHER-KVA.example."))
    assert not matches(ruling, alert(name="bücher.example"))
    assert not matches(mute(domain="kelvin.example"), alert(name="\u212aelvin.example"))


def test_both_protocols_of_one_port() -> None:
    assert matches(mute(port="443"), alert(ports=["tcp/443", "udp/443"]))


def test_clients_without_a_mac() -> None:
    nameless = alert(mac=None)
    assert client_of(nameless) == "192.168.2.100"
    assert matches(mute(client="192.168.2.100"), nameless)
    assert client_of(alert(mac=None, addresses=[])) == "other"


@pytest.mark.parametrize("part", ["owner", "domain", "address", "port"])
def test_an_alert_about_several_owners_or_none_has_no_far_end(part: str) -> None:
    ruling = mute(**{part: ALL[part]})
    assert not matches(ruling, alert(others=True))
    assert not matches(ruling, alert(destination=None))
    assert matches(mute(detector="watchlist"), alert(others=True))


def test_without_parts_it_is_about_nothing() -> None:
    assert not matches(mute(), alert())


def test_acknowledged_is_that_alert_until_it_is_over_whatever_its_id_after_a_restart() -> None:
    ruling = Ruling("k", "acknowledge", NOW, NOW + HOUR, "lena", alert="a1", fingerprint="f1")
    assert matches(ruling, alert())
    assert matches(ruling, alert(id="a2"))
    assert not matches(ruling, alert(fingerprint="f2"))
    rulings = Rulings()
    rulings.add(ruling, NOW)
    assert rulings.reason(alert(), NOW) == "acknowledged"
    assert rulings.over("f1", NOW + 5)
    assert not rulings.over("f1", NOW + 6)
    [over] = rulings
    assert (over.ended_at, over.undone_by) == (NOW + 5, "")
    assert rulings.reason(alert(), NOW + 6) is None


def test_reasons_and_their_ends() -> None:
    rulings = Rulings()
    assert rulings.reason(alert(), NOW) is None
    rulings.add(mute(owner="Xiaomi"), NOW)
    rulings.add(replace(mute("m2", client=TABLET), action="allow", until=None), NOW)
    assert [rulings.reason(alert(), at) for at in (NOW, NOW + HOUR - 1, NOW + HOUR)] == ["muted", "muted", None]
    assert rulings.reason(alert(mac=TABLET, owner="Apple"), NOW + 10**6 * HOUR) == "allowed"


def test_maintenance_pauses_and_is_no_reason_of_its_own() -> None:
    rulings = Rulings()
    rulings.add(replace(mute(), action="maintenance"), NOW)
    assert (rulings.paused(NOW), rulings.paused(NOW + HOUR)) == (True, False)
    assert rulings.reason(alert(), NOW) is None
    assert rulings.why(alert(), NOW) == "maintenance"


def test_maintenance_of_a_clock_that_was_wrong_does_not_last_for_years() -> None:
    rulings = Rulings()
    ahead = NOW + 4 * 366 * DAY
    rulings.add(replace(mute(), action="maintenance", made_at=ahead, until=ahead + HOUR), ahead)
    assert rulings.paused(ahead)
    assert not rulings.paused(NOW)


def test_undone_for_good() -> None:
    rulings = Rulings()
    rulings.add(mute(owner="Xiaomi"), NOW)
    undone = rulings.undo("m1", "max", "too much", NOW + 5)
    assert undone is not None
    assert (undone.ended_at, undone.undone_by, undone.undone_note) == (NOW + 5, "max", "too much")
    assert rulings.undo("m1", "else", "", NOW + 9) == undone
    assert rulings.undo("none", "max", "", NOW) is None
    assert rulings.reason(alert(), NOW + 5) is None
    assert rulings.add(mute(owner="Xiaomi"), NOW + 9) == undone, "one id is one ruling"


def test_undone_once_although_a_clock_that_was_wrong_had_ended_it() -> None:
    rulings, ahead = Rulings(), NOW + 365 * DAY
    rulings.add(mute(owner="Xiaomi"), NOW)
    rulings.add(replace(mute("m2", owner="Tencent"), made_at=ahead, until=ahead + HOUR), ahead)
    undone = rulings.undo("m1", "max", "", NOW + 5)
    assert [each for each in rulings if each.id == "m1"] == [undone]


def test_over_a_restart() -> None:
    rulings, again = Rulings(), Rulings()
    rulings.add(mute("m1", owner="Xiaomi"), NOW)
    rulings.add(mute("m2", domain="mi.com"), NOW)
    rulings.undo("m2", "max", "", NOW + 1)
    again.load(rulings.dump(), NOW + 2)
    assert list(again) == list(rulings)
    assert again.reason(alert(), NOW + 2) == "muted"
    late = Rulings()
    late.load(rulings.dump(), NOW + 2 * HOUR)
    assert late.active(NOW + 2 * HOUR) == []


@pytest.mark.parametrize("values", [{}, {"version": 2, "rulings": []}, {"version": 1, "rulings": [5]}])
def test_what_cannot_be_loaded_changes_nothing(values: Any) -> None:
    rulings = Rulings()
    rulings.add(mute(owner="Xiaomi"), NOW)
    with pytest.raises(ValueError, match=r"."):
        rulings.load(values, NOW)
    assert rulings.reason(alert(), NOW) == "muted"


def test_as_many_as_there_is_room_for() -> None:
    rulings = Rulings()
    for number in range(MAX_ACTIVE):
        rulings.add(mute(f"m{number}", address="192.0.2.1"), NOW)
    with pytest.raises(ValueError, match=f"{MAX_ACTIVE} of them hold already"):
        rulings.add(mute("more", owner="x"), NOW)
    for number in range(MAX_ACTIVE):
        rulings.undo(f"m{number}", "max", "", NOW)
    for number in range(MAX_PAST):
        rulings.add(mute(f"n{number}", owner="x"), NOW)
        rulings.undo(f"n{number}", "max", "", NOW)
    assert len(list(rulings)) == MAX_PAST
    assert rulings.dropped == MAX_ACTIVE
    assert rulings.get("m0") is None


def test_an_alert_storm_over_a_full_book_costs_little() -> None:
    rulings = Rulings()
    parts = ({"owner": "no such"}, {"domain": "a.example"}, {"address": "192.0.2.1"}, {"port": "1"})
    for number in range(MAX_ACTIVE):
        rulings.add(mute(f"m{number}", **parts[number % 4]), NOW)
    begun = time.perf_counter()
    for _ in range(500):
        assert rulings.reason(alert(), NOW) is None
    assert time.perf_counter() - begun < 5
