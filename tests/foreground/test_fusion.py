"""What is known of a client, out of what its sources said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.foreground.fusion import EXPECTED, INFERRED, MANUAL, REPORTED, Rules, fuse, rank
from sensor.foreground.standing import Standing, fold
from sensor.model.foreground import NOTHING_KNOWN, Foreground, Report
from tests.foreground.reports import HOUR, MINUTE, any_reports, report

RULES = Rules()


def standings(*reports: Report) -> list[Standing]:
    found: dict[str, Standing] = {}
    for each in reports:
        found[each.source] = fold(found.get(each.source, Standing(each.source)), each)
    return list(found.values())


def known(at: int, *reports: Report, rules: Rules = RULES) -> Foreground:
    """`at`: ns."""
    return fuse(standings(*reports), at, rules).foreground


def test_nobody_says_anything() -> None:
    assert fuse([], 5, RULES) == (NOTHING_KNOWN, None)
    assert known(MINUTE, report("heartbeat", 1), report("charging", 2)) == NOTHING_KNOWN


@pytest.mark.parametrize("event", ["screen_off", "locked", "app_closed"])
def test_a_phone_that_lies_idle_at_night_is_believed_for_max_age(event: str) -> None:
    evening = report(event, 0)  # type: ignore[arg-type]
    assert known(12 * HOUR - 1, evening).state == "background"
    assert known(12 * HOUR, evening) == NOTHING_KNOWN
    assert known(HOUR, evening, rules=Rules(max_age=HOUR)) == NOTHING_KNOWN


def test_heartbeats_do_not_make_an_old_transition_younger() -> None:
    beats = [report("heartbeat", at) for at in range(900, 50_000, 900)]
    assert known(12 * HOUR - 1, report("screen_off", 0), *beats).state == "background"
    assert known(12 * HOUR, report("screen_off", 0), *beats).state == "unknown"


def test_three_missed_heartbeats_make_it_unknown() -> None:
    reports = [report("screen_off", 0), *(report("heartbeat", at) for at in (900, 1800, 2700))]
    assert known((2700 + 3 * 900) * SECOND - 1, *reports).state == "background"
    assert known((2700 + 3 * 900) * SECOND, *reports) == NOTHING_KNOWN


def test_a_polled_source_is_believed_for_three_polls() -> None:
    polls = [report("screen_off", at, source="adb") for at in (0, 20, 40)]
    assert known(100 * SECOND - 1, *polls).state == "background"
    assert known(100 * SECOND, *polls) == NOTHING_KNOWN


def test_who_lost_reports_is_not_believed() -> None:
    reports = [report("screen_off", 0, sequence=1), report("heartbeat", 900, sequence=3)]
    assert known(1000 * SECOND, *reports) == NOTHING_KNOWN
    other = report("screen_on", 5, source="home_assistant")
    assert known(1000 * SECOND, *reports, other).source == "home_assistant"


def test_for_the_grace_time_after_it_was_put_away_it_counts_as_before() -> None:
    used, away = report("app_opened", 0, app="mail"), report("screen_off", 600)
    before = known(660 * SECOND - 1, used, away)
    assert (before.state, before.app, before.observed_at) == ("foreground", None, 600 * SECOND)
    assert known(660 * SECOND, used, away).state == "background"
    assert known(600 * SECOND, used, away, rules=Rules(grace=0)).state == "background"


def test_nothing_is_guessed_within_the_grace_time_of_a_first_report() -> None:
    assert known(59 * SECOND, report("screen_off", 0)).state == "unknown"
    assert known(60 * SECOND, report("screen_off", 0)).state == "background"


def test_a_second_reason_does_not_begin_the_grace_time_again() -> None:
    reports = report("screen_on", 0), report("screen_off", 100), report("locked", 150)
    assert known(160 * SECOND, *reports).state == "background"


def test_a_persons_own_word_has_no_grace_time_and_needs_no_heartbeats() -> None:
    word = report("screen_off", 0, source="manual", until=50_000)
    assert known(1, word).state == "background"
    assert known(50_000 * SECOND - 1, word).state == "background"
    assert known(50_000 * SECOND, word) == NOTHING_KNOWN


@pytest.mark.parametrize(
    ("best", "other"), [("manual", "push"), ("push", "schedule"), ("adb", "inferred"), ("schedule", "inferred")]
)
def test_who_knows_best_wins_however_fresh_the_other_is(best: str, other: str) -> None:
    found = known(HOUR, report("screen_off", 100, source=best, until=9999), report("screen_on", 3500, source=other))
    against = ("push",) if best == "manual" else ()
    assert (found.source, found.state, found.contradicted_by) == (best, "background", against)
    found = known(HOUR, report("screen_on", 3500, source=other, until=9999))
    assert found.source == other


def test_ranks() -> None:
    assert [rank(name) for name in ("manual", "push", "home_assistant", "adb", "mqtt", "schedule", "inferred")] == [
        MANUAL, REPORTED, REPORTED, REPORTED, REPORTED, EXPECTED, INFERRED,
    ]  # fmt: skip


def test_of_equal_sources_the_freshest_wins_and_the_contradiction_shows() -> None:
    pushed, read = report("screen_off", 100), report("screen_on", 90, source="home_assistant")
    agrees = report("locked", 80, source="mqtt")
    found = known(HOUR, pushed, read, agrees)
    assert (found.state, found.source, found.contradicted_by) == ("background", "push", ("home_assistant",))
    found = known(HOUR, pushed, read._replace(observed_at=101 * SECOND), agrees)
    assert (found.state, found.source, found.contradicted_by) == ("foreground", "home_assistant", ("mqtt", "push"))


def test_who_is_not_believed_any_more_contradicts_nobody() -> None:
    read = report("screen_on", 90, source="home_assistant", interval=10 * SECOND)
    assert known(HOUR, report("screen_off", 100), read).contradicted_by == ()


def test_when_the_verdict_changes_by_itself() -> None:
    away = standings(report("screen_on", 0), report("screen_off", 100))
    assert fuse(away, 120 * SECOND, RULES).until == 160 * SECOND
    assert fuse(away, 160 * SECOND, RULES).until == 100 * SECOND + 12 * HOUR
    assert fuse(away, 13 * HOUR, RULES).until is None


def test_in_words_why() -> None:
    away = report("screen_on", 0), report("locked", 100)
    assert known(HOUR, *away).because == "it was locked"
    assert known(110 * SECOND, *away).because is None, "it still counts as used"


NOW = st.integers(-1, 900_000 * SECOND)
RULES_OF_ANY = st.builds(Rules, st.integers(0, 13 * HOUR), st.integers(0, 2 * HOUR))


@given(any_reports(client="phone"), NOW, RULES_OF_ANY, st.randoms())
def test_it_is_a_pure_function_and_no_order_matters(
    reports: list[Report], now: int, rules: Rules, random: object
) -> None:
    some = standings(*reports)
    expected = fuse(some, now, rules)
    random.shuffle(some)  # type: ignore[attr-defined]
    assert fuse(iter(some), now, rules) == expected
    assert expected.foreground.state in ("foreground", "background", "unknown")
    assert expected.foreground.source not in expected.foreground.contradicted_by
    assert expected.until is None or expected.until > now


@given(any_reports(client="phone"), NOW, RULES_OF_ANY)
def test_until_it_changes_it_stays(reports: list[Report], now: int, rules: Rules) -> None:
    some = standings(*reports)
    verdict = fuse(some, now, rules)
    later = (verdict.until - 1) if verdict.until is not None else now + 1000 * HOUR
    assert fuse(some, later, rules) == verdict
