"""Which letter is next; no clock, no loop."""

from hypothesis import given
from hypothesis import strategies as st

from sensor.deliver.schedule import DOWN_AFTER, LAST_PROBE, LAST_RETRY, Schedule
from sensor.model.letter import Letter


def letter(key, number=None):
    return Letter("lab", f"{key}.x", key, "warning", "", 0, 0.0, number)


def schedule(*letters, pause=0.0):
    made = Schedule(pause, jitter=lambda: 1.0)
    for each in letters:
        made.add(each)
    return made


def test_nothing_waits():
    assert schedule().next(5.0) == (None, None)


def test_the_oldest_first_and_one_key_in_order():
    one, two, other = letter("a"), letter("a"), letter("b")
    made = schedule(one, two, other)
    for expected in (one, two, other):
        assert made.next(0.0)[0] is expected
        made.delivered(expected, 0.0)
    assert len(made) == 0


def test_a_key_that_failed_waits_longer_each_time_and_others_go_on():
    bad, later, other = letter("a"), letter("a"), letter("b")
    made = schedule(bad, later, other)
    assert made.failed(bad, 0.0, None) == 1.0
    assert made.next(0.0)[0] is other
    made.delivered(other, 0.0)
    assert made.next(0.0) == (None, 1.0)
    assert made.next(1.0)[0] is bad
    assert made.failed(bad, 1.0, None) == 2.0


def test_a_pause_of_a_key_ends_at_an_hour_and_one_of_the_sink_at_a_minute():
    one = letter("a")
    made = schedule(one)
    assert [made.failed(one, 0.0, None) for _ in range(15)][-1] == LAST_PROBE
    assert made._lines["a"].due == LAST_RETRY


def test_a_sink_that_is_down_is_looked_at_with_one_key_after_the_other():
    letters = [letter(key) for key in "abc"]
    made = schedule(*letters)
    now, tried = 0.0, []
    for _ in range(9):
        found, wait = made.next(now)
        while found is None:
            now += wait
            found, wait = made.next(now)
        tried.append(found.key)
        made.failed(found, now, None)
    assert tried == list("abcabcabc")
    assert now >= 2.0 ** (9 - DOWN_AFTER) - 1
    made.delivered(letters[0], now)
    assert made.next(now)[0] is letters[1], "what waits is due as soon as the sink is back"


def test_what_the_far_end_asks_for_holds_for_all():
    one, other = letter("a"), letter("b")
    made = schedule(one, other)
    assert made.failed(one, 0.0, 7.0) == 7.0
    assert made.next(6.0) == (None, 1.0)
    assert made.streak == 0


def test_the_pause_of_the_service():
    one, other = letter("a"), letter("b")
    made = schedule(one, other, pause=1.5)
    made.delivered(one, 10.0)
    assert made.next(10.5) == (None, 1.0)
    made.refused(other, 11.5)
    made.add(letter("c"))
    assert made.next(12.0) == (None, 1.0)


def test_out_of_the_store_comes_before_what_is_new():
    new = letter("a")
    made = schedule(new)
    old = [letter("a", number=number) for number in (9, 7)]
    for each in old:
        made.add(each, earlier=True)
    for expected in (old[1], old[0], new):
        assert made.next(0.0)[0] is expected
        made.delivered(expected, 0.0)


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["fine", "fails", "refused", "wait"])), max_size=60)


@given(STEPS, st.sampled_from([0.0, 1.5]))
def test_whatever_fails_a_key_is_never_out_of_order_and_nothing_is_forgotten(steps, pause):
    made, now, settled, added = Schedule(pause, lambda: 0.5), 0.0, [], []
    for key, outcome in steps:
        one = letter(key, number=len(added))
        added.append(one)
        made.add(one)
        found, wait = made.next(now)
        if found is None:
            assert wait is not None
            assert wait > 0
            now += wait
        elif outcome == "fails":
            made.failed(found, now, None)
        else:
            (made.refused if outcome == "refused" else made.delivered)(found, now)
            settled.append(found)
    while len(made):
        found, wait = made.next(now)
        if found is None:
            now += wait
            continue
        made.delivered(found, now)
        settled.append(found)
    for key in "abc":
        assert [each.number for each in settled if each.key == key] == [
            each.number for each in added if each.key == key
        ]
    assert len(settled) == len(added)
