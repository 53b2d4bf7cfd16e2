import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.detect.groups import MUCH, Groups, Movement
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
    assert moved["a"][1:] == (40, 4, 2, 5, 7, 40, 40)
    assert moved["a"].contact.row == 1  # seen last
    assert moved["b"][1:] == (20, 2, 1, 7, 8, 20, 20)


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


def one(sent: int, received: int, uploaded: int) -> Movement:
    """What a contact's movement becomes."""
    groups: Groups[str] = Groups()
    groups.put(contact(1), "a")
    second = activity((1, sent, received, 7))
    second.uploaded = np.array([uploaded])
    [(_, movement)] = groups.moved(second)
    return movement


@pytest.mark.parametrize(
    ("sent", "received", "uploaded", "counted"),
    [
        (1_000, 2_000, 1_000, (1_000, 1_000)),
        (1_000, 2_001, 1_000, (0, 1_000)),  # it fetched: what it asked for is told, but no upload
        (1_400, 2_500, 1_000, (0, 1_400)),
        (33_000, 70_000, MUCH, (0, MUCH)),
        (33_000, 70_000, MUCH + 1, (MUCH + 1, MUCH + 1)),  # no request is that large
        (33_000, 20 * (MUCH + 1) + 1, MUCH + 1, (0, MUCH + 1)),
        (4_000, 900_000, 0, (0, 0)),  # acknowledgements
        (120, 0, 0, (0, 120)),  # a handshake that nobody answers tells something
    ],
)
def test_what_fetches_uploads_nothing_and_what_acknowledges_tells_nothing(
    sent: int, received: int, uploaded: int, counted: tuple[int, int]
) -> None:
    movement = one(sent, received, uploaded)
    assert (movement.uploaded, movement.net_sent) == counted


def test_who_fetches_is_judged_by_contact() -> None:
    groups: Groups[str] = Groups()
    for row in (1, 2):
        groups.put(contact(row), "a")
    [(_, movement)] = groups.moved(activity((1, 1_000, 0, 7), (2, 1_000, 90_000, 7)))
    assert (movement.uploaded, movement.sent_bytes, movement.received_bytes) == (1_000, 2_000, 90_000)


def test_only_those_that_count() -> None:
    groups: Groups[str] = Groups()
    for row, label in [(1, "a"), (2, "b"), (3, "a")]:
        groups.put(contact(row), label)
    second = activity((1, 10, 0, 7), (2, 20, 0, 7), (3, 40, 0, 7))
    moved = dict(groups.moved(second, np.array([True, False, False])))
    assert {label: movement.sent_bytes for label, movement in moved.items()} == {"a": 10}
    assert list(groups.moved(second, np.zeros(3, np.bool_))) == []
    [(label, _)] = groups.moved(activity((2, 0, 60, 8)))  # that it had been sent to is known all the same
    assert label == "b"


def test_the_label_of_a_row() -> None:
    groups: Groups[str] = Groups()
    groups.put(contact(1), "a")
    assert (groups.label(1), groups.label(2), groups.label(10**6)) == ("a", None, None)
    groups.take_out(1)
    assert groups.label(1) is None


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


def test_labels_may_become_others_join_or_go() -> None:
    groups: Groups[str] = Groups()
    for row, label in [(1, "a"), (2, "b"), (3, "c"), (4, "a")]:
        groups.put(contact(row), label)
    groups.relabel({"a": "x", "b": "x"}.get)
    assert (len(groups), [groups.label(row) for row in (1, 2, 3, 4)]) == (1, ["x", "x", None, "x"])
    [(label, movement)] = groups.moved(activity((1, 1, 0, 1), (2, 2, 0, 1), (3, 4, 0, 1), (4, 8, 0, 1)))
    assert (label, movement.sent_bytes) == ("x", 11)
    for row in (1, 2, 4):
        groups.forget(row)
    assert len(groups) == 0
    groups.relabel(lambda label: label)
    groups.put(contact(3), "c")
    assert groups.label(3) == "c"
