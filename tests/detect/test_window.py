from hypothesis import given
from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.detect.groups import Movement
from sensor.detect.window import STEPS, Window
from sensor.model.activity import Contact
from sensor.model.destination import Place

HERE = Contact(0, "phone", b"", b"", Place())
HOUR = 3600 * SECOND


def movement(at: int, size: int = 1) -> Movement:
    return Movement(HERE, 10 * size, 100 * size, 1, at, at, uploaded=size, net_sent=2 * size)


def test_it_adds_up() -> None:
    window = Window()
    assert not window
    window.add(5 * SECOND, HOUR, movement(4, 3), contacts=1)
    window.add(500 * SECOND, HOUR, movement(499, 4), contacts=1)
    assert window
    window.add(501 * SECOND, HOUR, movement(500, 0))
    assert (window.since, window.contacts, window.seconds) == (4, 2, 3)
    assert (window.sent, window.received, window.uploaded, window.net_sent) == (70, 700, 7, 14)


def test_what_is_older_leaves_it_in_steps() -> None:
    window = Window()
    window.add(SECOND, HOUR, movement(1))
    window.add(HOUR - SECOND, HOUR, movement(2))
    assert (window.uploaded, window.since) == (2, 1)
    window.add(HOUR, HOUR, movement(3))
    assert (window.uploaded, window.since) == (2, 2)
    window.add(5 * HOUR, HOUR, movement(4))
    assert (window.uploaded, window.since) == (1, 4)


def test_time_that_goes_back_a_little_counts_in_the_last_step() -> None:
    window = Window()
    for at in (HOUR, HOUR - SECOND) * 500:
        window.add(at, HOUR, movement(at))
    assert window.uploaded == 1_000
    assert len(window._rows) == 1


def test_what_is_in_two_windows_is_in_one() -> None:
    some, more, whole = Window(), Window(), Window()
    for number, at in enumerate((SECOND, 70 * SECOND, 75 * SECOND, 900 * SECOND, 3_000 * SECOND)):
        (some if number % 2 else more).add(at, HOUR, movement(at), contacts=1)
        whole.add(at, HOUR, movement(at), contacts=1)
    some.merge(more)
    assert (list(some._rows), some._sums) == (list(whole._rows), whole._sums)
    some.merge(Window())
    assert some.since == SECOND
    more.add(3_100 * SECOND, HOUR, movement(9))
    assert some._sums == whole._sums, "they stay apart"
    some.slide(HOUR + 800 * SECOND, HOUR)
    assert (some.contacts, some.since) == (2, 900 * SECOND)
    some.slide(9 * HOUR, HOUR)
    assert not some
    assert some._sums == [0] * 6


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9)), max_size=60))
def test_it_agrees_with_a_plain_list(steps: list[tuple[int, int]]) -> None:
    window, now, plain = Window(), 0, []
    for pause, size in steps:
        now += pause * SECOND
        window.add(now, HOUR, movement(now, size), contacts=size % 2)
        plain.append((now * STEPS // HOUR, size))
        kept = [kept for step, kept in plain if step > now * STEPS // HOUR - STEPS]
        assert (window.uploaded, window.contacts) == (sum(kept), sum(size % 2 for size in kept))
        assert len(window._rows) <= STEPS
