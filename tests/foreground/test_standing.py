"""What one source says of one client."""

from collections.abc import Iterable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.foreground.standing import MAX_GAPS, MISSED, POLL, Standing, fold
from sensor.model.foreground import STATES, Event, Report
from tests.foreground.reports import MINUTE, any_reports, report


def told(*reports: Report, source: str = "push") -> Standing:
    standing = Standing(source)
    for each in reports:
        standing = fold(standing, each)
    return standing


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (["screen_on"], "foreground"),
        (["unlocked"], "foreground"),
        (["app_opened"], "foreground"),
        (["screen_off"], "background"),
        (["locked"], "background"),
        (["app_closed"], "background"),
        (["heartbeat"], "unknown"),
        (["charging"], "unknown"),
        ([], "unknown"),
        (["screen_off", "screen_on"], "foreground"),
        (["screen_on", "app_closed"], "background"),
        (["app_closed", "screen_on"], "foreground"),
        (["app_closed", "unlocked"], "foreground"),
        (["locked", "screen_on"], "background"),
        (["locked", "screen_on", "unlocked"], "foreground"),
        (["locked", "screen_off", "app_opened"], "foreground"),
        (["app_opened", "screen_off"], "background"),
        (["app_opened", "screen_off", "screen_on"], "foreground"),
        (["screen_off", "heartbeat", "charging"], "background"),
    ],
)
def test_the_state_after_some_events(events: list[Event], state: str) -> None:
    assert told(*(report(event, at) for at, event in enumerate(events, 1))).state == state


def test_which_app_is_in_front() -> None:
    standing = told(report("app_opened", 1, app="mail"), report("app_opened", 2, app="maps"))
    assert (standing.state, standing.app) == ("foreground", "maps")
    assert fold(standing, report("app_closed", 3, app="mail")).state == "foreground", "it was not in front"
    for named in ("maps", None):
        closed = fold(standing, report("app_closed", 3, app=named))
        assert (closed.state, closed.app) == ("background", None)


def test_since_when_and_what_was_before() -> None:
    standing = told(report("screen_on", 1), report("screen_off", 5), report("locked", 9))
    assert (standing.state, standing.before) == ("background", "foreground")
    assert (standing.since, standing.observed_at) == (5 * SECOND, 9 * SECOND)


@pytest.mark.parametrize("event", ["screen_off", "locked", "app_closed", "heartbeat", "charging"])
def test_a_report_that_comes_twice_changes_nothing(event: Event) -> None:
    reports = [report("app_opened", 1), report(event, 5), report("heartbeat", 7)]
    standing = told(*reports)
    for again in reports:
        assert fold(standing, again) == standing


@pytest.mark.parametrize("numbered", [False, True])
def test_an_older_report_does_not_override_a_newer_one(numbered: bool) -> None:
    newer = report("screen_on", 20, sequence=6 if numbered else None)
    older = report("screen_off", 15, received=21, sequence=5 if numbered else None)
    assert told(newer, older).state == "foreground"
    assert told(newer, older).screen == told(newer).screen


@pytest.mark.parametrize("order", list(permutations(range(5))), ids=str)
def test_transitions_may_come_in_any_order(order: Iterable[int]) -> None:
    """The app was closed before somebody woke the phone again, whenever that is heard of."""
    evening: list[tuple[Event, str | None]] = [
        ("app_opened", "mail"), ("app_closed", "mail"), ("screen_off", None), ("screen_on", None), ("unlocked", None),
    ]  # fmt: skip
    reports = [report(event, 10 + at, received=20, app=app) for at, (event, app) in enumerate(evening)]
    assert told(*(reports[at] for at in order)).state == "foreground"


def test_a_gap_in_the_sequence_raises_doubt_until_the_next_transition() -> None:
    before = told(report("screen_off", 1, sequence=3), report("heartbeat", 2, sequence=4))
    assert (before.doubted, before.lost) == (False, 0)
    after = fold(before, report("heartbeat", 3, sequence=7))
    assert (after.doubted, after.lost) == (True, 2)
    later = fold(after, report("heartbeat", 4, sequence=8))
    assert later.doubted, "what was lost stays lost, however many more come in order"
    clear = fold(later, report("screen_off", 5, sequence=9))
    assert (clear.doubted, clear.state, clear.before, clear.since) == (False, "background", "unknown", 5 * SECOND)


