"""Quiet hours: across midnight, over weekends and over the days on which clocks are set."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.config import parse
from sensor.errors import ConfigError
from sensor.foreground.base import SourceFacts
from sensor.foreground.book import ForegroundBook
from sensor.foreground.fusion import Rules
from sensor.foreground.sources.schedule import Schedule
from sensor.model.foreground import Report

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
TV, CAMERA = "02:00:00:00:00:01", "02:00:00:00:00:02"
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    """ns of "2026-11-24 23:00" in the zone."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()) * SECOND


def shown(time: int | None) -> str | None:
    return None if time is None else f"{datetime.fromtimestamp(time // SECOND, BERLIN):%Y-%m-%d %H:%M%z}"


def schedule(*quiet: dict[str, Any], timezone: str = "Europe/Berlin") -> Schedule:
    settings = parse(
        {
            "client": [{"mac": TV, "name": "TV"}],
            "foreground": {"schedule": {"timezone": timezone, "quiet": list(quiet)}},
        }
    )
    [chosen] = settings.foreground.sources
    return chosen.plugin(chosen.settings, SourceFacts(lambda _: None, lambda: 0))  # type: ignore[return-value]


NIGHT = {"clients": ["TV"], "from": "23:00", "to": "07:00"}


def span(source: Schedule, now: int, client: str = TV) -> tuple[str | None, str | None]:
    """(since, until) in quiet hours; (None, the next start) outside of them."""
    said, edge = source.expected(client, now)
    if said is not None:
        assert (said.source, said.state, said.until, said.observed_at) == ("schedule", "background", edge, said.since)
    return shown(None if said is None else said.since), shown(edge)


def test_across_midnight() -> None:
    night = ("2026-11-24 23:00+0100", "2026-11-25 07:00+0100")
    source = schedule(NIGHT)
    assert span(source, at("2026-11-24 22:59")) == (None, night[0])
    assert span(source, at("2026-11-24 23:00")) == night
    assert span(source, at("2026-11-25 00:30")) == night
    assert span(source, at("2026-11-25 07:00") - 1) == night
    assert span(source, at("2026-11-25 07:00")) == (None, "2026-11-25 23:00+0100")


def test_within_a_day() -> None:
    source = schedule({"clients": ["TV"], "from": "9:00", "to": "17:30"})
    assert span(source, at("2026-11-24 12:00")) == ("2026-11-24 09:00+0100", "2026-11-24 17:30+0100")
    assert span(source, at("2026-11-24 18:00")) == (None, "2026-11-25 09:00+0100")


def test_days_are_those_on_which_it_begins() -> None:
    source = schedule({**NIGHT, "days": ["fri"]})  # 27 November 2026 is a Friday
    assert span(source, at("2026-11-27 03:00")) == (None, "2026-11-27 23:00+0100")
    assert span(source, at("2026-11-28 03:00")) == ("2026-11-27 23:00+0100", "2026-11-28 07:00+0100")
    assert span(source, at("2026-11-28 08:00")) == (None, "2026-12-04 23:00+0100")


def test_others_are_not_expected_to_do_anything() -> None:
    assert schedule(NIGHT).expected(CAMERA, at("2026-11-25 03:00")) == (None, None)
    assert schedule().expected(TV, 0) == (None, None)


def test_quiet_times_that_meet_are_one() -> None:
    source = schedule(NIGHT, {"clients": [TV, CAMERA], "from": "06:00", "to": "12:00"})
    assert span(source, at("2026-11-25 03:00"))[1] == "2026-11-25 12:00+0100"
    assert span(source, at("2026-11-25 03:00"), CAMERA) == (None, "2026-11-25 06:00+0100")


def test_a_whole_day() -> None:
    source = schedule({"clients": ["TV"], "from": "00:00", "to": "00:00", "days": ["sun"]})
    assert span(source, at("2026-11-29 13:00")) == ("2026-11-29 00:00+0100", "2026-11-30 00:00+0100")
    always = schedule({"clients": ["TV"], "from": "00:00", "to": "00:00"})
    assert all(always.expected(TV, at("2026-11-24 00:00") + hour * HOUR)[0] for hour in range(240))


