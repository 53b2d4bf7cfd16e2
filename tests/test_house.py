"""The pipeline with all that it asks: what others see of it."""

from pathlib import Path
from typing import Any

import pytest

from sensor import __version__
from sensor.config import Config, parse
from sensor.enrich.mmdb import ATTRIBUTION
from sensor.house import House
from sensor.model.alert import Alert
from sensor.model.foreground import Report
from tests.frames import (
    FAR,
    FAR_TOO,
    GATEWAY,
    HOME,
    HOME_TOO,
    PHONE,
    ROUTER,
    SECOND,
    START,
    TABLET,
    Timed,
    answer,
    batches,
    hello,
    tcp,
    udp,
)

PHONE_ID, TABLET_ID = PHONE.hex(":"), TABLET.hex(":")
WATCHED = {"watch": [{"name": "xiaomi", "domains": ["mi.com"]}]}
NAMED = {"client": [{"mac": PHONE_ID, "name": "Redmi Note"}]}


def fed(
    frames: list[Timed], *, alerts: list[Alert] | None = None, given: tuple[str, ...] = (), **settings: Any
) -> House:
    """A house without its databases, through which the frames went; `given`: local prefixes beside the settings."""
    house = House(parse(settings), (alerts if alerts is not None else []).append, given)
    for each in batches(frames):
        house.pipeline.feed(each)
    house.pipeline.finish()
    return house


def test_building_it_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr("builtins.open", None)
    house = House(Config(), lambda _: None)
    assert (house.clients(), list(house.destinations(None)), house.alerts(), house.now) == ([], [], [], 0)
    assert house.counters().frames == 0


def test_clients_with_vendor_and_configured_name() -> None:
    house = fed([(0, tcp(HOME, FAR))], **NAMED)
    house.open()
    try:
        [phone] = house.clients()
        assert (phone.id, phone.name, phone.addresses) == (PHONE_ID, "Redmi Note", (HOME,))
        assert phone.vendor
        assert "Belkin" in phone.vendor
        assert house.sensor().attribution == ATTRIBUTION
        assert house.sensor().geo_database
    finally:
        house.close()


def test_destinations_of_one_client_or_all() -> None:
    frames = [(0, tcp(HOME, FAR, bytes(9))), (1, tcp(HOME_TOO, FAR_TOO, macs=(TABLET, ROUTER)))]
    house = fed(frames)
    assert [each.address for each in house.destinations(None)] == [FAR, FAR_TOO]
    assert [each.address for each in house.destinations(TABLET_ID)] == [FAR_TOO]
    assert list(house.destinations("nobody")) == []
    assert [each.services for each in house.brief_destinations(TABLET_ID)] == [()]


def test_counters() -> None:
    frames = [
        (0, answer("a.example", FAR)),
        (1, tcp(HOME, FAR, hello("a.example"))),
        (2, ROUTER + PHONE + b"\x08\x06" + bytes(28)),
        (3, ROUTER + PHONE + b"\x08\x00" + b"\x45"),
    ]
    counters = fed(frames).counters()
    assert (counters.frames, counters.packets, counters.undecodable_frames) == (4, 2, 1)
    assert counters.messages == {"dns": 1, "tls": 1}
    assert (counters.clients, counters.destinations, counters.flows) == (2, 1, 2)
    assert set(counters.evicted.values()) == {0}
    assert {"clients", "destinations", "names", "flows", "streams", "owners", "habits", "states"} == set(
        counters.evicted
    )
    assert list(counters.country_sent) == [(PHONE_ID, None)]
    assert counters.interface is None


def test_counters_of_what_had_no_room() -> None:
    frames = [(at * SECOND, udp(HOME, f"5.6.7.{at}")) for at in range(5)]
    counters = fed(frames, account={"max_destinations_per_client": 2}).counters()
    assert (counters.evicted["destinations"], counters.destinations) == (3, 2)
    assert sum(counters.country_sent.values()) == 5 * 28


def test_alerts_say_who_the_client_is() -> None:
    heard: list[Alert] = []
    house = fed([(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR))], alerts=heard, **WATCHED, **NAMED)
    [alert] = heard
    assert (alert.client.id, alert.client.mac, alert.client.name) == (PHONE_ID, PHONE_ID, "Redmi Note")
    assert alert.client.addresses == (HOME,)
    assert [each.id for each in house.alerts()] == [alert.id]
    assert house.counters().alerts["watchlist", "warning"] == 1


def test_alerts_name_the_ports_that_were_used_up_to_then() -> None:
    heard: list[Alert] = []
    frames = [(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR)), (2 * SECOND, udp(HOME, FAR))]
    house = fed(frames, alerts=heard, **WATCHED)
    assert heard[0].measured["ports"] == ["tcp/443"]
    [now] = house.alerts()
    assert now.measured["ports"] == ["tcp/443", "udp/9999"]