def test_after_lost_reports_a_transition_says_nothing_but_what_it_says() -> None:
    """`unlocked` may be among the lost ones: that the screen is on then does not mean that it is locked."""
    locked = told(report("locked", 1, sequence=1), report("screen_on", 2, sequence=2))
    assert locked.state == "background"
    assert fold(locked, report("screen_on", 9, sequence=4)).state == "foreground"
    assert fold(locked, report("screen_off", 9, sequence=4)).state == "background"


def test_after_lost_reports_a_closed_app_says_nothing_of_others() -> None:
    """Maps was opened before mail was closed, but that report is lost."""
    mail = told(report("app_opened", 1, app="mail", sequence=1))
    assert fold(mail, report("app_closed", 5, app="mail", sequence=2)).state == "background"
    assert fold(mail, report("app_closed", 5, app="mail", sequence=3)).doubted
    assert fold(mail, report("app_closed", 5, sequence=3)).state == "background", "no app at all is open"


def test_numbers_that_start_anew() -> None:
    before = told(report("screen_off", 1, sequence=700))
    for first in (0, 1):
        standing = fold(before, report("screen_on", 90, sequence=first))
        assert (standing.state, standing.doubted, standing.lost) == ("foreground", False, 0)


def test_numbers_that_start_anew_while_the_first_is_lost() -> None:
    """It must not go on in silence with what was known: the phone is in use by now."""
    standing = told(report("screen_off", 1, sequence=700), report("screen_on", 90, sequence=2))
    assert standing.doubted
    assert fold(standing, report("app_opened", 91, sequence=3)).state == "foreground"


def test_a_first_number_that_comes_again_starts_nothing() -> None:
    reports = [report("screen_off", at, sequence=at) for at in (1, 2, 3)]
    standing = told(*reports)
    for again in reports:
        assert fold(standing, again) is standing
    assert not fold(standing, report("heartbeat", 4, sequence=4)).doubted


def test_a_heartbeat_that_is_sent_twice_shows_no_rhythm() -> None:
    standing = told(report("screen_on", 0), *(report("heartbeat", at) for at in (10, 12, 14, 15)))
    assert standing.silent_at is None


def test_two_heartbeats_with_a_night_between_them_show_no_rhythm() -> None:
    assert told(report("heartbeat", 0), report("heartbeat", 8 * 3_600)).silent_at is None


def test_who_stopped_to_send_heartbeats_a_day_ago_misses_none() -> None:
    promised = told(report("heartbeat", 0)._replace(interval=900 * SECOND))
    assert fold(promised, report("screen_off", 3_000)).silent_at == (3_000 + MISSED * 900) * SECOND
    assert fold(promised, report("screen_off", 86_400)).silent_at is None


def test_the_interval_of_heartbeats_is_their_usual_one() -> None:
    standing = told(report("screen_off", 0), *(report("heartbeat", at) for at in (60, 120, 125, 180, 240, 300)))
    assert (standing.interval, standing.silent_at) == (60 * SECOND, (300 + MISSED * 60) * SECOND)
    assert len(told(*(report("heartbeat", 60 * at) for at in range(90))).gaps) == MAX_GAPS
    assert told(report("screen_off", 5), report("heartbeat", 9)).silent_at is None, "one heartbeat shows no interval"
    assert told(report("screen_off", 5)).silent_at is None, "nothing was promised"


def test_a_promised_interval_counts_from_the_first_report_on() -> None:
    standing = told(report("screen_off", 5, interval=900 * SECOND))
    assert standing.silent_at == (5 + MISSED * 900) * SECOND
    assert fold(standing, report("charging", 50)).silent_at == (50 + MISSED * 900) * SECOND


def test_a_heartbeat_after_missed_ones_does_not_bring_back_what_was_known() -> None:
    before = told(report("screen_off", 0, interval=10 * SECOND))
    assert not fold(before, report("heartbeat", 29)).doubted
    late = fold(before, report("heartbeat", 31))
    assert late.doubted, "the reports between were lost, and who knows what they said"
    assert fold(late, report("heartbeat", 41)).doubted
    assert not fold(late, report("screen_off", 42)).doubted


def test_unless_its_number_proves_that_nothing_was_lost() -> None:
    before = told(report("screen_off", 0, interval=10 * SECOND, sequence=5))
    assert not fold(before, report("heartbeat", 100, sequence=6)).doubted
    assert fold(before, report("heartbeat", 100, sequence=7)).doubted
    unnumbered = told(report("screen_off", 0, interval=10 * SECOND))
    assert fold(unnumbered, report("heartbeat", 100, sequence=6)).doubted, "a first number proves nothing"


OFF = report("screen_off", 0, interval=30 * SECOND)
LAST_SIGN = report("heartbeat", 3600, interval=30 * SECOND)


