"""Segments in any order become the stream that the receiver read; memory stays bounded."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sensor.decode.streams import MAX_BUFFER, MAX_HELD, MAX_OWNERS, STREAM_IDLE, Stream, StreamTable, ahead
from sensor.model.message import Segment

SEGMENT = Segment(0, b"client", b"router", b"\1\2\3\4", b"\5\6\7\x08", 6, 40_000, 443, 1, 16, b"", 0)


def stream(base: int = 1000, time: int = 0) -> Stream:
    return Stream(base, SEGMENT._replace(time=time))


def test_segments_in_order() -> None:
    one = stream()
    assert one.add(1000, b"hello ")
    assert one.add(1006, b"world")
    assert one.content() == b"hello world"


def test_a_gap_is_waited_for() -> None:
    one = stream()
    one.add(1006, b"world")
    assert (one.ready, one.content()) == (0, b"")
    one.add(1000, b"hello ")
    assert one.content() == b"hello world"


def test_the_first_bytes_win() -> None:
    one = stream()
    one.add(1003, b"defg")
    one.add(1000, b"ABCDEFGHI")
    assert one.content() == b"ABCdefgHI"
    one.add(1000, b"xxxxxxxxxx")
    assert one.content() == b"ABCdefgHIx"


def test_one_segment_fills_several_gaps() -> None:
    one = stream()
    for sequence, payload in ((1008, b"i"), (1002, b"cd"), (1005, b"f")):
        one.add(sequence, payload)
    one.add(1000, b"ABCDEFGHIJ")
    assert one.content() == b"ABcdEfGHiJ"


def test_sequence_numbers_wrap() -> None:
    one = stream(0xFFFF_FFFE)
    one.add(1, b"defg")
    one.add(0xFFFF_FFFE, b"abc")
    assert one.content() == b"abcdefg"
    assert ahead(1, 0xFFFF_FFFE) == 3
    assert ahead(0xFFFF_FFFE, 1) == -3


def test_bytes_before_the_base_are_old() -> None:
    one = stream()
    assert one.add(990, b"0123456789ab")
    assert one.content() == b"ab"
    assert one.add(900, b"long ago")
    assert one.content() == b"ab"


def test_nothing_is_held_beyond_the_buffer() -> None:
    one = stream()
    assert not one.add(1000 + MAX_BUFFER, b"x")
    assert not one.add(0x8000_0000, b"far away")
    assert one.empty
    assert not one.add(1000, bytes(MAX_BUFFER + 1))
    assert one.ready == MAX_BUFFER


def test_skipping_keeps_what_lies_behind() -> None:
    one = stream()
    one.add(1000, b"abcd")
    one.add(1006, b"gh")
    one.skip(3)
    assert one.content() == b"d"
    one.skip(1)
    assert one.content() == b""
    one.add(1004, b"ef")
    assert one.content() == b"efgh"
    one.skip(100)
    assert (one.empty, one.base) == (True, 1104)


@given(st.binary(min_size=1, max_size=300), st.integers(0, 2**32 - 1), st.data())
def test_any_order_gives_the_same_stream(content: bytes, base: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(content)), max_size=20)) | {0, len(content)})
    pieces = [(start, content[start : data.draw(st.integers(end, len(content)))]) for start, end in pairwise(cuts)]
    one = stream(base)
    for start, payload in data.draw(st.permutations(pieces)):
        one.add((base + start) % 2**32, payload)
    assert one.content() == content


@given(st.lists(st.tuples(st.integers(-50, 200), st.binary(max_size=40)), max_size=30), st.integers(0, 60))
def test_a_stream_is_what_a_simple_model_says(segments: list[tuple[int, bytes]], skipped: int) -> None:
    one, model = stream(5), dict[int, int]()
    for at, (start, payload) in enumerate(segments):
        one.add((5 + start) % 2**32, payload)
        for place, byte in enumerate(payload, start):
            if place >= (skipped if at > len(segments) // 2 else 0):
                model.setdefault(place, byte)
        if at == len(segments) // 2:
            one.skip(skipped)
    if not segments:
        return
    place, expected = skipped, bytearray()
    while place in model:
        expected.append(model[place])
        place += 1
    assert one.content() == expected


def test_the_table_finds_streams_by_owner_and_key() -> None:
    table = StreamTable()
    one = stream()
    table.open(b"owner", b"key", one)
    assert table.get(b"owner", b"key") is one
    assert table.get(b"other", b"key") is None
    assert len(table) == 1
    table.close(b"owner", b"key")
    table.close(b"owner", b"key")
    assert (len(table), table.held) == (0, 0)


def test_idle_streams_expire() -> None:
    table = StreamTable()
    old, new = stream(time=0), stream(time=STREAM_IDLE)
    table.open(b"owner", b"old", old)
    table.open(b"owner", b"new", new)
    assert list(table.expire(STREAM_IDLE)) == []
    assert list(table.expire(STREAM_IDLE + 1)) == [old]
    assert (len(table), table.expired) == (1, 1)


def test_a_flood_of_streams_costs_its_own_streams_only() -> None:
    table = StreamTable()
    table.open(b"healthy", b"key", stream())
    for index in range(5000):
        one = stream()
        table.open(b"flood", index.to_bytes(4, "big"), one)
        table.add(b"flood", one, 1000 + MAX_BUFFER - 1, b"x")
        assert table.held <= MAX_HELD
    assert table.get(b"healthy", b"key") is not None
    assert table.evicted + len(table) == 5001


def test_a_flood_of_owners_is_bounded() -> None:
    table = StreamTable()
    for index in range(2 * MAX_OWNERS):
        table.open(index.to_bytes(4, "big"), b"key", stream())
    assert len(table) <= MAX_OWNERS
    assert table.held <= MAX_HELD
    assert table.evicted == 2 * MAX_OWNERS - len(table)


@given(
    st.lists(
        st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.sampled_from([b"1", b"2"]), st.integers(0, 30_000)),
        max_size=40,
    )
)
def test_the_table_knows_what_it_holds(steps: list[tuple[bytes, bytes, int]]) -> None:
    table = StreamTable()
    for owner, key, place in steps:
        one = table.get(owner, key)
        if one is None:
            table.open(owner, key, stream())
        elif place % 3 == 0:
            table.close(owner, key)
        elif place % 3 == 1:
            table.skip(owner, one, place)
        else:
            table.add(owner, one, place, b"some bytes")
    left = list(table.expire(1 << 62))
    assert (table.held, len(table)) == (0, 0)
    assert table.expired == len(left)
