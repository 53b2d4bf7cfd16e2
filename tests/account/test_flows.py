"""Which flow each packet belongs to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.account.flows import SENT, SLICE, UNKNOWN, FlowTable
from sensor.model.packets import Packets

SYN, ACK = 0x02, 0x10


def packets(flows: list[int], *, six: bool = False, flags: int = 0, length: int = 100) -> Packets:
    """One packet per entry; the entry names its flow."""
    count = len(flows)
    words = np.zeros((4, count), np.uint64)
    words[2] = 7 if six else np.array(flows, np.uint64)
    words[3] = 6 | (6 if six else 4) << 8
    rows = np.arange(count) if six else np.empty(0, np.int64)
    tail = np.zeros((3, len(rows)), np.uint64)
    if six:
        tail[2] = np.array(flows, np.uint64)
    return Packets(
        time=np.arange(count) + 1000,
        words=words,
        six=rows,
        tail=tail,
        length=np.full(count, length, np.int64),
        segments=np.ones(count, np.int64),
        flags=np.full(count, flags, np.uint8),
        sequence=np.arange(count).astype(np.uint32),
        payload=np.zeros(count, np.int64),
        payload_length=np.zeros(count, np.int64),
        message=np.zeros(count, np.bool_),
        row=np.arange(count),
    )


def add(table: FlowTable, given_packets: Packets) -> np.ndarray:
    return table.add(given_packets, slice(0, len(given_packets)), given_packets.time)


@pytest.mark.parametrize("six", [False, True])
def test_packets_of_one_flow_share_a_slot(six: bool) -> None:
    table = FlowTable()
    slots = add(table, packets([5, 6, 5, 5], six=six))
    assert slots[0] == slots[2] == slots[3] != slots[1]
    assert table.unclassified(slots).tolist() == [0, 1]
    table.service[slots] = 9
    table.side[slots] = SENT
    moved = table.collect()
    assert sorted(zip(moved.packets.tolist(), moved.bytes.tolist(), strict=True)) == [(1, 100), (3, 300)]
    assert moved.service.tolist() == [9, 9]
    assert table.unclassified(add(table, packets([5], six=six))).tolist() == []


def test_nothing_is_collected_twice() -> None:
    table = FlowTable()
    add(table, packets([1, 2]))
    assert len(table.collect().slots) == 2
    assert len(table.collect().slots) == 0


def test_first_and_last_time_within_what_is_collected() -> None:
    table = FlowTable()
    add(table, packets([1, 1, 1]))
    moved = table.collect()
    assert (moved.first.tolist(), moved.last.tolist()) == ([1000], [1002])


def test_a_client_syn_marks_the_flow_for_its_first_payload() -> None:
    table = FlowTable()
    [client] = add(table, packets([1], flags=SYN))
    [server] = add(table, packets([2], flags=SYN | ACK))
    assert (table.wanted[client], table.wanted[server]) == (True, False)
    assert table.started[client]
    assert table.start[client] == 1


def test_disowned_flows_are_classified_again() -> None:
    table = FlowTable()
    slots = add(table, packets([1, 2]))
    table.service[slots] = [3, 4]
    table.disown(np.array([3]))
    assert table.service[slots].tolist() == [UNKNOWN, 4]


def test_a_flood_of_flows_makes_the_quiet_ones_expire() -> None:
    table = FlowTable(bits=14)
    flow = 0
    for _ in range(10):
        if table.full:
            table.collect()
            table.expire()
        add(table, packets(list(range(flow, flow + SLICE))))
        flow += SLICE
    assert table.count <= table.size // 2
    assert table.expired > 0


def test_flows_that_stay_keep_what_is_known_of_them() -> None:
    table = FlowTable(bits=14)
    old, new = packets([1]), packets([2], flags=SYN, six=True)
    new.time += 5000
    add(table, old)
    [slot] = add(table, new)
    table.service[slot] = 77
    table.collect()
    table.expire()
    [again] = add(table, new)
    assert (table.service[again], table.wanted[again], table.count) == (77, True, 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 40), min_size=1, max_size=60)), max_size=8))
def test_counts_equal_those_of_a_plain_dictionary(batches: list[tuple[bool, list[int]]]) -> None:
    table, counted = FlowTable(bits=14), {}
    for six, flows in batches:
        slots = add(table, packets(flows, six=six))
        for flow, slot in zip(flows, slots.tolist(), strict=True):
            assert counted.setdefault((six, flow), [slot, 0])[0] == slot
            counted[six, flow][1] += 1
    moved = table.collect()
    found = dict(zip(moved.slots.tolist(), moved.packets.tolist(), strict=True))
    assert found == {slot: count for slot, count in counted.values()}