class TestClocksAreSet:
    def test_the_night_in_spring_is_an_hour_shorter(self) -> None:
        said, _ = schedule(NIGHT).expected(TV, at("2026-03-29 04:00"))
        assert said is not None
        assert said.until is not None
        assert said.until - said.since == 7 * HOUR

    def test_the_night_in_autumn_is_an_hour_longer(self) -> None:
        source = schedule(NIGHT)
        for fold in (0, 1):
            said, edge = source.expected(TV, at("2026-10-25 02:30", fold=fold))
            assert said is not None
            assert shown(edge) == "2026-10-25 07:00+0100"
            assert said.until is not None
            assert said.until - said.since == 9 * HOUR

    def test_an_hour_that_is_left_out(self) -> None:
        source = schedule({"clients": ["TV"], "from": "02:30", "to": "05:00"})
        assert span(source, at("2026-03-29 01:59")) == (None, "2026-03-29 03:30+0200")
        short = schedule({"clients": ["TV"], "from": "02:30", "to": "03:15"})
        assert span(short, at("2026-03-29 01:00")) == (None, "2026-03-30 02:30+0200")

    def test_an_hour_that_comes_twice_counts_once(self) -> None:
        source = schedule({"clients": ["TV"], "from": "02:00", "to": "02:30"})
        assert span(source, at("2026-10-25 02:15", fold=0))[0] is not None
        assert span(source, at("2026-10-25 02:15", fold=1))[0] is None

    @given(st.integers(at("2026-01-01 00:00") // SECOND, at("2027-01-01 00:00") // SECOND))
    def test_quiet_is_what_clocks_in_the_zone_show(self, second: int) -> None:
        local = datetime.fromtimestamp(second, BERLIN)
        said, edge = schedule(NIGHT).expected(TV, second * SECOND)
        assert (said is not None) == (local.hour >= 23 or local.hour < 7)
        assert edge is not None
        assert 0 < edge - second * SECOND <= 17 * HOUR


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
def test_the_boxs_own_zone_is_the_default() -> None:
    said, edge = schedule(NIGHT, timezone="local").expected(TV, at("2026-11-24 18:00", ZoneInfo("UTC")))
    assert said is not None
    assert edge == round(datetime(2026, 11, 25, 1, 15, tzinfo=UTC).timestamp()) * SECOND


def test_what_a_device_reports_counts_more() -> None:
    book = ForegroundBook(Rules(), [schedule(NIGHT).expected])
    night = at("2026-11-25 01:00")
    assert book.at(TV, night).source == "schedule"
    book.report(Report(TV, "home_assistant", "screen_on", None, night + MINUTE, night + MINUTE))
    assert book.at(TV, night + 2 * MINUTE).state == "foreground"


def test_the_timeline_has_the_edges_at_their_own_time() -> None:
    book = ForegroundBook(Rules(), [schedule(NIGHT).expected])
    for hour in range(0, 49, 5):
        book.at(TV, at("2026-11-24 20:00") + hour * HOUR)
    changes = [(shown(change.time), change.foreground.state) for change in book.between(TV, 0, 2**62)]
    assert changes == [
        ("2026-11-24 23:00+0100", "background"),
        ("2026-11-25 07:00+0100", "unknown"),
        ("2026-11-25 23:00+0100", "background"),
        ("2026-11-26 07:00+0100", "unknown"),
    ]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"timezone": "Europe/Berln"},
            r"^foreground\.schedule\.timezone: no time zone 'Europe/Berln' .* tzdata$",
        ),
        ({"timezone": "../../etc/passwd"}, r"^foreground\.schedule\.timezone: no time zone"),
        ({"timezone": ""}, r"^foreground\.schedule\.timezone: no time zone"),
        ({"quiet": [{**NIGHT, "clients": []}]}, r"^foreground\.schedule\.quiet\[0\]\.clients: expected at least one"),
        ({"quiet": [{**NIGHT, "days": []}]}, r"^foreground\.schedule\.quiet\[0\]\.days: expected at least one"),
        ({"quiet": [{**NIGHT, "days": ["monday"]}]}, r"^foreground\.schedule\.quiet\[0\]\.days: expected one of"),
        (
            {"quiet": [{**NIGHT, "from": "24:00"}]},
            r"^foreground\.schedule\.quiet\[0\]\.from: '24:00' is not a time",
        ),
        ({"quiet": [{"clients": ["TV"], "from": "7:00"}]}, r"^foreground\.schedule\.quiet\[0\]\.to: missing"),
        ({"quiet": [{**NIGHT, "clients": ["Radio"]}]}, r'^foreground\.schedule\.quiet\[0\]\.clients.*"Radio"'),
    ],
)
def test_settings(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse({"client": [{"mac": TV, "name": "TV"}], "foreground": {"schedule": settings}})
    assert "\n" not in str(caught.value)


def test_times_beyond_all_calendars() -> None:
    assert schedule(NIGHT).expected(TV, 2**90) == (None, None)
