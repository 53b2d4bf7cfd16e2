"""Frames in, totals, names and alerts out."""

from collections.abc import Sequence
from random import Random
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor import pipeline as pipeline_module
from sensor.account.flows import SPAN, FlowTable
from sensor.account.ledger import MAX_NEW_CONTACTS, Limits
from sensor.account.locality import Local
from sensor.account.snapshot import clients
from sensor.base.addresses import address_text, parse_address
from sensor.base.countries import Country
from sensor.base.fields import Domain, Label
from sensor.base.times import SECOND
from sensor.detect.base import Detector
from sensor.detect.engine import Engine
from sensor.detect.watch import Watch
from sensor.foreground.book import ForegroundBook
from sensor.foreground.fusion import Rules
from sensor.foreground.history import Reporter
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert
from sensor.model.foreground import STATES, Event, Report
from sensor.pipeline import Pipeline
from tests.frames import (
    CUTS,
    FAR,
    FAR_SIX,
    FAR_TOO,
    GATEWAY,
    HOME,
    HOME_SIX,
    HOME_TOO,
    LONG,
    PHONE,
    PUSH,
    ROUTER,
    START,
    SYN,
    TABLET,
    Atlas,
    Timed,
    answer,
    at_once,
    batch,
    batches,
    destinations,
    dns,
    ethernet,
    hello,
    ip,
    names,
    opening,
    pipeline,
    scenario,
    tcp,
    udp,
)

PHONE_ID, TABLET_ID = PHONE.hex(":"), TABLET.hex(":")
BACK, TABLETS = (ROUTER, PHONE), (TABLET, ROUTER)
MI = Watch(name=Label("xiaomi"), domains=(Domain("mi.com"),))


def run(frames: Sequence[Timed], size: int = 4096, into: Pipeline | None = None) -> Pipeline:
    into = into or pipeline()
    for each in batches(frames, size):
        into.feed(each)
    into.finish()
    return into


def moved(of: Pipeline) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    return {ends: tuple(each.totals[:4]) for ends, each in destinations(of).items()}


def test_both_ways_of_a_conversation() -> None:
    done = run(at_once(tcp(HOME, FAR, bytes(60)), tcp(FAR, HOME, bytes(160), ports=(443, 40_000), macs=BACK)))
    assert moved(done) == {(PHONE_ID, FAR): (100, 200, 1, 1)}
    assert (done.counts.frames, done.counts.ip_bytes) == (2, 300)
    [found] = destinations(done).values()
    assert [(service.protocol, service.port) for service in found.services] == [(6, 443)]


def test_ipv4_and_ipv6_of_one_client() -> None:
    done = run(at_once(tcp(HOME, FAR), tcp(HOME_SIX, FAR_SIX), udp(HOME_SIX, FAR_SIX, bytes(10))))
    assert moved(done) == {(PHONE_ID, FAR): (40, 0, 1, 0), (PHONE_ID, FAR_SIX): (118, 0, 2, 0)}
    [phone] = clients(done.ledger, done.now, lambda _: (None, None))
    assert set(phone.addresses) == {HOME, HOME_SIX}


@pytest.mark.parametrize("far", [GATEWAY, HOME_TOO, "224.0.0.251", "255.255.255.255", "127.0.0.1"])
def test_local_talk_is_no_destination(far: str) -> None:
    done = run(at_once(udp(HOME, far, bytes(12))))
    assert moved(done) == {}
    [phone] = clients(done.ledger, done.now, lambda _: (None, None))
    assert (phone.totals.sent_bytes, phone.local.sent_bytes) == (40, 40)


def test_a_frame_without_ip_only_counts_as_frame() -> None:
    done = run([(0, ROUTER + PHONE + b"\x08\x06" + bytes(28)), (1, b"\1\2\3")])
    assert (done.counts.frames, done.counts.ip_bytes, moved(done)) == (2, 0, {})
    assert pipeline().now == 0


def test_a_dns_answer_names_the_contact_of_its_client_only() -> None:
    done = run(
        at_once(
            answer("api.io.mi.com", FAR),
            tcp(HOME, FAR),
            tcp(HOME_TOO, FAR, macs=TABLETS),
        )
    )
    assert names(done) == {(PHONE_ID, FAR): [("api.io.mi.com", "dns")]}
    assert (PHONE_ID, GATEWAY) not in destinations(done)
    assert len(destinations(done)) == 2


