"""Phone states of all clients, now and a while ago."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.foreground.book import (
    INTERRUPTED,
    MAX_CHANGES,
    MAX_CLIENTS,
    MAX_SOURCES,
    RETURNED,
    ForegroundBook,
)
from sensor.foreground.fusion import Rules
from sensor.foreground.standing import Standing, fold
from sensor.model.foreground import BACKGROUND, FOREGROUND, NOTHING_KNOWN, UNKNOWN, Foreground, Report
from tests.foreground.reports import HOUR, MINUTE, PHONE, TABLET, any_reports, report

RULES = Rules()


def book(*reports: Report, rules: Rules = RULES) -> ForegroundBook:
    made = ForegroundBook(rules)
    for each in reports:
        made.report(each)
    return made


def history(of: ForegroundBook, client: str = PHONE) -> list[tuple[float, str, str | None]]:
    of.at(client, 10**6 * SECOND)
    return [
        (change.time / SECOND, change.foreground.state, change.foreground.source)
        for change in of.between(client, 0, 10**6 * SECOND)
    ]


EVENING = report("app_opened", 100, app="mail"), report("screen_off", 700), report("screen_on", 4000)


def test_nobody_reported_anything() -> None:
    empty = book()
    assert empty.at(PHONE, 5) == NOTHING_KNOWN
    assert (empty.between(PHONE, 0, 10), empty.moments(PHONE)) == ([], {})
    assert (empty.clients(), list(empty.standings()), empty.codes([PHONE, TABLET], 5)) == ([], [], [UNKNOWN, UNKNOWN])
    empty.joined(PHONE, 5, back_at=5, was_away=True)
    empty.withdraw(PHONE, "push", 5)
    empty.interrupted(5)
    assert empty.clients() == []


def test_the_timeline_of_an_evening() -> None:
    known = book(*EVENING)
    assert history(known) == [
        (100, "foreground", "push"),
        (700, "foreground", "push"),
        (760, "background", "push"),
        (4000, "foreground", "push"),
        (4000 + 12 * 3600, "unknown", None),
    ]


@pytest.mark.parametrize(
    ("at", "state"), [(99, "unknown"), (100, "foreground"), (759, "foreground"), (760, "background"),
                      (3999, "background"), (4000, "foreground"), (9000, "foreground")],
)  # fmt: skip
def test_what_was_known_at_some_time(at: int, state: str) -> None:
    known = book(*EVENING)
    assert known.at(PHONE, 9000 * SECOND).state == "foreground"
    assert known.at(PHONE, at * SECOND).state == state
    assert known.at(TABLET, at * SECOND) == NOTHING_KNOWN


def test_numbers_for_columns() -> None:
    known = book(*EVENING, report("screen_off", 4000, client=TABLET))
    assert known.codes([TABLET, "another", PHONE], 4100 * SECOND) == [BACKGROUND, UNKNOWN, FOREGROUND]


def test_part_of_the_timeline_with_what_held_at_its_start() -> None:
    known = book(*EVENING)
    found = known.between(PHONE, 800 * SECOND, 5000 * SECOND)
    assert [change.time // SECOND for change in found] == [760, 4000]
    assert known.between(PHONE, 0, 99 * SECOND) == []


def test_what_changed_while_nobody_asked_is_in_the_timeline_at_its_own_time() -> None:
    known = book(report("screen_off", 0))
    known.at(PHONE, 20 * HOUR)
    found = known.between(PHONE, HOUR, 20 * HOUR)
    assert [(change.time, change.foreground.state) for change in found] == [
        (MINUTE, "background"),
        (12 * HOUR, "unknown"),
    ]


def test_the_age_is_that_of_the_last_report() -> None:
    known = book(report("screen_off", 0), report("locked", 500))
    assert known.at(PHONE, 600 * SECOND).age(600 * SECOND) == 100 * SECOND


def test_a_report_that_comes_twice_is_told_from_a_new_one() -> None:
    known = book()
    twice = [report("screen_off", 5, sequence=1), report("screen_on", 9)]
    assert [known.report(each) for each in [*twice, *twice]] == [True, True, False, False]
    assert known.outcomes == {("push", "taken"): 2, ("push", "repeated"): 2}


def test_lost_reports_are_counted() -> None:
    known = book(*(report("heartbeat", number, sequence=number) for number in (1, 2, 7, 8, 10)))
    assert known.lost == {"push": 5}


def test_too_many_sources_of_one_client_are_refused() -> None:
    known = book(*(report("screen_off", 5, source=f"s{number}") for number in range(MAX_SOURCES + 3)))
    assert len(list(known.standings())) == MAX_SOURCES
    assert known.outcomes["s9", "refused"] == 1


def test_a_source_may_take_back_what_it_said() -> None:
    known = book(report("screen_on", 0), report("screen_off", 10, source="manual", until=9000))
    known.withdraw(PHONE, "manual", 500 * SECOND)
    known.withdraw(PHONE, "manual", 600 * SECOND)
    assert history(known)[:3] == [(0, "foreground", "push"), (10, "background", "manual"), (500, "foreground", "push")]


def test_a_client_that_was_away_starts_as_unknown() -> None:
    known = book(report("screen_off", 0), report("screen_off", 0, client=TABLET))
    known.joined(PHONE, HOUR, back_at=HOUR, was_away=True)
    known.joined(TABLET, HOUR, back_at=HOUR, was_away=False)
    assert known.codes([PHONE, TABLET], 2 * HOUR) == [UNKNOWN, BACKGROUND]
    assert ([who for who, _ in known.standings()], known.moments(PHONE)) == ([TABLET], {"joined": HOUR})
    assert known.at(PHONE, HOUR - 1).state == "background", "that is how it was then"
    known.report(report("screen_off", 3 * 3600))
    assert known.codes([PHONE], 3 * HOUR + MINUTE) == [BACKGROUND]


def test_what_it_reported_since_it_came_back_holds_however_often_it_asks_for_routers() -> None:
    known = book(report("screen_off", 0))
    known.joined(PHONE, HOUR, back_at=HOUR, was_away=True)
    known.report(report("screen_off", 3605))
    for later in (10, 20, 50):
        known.joined(PHONE, HOUR + later * SECOND, back_at=HOUR, was_away=True)
    assert known.at(PHONE, HOUR + 2 * MINUTE).state == "background"
    assert known.returned == 1


def test_what_it_reported_since_it_came_back_holds_and_its_caller_knows_what_went() -> None:
    known = book(report("screen_on", 0), report("screen_off", 5, source="mqtt"))
    assert known.joined(PHONE, HOUR, back_at=HOUR, was_away=True)
    known.report(report("screen_off", 3600 + 2))
    for late in (4, 12, 28):
        assert not known.joined(PHONE, HOUR + late * SECOND, back_at=HOUR, was_away=True)
    assert known.at(PHONE, HOUR + 2 * MINUTE).state == "background"
    assert [standing.source for _, standing in known.standings()] == ["push"]


def test_the_timeline_says_why_nothing_is_known() -> None:
    known = book(report("screen_off", 0))
    known.joined(PHONE, HOUR, back_at=HOUR, was_away=True)
    assert known.at(PHONE, HOUR) == Foreground(because=RETURNED)
    assert known.between(PHONE, HOUR, HOUR)[-1].foreground.because == RETURNED
    known.report(report("heartbeat", 3601))
    assert known.at(PHONE, HOUR + SECOND).because == RETURNED, "that says nothing of its use"
    known.report(report("screen_off", 3602))
    assert known.at(PHONE, 2 * HOUR).because == "its screen was off"
    assert known.at(PHONE, 20 * HOUR) == NOTHING_KNOWN
    known.interrupted(21 * HOUR)
    assert known.at(PHONE, 21 * HOUR) == Foreground(because=INTERRUPTED)


def test_but_a_persons_word_with_an_end_holds() -> None:
    known = book(report("screen_off", 0, source="manual", until=9000))
    known.joined(PHONE, HOUR, back_at=HOUR, was_away=True)
    known.interrupted(HOUR + 1)
    assert known.at(PHONE, 9000 * SECOND - 1).state == "background"
    assert known.at(PHONE, 9000 * SECOND).state == "unknown"


def test_after_an_interruption_nothing_is_known_and_nothing_was() -> None:
    known = book(*EVENING, report("locked", 4100, client=TABLET))
    known.interrupted(3 * HOUR)
    assert known.codes([PHONE, TABLET], 11 * HOUR) == [UNKNOWN, UNKNOWN]
    assert (known.between(PHONE, 0, 11 * HOUR), known.moments(TABLET)) == ([], {})


@pytest.mark.parametrize("back", [-14 * 24 * HOUR, 21 * 24 * HOUR])
def test_the_timeline_ascends_also_after_the_clock_stepped(back: int) -> None:
    known = book(*(each._replace(received_at=each.received_at + 30 * 24 * HOUR) for each in EVENING))
    known.interrupted(30 * 24 * HOUR + back)
    after = 30 * 24 * HOUR + back + MINUTE
    known.report(report("screen_on", after / SECOND))
    known.report(report("screen_off", (after + HOUR) / SECOND))
    assert known.at(PHONE, after).state == "foreground"
    assert known.at(PHONE, after + HOUR + MINUTE).state == "background"
    times = [change.time for change in known.between(PHONE, 0, after + 2 * HOUR)]
    assert times == sorted(times)


def test_moments_after_which_a_client_may_send_what_it_hoarded() -> None:
    known = book(report("locked", 50), report("charging", 70), report("locked", 40), report("charging", 60))
    known.joined(PHONE, 95, back_at=90, was_away=False)
    assert known.moments(PHONE) == {"locked": 50 * SECOND, "charging": 70 * SECOND, "joined": 90}


def test_the_timeline_is_bounded() -> None:
    events = [report("screen_on" if at % 2 else "screen_off", at) for at in range(3 * MAX_CHANGES)]
    known = book(*events, rules=Rules(grace=0))
    assert len(known.between(PHONE, 0, 4000 * SECOND)) == MAX_CHANGES
    assert known.at(PHONE, 0) == NOTHING_KNOWN


def test_so_are_the_clients() -> None:
    known = book(*(report("screen_off", number, client=str(number)) for number in range(MAX_CLIENTS + 5)))
    assert len(known.clients()) == MAX_CLIENTS
    assert "4" not in known.clients()


DAY = 24 * HOUR
QUIET = fold(Standing("schedule"), report("screen_off", 0, source="schedule", until=9 * 10**6))


def nights(client: str, now: int) -> tuple[Standing | None, int | None]:
    """The tablet is not used in the first six hours of a day."""
    if client != TABLET:
        return None, None
    day, inside = divmod(now, DAY)
    return (QUIET, day * DAY + 6 * HOUR) if inside < 6 * HOUR else (None, (day + 1) * DAY)


def test_what_a_schedule_expects() -> None:
    known = ForegroundBook(RULES, [nights])
    assert known.codes([PHONE, TABLET], DAY + HOUR) == [UNKNOWN, BACKGROUND]
    assert known.codes([PHONE, TABLET], DAY + 6 * HOUR) == [UNKNOWN, UNKNOWN]
    assert known.codes([TABLET], 3 * DAY) == [BACKGROUND]
    assert [(change.time, change.foreground.state) for change in known.between(TABLET, 0, 3 * DAY)] == [
        (DAY + HOUR, "background"), (DAY + 6 * HOUR, "unknown"), (2 * DAY, "background"),
        (2 * DAY + 6 * HOUR, "unknown"), (3 * DAY, "background"),
    ]  # fmt: skip
    known.report(report("screen_on", 3 * 86_400 + 5, client=TABLET))
    assert known.at(TABLET, 3 * DAY + 6 * SECOND).source == "push", "what a device says goes before it"


def test_clients_of_which_nothing_is_expected_take_no_room() -> None:
    """Else whoever invents clients would drive out what others reported."""
    known = ForegroundBook(RULES, [nights])
    known.report(report("screen_off", 0))
    for number in range(2 * MAX_CLIENTS):
        known.at(f"invented {number}", HOUR)
        known.joined(f"invented {number}", HOUR, back_at=HOUR, was_away=True)
    assert known.clients() == [PHONE]


@pytest.mark.parametrize("edge", [-1, 0])
def test_a_schedule_that_names_a_change_in_the_past_hangs_nobody(edge: int) -> None:
    known = ForegroundBook(RULES, [lambda _client, now: (QUIET, now + edge)])
    assert known.at(TABLET, HOUR).state == "background"


@settings(max_examples=60)
@given(any_reports(), st.lists(st.integers(0, 600_000), max_size=20))
def test_what_is_known_does_not_depend_on_how_often_somebody_asked(reports: list[Report], asked: list[int]) -> None:
    quiet, curious = ForegroundBook(RULES), ForegroundBook(RULES)
    for each in reports:
        for moment in sorted(asked):
            if moment * SECOND < each.received_at:
                curious.at(each.client, moment * SECOND)
                curious.between(each.client, 0, moment * SECOND)
        assert quiet.report(each) == curious.report(each)
    for client in (PHONE, TABLET):
        end = 700_000 * SECOND
        assert quiet.at(client, end) == curious.at(client, end)
        assert quiet.between(client, 0, end) == curious.between(client, 0, end)


@settings(max_examples=60)
@given(any_reports(), st.lists(st.integers(0, 400), max_size=10))
def test_of_the_past_it_says_what_it_said_then(reports: list[Report], joins: list[int]) -> None:
    known = ForegroundBook(RULES)
    said: dict[int, str] = {}
    events: list[tuple[int, Report | None]] = [(each.received_at, each) for each in reports]
    events += [(at * 1000 * SECOND, None) for at in joins]
    for moment, each in sorted(events, key=lambda event: event[0]):
        if each is None:
            known.joined(PHONE, moment, back_at=moment, was_away=True)
        else:
            known.report(each)
        said[moment] = known.at(PHONE, moment).state
    known.at(PHONE, 10**6 * SECOND)
    assert {moment: known.at(PHONE, moment).state for moment in said} == said
    times = [change.time for change in known.between(PHONE, 0, 10**6 * SECOND)]
    assert times == sorted(times)
    assert len(times) <= MAX_CHANGES


@settings(max_examples=60)
@given(any_reports(), st.integers(0, 24))
def test_told_twice_is_told_once(reports: list[Report], index: int) -> None:
    once, twice = ForegroundBook(RULES), ForegroundBook(RULES)
    for at, each in enumerate(reports):
        once.report(each)
        twice.report(each)
        if at == index:
            assert not twice.report(each)
    for client in (PHONE, TABLET):
        assert once.at(client, 10**6 * SECOND) == twice.at(client, 10**6 * SECOND)
        assert once.between(client, 0, 10**6 * SECOND) == twice.between(client, 0, 10**6 * SECOND)


def test_a_source_that_never_stops_costs_little() -> None:
    known = ForegroundBook(RULES)
    begun = time.process_time()
    for at in range(5_000):
        known.report(report("screen_on" if at % 2 else "screen_off", at, sequence=(at * 7919) % 5_000))
    assert time.process_time() - begun < 2


def test_a_charger_that_is_connected_at_the_moment_of_another_report_is_noted() -> None:
    known = book(report("app_opened", 5, source="adb"))
    assert known.report(report("charging", 5, source="adb"))
    assert not known.report(report("charging", 5, source="adb"))
    assert known.moments(PHONE) == {"charging": 5 * SECOND}


def test_invented_clients_push_out_neither_reports_nor_a_persons_word() -> None:
    known = book(report("screen_off", 0), report("screen_off", 0, client=TABLET, source="manual", until=9_000))
    for number in range(2 * MAX_CLIENTS):
        known.report(report("screen_on", 10, client=f"invented {number}", source="inferred"))
    assert known.codes([PHONE, TABLET], HOUR) == [BACKGROUND, BACKGROUND]
    assert (len(known.clients()), known.evicted) == (MAX_CLIENTS, MAX_CLIENTS + 2)


def test_other_rules_and_schedules_hold_from_then_on() -> None:
    known = book(report("screen_off", 1))
    assert known.at(PHONE, 3_600 * SECOND).state == "background"
    known.retune(Rules(60 * SECOND, 10 * SECOND), (), 3_600 * SECOND)
    assert known.at(PHONE, 3_601 * SECOND).state == "unknown"
    assert known.at(TABLET, DAY + HOUR).state == "unknown"
    known.retune(RULES, [nights], DAY + HOUR)
    assert known.at(TABLET, DAY + HOUR).state == "background"


def test_a_source_may_take_back_all_that_it_said() -> None:
    known = book(report("screen_on", 1))
    known.withdraw_all("push", 5 * SECOND, lambda client: client != PHONE)
    assert known.at(PHONE, 6 * SECOND).state == "foreground"
    known.withdraw_all("push", 7 * SECOND)
    assert known.at(PHONE, 8 * SECOND).state == "unknown"