def test_after_a_lapse_a_report_that_is_current_restores_what_was_known_with_its_old_time() -> None:
    standing = told(OFF, LAST_SIGN, report("screen_off", 0, received=4200, interval=30 * SECOND, current=True))
    assert (standing.doubted, standing.state) == (False, "background")
    assert (standing.since, standing.observed_at) == (0, 0)


def test_after_a_lapse_a_mere_repetition_restores_nothing() -> None:
    assert told(OFF, LAST_SIGN, report("screen_off", 0, received=4200, interval=30 * SECOND)).doubted


def test_after_a_lapse_a_report_that_is_current_and_new_tells_the_new_state_only() -> None:
    standing = told(OFF, LAST_SIGN, report("screen_on", 3900, received=4200, current=True))
    assert (standing.doubted, standing.state, standing.before) == (False, "foreground", "unknown")
    assert standing.since == 3900 * SECOND


def test_a_report_that_is_current_makes_up_for_a_gap_in_the_numbers() -> None:
    numbered = [report("screen_off", 0, sequence=1), report("heartbeat", 1, sequence=5)]
    assert (told(*numbered).doubted, told(*numbered).lost) == (True, 3)
    assert not told(*numbered, report("screen_off", 0, received=2, sequence=6, current=True)).doubted


def test_a_transition_after_silence_begins_something_new() -> None:
    before = told(report("screen_off", 0, interval=10 * SECOND))
    after = fold(before, report("screen_off", 100))
    assert (after.state, after.since, after.before) == ("background", 100 * SECOND, "unknown")


def test_each_report_of_a_polled_source_is_a_poll() -> None:
    standing = told(report("screen_off", 1, source="adb"), source="adb")
    assert (standing.polled, standing.interval) == (True, POLL)
    standing = fold(standing, report("screen_off", 11, source="adb"))
    assert (standing.observed_at, standing.since) == (11 * SECOND, 1 * SECOND)
    standing = fold(standing, report("heartbeat", 21, source="adb"))
    assert (standing.observed_at, standing.silent_at) == (21 * SECOND, (21 + MISSED * 10) * SECOND)
    standing = fold(standing, report("screen_off", 51, source="adb"))
    assert (standing.observed_at, standing.since) == (51 * SECOND, 51 * SECOND), "nobody looked meanwhile"
    assert not standing.doubted, "a poll says all there is"


def test_a_word_with_an_end() -> None:
    standing = told(report("screen_off", 0, source="manual", until=900), source="manual")
    assert standing.until == 900 * SECOND
    assert fold(standing, report("screen_on", 10, source="manual")).until is None


@pytest.mark.parametrize(
    ("event", "because"),
    [("screen_off", "its screen was off"), ("locked", "it was locked"), ("app_closed", "no app was open"),
     ("screen_on", "somebody used it"), ("heartbeat", None)],
)  # fmt: skip
def test_in_words(event: Event, because: str | None) -> None:
    assert told(report(event, 1)).because == because
    assert told(report(event, 1, until=MINUTE)).because == (because and "nobody was to touch it")


@given(any_reports(source="push"))
def test_any_reports(reports: list[Report]) -> None:
    standing = Standing("push")
    for each in reports:
        after = fold(standing, each)
        assert after.state in STATES
        assert after.before in STATES
        assert after.lost >= standing.lost
        assert after.last_sign >= standing.last_sign
        assert after.observed_at >= standing.observed_at
        assert len(after.gaps) <= MAX_GAPS
        assert fold(after, each) == after, "told twice"
        standing = after


@given(any_reports(source="push", app=None, until=None), st.integers(0, 24))
def test_any_earlier_report_told_once_more_changes_nothing(reports: list[Report], index: int) -> None:
    numbered = [each._replace(sequence=at) for at, each in enumerate(reports)]
    for some in (numbered, [each._replace(sequence=None) for each in reports if each.event != "heartbeat"]):
        standing = told(*some)
        assert [fold(standing, again).state for again in some[index : index + 1]] in ([standing.state], [])
        assert all(fold(standing, again).lost == standing.lost for again in some)


@given(any_reports(source="push", app=None, sequence=None, interval=None, until=None), st.randoms())
def test_any_order_of_transitions_ends_in_the_same_state(reports: list[Report], random: object) -> None:
    apart = list({each.observed_at: each for each in reports if each.event != "heartbeat"}.values())
    expected = told(*sorted(apart, key=lambda each: each.observed_at)).state
    random.shuffle(apart)  # type: ignore[attr-defined]
    assert told(*apart).state == expected