def test_names_behind_a_cname_and_of_ipv6() -> None:
    done = run(at_once(answer("api.io.mi.com", "edge.cdn.net", FAR, FAR_SIX), tcp(HOME, FAR), tcp(HOME_SIX, FAR_SIX)))
    both = [("api.io.mi.com", "dns"), ("edge.cdn.net", "cname")]
    assert names(done) == {(PHONE_ID, FAR): both, (PHONE_ID, FAR_SIX): both}


@pytest.mark.parametrize("seconds", [0, 3])
def test_an_answer_that_comes_after_the_first_packet(seconds: int) -> None:
    done = run([(0, tcp(HOME, FAR)), (seconds * SECOND + 1, answer("api.io.mi.com", FAR))])
    assert names(done) == {(PHONE_ID, FAR): [("api.io.mi.com", "dns")]}


def test_a_question_names_nothing() -> None:
    question = bytearray(dns("api.io.mi.com"))
    question[2] &= 0x7F
    done = run(at_once(udp(HOME, FAR, bytes(question), ports=(40_000, 53))))
    assert (names(done), done.counts.messages) == ({}, {"dns": 0, "tls": 0})


def test_a_server_name_goes_before_what_dns_said() -> None:
    done = run(at_once(answer("cdn.example", FAR), tcp(HOME, FAR, hello("api.io.mi.com"))))
    assert names(done) == {(PHONE_ID, FAR): [("api.io.mi.com", "tls"), ("cdn.example", "dns")]}
    assert done.counts.messages == {"dns": 1, "tls": 1}
    assert list(done.names_seen) == ["api.io.mi.com"]


def test_a_hello_names_the_contact_of_its_client_only() -> None:
    done = run(at_once(tcp(HOME, FAR, hello("api.io.mi.com")), tcp(HOME_TOO, FAR, macs=TABLETS), tcp(HOME, FAR_TOO)))
    assert names(done) == {(PHONE_ID, FAR): [("api.io.mi.com", "tls")]}


@pytest.mark.parametrize("size", [1, 2, 4096])
@pytest.mark.parametrize("cut", CUTS)
def test_a_hello_over_several_segments(cut: str, size: int) -> None:
    done = run(at_once(*opening(CUTS[cut])), size)
    assert names(done) == {(PHONE_ID, FAR): [("api.io.mi.com", "tls")]}
    assert done.counts.messages["tls"] == 1


@pytest.mark.parametrize("size", [1, 4096])
def test_a_hello_in_order_without_its_syn(size: int) -> None:
    done = run(at_once(*opening(CUTS["in order"], syn=False)), size)
    assert names(done) == {(PHONE_ID, FAR): [("api.io.mi.com", "tls")]}


def test_hellos_of_two_flows_that_alternate() -> None:
    mine, other = (hello(name, padding=1700) for name in ("a.example", "b.example"))
    first = opening([(0, mine[:1400]), (1400, mine[1400:])])
    second = opening([(0, other[:1400]), (1400, other[1400:])], port=40_001)
    done = run(at_once(*(frame for pair in zip(first, second, strict=True) for frame in pair)))
    assert sorted(done.names_seen) == ["a.example", "b.example"]


def test_a_hello_whose_rest_never_comes_is_read_at_the_end() -> None:
    half = pipeline()
    for each in batches(at_once(*opening([(0, LONG[:1400])]))):
        half.feed(each)
    assert names(half) == {}
    half.finish()
    assert names(half) == {(PHONE_ID, FAR): [("api.io.mi.com", "tls")]}


def test_a_hello_whose_rest_never_comes_is_read_when_time_goes_on() -> None:
    half = pipeline()
    half.feed(batch(at_once(*opening([(0, LONG[:1400])]))))
    half.advance(START + 60 * SECOND)
    assert names(half) == {(PHONE_ID, FAR): [("api.io.mi.com", "tls")]}


def test_later_payload_that_looks_like_nothing_is_not_heard() -> None:
    done = run(at_once(*opening([(0, b"GET / HTTP/1.1\r\n"), (16, LONG[100:])])))
    assert (names(done), list(done.names_seen)) == ({}, [])