def test_names_of_clients() -> None:
    house = fed([], **NAMED)
    assert [house.called(each) for each in (PHONE_ID, TABLET_ID)] == ["Redmi Note", TABLET_ID]


@pytest.mark.parametrize("named", [{}, NAMED])
def test_the_alert_of_a_client_that_was_evicted_still_says_who_it_was(named: dict[str, Any]) -> None:
    frames = [(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR))]
    # Another one takes the only place; nothing ever answered the phone.
    frames += [(at * SECOND, tcp(HOME_TOO, FAR_TOO, macs=(TABLET, ROUTER))) for at in range(2, 5)]
    heard: list[Alert] = []
    house = fed(frames, alerts=heard, account={"max_clients": 1}, **WATCHED, **named)
    assert PHONE_ID not in {each.id for each in house.clients()}
    [found] = [alert for alert in house.alerts() if alert.detector == "watchlist"]
    assert (found.client.id, found.client.mac) == (PHONE_ID, PHONE_ID)
    assert (found.client.name, found.client.addresses) == ("Redmi Note" if named else None, ())


def test_the_client_other_has_no_mac() -> None:
    frames = [(at * SECOND, udp(HOME, FAR, macs=(b"\x02" + at.to_bytes(5, "big"), ROUTER))) for at in range(6)]
    heard: list[Alert] = []
    house = fed(frames, alerts=heard, account={"max_clients": 2})
    assert "other" in {each.id for each in house.clients()}
    [alert] = [alert for alert in heard if alert.detector == "client_table"]
    assert (alert.client.id, alert.client.mac) == ("other", None)


def test_configured_prefixes_and_given_ones_are_local() -> None:
    frames = [(0, tcp(HOME, FAR)), (1, tcp(HOME, FAR_TOO)), (2, tcp(HOME, "8.8.8.8"))]
    house = fed(frames, given=("42.62.0.0/16",), local=["8.0.0.0/8"])
    assert [each.address for each in house.destinations(None)] == [FAR_TOO]
    assert house.configured_local == ("8.0.0.0/8", "42.62.0.0/16")


REPORTING = {"foreground": {"push": {"phone": [{"client": PHONE_ID, "token": "x" * 20}]}}}


def said(house: House, event: Any, at: int) -> bool:
    time = START + at * SECOND
    return house.report(Report(PHONE_ID, "push", event, None, time, time))


def test_looking_settles_nothing() -> None:
    now = [START + 10**6 * SECOND]
    house = House(parse(REPORTING), lambda _: None, clock=lambda: now[0])
    said(house, "screen_off", 0)
    [phone] = house.phone_states(PHONE_ID)
    assert phone.foreground.state == "unknown", "a look from far ahead: the report is too old there"
    assert said(house, "screen_on", 100)
    assert house.foreground.at(PHONE_ID, START + 200 * SECOND).state == "foreground"


def test_what_a_source_says_is_shown_as_what_it_is_worth() -> None:
    now = [START + 100 * SECOND]
    house = House(parse(REPORTING), lambda _: None, clock=lambda: now[0])
    said(house, "screen_off", 0)
    assert [each.state for _, each in house.counters().standings] == ["background"]
    now[0] += 13 * 3_600 * SECOND
    assert [each.state for _, each in house.counters().standings] == ["unknown"]


