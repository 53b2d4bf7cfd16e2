"""Asking the daemon: where it is, what it says, and times as a person writes and reads them."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sensor.ask import Daemon, Refused, end_of, here, said, until
from sensor.config import parse
from sensor.errors import ConfigError, SensorError

NOW = 1_790_000_000 * 10**9


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    """The box's own zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("listen", "place"),
    [
        ("127.0.0.1:8470", "127.0.0.1:8470"),
        ("0.0.0.0:8470", "127.0.0.1:8470"),
        ("[::]:8470", "[::1]:8470"),
        ("[fd00::1]:80", "[fd00::1]:80"),
    ],
)
def test_where_it_is(listen: str, place: str) -> None:
    assert Daemon(parse({"web": {"listen": listen}})).place == place


def test_a_port_that_nobody_knows() -> None:
    with pytest.raises(ConfigError, match=r"^web\.listen: with port 0"):
        Daemon(parse({"web": {"listen": "127.0.0.1:0"}}))


def test_nobody_there() -> None:
    with pytest.raises(Refused, match=r"^no sensor answers on 127\.0\.0\.1:1: start it with idlewire run"):
        Daemon(parse({"web": {"listen": "127.0.0.1:1"}})).ask("GET", "/")


def test_its_own_words_are_made_plain() -> None:
    assert said(400, {"error": "\x1b[31mred"}) == r"\u001b[31mred"
    assert said(500, {}) == "it answered 500"


def test_times_by_the_clock_of_this_box() -> None:
    assert here("2026-09-21T15:00:00Z", NOW) == "17:00"
    assert here("2026-09-22T15:00:00Z", NOW) == "2026-09-22 17:00"
    with pytest.raises(ValueError, match=r"."):
        here("soon", NOW)


def test_what_stands_behind_until() -> None:
    assert until("2026-11-25T15:00Z") == "2026-11-25T15:00:00+00:00"
    with pytest.raises(SensorError, match=r"^--until: expected a time of day"):
        until("tomorrow")


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ("15:00", "2026-11-24T14:00:00+00:00"),
        ("9:30", "2026-11-25T08:30:00+00:00"),
        ("13:00", "2026-11-25T12:00:00+00:00"),
        ("2026-11-25T15:00:00+01:00", "2026-11-25T15:00:00+01:00"),
        ("2026-11-25T15:00Z", "2026-11-25T15:00:00+00:00"),
    ],
)
def test_until_is_the_next_time_it_is_that_late_here(written: str, end: str) -> None:
    assert end_of(written, datetime(2026, 11, 24, 12, 0, tzinfo=UTC)) == end


def test_until_across_the_night_on_which_clocks_are_set() -> None:
    assert end_of("8:00", datetime(2026, 10, 24, 20, 0, tzinfo=UTC)) == "2026-10-25T07:00:00+00:00"


@pytest.mark.parametrize("written", ["25:00", "3 pm", "", "2026-11-25T15:00", "tomorrow"])
def test_what_is_no_time(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        end_of(written, datetime(2026, 11, 24, 12, 0, tzinfo=UTC))