def test_an_alert_fires_once_and_resolves_after_its_quiet_time() -> None:
    heard: list[Alert] = []
    live = pipeline(watch=MI, alerts=heard.append)
    live.feed(batch([(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR))]))
    assert heard == []  # the second is not over
    live.feed(batch([(at * SECOND, tcp(HOME, FAR)) for at in range(1, 10)]))
    assert [(alert.state, alert.client.id) for alert in heard] == [("firing", PHONE_ID)]
    for second in range(10, 609):
        live.advance(START + second * SECOND)
    assert len(heard) == 1
    live.advance(START + 609 * SECOND)
    assert [alert.state for alert in heard] == ["firing", "resolved"]
    assert (heard[0].id, heard[1].resolved_at) == (heard[1].id, START + 609 * SECOND)
    assert heard[1].evidence.sent_bytes == 400
    live.advance(START + 5000 * SECOND)
    live.finish()
    assert len(heard) == 2


def test_quiet_time_passes_with_packets_of_others_too() -> None:
    heard: list[Alert] = []
    frames = [(0, answer("api.io.mi.com", FAR)), (1, tcp(HOME, FAR))]
    frames += [(at * SECOND, tcp(HOME_TOO, FAR_TOO, macs=TABLETS)) for at in range(1, 700, 50)]
    run(frames, into=pipeline(watch=MI, alerts=heard.append))
    assert [alert.state for alert in heard] == ["firing", "resolved"]


@pytest.mark.parametrize(
    "frame", [tcp(HOME_TOO, FAR, macs=TABLETS), udp(FAR, HOME, bytes(99), macs=BACK)], ids=["another", "received"]
)
def test_another_client_and_whoever_only_received_do_not_alert(frame: bytes) -> None:
    heard: list[Alert] = []
    run(at_once(answer("api.io.mi.com", FAR), frame), into=pipeline(watch=MI, alerts=heard.append))
    assert heard == []


def test_a_name_that_comes_late_makes_the_contact_watched_from_then_on() -> None:
    heard: list[Alert] = []
    live = pipeline(watch=MI, alerts=heard.append)
    live.feed(batch([(0, tcp(HOME, FAR)), (SECOND, tcp(HOME, FAR, hello("api.io.mi.com")))]))
    live.advance(START + 3 * SECOND)
    assert [alert.started_at - START for alert in heard] == [SECOND]


def test_places_are_looked_up_once_when_the_second_ends() -> None:
    heard: list[Alert] = []
    atlas = Atlas(**{FAR: "CN"})
    watch = Watch(name=Label("china"), countries=(Country("CN"),))
    live = pipeline(watch=watch, alerts=heard.append, atlas=atlas)
    live.feed(batch(at_once(tcp(HOME, FAR), tcp(HOME, FAR), tcp(HOME, GATEWAY))))
    assert atlas.asked == []
    live.feed(batch([(at * SECOND, tcp(HOME, FAR)) for at in range(1, 5)]))
    live.finish()
    assert atlas.asked == [FAR]
    assert destinations(live)[PHONE_ID, FAR].place.country == "CN"
    assert [alert.destination and alert.destination.place.country for alert in heard] == ["CN"]


def test_many_new_contacts_are_settled_before_their_second_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "MAX_UNSETTLED", 10)
    atlas = Atlas()
    live = pipeline(atlas=atlas)
    for number in range(25):
        live.feed(batch([(0, tcp(HOME, f"5.6.7.{number}"))]))
    assert len(atlas.asked) == 20
    live.finish()
    assert len(atlas.asked) == 25


def test_rows_of_evicted_contacts_are_merged_and_come_back() -> None:
    heard: list[Alert] = []
    live = pipeline(watch=MI, alerts=heard.append, limits=Limits(contacts_per_client=2))
    frames = [(0, answer("api.io.mi.com", FAR))]
    frames += [(at * SECOND, udp(HOME, f"5.6.7.{at}", bytes(12))) for at in range(1, 6)]
    frames += [(at * SECOND, udp(HOME, FAR, bytes(12))) for at in (0, 6, 7)]
    run(sorted(frames, key=lambda frame: frame[0]), into=live)
    [phone] = (each for each in clients(live.ledger, live.now, lambda _: (None, None)) if each.id == PHONE_ID)
    assert phone.totals.sent_bytes == 8 * 40
    assert phone.other.sent_bytes == 5 * 40
    assert moved(live) == {(PHONE_ID, "5.6.7.5"): (40, 0, 1, 0), (PHONE_ID, FAR): (80, 0, 2, 0)}
    assert names(live) == {(PHONE_ID, FAR): [("api.io.mi.com", "dns")]}
    assert [alert.state for alert in heard] == ["firing"]


