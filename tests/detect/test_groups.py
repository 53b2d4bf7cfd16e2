import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.detect.groups import Groups
from sensor.model.activity import Activity, Contact
from sensor.model.destination import Place


def contact(row: int) -> Contact:
    return Contact(row, "phone", b"\x00" * 4, row.to_bytes(4, "big"), Place())


def activity(*moved: tuple[int, int, int, int]) -> Activity:
    """(row, sent bytes, received bytes, last seen), rows ascending."""
    rows, sent, received, last = (np.array(column, np.int64) for column in zip(*moved, strict=True))
    return Activity(10, rows, sent, received, (sent > 0) * 1, (received > 0) * 1, last - 1, last, sent, rows, rows)


def test_the_rows_of_a_group_count_together() -> None:
    groups: Groups[str] = Groups()
    for row, label in [(1, "a"), (2, "b"), (5, "a")]:
        groups.put(contact(row), label)
    moved = dict(groups.moved(activity((1, 10, 1, 7), (2, 20, 2, 8), (3, 99, 99, 9), (5, 30, 3, 6))))
    assert set(moved) == {"a", "b"}
    assert moved["a"][1:] == (40, 4, 2, 5, 7)
    assert moved["a"].contact.row == 1  # seen last
    assert moved["b"][1:] == (20, 2, 1, 7, 8)


def test_what_only_received_is_noise() -> None:
    groups: Groups[str] = Groups()
    groups.put(contact(1), "a")
    assert list(groups.moved(activity((1, 0, 60, 7)))) == []


def test_what_was_sent_to_once_may_go_on_receiving() -> None:
    groups: Groups[str] = Groups()
    groups.put(contact(1), "a")
    list(groups.moved(activity((1, 60, 0, 7))))
    [(_, movement)] = groups.moved(activity((1, 0, 900, 8)))
    assert (movement.sent_packets, movement.received_bytes) == (0, 900)


def test_a_row_used_again_starts_anew() -> None:
    groups: Groups[str] = Groups()
    groups.put(contact(1), "a")
    list(groups.moved(activity((1, 60, 0, 7))))
    groups.forget(1)
    assert len(groups) == 0
    assert list(groups.moved(activity((1, 60, 0, 8)))) == []
    groups.forget(1)
    groups.put(contact(1), "b")
    assert list(groups.moved(activity((1, 0, 60, 9)))) == []


def test_a_new_label_keeps_that_it_was_sent_to() -> None:
    groups: Groups[str] = Groups()
    list(groups.moved(activity((1, 60, 0, 7))))
    groups.put(contact(1), "a")
    groups.put(contact(1), "b")
    assert len(groups) == 1
    assert [label for label, _ in groups.moved(activity((1, 0, 60, 8)))] == ["b"]


def test_rows_beyond_the_first_arrays() -> None:
    groups: Groups[str] = Groups()
    groups.put(contact(39_999), "a")
    [(label, movement)] = groups.moved(activity((5, 1, 1, 1), (39_999, 60, 0, 7), (90_000, 1, 1, 1)))
    assert (label, movement.sent_bytes) == ("a", 60)
    groups.forget(10_000_000)


def test_nothing_moved() -> None:
    empty = np.zeros(0, np.int64)
    assert list(Groups[str]().moved(Activity(1, *[empty] * 10))) == []


steps = st.lists(
    st.tuples(st.sampled_from(["put", "take_out", "forget"]), st.integers(0, 7), st.sampled_from("abc")), max_size=30
)


@settings(max_examples=50, deadline=None)
@given(steps)
def test_it_agrees_with_a_plain_dict(steps: list[tuple[str, int, str]]) -> None:
    groups: Groups[str] = Groups()
    plain: dict[int, str] = {}
    for step, row, label in steps:
        if step == "put":
            groups.put(contact(row), label)
            plain[row] = label
        else:
            getattr(groups, step)(row)
            plain.pop(row, None)
        assert len(groups) == len(set(plain.values()))
    sums: dict[str, int] = {}
    for row, label in plain.items():
        sums[label] = sums.get(label, 0) + (1 << row)
    moved = groups.moved(activity(*((row, 1 << row, 0, row) for row in range(8))))
    assert {label: movement.sent_bytes for label, movement in moved} == sums
