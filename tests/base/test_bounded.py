"""A mapping that cannot grow beyond its cap."""

from sensor.base.bounded import BoundedDict


def test_the_one_longest_unused_goes_first() -> None:
    table: BoundedDict[bytes, int] = BoundedDict(2)
    table.put(b"a", 1)
    table.put(b"b", 2)
    assert table.get(b"a") == 1
    assert table.put(b"c", 3) == (b"b", 2)
    assert list(table.items()) == [(b"a", 1), (b"c", 3)]
    assert table.evicted == 1


def test_peeking_is_no_use() -> None:
    table: BoundedDict[bytes, int] = BoundedDict(2)
    table.put(b"a", 1)
    table.put(b"b", 2)
    assert table.peek(b"a") == 1
    table.put(b"c", 3)
    assert b"a" not in table


def test_taking_out_is_no_eviction() -> None:
    table: BoundedDict[bytes, int] = BoundedDict(2)
    table.put(b"a", 1)
    assert table.pop(b"a") == 1
    assert table.pop(b"a") is None
    assert (len(table), table.evicted) == (0, 0)