@pytest.mark.parametrize("hook", ["second", "expected"])
def test_a_source_that_fails_blinds_nobody(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("broken")

    settings = {"foreground": {**REPORTING["foreground"], "inferred": {}}}
    monkeypatch.setattr(f"sensor.foreground.sources.inferred.Inferred.{hook}", fails, raising=False)
    house = House(parse(settings), lambda _: None)
    said(house, "screen_off", 0)
    for each in batches([(at * SECOND, tcp(HOME, FAR)) for at in range(4)]):
        house.pipeline.feed(each)
    house.pipeline.finish()
    assert house.foreground.at(PHONE_ID, START + 3_600 * SECOND).state == "background"
    assert house.counters().source_events["inferred", "crashed"] > 0


def test_alerts_are_held_against_what_the_phone_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.foreground.sources.push.Push.counted", lambda *_: True)
    settings = {**REPORTING, "detect": {"background_upload": {"for": "5s", "min_bytes": "10KB", "resolve_after": "5s"}}}
    heard: list[Alert] = []
    house = House(parse(settings), heard.append)
    said(house, "screen_off", 0)
    frames = [(at * SECOND, tcp(HOME, FAR, bytes(1_400), sequence=at * 1_400)) for at in range(70, 100)]
    for each in batches([*frames, (200 * SECOND, udp(HOME, GATEWAY))]):
        house.pipeline.feed(each)
    house.pipeline.finish()
    assert [alert.state for alert in heard if alert.detector == "background_upload"] == ["firing", "resolved"]
    assert house.counters().alert_truths == {("background_upload", "background"): 1}


def test_where_a_client_in_background_sends_to_is_counted() -> None:
    house = House(parse(REPORTING), lambda _: None)
    said(house, "screen_on", 0)
    said(house, "screen_off", 5)
    frames = [(at * SECOND, udp(HOME, FAR)) for at in (1, 70, 80)]
    for each in batches([*frames, (81 * SECOND, udp(HOME_TOO, FAR, macs=(TABLET, ROUTER)))]):
        house.pipeline.feed(each)
    house.pipeline.finish()
    counters = house.counters()
    assert counters.idle_sent == {(PHONE_ID, None): 56}
    assert counters.state_sent[PHONE_ID, "background"] == 56


def test_now_is_the_packets_own_time() -> None:
    house = fed([(7 * SECOND, udp(HOME, GATEWAY))])
    assert house.now == START + 7 * SECOND
    house.pipeline.advance(START + 9 * SECOND)
    assert house.now == START + 9 * SECOND


def test_who_says_all_this() -> None:
    assert House(parse({"name": "attic"}), lambda _: None).sensor().name == "attic"
    unnamed = House(Config(), lambda _: None).sensor()
    assert unnamed.name
    assert unnamed.version == __version__


def test_a_closed_house_can_be_closed_again() -> None:
    house = House(Config(), lambda _: None)
    house.close()
    house.open()
    house.close()
    house.close()


def test_whose_address_it_is() -> None:
    house = fed([(0, tcp(HOME, FAR)), (1, tcp(HOME_TOO, FAR_TOO, macs=(TABLET, ROUTER)))])
    assert [house.client_at(address) for address in (HOME, HOME_TOO, "192.0.2.99")] == [PHONE_ID, TABLET_ID, None]


def test_an_address_that_moved_is_the_one_of_who_had_it_last() -> None:
    house = fed([(0, tcp(HOME, FAR)), (5 * SECOND, tcp(HOME, FAR_TOO, macs=(TABLET, ROUTER)))])
    assert house.client_at(HOME) == TABLET_ID


def test_phone_states_of_all_clients_and_of_one() -> None:
    house = fed([(0, tcp(HOME, FAR)), (SECOND, tcp(HOME_TOO, FAR_TOO, macs=(TABLET, ROUTER)))], **NAMED)
    house.report(Report(PHONE_ID, "push", "screen_on", None, START, START))
    rows = {row.client: row for row in house.phone_states(None)}
    assert {client: row.foreground.state for client, row in rows.items()} == {
        PHONE_ID: "foreground",
        TABLET_ID: "unknown",
    }
    assert (rows[PHONE_ID].name, rows[PHONE_ID].at) == ("Redmi Note", house.now)
    [said] = rows[PHONE_ID].sources
    assert (said.source, said.state, said.observed_at) == ("push", "foreground", START)
    assert [row.client for row in house.phone_states(TABLET_ID)] == [TABLET_ID]
    assert [change.foreground.state for change in house.timeline(PHONE_ID)] == ["foreground"]


def test_what_a_source_said_too_long_ago_shows_as_unknown() -> None:
    house = fed([(0, tcp(HOME, FAR))], foreground={"max_age": "1h"})
    house.report(Report(PHONE_ID, "push", "screen_on", None, START - 3600 * SECOND, START - 3600 * SECOND))
    [row] = house.phone_states(PHONE_ID)
    assert (row.foreground.state, row.sources[0].state) == ("unknown", "unknown")


def test_asking_after_strangers_makes_nobody_known() -> None:
    quiet = {"clients": [TABLET_ID], "from": "00:00", "to": "00:00"}
    house = fed([], foreground={"schedule": {"quiet": [quiet]}})
    assert house.phone_states(PHONE_ID) == []
    assert house.timeline(PHONE_ID) == []
    assert house.foreground.clients() == []


def test_what_a_schedule_expects_shows_as_a_source() -> None:
    quiet = {"clients": [PHONE_ID], "from": "00:00", "to": "00:00"}
    house = fed([(0, tcp(HOME, FAR))], foreground={"schedule": {"quiet": [quiet]}})
    house.pipeline.advance(START + 2 * SECOND)
    [row] = house.phone_states(PHONE_ID)
    assert (row.foreground.state, [said.source for said in row.sources]) == ("background", ["schedule"])
