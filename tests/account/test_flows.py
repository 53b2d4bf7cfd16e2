"""Which flow each packet belongs to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.account.flows import SENT, SPAN, UNKNOWN, FlowTable
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


def add_known(table: FlowTable, given_packets: Packets, service: int = 0) -> np.ndarray:
    rows = add(table, given_packets)
    table.service[rows] = service
    return rows


@pytest.mark.parametrize("six", [False, True])
def test_packets_of_one_flow_share_a_row(six: bool) -> None:
    table = FlowTable()
    rows = add(table, packets([5, 6, 5, 5], six=six))
    assert rows[0] == rows[2] == rows[3] != rows[1]
    assert table.unclassified(rows).tolist() == [0, 1]
    table.service[rows] = 9
    table.side[rows] = SENT
    moved = table.collect()
    assert sorted(zip(moved.packets.tolist(), moved.bytes.tolist(), strict=True)) == [(1, 100), (3, 300)]
    assert moved.service.tolist() == [9, 9]
    assert table.unclassified(add(table, packets([5], six=six))).tolist() == []


def test_nothing_is_collected_twice() -> None:
    table = FlowTable()
    add_known(table, packets([1, 2]))
    assert len(table.collect().flows) == 2
    assert len(table.collect().flows) == 0


def test_what_a_flow_moved_waits_until_it_is_known_whose_it_is() -> None:
    table = FlowTable()
    [row] = add(table, packets([1]))
    [known] = add_known(table, packets([2]), service=4)
    assert table.collect().flows.tolist() == [known]
    add(table, packets([1]))
    table.service[row] = 9
    moved = table.collect()
    assert (moved.flows.tolist(), moved.service.tolist()) == ([row], [9])
    assert (moved.packets.tolist(), moved.bytes.tolist(), moved.first.tolist()) == ([2], [200], [1000])


def test_once_owners_are_forgotten_every_flow_is_classified_again() -> None:
    table = FlowTable()
    rows = add_known(table, packets([1, 2]), service=3)
    table.collect()
    table.forget_owners()
    assert table.unclassified(rows).tolist() == [0, 1]


def test_first_and_last_time_within_what_is_collected() -> None:
    table = FlowTable()
    add_known(table, packets([1, 1, 1]))
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
    rows = add(table, packets([1, 2]))
    table.service[rows] = [3, 4]
    table.disown(np.array([3]))
    assert table.service[rows].tolist() == [UNKNOWN, 4]


def test_flows_in_doubt_are_classified_again_and_held_no_more() -> None:
    table = FlowTable()
    rows = add(table, packets([1, 2, 3]))
    table.service[rows] = [3, 4, 5]
    assert table.unclassified(rows).tolist() == []
    table.held[rows[1]] = True
    table.doubt([int(rows[1])])
    assert (table.service[rows].tolist(), table.held.any()) == ([3, UNKNOWN, 5], False)
    assert table.unclassified(rows).tolist() == [1]
    table.doubt([])
    assert table.unclassified(add(table, packets([1, 4, 2, 4]))).tolist() == [1, 2]


def test_a_flood_of_flows_makes_the_quiet_ones_expire() -> None:
    table = FlowTable(most=2 * SPAN)
    for begin in range(0, 10 * SPAN, SPAN):
        if table.full:
            table.collect()
            table.expire()
        flood = packets(list(range(begin, begin + SPAN)))
        flood.time += begin
        rows = add(table, flood)
        assert len(set(rows.tolist())) == SPAN
    assert table.count <= table.most
    assert table.count + table.expired == 10 * SPAN
    kept = table.count
    assert len(set(add(table, packets([10 * SPAN - 1])).tolist())) == 1
    assert table.count == kept  # the newest one was kept


def test_flows_that_stay_keep_what_is_known_of_them() -> None:
    table = FlowTable(most=2 * SPAN)
    old, new = packets([1]), packets([2], flags=SYN, six=True)
    new.time += 5000
    add(table, old)
    [row] = add(table, new)
    table.service[row] = 77
    table.collect()
    table.expire()
    [again] = add(table, new)
    assert (table.service[again], table.wanted[again], table.started[again], table.count) == (77, True, True, 1)
    assert table.start[again] == 1


def test_a_flow_that_was_forgotten_comes_back_unclassified() -> None:
    table = FlowTable(most=2 * SPAN)
    late = packets([2])
    late.time += 5000
    table.service[add(table, packets([1]))] = 5
    add(table, late)
    table.collect()
    table.expire()
    back = add(table, packets([1]))
    assert table.unclassified(back).tolist() == [0]
    assert (table.count, table.expired) == (2, 1)


def test_full_keys_are_compared_whatever_the_hash_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlowTable, "_hash", lambda self, words, six, tail: np.full(words.shape[1], 7))
    table = FlowTable(most=64)
    rows = add(table, packets([1, 2, 3, 2, 1]))
    assert rows.tolist() == [0, 1, 2, 1, 0]
    assert add(table, packets([1, 2, 3], six=True)).tolist() == [3, 4, 5]
    assert add(table, packets([3, 4])).tolist() == [2, 6]


def test_the_place_in_the_index_cannot_be_foretold() -> None:
    flows = packets(list(range(1000)))
    words, none = flows.words, np.empty(0, np.int64)
    one, other = (FlowTable(most=1000)._hash(words, none, flows.tail) for _ in range(2))
    assert not np.array_equal(one, other)
    same = FlowTable(most=1000, seed=5)._hash(words, none, flows.tail)
    assert np.array_equal(same, FlowTable(most=1000, seed=5)._hash(words, none, flows.tail))


def test_spans_are_parts_of_a_batch() -> None:
    table, batch = FlowTable(), packets([4, 5, 4, 6])
    batch.length[:] = [10, 20, 30, 40]
    rows = table.add(batch, slice(1, 3), batch.time[1:3])
    assert len(rows) == 2
    table.service[rows] = 0
    assert sorted(table.collect().bytes.tolist()) == [20, 30]


def test_firsts() -> None:
    assert FlowTable(16).firsts(np.array([7, 7, 9, 7, 9]), np.array([1, 2, 3, 4])).tolist() == [1, 2]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 40), min_size=1, max_size=60)), max_size=8),
    st.integers(0, 9),
)
def test_counts_equal_those_of_a_plain_dictionary(batches: list[tuple[bool, list[int]]], seed: int) -> None:
    table = FlowTable(most=82, seed=seed)
    counted: dict[tuple[bool, int], list[int]] = {}
    for six, flows in batches:
        rows = add_known(table, packets(flows, six=six))
        for flow, row in zip(flows, rows.tolist(), strict=True):
            assert counted.setdefault((six, flow), [row, 0])[0] == row
            counted[six, flow][1] += 1
    moved = table.collect()
    assert [*zip(moved.flows.tolist(), moved.packets.tolist(), strict=True)] == sorted(map(tuple, counted.values()))


def upload(flows: list[int], payload: int = 60) -> Packets:
    """Segments one after another, as `packets`."""
    made = packets(flows, flags=0x18, length=payload + 40)
    made.payload_length[:] = payload
    made.sequence = (np.arange(len(flows)) * payload).astype(np.uint32)
    return made


def add_upload(table: FlowTable, given_packets: Packets, side: int = SENT) -> np.ndarray:
    rows = add_known(table, given_packets)
    table.side[rows] = side
    table.note_uploads(given_packets, slice(0, len(given_packets)), rows)
    return rows


def test_uploads_come_with_what_flows_moved() -> None:
    table = FlowTable()
    add_upload(table, upload([1, 1, 1]))
    moved = table.collect()
    assert (moved.uploaded.tolist(), moved.bytes.tolist()) == ([180], [300])
    add_upload(table, upload([2]), side=0)
    moved = table.collect()
    assert (moved.uploaded.tolist(), moved.bytes.tolist()) == ([0], [100]), "received"


def test_uploads_wait_for_the_end_of_the_second() -> None:
    table = FlowTable()
    add_upload(table, upload([1, 1]))
    early = table.collect(held=False)
    assert (early.bytes.tolist(), early.uploaded.tolist()) == ([200], [0])
    late = table.collect()
    assert (late.bytes.tolist(), late.packets.tolist(), late.uploaded.tolist()) == ([0], [0], [120])
    assert len(table.collect().flows) == 0


def test_uploads_of_flows_that_stay_are_kept_when_others_expire() -> None:
    table = FlowTable(most=2 * SPAN)
    add_upload(table, upload([1]))
    table.collect()
    again = upload([2, 3, 1])
    again.time += 10**9
    again.sequence[:] = [0, 0, 60]
    add_upload(table, again)
    table.collect()
    table.expire()
    last = upload([1])
    last.sequence[:] = 60
    add_upload(table, last)
    assert sum(table.collect().uploaded.tolist()) == 0, "these bytes were sent before"