@pytest.mark.parametrize("size", [1, 4096])
def test_a_flow_that_goes_on_after_its_contact_was_evicted_opens_it_again(size: int) -> None:
    frames = []
    for at in range(12):
        frames += [(at * SECOND, udp(HOME, FAR, bytes(12))), (at * SECOND + 1, udp(HOME, FAR_TOO, bytes(12)))]
    done = run(frames, size, pipeline(limits=Limits(contacts_per_client=1)))
    [phone] = clients(done.ledger, done.now, lambda _: (None, None))
    shown = sum(sent for sent, *_ in moved(done).values())
    assert (phone.totals.sent_bytes, phone.other.sent_bytes + shown) == (24 * 40, 24 * 40)


CROWD = [f"5.6.{number >> 8}.{number & 255}" for number in range(MAX_NEW_CONTACTS)]


@pytest.mark.parametrize("size", [100, 4096])
def test_an_upload_within_a_flood_gets_its_contact_when_the_second_ends(size: int) -> None:
    heard: list[Alert] = []
    watch = Watch(name=Label("china"), countries=(Country("CN"),))
    live = pipeline(watch=watch, alerts=heard.append, atlas=Atlas(**{FAR: "CN"}))
    flood = [udp(HOME, far) for far in (*CROWD, "5.9.0.1")]
    run(at_once(*flood, *[tcp(HOME, FAR, bytes(60))] * 2), size, live)
    shown = moved(live)
    assert shown[PHONE_ID, FAR] == (200, 0, 2, 0)
    assert (PHONE_ID, "5.9.0.1") not in shown, "a decoy has one packet and gets no second look"
    assert [(alert.state, alert.client.id) for alert in heard] == [("firing", PHONE_ID)]
    [phone] = clients(live.ledger, live.now, lambda _: (None, None))
    assert (phone.totals.sent_bytes, phone.other.sent_bytes) == (len(flood) * 28 + 200, 28)


def test_unsolicited_packets_do_not_use_up_what_the_client_may_open() -> None:
    knocks = [udp(far, HOME, macs=BACK) for far in (*CROWD, "5.9.0.1")]
    done = run(at_once(*knocks, tcp(HOME, FAR)))
    assert moved(done)[PHONE_ID, FAR] == (40, 0, 1, 0)
    assert (PHONE_ID, "5.9.0.1") not in destinations(done)


@pytest.mark.parametrize("size", [1, 4096])
def test_local_talk_of_an_evicted_client_counts_for_nobody_else(size: int) -> None:
    macs = [b"\x02" + number.to_bytes(5, "big") for number in range(7)]
    talk = [udp(f"192.168.1.{20 + at}", GATEWAY, bytes(972), macs=(mac, ROUTER)) for at, mac in enumerate(macs[:6])]
    frames = [(at * 1000, frame) for at, frame in enumerate(talk)]
    frames += [(SECOND, udp("192.168.1.40", FAR, macs=(macs[6], ROUTER)))]
    frames += [(second * SECOND + at + 1, frame) for second in (1, 2, 3) for at, frame in enumerate(talk)]
    done = run(frames, size, pipeline(limits=Limits(clients=5)))
    everyone = {each.id: each for each in clients(done.ledger, done.now, lambda _: (None, None))}
    assert done.ledger.stats.evicted_clients > 0
    newest = everyone.get(macs[6].hex(":"))
    if newest is not None:  # else it was evicted in its turn
        assert (newest.totals.sent_bytes, newest.local.sent_bytes, newest.totals.received_bytes) == (28, 0, 0)
    for mac in macs[:6]:
        assert mac.hex(":") not in everyone or everyone[mac.hex(":")].totals.sent_bytes % 1000 == 0
    assert sum(each.totals.sent_bytes for each in everyone.values()) == done.counts.ip_bytes == 24 * 1000 + 28


def test_names_of_an_evicted_client_are_forgotten() -> None:
    live = pipeline(limits=Limits(clients=2))
    live.feed(batch([(0, tcp(HOME, FAR)), (1, answer("a.example", FAR))]))
    assert names(live) == {(PHONE_ID, FAR): [("a.example", "dns")]}
    for second in (1, 2):
        mac = b"\x02" + second.to_bytes(5, "big")
        live.feed(batch([(second * SECOND, udp(HOME_TOO, FAR_TOO, macs=(mac, ROUTER)))]))
    live.finish()
    assert PHONE not in live.ledger.clients
    assert live._names.lookup(PHONE, parse_address(FAR), live.now) == []


