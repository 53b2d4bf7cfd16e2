"""Hours by a clock on the wall; how they are read, and when they are."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.hours import DAYS, QuietHours, TimeOfDay, spans, within

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours("22:00-07:00").hours


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("text", "days", "first", "last"),
    [
        ("22:00-07:00", DAYS, "22:00", "07:00"),
        (" 9:30 - 17:00 ", DAYS, "9:30", "17:00"),
        ("Sat,Sun 00:00-10:00", ("sat", "sun"), "00:00", "10:00"),
        ("sun, sat 00:00-10:00", ("sat", "sun"), "00:00", "10:00"),
        ("Mon-Fri 23:00-06:30", ("mon", "tue", "wed", "thu", "fri"), "23:00", "06:30"),
        ("Fri-Mon 23:00-06:30", ("mon", "fri", "sat", "sun"), "23:00", "06:30"),
        ("wed 00:00-00:00", ("wed",), "00:00", "00:00"),
    ],
)
def test_read(text: str, days: tuple[str, ...], first: str, last: str) -> None:
    hours = QuietHours(text).hours
    assert (hours.days, hours.from_, hours.to) == (days, TimeOfDay(first), TimeOfDay(last))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "are no hours; write them like 22:00-07:00"),
        ("at night", "are no hours"),
        ("22:00", "are no hours"),
        ("24:00-07:00", "'24:00' is not a time of day"),
        ("22:00-7", "'7' is not a time of day"),
        ("Caturday 22:00-07:00", "'caturday' is no day; write it like mon"),
        ("Sat,,Sun 22:00-07:00", "'' is no day"),
        ("Sat- 22:00-07:00\x1b[2J", "are no hours"),
    ],
)
def test_not_read(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        QuietHours(text)
    assert "\x1b" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_hours_or_a_reason(text: str) -> None:
    reason = ""
    try:
        assert QuietHours(text).hours.days
    except ValueError as error:
        reason = str(error)
    assert not reason or reason.isprintable()


def test_across_midnight() -> None:
    inside = ["2026-11-24 22:00", "2026-11-25 00:30", "2026-11-25 06:59"]
    outside = ["2026-11-24 21:59", "2026-11-25 07:00", "2026-11-25 12:00"]
    assert all(within([NIGHT], at(text), BERLIN) for text in inside)
    assert not any(within([NIGHT], at(text), BERLIN) for text in outside)
    assert not within([], at("2026-11-25 00:30"), BERLIN)


def test_days_are_those_on_which_they_begin() -> None:
    friday = QuietHours("Fri 22:00-07:00").hours  # 27 November 2026 is one
    assert within([friday], at("2026-11-28 03:00"), BERLIN)
    assert not within([friday], at("2026-11-27 03:00"), BERLIN)


@given(st.integers(at("2026-01-01 00:00") // SECOND, at("2027-01-01 00:00") // SECOND))
def test_they_are_what_clocks_in_the_zone_show(second: int) -> None:
    local = datetime.fromtimestamp(second, BERLIN)
    assert within([NIGHT], second * SECOND, BERLIN) == (local.hour >= 22 or local.hour < 7)


def test_nights_in_which_clocks_are_set() -> None:
    for day, hours in (("2026-03-29", 8), ("2026-10-25", 10), ("2026-11-25", 9)):
        [(start, end)] = [each for each in spans(NIGHT, at(f"{day} 04:00"), BERLIN, 0) if each[1] == at(f"{day} 07:00")]
        assert end - start == hours * HOUR


def test_times_beyond_all_calendars() -> None:
    assert not within([NIGHT], 2**90, BERLIN)
    assert not within([NIGHT], -1, BERLIN)


@pytest.fixture
def kathmandu() -> Iterator[None]:
    """The box's own zone, for one test."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("kathmandu")
def test_without_a_zone_the_boxs_own_clock() -> None:
    utc = ZoneInfo("UTC")
    assert within([NIGHT], at("2026-11-25 01:14", utc), None)
    assert not within([NIGHT], at("2026-11-25 01:15", utc), None)
