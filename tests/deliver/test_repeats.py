"""Alerts that go on are told again in time, some at once, and no others."""

import pytest

from sensor.deliver.repeats import MOST_AT_ONCE, Repeats

SECOND = 1_000_000_000
EVERY = 1_000 * SECOND


def alerts(*names: str) -> list[dict[str, str]]:
    return [{"id": name} for name in names]


def test_each_time_it_has_gone_on_so_long_and_not_before() -> None:
    repeats = Repeats(EVERY)
    found = [(now, [each["id"] for each in repeats.due(alerts("a"), now * SECOND)]) for now in range(0, 3_000, 10)]
    assert [now for now, names in found if names] == [1_000, 2_000]


def test_what_is_over_is_not_told_again() -> None:
    repeats = Repeats(EVERY)
    assert repeats.due(alerts("a", "b"), 0) == []
    assert repeats.due(alerts("b"), EVERY) == alerts("b")
    assert repeats.due([], 3 * EVERY) == []
    assert repeats.due(alerts("b"), 4 * EVERY) == [], "it is a new one"


def test_some_at_once() -> None:
    repeats, many = Repeats(EVERY), alerts(*map(str, range(250)))
    repeats.due(many, 0)
    told = [repeats.due(many, EVERY + look * EVERY // 20) for look in range(4)]
    assert [len(each) for each in told] == [MOST_AT_ONCE, MOST_AT_ONCE, 50, 0]
    assert repeats.due(many, 3 * EVERY, most=-5) == []


@pytest.mark.parametrize("step", [-10_000_000, 10_000_000])
def test_a_clock_that_is_set_makes_them_early_never_late(step: int) -> None:
    repeats = Repeats(EVERY)
    repeats.due(alerts("a"), 0)
    assert repeats.due(alerts("a"), step * SECOND) == alerts("a")
    assert repeats.due(alerts("a"), step * SECOND + EVERY) == alerts("a")
