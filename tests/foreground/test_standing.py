"""What one source says of one client: its reports folded, one by one."""

from typing import Any

from sensor.base.times import SECOND
from sensor.foreground.fusion import Rules, fuse
from sensor.foreground.standing import Standing, fold
from sensor.model.foreground import Event, Report

START = 1_790_000_000 * SECOND
HOUR = 3600 * SECOND


def report(event: Event, at: int, received: int | None = None, **more: Any) -> Report:
    return Report("60:38:e0:c5:35:a0", "home_assistant", event, None, START + at, START + (received or at), **more)


def folded(*reports: Report) -> Standing:
    standing = Standing("home_assistant")
    for each in reports:
        standing = fold(standing, each)
    return standing


OFF = report("screen_off", 0, interval=30 * SECOND)
LAST_SIGN = report("heartbeat", HOUR, interval=30 * SECOND)


def test_after_a_lapse_a_report_that_is_current_restores_what_was_known_with_its_old_time() -> None:
    back = HOUR + 600 * SECOND
    standing = folded(OFF, LAST_SIGN, report("screen_off", 0, back, interval=30 * SECOND, current=True))
    assert (standing.doubted, standing.state) == (False, "background")
    assert (standing.since, standing.observed_at) == (START, START)
    known = fuse([standing], START + back + SECOND, Rules()).foreground
    assert (known.state, known.observed_at, known.since) == ("background", START, START)


def test_after_a_lapse_a_mere_repetition_restores_nothing() -> None:
    back = HOUR + 600 * SECOND
    standing = folded(OFF, LAST_SIGN, report("screen_off", 0, back, interval=30 * SECOND))
    assert standing.doubted
    assert fuse([standing], START + back + SECOND, Rules()).foreground.state == "unknown"


def test_after_a_lapse_a_report_that_is_current_and_new_tells_the_new_state_only() -> None:
    back = HOUR + 600 * SECOND
    standing = folded(OFF, LAST_SIGN, report("screen_on", HOUR + 300 * SECOND, back, current=True))
    assert (standing.doubted, standing.state, standing.before) == (False, "foreground", "unknown")
    assert standing.since == START + HOUR + 300 * SECOND


def test_a_report_that_is_current_makes_up_for_a_gap_in_the_numbers() -> None:
    numbered = [report("screen_off", 0, sequence=1), report("heartbeat", SECOND, sequence=5)]
    assert folded(*numbered).doubted
    assert folded(*numbered).lost == 3
    assert not folded(*numbered, report("screen_off", 0, 2 * SECOND, sequence=6, current=True)).doubted
