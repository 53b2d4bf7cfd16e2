"""What a phone's entities become: only what they can be trusted to say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.foreground.companion import ROLES, Phone, Role
from sensor.foreground.standing import Standing, fold
from sensor.model.foreground import EVENTS, Report

START = 1_790_000_000 * SECOND
CLIENT = "60:38:e0:c5:35:a0"
INTERVAL = 30 * SECOND


class Told:
    """A phone to which entities are told at seconds after START; what they became, and its standing."""

    def __init__(self) -> None:
        self.phone = Phone(CLIENT, "home_assistant", INTERVAL)
        self.standing = Standing("home_assistant")
        self.reports: list[Report] = []

    def __call__(self, role: Role, state: str | None, changed: float | None, now: float | None = None) -> list[Any]:
        """(event, seconds) of what comes of it."""
        at = None if changed is None else START + round(changed * SECOND)
        received = START + round((changed or 0) * SECOND) if now is None else START + round(now * SECOND)
        reports = self.phone.told(role, state, at, received)
        for each in reports:
            self.standing = fold(self.standing, each)
        self.reports += reports
        return [(each.event, (each.observed_at - START) / SECOND) for each in reports]


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_screen(told: Told) -> None:
    assert told("interactive", "off", -7200, now=0) == [("screen_off", -7200)]
    assert told("interactive", "on", 60) == [("screen_on", 60)]
    assert told("interactive", "off", 90) == [("screen_off", 90)]
    assert {(each.client, each.source, each.interval) for each in told.reports} == {
        (CLIENT, "home_assistant", INTERVAL)
    }


def test_a_time_in_the_future_is_now_and_a_change_from_another_time_happens_now(told: Told) -> None:
    assert told("interactive", "off", 3600, now=0) == [("screen_off", 0)]
    assert told("interactive", "on", -3600, now=10) == [("screen_on", 10)]
    assert told("interactive", "off", 45, now=20) == [("screen_off", 20)]
    assert told("interactive", "on", None, now=30) == [("screen_on", 30)]


def test_no_state_is_no_report_and_no_sign_of_life(told: Told) -> None:
    told("interactive", "on", 0)
    assert told.phone.heartbeat(START) is not None
    assert told("interactive", None, 10) == []
    assert told.phone.heartbeat(START) is None
    assert told("interactive", "nonsense", 20) == []
    assert told("charging", "on", 30) == []


def test_an_attribute_that_changes_is_no_news(told: Told) -> None:
    told("interactive", "on", 0)
    assert told("interactive", "on", 0, now=50) == []


def test_after_a_break_the_state_is_told_again_with_its_first_time(told: Told) -> None:
    told("interactive", "off", 0)
    told.phone.disconnected()
    assert told.phone.heartbeat(START) is None
    # Home Assistant restarted: it restored the state with the time of its restart.
    assert told("interactive", "off", 500, now=510) == [("screen_off", 0)]
    assert told.reports[-1].current


def test_what_it_still_says_can_be_told_again(told: Told) -> None:
    assert told.phone.again(START) == []
    told("interactive", "off", 0)
    told("locked", "on", 5)
    again = told.phone.again(START + 60 * SECOND)
    assert [(each.event, (each.observed_at - START) // SECOND) for each in again] == [("screen_off", 0), ("locked", 5)]
    assert again[0].current
    told("interactive", "on", 90)
    assert [each.event for each in told.phone.again(START + 95 * SECOND)] == ["screen_on"]
    told.phone.disconnected()
    assert told.phone.again(START + 99 * SECOND) == []


def test_what_changed_during_a_break_is_never_older_than_what_was_known(told: Told) -> None:
    told("interactive", "off", 100)
    told.phone.disconnected()
    # That clock was set back meanwhile.
    assert told("interactive", "on", 40, now=200) == [("screen_on", 100)]
    assert told.standing.state == "foreground"


def test_a_screen_that_is_on_counts_as_used_although_the_lock_was_read_late(told: Told) -> None:
    told("interactive", "off", 0)
    assert told("locked", "on", 1) == [("locked", 1)]
    assert told("interactive", "on", 60) == [("unlocked", 60)]
    # Read along with the screen, before the person unlocked it; nobody looks again.
    assert told("locked", "on", 60.1) == []
    assert told.standing.state == "foreground"


def test_a_lock_that_is_read_open_when_the_screen_goes_off_is_no_use(told: Told) -> None:
    told("interactive", "on", 0)
    told("locked", "on", 0.1)
    told("interactive", "off", 60)
    assert told("locked", "off", 60.1) == []
    assert told.standing.state == "background"


def test_a_lock_that_stays_on_is_told_with_the_screen(told: Told) -> None:
    told("interactive", "on", 0)
    told("locked", "on", 0.1)
    assert told("interactive", "off", 60) == [("screen_off", 60), ("locked", 60)]
    assert told("locked", "off", 70) == []
    assert told("interactive", "on", 80) == [("unlocked", 80)]
    assert told("locked", "off", 90) == []
    assert told.standing.state == "foreground"


def test_an_unlock_that_is_read_while_the_screen_is_on(told: Told) -> None:
    told("interactive", "on", 0)
    told("locked", "on", 0.1)
    assert told("locked", "off", 5) == [("unlocked", 5)]


def test_the_app_only_while_the_screen_is_on_and_if_it_changed_since(told: Told) -> None:
    told("app", "com.old", -50, now=0)
    told("interactive", "on", 0)
    assert told("app", "com.foo", 30) == [("app_opened", 30)]
    assert (told.reports[-1].app, told.standing.app) == ("com.foo", "com.foo")
    assert told("app", "none", 40) == []
    told("interactive", "off", 60)
    assert told("app", "com.bar", 60.1) == []
    told("interactive", "on", 600)
    told.phone.disconnected()
    told("interactive", "on", 600, now=700)
    assert told("app", "com.bar", 60.1, now=700) == []
    assert told.standing.state == "foreground"


def test_an_apps_name_is_made_safe_to_show(told: Told) -> None:
    told("interactive", "on", 0)
    told("app", "com\x1b[31m" + "x" * 200, 1)
    assert told.reports[-1].app == "com\\u001b[31m" + "x" * 115


def test_charging(told: Told) -> None:
    told("interactive", "off", 0)
    assert told("charging", "on", 10) == [("charging", 10)]
    assert told("charging", "off", 20) == []
    assert told("charging", "discharging", 20) == []
    assert told("charging", "charging", 30) == [("charging", 30)]
    assert told.standing.state == "background"


STATES = st.none() | st.sampled_from(["on", "off", "none", "charging", "com.foo"]) | st.text(max_size=30)


@given(
    st.lists(
        st.tuples(st.sampled_from([*ROLES, None]), STATES, st.none() | st.integers(0, 2**62), st.integers(0, 10**6))
    )
)
def test_whatever_entities_say_reports_are_never_of_the_future(
    steps: list[tuple[Role | None, str | None, int | None, int]],
) -> None:
    phone, now, standing = Phone(CLIENT, "home_assistant", INTERVAL), START, Standing("home_assistant")
    screen = None
    for role, state, changed, passed in steps:
        now += passed * SECOND
        if role is None:
            phone.disconnected()
            continue
        for each in phone.told(role, state, changed, now):
            assert each.event in EVENTS
            assert 0 <= each.observed_at <= each.received_at == now
            standing = fold(standing, each)
        if role == "interactive" and state in ("on", "off"):
            screen = state
        if screen is not None:
            assert standing.state == ("foreground" if screen == "on" else "background")
