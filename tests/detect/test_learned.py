import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.detect import learned
from sensor.detect.learned import CONFIRMING, LEAST_PERIODS, MAX_PERIODS, PERIOD, Habit, Learned

NOW = 40_000 * PERIOD


def idle_for(book: Learned, periods: int, sent: int = 1_000, start: int = 0) -> Habit:
    """The phone tells the owner that much while idle in each."""
    for period in range(start, start + periods):
        habit = book.note("phone", "Xiaomi", NOW + period * PERIOD, idle=sent, sent=sent)
    return habit


@pytest.mark.parametrize(
    ("used", "idle", "confirmed"),
    [(CONFIRMING, 0, True), (CONFIRMING - 1, 0, False), (50_000, 49_999, True), (50_000, 50_000, False), (0, 0, False)],
)
def test_an_owner_is_confirmed_by_use_that_outweighs_idling(used: int, idle: int, confirmed: bool) -> None:
    assert Learned().note("phone", "Xiaomi", NOW, used=used, idle=idle).confirmed is confirmed


def test_time_alone_confirms_nobody() -> None:
    assert not idle_for(Learned(), 100).confirmed


def test_what_is_usual_takes_a_week_to_learn() -> None:
    book = Learned()
    assert idle_for(book, LEAST_PERIODS).usual() is None
    assert idle_for(book, 1, start=LEAST_PERIODS).usual() == (1_000, 0)


def test_it_is_robust() -> None:
    book = Learned()
    for period in range(28):
        size = 10**9 if period % 7 == 3 else 1_000 + 10 * (period % 2)
        habit = book.note("phone", "Xiaomi", NOW + period * PERIOD, idle=size, sent=size)
    usual = habit.usual()
    assert usual is not None
    assert usual[0] <= 1_010
    assert usual[1] <= 20


def test_only_so_many_periods_are_kept() -> None:
    book = Learned()
    idle_for(book, 40, sent=10**6)
    habit = idle_for(book, MAX_PERIODS + 1, sent=10, start=40)
    assert (len(habit.past), habit.usual()) == (MAX_PERIODS, (10, 0))


def test_a_period_in_which_it_idled_without_a_word_to_that_owner_counts_as_nothing() -> None:
    book = Learned()
    idle_for(book, 10)
    for period in range(10, 30):
        book.note("phone", "Google", NOW + period * PERIOD, idle=5, sent=5)
    assert idle_for(book, 1, start=30).past == [1_000] * 8 + [0] * 20


def test_what_nobody_saw_teaches_nothing() -> None:
    book = Learned()
    idle_for(book, 3)
    book.note("phone", "Google", NOW + 5 * PERIOD, used=10**6)  # used, never idle
    habit = idle_for(book, 1, start=1_000)  # the sensor was off, or its clock stepped
    assert habit.past == [1_000] * 3
    assert habit.usual() is None


def test_a_period_in_which_it_was_only_used_is_none_of_idling() -> None:
    book = Learned()
    book.note("phone", "Xiaomi", NOW, used=10**6)
    assert idle_for(book, 1, start=1).past == []


def test_a_clock_that_goes_back_begins_the_period_anew_and_keeps_the_rest() -> None:
    book = Learned()
    idle_for(book, 5)
    assert idle_for(book, 1, start=-20).past == [1_000] * 4
    assert idle_for(book, 1, start=-19).past == [1_000] * 5
    assert idle_for(book, 1, start=6).past == [1_000] * 6


def test_clients_and_owners_are_apart() -> None:
    book = Learned()
    book.note("phone", "Xiaomi", NOW, used=10**6)
    assert book.note("tablet", "Xiaomi", NOW).used == book.note("phone", "Google", NOW).used == 0
    assert book.habit("phone", "Xiaomi") == Habit(used=10**6, period=40_000)
    assert book.habit("phone", "nobody") is book.habit("nobody", "Xiaomi") is None


def test_a_client_with_thousands_of_owners_pushes_out_none_of_another() -> None:
    book = Learned()
    book.note("tablet", "Xiaomi", NOW, used=10**6)
    for number in range(3 * learned.MAX_PAIRS):
        book.note("phone", f"Owner {number}", NOW, idle=1)
        book.note(f"guest {number % 9}", f"Owner {number}", NOW, idle=1)
    kept = book.dump()["habits"]
    assert len(kept) <= learned.MAX_PAIRS
    assert sum(client == "phone" for client, *_ in kept) <= learned.MAX_OWNERS
    assert book.evicted > 0
    habit = book.habit("tablet", "Xiaomi")
    assert habit is not None
    assert habit.confirmed


