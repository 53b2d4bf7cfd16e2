"""Floods against the tables: what has a cap keeps to it, what is known stays, and quiet rows cost nothing.

In this process, to see the tables; `test_floods` does the like through the command line and measures memory.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

from sensor.account.flows import MAX_FLOWS
from sensor.account.ledger import MAX_NEW_CLIENTS, MAX_NEW_CONTACTS
from sensor.account.tables import MAX_SERVICES
from sensor.enrich.names import MAX_ADDRESSES_PER_CLIENT
from tests.hostile.craft import (
    ROUTER,
    SECOND,
    START,
    Traffic,
    answer,
    big_endian,
    digits,
    ethernet,
    ip,
    many,
    public_v4,
    some,
    spread,
    tcp,
    together,
    udp,
)
from tests.hostile.healthy import BOX, NAME, PHONE_ID, WATCHED, phone
from tests.hostile.oracle import Outcome, examine, healthy, new_house

SECONDS = 20
CALM = phone(SECONDS)
BAD = bytes.fromhex("020000000066")
BAD_ID = "02:00:00:00:00:66"
LAN, NET = bytes([192, 168, 2, 66]), bytes([45, 1, 2, 3])
LAN_SIX = bytes.fromhex("fd00" + "00" * 13 + "66")

MAC, SOURCE, TARGET, FAR_PORT, TARGET_SIX = 6, 26, 30, 36, 38
"""Where these stand in a frame."""

SYN = ethernet(BAD, ROUTER, ip(LAN, NET, 6, tcp(4000, 443, flags=0x02)))
SYN_BYTES = 40


@pytest.fixture(scope="module")
def alone() -> Outcome:
    return examine(CALM.batches())


def beside(flood: Traffic) -> Outcome:
    return examine(together(flood, CALM).batches(16_384))


def test_a_million_destinations_of_one_client(alone: Outcome) -> None:
    """M1: 100,000 connection attempts a second, each to another address."""
    count, seconds = 1_000_000, 10
    outcome = beside(many(SYN, spread(count, seconds, START + SECOND // 2), (TARGET, public_v4(count))))
    house = outcome.house
    assert outcome.ip_bytes == alone.ip_bytes + count * SYN_BYTES
    assert outcome.client(BAD_ID)["sent_bytes"] == count * SYN_BYTES
    counters = house.counters()
    assert counters.evicted["destinations"] >= count - (seconds + 1) * MAX_NEW_CONTACTS
    assert counters.evicted["flows"] >= count - MAX_FLOWS
    assert healthy(outcome, PHONE_ID) == healthy(alone, PHONE_ID)
    assert outcome.result["alerts"] == alone.result["alerts"]


def attempts() -> Traffic:
    """Far more contacts than one client may open in a second."""
    count = 5 * MAX_NEW_CONTACTS
    return many(SYN, spread(count, 0.4), (TARGET, public_v4(count)))


def newcomers() -> Traffic:
    """Far more clients than may appear in a second."""
    count = 2 * MAX_NEW_CLIENTS
    macs, sources = (2 << 40) + 0x66_0000_0000 + np.arange(count), (10 << 24) + np.arange(count)
    return many(SYN, spread(count, 0.4), (MAC, big_endian(macs, 6)), (SOURCE, big_endian(sources, 4)))


@pytest.mark.parametrize("noise", [attempts, newcomers], ids=lambda noise: noise.__name__)
def test_a_flood_hides_no_upload_that_outlives_it(noise: Callable[[], Traffic]) -> None:
    """M1 and M2, turned against the sensor: within the second of a flood begins an upload that nobody should see."""
    sending = ethernet(BAD, ROUTER, ip(LAN, WATCHED, 6, tcp(5000, 443, bytes(1000))))
    upload = many(sending, spread(600, 60, START + SECOND // 2))
    outcome = examine(together(noise(), upload).batches())
    assert BAD_ID in [alert.client.mac for alert in outcome.alerts]


def test_a_hundred_thousand_macs(alone: Outcome) -> None:
    """M2: the table keeps to its cap, says so once, and who got answers stays in it."""
    count, known = 100_000, 100
    macs = (2 << 40) + 0x66_0000_0000
    friend, back = (big_endian(macs - 1 - np.arange(known), 6) for _ in range(2))
    there = many(SYN, spread(known, 0.4), (MAC, friend), (SOURCE, big_endian((10 << 24) + np.arange(known), 4)))
    reply = ethernet(ROUTER, BAD, ip(NET, LAN, 6, tcp(443, 4000, flags=0x12)))
    answers = many(
        reply,
        spread(known, 0.4, START + SECOND // 2),
        (0, back),
        (TARGET, big_endian((10 << 24) + np.arange(known), 4)),
    )
    sources = big_endian((10 << 24) + (1 << 20) + np.arange(count), 4)
    spoofed = many(
        SYN,
        spread(count, SECONDS - 2, START + SECOND),
        (MAC, big_endian(macs + np.arange(count), 6)),
        (SOURCE, sources),
    )
    outcome = beside(together(there, answers, spoofed))
    house = outcome.house
    said = [alert for alert in outcome.alerts if alert.detector == "client_table"]
    assert [alert.state for alert in said] == ["firing"]
    assert len(outcome.alerts) == len(alone.alerts) + 1
    assert len(house.pipeline.ledger.clients) <= house.pipeline.ledger.limits.clients + 1
    kept = {row["mac"]: row for row in outcome.result["clients"]}
    for mac in friend:
        row = kept[mac.tobytes().hex(":")]
        assert (row["sent_bytes"], row["received_bytes"]) == (40, 40)
    assert house.counters().evicted["clients"] >= count - SECONDS * MAX_NEW_CLIENTS
    assert outcome.ip_bytes == alone.ip_bytes + (count + 2 * known) * SYN_BYTES
    assert healthy(outcome, PHONE_ID) == healthy(alone, PHONE_ID)


def test_a_port_scan(alone: Outcome) -> None:
    """M3: 256 hosts, 2,000 ports of each."""
    hosts, ports = 256, 2000
    count = hosts * ports
    number = np.arange(count)
    targets, scanned = big_endian((45 << 24) + number % hosts, 4), big_endian(1 + number // hosts, 2)
    outcome = beside(many(SYN, spread(count, SECONDS - 1), (TARGET, targets), (FAR_PORT, scanned)))
    row = outcome.client(BAD_ID)
    assert len(row["destinations"]) == hosts
    whole = count * SYN_BYTES
    assert row["sent_bytes"] == whole
    assert sum(each["sent_bytes"] for each in row["destinations"]) >= whole * 0.99, "but for hosts beyond the budget"
    services = [each.services for each in outcome.house.destinations(BAD_ID)]
    assert max(map(len, services)) <= MAX_SERVICES + 1
    assert healthy(outcome, PHONE_ID) == healthy(alone, PHONE_ID)
    assert outcome.result["alerts"] == alone.result["alerts"]


def test_names_without_end(alone: Outcome) -> None:
    """M4: answers for 200,000 names, every other one that it does not exist."""
    count = 200_000
    name, at = "x0000000.example", 14 + 20 + 8 + 12 + 2

    def reply(rcode: int, *addresses: bytes) -> bytes:
        return ethernet(ROUTER, BAD, ip(BOX, LAN, 17, udp(53, 999, answer(name, *addresses, rcode=rcode))))

    number = np.arange(count // 2)
    nothing = many(reply(3), spread(count // 2, SECONDS - 1), (at, digits(number, 7)))
    found = reply(0, NET)
    named = many(
        found, spread(count // 2, SECONDS - 1), (at, digits(number + count, 7)), (len(found) - 4, public_v4(count // 2))
    )
    outcome = beside(together(nothing, named))
    house = outcome.house
    assert house.pipeline.counts.messages["dns"] == count + 1
    assert len(house.names) <= MAX_ADDRESSES_PER_CLIENT + 10
    assert house.counters().evicted["names"] == count // 2 - MAX_ADDRESSES_PER_CLIENT
    assert NAME in str(outcome.client(PHONE_ID))
    assert healthy(outcome, PHONE_ID) == healthy(alone, PHONE_ID)


def test_addresses_that_were_chosen_to_collide_cost_what_random_ones_cost() -> None:
    """M7: as integers, all of them have one `hash` in Python, and a table keyed by them would take hours."""
    count = 20_000
    modulus = (1 << 61) - 1
    first = (0x2A05D014 << 96) // modulus + 1
    chosen = [(first + number) * modulus + 7 for number in range(count)]
    assert len({hash(address) for address in chosen}) == 1
    crafted = np.frombuffer(b"".join(address.to_bytes(16, "big") for address in chosen), np.uint8).reshape(-1, 16)
    random = crafted.copy()
    random[:, 4:] = np.random.default_rng(7).integers(0, 256, (count, 12), np.uint8)
    syn = ethernet(BAD, ROUTER, ip(LAN_SIX, random[0].tobytes(), 6, tcp(4000, 443, flags=0x02)))
    costs = [
        cpu(lambda targets=targets: many(syn, spread(count, 40), (TARGET_SIX, targets)))  # type: ignore[misc]
        for targets in (crafted, random)
    ]
    assert costs[0] <= 2 * costs[1]
    print(f"crafted {1e6 * costs[0] / count:.1f} us, random {1e6 * costs[1] / count:.1f} us per destination")


def test_quiet_flows_cost_nothing_while_they_are_quiet() -> None:
    """M8: of five times as many flows, each five times as seldom, a second costs the same."""
    few, all_of_them = (_beating(flows, every) for flows, every in ((1_000, 60), (5_000, 299)))
    assert all_of_them <= 2 * few
    print(f"{1e6 * few:.0f} us a second with 1,000 flows, {1e6 * all_of_them:.0f} us with 5,000")


def test_frames_from_1970_and_2106_move_no_clock(alone: Outcome) -> None:
    """T4: they are counted, at the time of the frame before, and nothing expires because of them."""
    middle = 10 * SECOND + 5
    odd = some([SYN, SYN], [START + middle, START + middle + 1])
    mixed = together(CALM, odd)
    mixed.time[np.isin(mixed.time, odd.time)] = [0, (2**32 - 1) * SECOND]
    outcome = examine(mixed.batches(100))
    timeline = outcome.house.pipeline.timeline
    assert (timeline.clamped, timeline.steps) == (2, 0)
    assert healthy(outcome, PHONE_ID) == healthy(alone, PHONE_ID)
    [row] = outcome.client(BAD_ID)["destinations"]
    assert row["sent_bytes"] == 2 * SYN_BYTES
    assert row["first_seen"][:19] == row["last_seen"][:19] == "2026-09-21T14:13:30"
    assert outcome.result["alerts"] == alone.result["alerts"]
    assert outcome.house.counters().evicted == alone.house.counters().evicted


def cpu(make: Callable[[], Traffic], times: int = 3) -> float:
    """CPU seconds that the frames take, the best of some runs."""
    took = []
    for _ in range(times):
        (house, _), batches = new_house(), list(make().batches())
        began = time.process_time()
        for batch in batches:
            house.pipeline.feed(batch)
        house.pipeline.finish()
        took.append(time.process_time() - began)
    return min(took)


def _beating(flows: int, every: int, begin: int = 2, end: int = 24) -> float:
    """CPU seconds per second of packet time, of 50 clients whose flows have a packet every so many seconds.

    The first rounds open the flows and are not measured.
    """
    number = np.arange(flows)
    macs, targets = big_endian((2 << 40) + number % 50, 6), public_v4(flows)
    own = big_endian((192 << 24) + (168 << 16) + (2 << 8) + 10 + number % 50, 4)
    (house, _), took = new_house(), []
    rounds = end * 299 // every
    for turn in range(rounds):
        beat = many(
            SYN, spread(flows, every, START + turn * every * SECOND), (MAC, macs), (SOURCE, own), (TARGET, targets)
        )
        before = time.process_time()
        for batch in beat.batches(200):
            house.pipeline.feed(batch)
        took.append((time.process_time() - before) / every)
    assert house.counters().flows == flows
    assert house.counters().destinations == flows
    return min(sum(part) / len(part) for part in np.array_split(took[begin * 299 // every :], 3))
