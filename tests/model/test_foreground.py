"""Words for whether somebody uses a client."""

import pytest

from sensor.model.foreground import (
    BACKGROUND,
    EVENTS,
    FOREGROUND,
    NOTHING_KNOWN,
    STATES,
    UNKNOWN,
    Foreground,
)


@pytest.mark.parametrize(("observed", "now", "age"), [(None, 50, None), (20, 50, 30), (50, 50, 0), (60, 50, 0)])
def test_the_age_of_a_report(observed: int | None, now: int, age: int | None) -> None:
    assert Foreground(observed_at=observed).age(now) == age


def test_numbers_of_states() -> None:
    assert [STATES[number] for number in (UNKNOWN, FOREGROUND, BACKGROUND)] == ["unknown", "foreground", "background"]
    assert NOTHING_KNOWN.state == "unknown"


def test_events_that_others_may_send() -> None:
    assert {"app_opened", "app_closed", "screen_on", "screen_off", "locked", "unlocked", "heartbeat"} <= set(EVENTS)