def test_what_is_local_may_change_while_flows_run() -> None:
    near = "2400:4000::9"
    inbound = tcp(FAR_SIX, near, bytes(140), ports=(443, 40_000), macs=BACK)
    live = pipeline()
    live.feed(batch([(0, inbound), (1, inbound), (SECOND, inbound)]))
    assert ROUTER in live.ledger.clients, "without a known prefix it looks as if the router were sending"
    live.relocate(Local(("2400:4000::/64",)))
    live.feed(batch([(SECOND + 1, inbound), (2 * SECOND, inbound)]))
    live.finish()
    assert moved(live) == {(PHONE_ID, FAR_SIX): (0, 400, 0, 2), (ROUTER.hex(":"), near): (600, 0, 3, 0)}


def test_evicted_clients_count_as_other_and_the_engine_is_told() -> None:
    crowds: list[int] = []

    class Crowds(Detector):
        def crowded(self, now: int, clients: int) -> Sequence[Alert]:
            crowds.append(clients)
            return ()

    live = pipeline(limits=Limits(clients=2))
    live.engine = Engine([Crowds(None, None)])  # type: ignore[arg-type]
    for number in range(5):
        mac = b"\x02" + number.to_bytes(5, "big")
        live.feed(batch([(number * SECOND, udp(HOME, FAR, macs=(mac, ROUTER)))]))
    live.finish()
    shown = clients(live.ledger, live.now, lambda _: (None, None))
    assert sum(each.totals.sent_bytes for each in shown) == 5 * 28
    assert "other" in {each.id for each in shown}
    assert crowds
    assert set(crowds) == {2}


