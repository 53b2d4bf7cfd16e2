"""What a source of phone states is."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.foreground.base import MAX_SKEW, SOURCES, Source, SourceFacts, believed
from sensor.foreground.standing import Standing, fold
from sensor.model.foreground import NOTHING_KNOWN
from tests.foreground.reports import SECOND, report

NOW = 1_790_000_000 * SECOND


@pytest.mark.parametrize("seconds", [-30, -0.5, 0, 30])
def test_a_clock_that_is_nearly_right_is_believed(seconds: float) -> None:
    assert believed(NOW + round(seconds * SECOND), NOW) == NOW + seconds * SECOND


@pytest.mark.parametrize("seconds", [-7200, -31, 31, 40, 10**12])
def test_of_any_other_the_time_of_receipt_is_used(seconds: int) -> None:
    assert believed(NOW + seconds * SECOND, NOW) == NOW


def test_so_is_it_where_none_is_claimed() -> None:
    assert believed(None, NOW) == NOW


@given(st.integers(), st.integers(0, 2**62))
def test_it_is_never_far_from_the_receipt(claimed: int, received: int) -> None:
    assert abs(believed(claimed, received) - received) <= MAX_SKEW


def test_skewed_reports_out_of_order() -> None:
    """One 40 s in the future, one 2 h in the past, and one that another overtook."""

    def heard(event: str, claimed: int, received: int) -> Iterable[object]:
        at = believed(claimed * SECOND, received * SECOND) / SECOND
        return [report(event, at, received=received)]  # type: ignore[arg-type]

    standing = Standing("push")
    for each in [
        *heard("screen_on", 10_040, 10_000),
        *heard("screen_off", 2_810, 10_010),
        *heard("screen_on", 10_005, 10_012),
    ]:
        standing = fold(standing, each)  # type: ignore[arg-type]
    assert (standing.state, standing.observed_at) == ("background", 10_010 * SECOND)


def test_a_source_that_does_nothing() -> None:
    class Mute(Source):
        """Only what it must have."""

    facts = SourceFacts(lambda _: None, lambda: NOW)
    mute = Mute(None, facts)
    assert mute.name == "test_base", "the name of its file"
    assert (mute.counts, mute.expected("phone", NOW)) == ({}, (None, None))
    assert (facts.called("phone"), facts.known("phone", NOW)) == ("phone", NOTHING_KNOWN)
    mute.prepare()
    asyncio.run(mute.run())
    asyncio.run(mute.refresh("phone"))


@pytest.mark.parametrize("name", SOURCES.names())
def test_every_source_can_be_chosen(name: str) -> None:
    source = SOURCES.find(name)
    assert source.name == name
    assert "enabled" in source.settings_type.__dataclass_fields__
