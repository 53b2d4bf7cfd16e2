"""A suspended machine, and a clock that is set."""

from sensor.base.absence import Absence

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
HOUR = 3600 * SECOND


def test_two_looks_close_to_each_other_miss_nothing() -> None:
    absence = Absence()
    looks = [absence.look(START + at * SECOND, at * SECOND, at * SECOND) for at in (0, 1, 2, 61)]
    assert (looks, absence.noticed) == ([False] * 4, 0)


def test_eight_hours_of_sleep_show_once() -> None:
    absence = Absence()
    absence.look(START, 0, 0)
    assert absence.look(START + 8 * HOUR, 8 * HOUR, 1)
    assert not absence.look(START + 8 * HOUR + 1, 8 * HOUR + 1, 2)
    assert absence.noticed == 1


def test_sleep_shows_even_where_the_clock_on_the_wall_slept_too() -> None:
    absence = Absence()
    absence.look(START, 0, 0)
    assert absence.look(START + 1, HOUR, 1)


def test_a_clock_that_is_set_in_either_direction_shows() -> None:
    absence = Absence()
    absence.look(START, 0, 0)
    assert absence.look(START + HOUR, 1, 1)
    assert absence.look(START, 2, 2)


def test_the_first_look_has_nothing_to_compare_with() -> None:
    assert not Absence().look(START, 9 * HOUR, 0)