def test_clients_have_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "MAX_CLIENTS", 3)
    monkeypatch.setattr(learned, "MAX_ACQUAINTED", 3)
    book = Learned()
    for number in range(10):
        book.note(f"client {number}", "Xiaomi", NOW)
        book.meet(f"client {number}", "Xiaomi", NOW)
    assert (len(book.dump()["habits"]), len(book.dump()["acquaintances"]), book.evicted) == (3, 3, 7)


# Whom a client knows.


def test_how_long_a_client_was_known_when_it_met_somebody() -> None:
    book = Learned()
    assert book.meet("phone", "owner Google", 5) == 0
    assert book.meet("phone", "owner Google", 9) is None
    assert book.meet("phone", "owner Xiaomi", 9) == 4
    assert book.meet("phone", "owner Alibaba", 2) == 0  # time went back
    assert book.meet("tablet", "owner Google", 9) == 0


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "MAX_KNOWN", 2)
    book = Learned()
    for who in "abc":
        book.meet("phone", who, 1)
    assert book.dump()["acquaintances"] == [["phone", 1, ["b", "c"]]]


def test_a_clock_step_makes_nobody_known_for_longer() -> None:
    book = Learned()
    book.load({"version": 1, "habits": [], "acquaintances": [["loaded", 10**9, []]]})
    book.meet("phone", "a", 40)
    book.stepped(50, 10**9 + 50)
    assert book.meet("phone", "b", 10**9 + 60) == 20
    assert book.meet("loaded", "b", 10**9 + 60) == 60
    book.stepped(10**9 + 60, 70)
    assert book.meet("phone", "c", 80) == 30


# To a file and back.


def full() -> Learned:
    book = Learned()
    idle_for(book, 20)
    book.note("phone", "Google \u202e", NOW, used=7)
    book.note("tablet", "Google", NOW, used=9)
    book.meet("phone", "owner Google", 5)
    return book


def test_it_survives_as_json() -> None:
    again = Learned()
    again.load(json.loads(json.dumps(full().dump())))
    assert again.dump() == full().dump()
    assert idle_for(again, 1, start=20) == idle_for(full(), 1, start=20)


def test_a_file_of_a_version_without_idle_periods_is_read() -> None:
    old = full().dump()
    del old["idle"]
    again = Learned()
    again.load(old)
    assert again.habit("phone", "Xiaomi") == full().habit("phone", "Xiaomi")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"habits": None},
        {"habits": 5},
        {"habits": [[]]},
        {"habits": ["text"]},
        {"habits": [{"client": "phone"}]},
        {"habits": [["phone", 5, 0, 0, 0, 0, []]]},
        {"habits": [["phone", "Xiaomi", 0.5, 0, 0, 0, []]]},
        {"habits": [["phone", "Xiaomi", True, 0, 0, 0, []]]},
        {"habits": [["phone", "Xiaomi", 0, 0, 0, 0, ["1"]]]},
        {"idle": 5},
        {"idle": [["phone", 5]]},
        {"idle": [["phone", ["x"]]]},
        {"acquaintances": [["phone", "x", []]]},
        {"acquaintances": [["phone", 1, [5]]]},
        {"acquaintances": [["phone", 1]]},
    ],
)
def test_anything_else_is_refused_and_nothing_of_it_taken_over(change: dict[str, Any]) -> None:
    book = Learned()
    with pytest.raises(ValueError, match=r"another version|not what was written|expected"):
        book.load({**full().dump(), **change})
    assert book.dump() == Learned().dump()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("habits"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["version", "habits"]), inner),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({"version": st.just(1), "habits": values, "idle": values, "acquaintances": values}))
def test_no_file_breaks_it(garbage: dict[str, Any]) -> None:
    book = Learned()
    try:
        book.load(garbage)
    except ValueError:
        assert book.dump() == Learned().dump()


def test_no_file_at_all() -> None:
    for nothing in ([], None, "text", 5):
        with pytest.raises(ValueError, match="not what was written"):
            Learned().load(nothing)  # type: ignore[arg-type]


def test_a_file_beyond_the_caps_is_cut() -> None:
    rows = [["phone", f"Owner {number}", 0, 0, 0, 0, [1] * 99] for number in range(2 * learned.MAX_PAIRS)]
    book = Learned()
    book.load({"version": 1, "habits": rows, "idle": [["phone", [*range(99)]]], "acquaintances": []})
    habits = book.dump()["habits"]
    assert len(habits) == learned.MAX_OWNERS
    assert len(habits[0][-1]) == MAX_PERIODS
    assert book.dump()["idle"] == [["phone", [*range(99 - MAX_PERIODS, 99)]]]