def test_a_full_flow_table_loses_no_bytes() -> None:
    done = pipeline()
    done.flows = FlowTable(most=2 * SPAN)
    done.feed(batch([(0, udp(HOME, FAR, ports=(number // 9000, number % 9000 + 1))) for number in range(4 * SPAN)]))
    done.finish()
    assert moved(done) == {(PHONE_ID, FAR): (4 * SPAN * 28, 0, 4 * SPAN, 0)}
    assert done.flows.expired > 0


class Seconds(Detector):
    """Writes down what detectors see."""

    def __init__(self) -> None:
        super().__init__(None, None)  # type: ignore[arg-type]
        self.seen: list[tuple[Any, ...]] = []

    def learned(self, contact: Contact, now: int) -> None:
        self.seen.append(("learned", contact.address, now - START, tuple(contact.names)))

    def second(self, activity: Activity, frames: int, dropped: int) -> Sequence[Alert]:
        moved_bytes = activity.sent_bytes.tolist(), activity.received_bytes.tolist()
        self.seen.append(("second", activity.until - START, *moved_bytes, frames, dropped))
        return ()

    def tick(self, now: int) -> Sequence[Alert]:
        self.seen.append(("tick", now - START))
        return ()


def test_detectors_see_each_second_once_with_the_frames_until_then() -> None:
    live, seen = pipeline(), Seconds()
    live.engine = Engine([seen])
    live.counts.dropped = 4
    frames = [(0, udp(HOME, FAR)), (5, udp(HOME, FAR)), (SECOND, b"no frame"), (2 * SECOND, udp(HOME, FAR_TOO))]
    live.feed(batch(frames))
    live.advance(START + 2 * SECOND + 5)
    live.advance(START + SECOND)
    live.advance(START + 3 * SECOND)
    live.finish()
    assert seen.seen == [
        ("learned", b"\x2a\x3e\x30\x0a", SECOND, ()),
        ("second", SECOND, [56], [0], 3, 4),
        ("tick", 2 * SECOND),
        ("learned", b"\5\6\7\x08", 3 * SECOND, ()),
        ("second", 3 * SECOND, [28], [0], 4, 4),
        ("tick", 3 * SECOND),
    ]
    assert live.now == START + 3 * SECOND


def test_silence_before_the_first_frame_is_no_time() -> None:
    live = pipeline()
    live.advance(START)
    live.finish()
    assert live.now == 0


def outcome(frames: Sequence[Timed], sizes: Sequence[int]) -> tuple[Any, ...]:
    """All that a run shows, with frames cut into batches of `sizes`, again and again."""
    heard: list[Alert] = []
    done = pipeline(watch=MI, alerts=heard.append, limits=Limits(contacts_per_client=6))
    at, turn = 0, 0
    while at < len(frames):
        size = sizes[turn % len(sizes)]
        done.feed(batch(frames[at : at + size]))
        at, turn = at + size, turn + 1
    done.finish()
    everyone = {each.id: each for each in clients(done.ledger, done.now, lambda _: (None, None))}
    return everyone, destinations(done), list(done.names_seen), heard, done.counts, done.engine.alerts()


def test_the_scenario_holds_what_it_should() -> None:
    everyone, shown, seen, heard, counts, _ = outcome(scenario(), [4096])
    assert set(everyone) == {PHONE_ID, TABLET_ID, ROUTER.hex(":")}
    assert set(seen) == {"api.io.mi.com", "six.example"}
    assert [alert.state for alert in heard][:2] == ["firing", "resolved"]
    assert everyone[PHONE_ID].other.sent_packets > 0
    assert counts.frames == len(scenario())
    assert (TABLET_ID, FAR_TOO) in shown
    assert sum(each.totals.sent_bytes + each.totals.received_bytes for each in everyone.values()) == counts.ip_bytes


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_the_result_does_not_depend_on_batches(size: int) -> None:
    assert outcome(scenario(), [size]) == outcome(scenario(), [4096])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_the_result_does_not_depend_on_how_batches_are_cut(sizes: list[int]) -> None:
    assert outcome(scenario(), sizes) == outcome(scenario(), [4096])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_clock_that_steps_back_and_on_again_within_one_batch(size: int) -> None:
    frames = [(60 * SECOND, tcp(HOME, FAR)), (40 * SECOND, tcp(HOME, FAR)), (40 * SECOND + 1, tcp(HOME, FAR))]
    frames += [(60 * SECOND + 5, tcp(HOME, FAR))]
    assert outcome(frames, [size]) == outcome(frames, [4096])


def test_what_was_reported_in_a_silence_is_heard_before_the_packets_that_end_it() -> None:
    heard: list[float] = []
    made = pipeline()
    made.before_second = lambda time: heard.append((time - START) / SECOND)
    for each in batches([(0, udp(HOME, FAR)), (900 * SECOND, udp(HOME, FAR)), (901 * SECOND, udp(HOME, FAR))]):
        made.feed(each)
    made.finish()
    assert heard == [0, 1, 900, 901, 901, 902]


class Activities(Detector):
    """Keeps what detectors see of each second."""

    def __init__(self) -> None:
        super().__init__(None, None)  # type: ignore[arg-type]
        self.seen: list[dict[str, tuple[int, int, str]]] = []
        self.contacts: dict[int, Contact] = {}

    def second(self, activity: Activity, frames: int, dropped: int) -> Sequence[Alert]:
        places = [address_text(self.contacts[row].address) for row in activity.rows.tolist()]
        states = [STATES[number] for number in activity.states.tolist()]
        rows = zip(activity.sent_bytes.tolist(), activity.uploaded.tolist(), states, strict=True)
        self.seen.append(dict(zip(places, rows, strict=True)))
        return ()

    def learned(self, contact: Contact, now: int) -> None:
        self.contacts[contact.row] = contact


def watched(book: ForegroundBook | None = None, **settings: Any) -> tuple[Pipeline, Activities]:
    """A pipeline whose seconds are kept; `book`: the phone states."""
    live, seen = pipeline(**settings), Activities()
    live.engine = Engine([seen])
    if book is not None:
        live._states = book
    return live, seen


def said(event: Event, second: int, client: str = PHONE_ID) -> Report:
    at = START + second * SECOND
    return Report(client, "push", event, None, at, at)


def segments(start: int, *lengths: int, far: str = FAR, at: int = 0, port: int = 40_000) -> list[Timed]:
    """TCP payload from the phone, one segment after another, a millisecond apart."""
    found = []
    for number, length in enumerate(lengths):
        frame = tcp(HOME, far, bytes(length), sequence=start % 2**32, ports=(port, 443))
        found.append((at + number * 1_000_000, frame))
        start += length
    return found


def test_detectors_see_what_was_uploaded() -> None:
    frames = [
        *segments(2**32 - 100, 500, 500),
        *segments(2**32 - 100, 500, at=SECOND // 2),
        (SECOND - 1, udp(HOME, FAR_TOO, bytes(9))),
    ]
    live, seen = watched()
    run(frames, into=live)
    assert seen.seen == [{FAR: (1620, 1000, "unknown"), FAR_TOO: (37, 9, "unknown")}]


def test_detectors_see_whether_somebody_used_the_client() -> None:
    book = ForegroundBook(Rules(grace=2 * SECOND))
    live, seen = watched(book)
    reports = Reporter([said("screen_on", 1), said("screen_off", 3), said("screen_on", 9, TABLET_ID)], book.report)
    live.before_second = reports.advance
    frames = [(at * SECOND + 7, udp(HOME, FAR)) for at in range(8)]
    frames += [(at * SECOND + 8, udp(HOME_TOO, FAR_TOO, macs=TABLETS)) for at in (6, 9)]
    run(sorted(frames), into=live)
    assert [each[FAR][2] for each in seen.seen if FAR in each] == [
        "unknown", "foreground", "foreground", "foreground", "background", "background", "background", "background",
    ]  # fmt: skip
    assert [each[FAR_TOO][2] for each in seen.seen if FAR_TOO in each] == ["unknown", "foreground"]
    assert live.usage.sent == {
        (PHONE_ID, "unknown"): 28, (PHONE_ID, "foreground"): 84, (PHONE_ID, "background"): 112,
        (TABLET_ID, "unknown"): 28, (TABLET_ID, "foreground"): 28,
    }  # fmt: skip


DISCOVER = ethernet(
    "0.0.0.0", "255.255.255.255", ip("0.0.0.0", "255.255.255.255", 17, pack(">HHHH", 68, 67, 248, 0) + bytes(240))
)
SOLICIT = ethernet("fe80::9", "ff02::2", ip("fe80::9", "ff02::2", 58, bytes([133]) + bytes(7)))


@pytest.mark.parametrize("size", [1, 4096])
@pytest.mark.parametrize("join", [DISCOVER, SOLICIT], ids=["DHCP", "router solicitation"])
@pytest.mark.parametrize(("away", "state"), [(1799, "background"), (1800, "unknown")])
def test_a_client_that_was_away_starts_as_unknown(join: bytes, away: int, state: str, size: int) -> None:
    book = ForegroundBook(Rules(grace=0))
    book.report(said("screen_off", -100))
    live, seen = watched(book)
    end = away * SECOND
    run([(0, udp(HOME, FAR)), (end, join), (end + 5, udp(HOME, FAR))], size, live)
    assert [each[FAR][2] for each in seen.seen if FAR in each] == ["background", state]
    assert book.moments(PHONE_ID) == {"joined": START + end}


@pytest.mark.parametrize("join", [DISCOVER, SOLICIT], ids=["DHCP", "router solicitation"])
def test_who_asks_without_having_left_does_not_join(join: bytes) -> None:
    book = ForegroundBook(Rules(grace=0))
    book.report(said("screen_off", -100))
    live, _ = watched(book)
    run([(at * SECOND, udp(HOME, FAR)) for at in range(0, 500, 100)] + [(500 * SECOND, join)], 4096, live)
    assert (book.moments(PHONE_ID), book.returned) == ({}, 0)


def test_who_came_back_is_asked_and_believed_from_then_on() -> None:
    """Routers are solicited several times; what the phone said in between holds."""
    book = ForegroundBook(Rules(grace=0))
    book.report(said("screen_off", -100))
    live, seen = watched(book)
    back = 3600
    live.before_second = Reporter([said("screen_off", back + 5)], book.report).advance
    frames = [(0, udp(HOME, FAR)), (back * SECOND, SOLICIT), ((back + 1) * SECOND, udp(HOME, FAR))]
    frames += [((back + 28) * SECOND, SOLICIT), ((back + 29) * SECOND, udp(HOME, FAR))]
    run(frames, into=live)
    assert [each[FAR][2] for each in seen.seen if FAR in each] == ["background", "unknown", "background"]
    assert live.engine.take_suspects() == {PHONE_ID}
    assert book.returned == 1


def test_who_is_long_silent_without_joining_was_not_away() -> None:
    """A phone that sleeps through the night: nothing says that it left."""
    book = ForegroundBook(Rules(grace=0))
    book.report(said("screen_off", -100))
    live, seen = watched(book)
    run([(0, udp(HOME, FAR)), (7 * 3600 * SECOND, udp(HOME, FAR))], into=live)
    assert [each[FAR][2] for each in seen.seen if FAR in each] == ["background", "background"]


DAYS = 86_400 * SECOND


@pytest.mark.parametrize("step", [-14 * DAYS, -20 * SECOND, 21 * DAYS])
@pytest.mark.parametrize("idle", [False, True], ids=["frames", "silence first"])
def test_after_a_step_of_the_clock_states_are_unknown_and_detectors_are_told(step: int, idle: bool) -> None:
    told: list[int] = []

    class Steps(Detector):
        def stepped(self, now: int) -> Sequence[Alert]:
            told.append(now)
            return ()

    book = ForegroundBook(Rules(grace=0))
    book.report(said("screen_off", -100))
    live, _ = watched(book)
    live.engine = Engine([Steps(None, None)])  # type: ignore[arg-type]
    run_until = [(at * SECOND, udp(HOME, FAR)) for at in range(3)]
    for each in batches(run_until):
        live.feed(each)
    assert book.at(PHONE_ID, live.now).state == "background"
    if idle:
        live.advance(START + 2 * SECOND + step)
    for each in batches([(at * SECOND + step, udp(HOME, FAR)) for at in (2, 3, 4)]):
        live.feed(each)
    assert told
    assert live.now == START + 4 * SECOND + step
    assert book.at(PHONE_ID, live.now).state == "unknown"
    assert list(book.standings()) == []


@pytest.mark.parametrize("step", [-SECOND, SECOND, 3600 * SECOND])
def test_small_steps_and_long_silence_interrupt_nothing(step: int) -> None:
    book = ForegroundBook(Rules(grace=0))
    book.report(said("screen_off", -100))
    live, seen = watched(book)
    run([(0, udp(HOME, FAR)), (SECOND, udp(HOME, FAR)), (SECOND + step, udp(HOME, FAR))], into=live)
    assert {each[FAR][2] for each in seen.seen} == {"background"}


def test_one_frame_with_a_wrong_time_interrupts_nothing() -> None:
    book = ForegroundBook(Rules(grace=0))
    book.report(said("screen_off", -100))
    live, seen = watched(book)
    times = [0, SECOND, -START, 2 * SECOND, 4_291_747_200 * SECOND - START, 3 * SECOND]
    run([(at, udp(HOME, FAR)) for at in times], into=live)
    assert {each[FAR][2] for each in seen.seen} == {"background"}
    assert sum(each[FAR][0] for each in seen.seen) == len(times) * 28


def traffic(random: Random) -> list[Timed]:
    """Uploads with repeats, gaps, reordering and ports that are used anew; downloads; datagrams."""
    frames: list[Timed] = []
    for port in range(40_000, 40_005):
        at = 0
        while at < 3 * SECOND:
            start = random.choice([7, 2**32 - 900, random.randrange(2**32)])
            flags = SYN if random.random() < 0.8 else PUSH
            frames.append(
                (at, tcp(HOME, FAR, bytes(random.choice([0, 0, 40])), sequence=start, ports=(port, 443), flags=flags))
            )
            made = segments(start + 1, *random.choices([0, 1, 100, 1400], k=12), at=at, port=port)
            made += random.choices(made, k=random.randrange(6))
            random.shuffle(made)
            frames += made
            frames.append((at, tcp(FAR, HOME, bytes(1400), ports=(443, port), macs=BACK)))
            frames.append((at + 9, udp(HOME, FAR, bytes(random.choice([30, 1200])), ports=(port, 443))))
            at += random.randrange(SECOND)
    return sorted(frames, key=lambda frame: frame[0])


@pytest.mark.parametrize("seed", range(4))
def test_uploads_do_not_depend_on_how_batches_are_cut(seed: int) -> None:
    frames = traffic(Random(seed))
    seconds = []
    for size in (4096, 1, 3, 50):
        live, seen = watched()
        run(frames, size, live)
        seconds.append(seen.seen)
    assert seconds[1:] == seconds[:1] * 3
    assert all(0 < uploaded <= sent for each in seconds[0] for sent, uploaded, _ in each.values())


def test_uploads_of_a_client_with_as_many_contacts_as_it_may_have_are_counted() -> None:
    """Bytes are then posted in the middle of the second, uploads at its end."""
    frames = [*segments(0, 1000, 1000), (3 * 10**6, udp(HOME, FAR_TOO, bytes(5))), *segments(2000, 500, at=5 * 10**6)]
    whole = []
    for size in (1, 2, 4096):
        live, seen = watched(limits=Limits(contacts_per_client=1))
        run(frames, size, live)
        whole.append(seen.seen)
    assert whole == [[{FAR: (2620, 2500, "unknown")}]] * 3
