import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sensor.detect import engine as engine_module
from sensor.detect.allowance import Allowances
from sensor.detect.base import Coverage, Detector, Facts, owner_key
from sensor.detect.engine import Engine
from sensor.detect.owners import Owners, OwnerSecond
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, AlertClient
from sensor.model.destination import Place
from sensor.model.foreground import BACKGROUND

NOTHING = np.zeros(0, np.int64)
SECOND = Activity(1, *[NOTHING] * 10)
CONTACT = Contact(0, "phone", b"", b"", Place())
PHONE = AlertClient("phone", None, None, None, ())
ALERT = Alert("id", "print", "talker", "warning", "firing", 5, 5, None, PHONE, None, "It happened.", "rule")


class Talker(Detector):
    """Says an alert on every second, and the same resolved on every tick."""

    name = "talker"

    def __init__(self) -> None:
        super().__init__(None, Facts(lambda _: PHONE))
        self.heard: list[Any] = []

    def learned(self, contact: Contact, now: int) -> None:
        self.heard.append((contact, now))

    def forgotten(self, row: int) -> None:
        self.heard.append(row)

    def second(self, activity: Activity, frames: int, dropped: int) -> Iterator[Alert]:
        self.heard.append((activity, frames, dropped))
        yield ALERT

    def crowded(self, now: int, clients: int) -> Iterator[Alert]:
        self.heard.append((now, clients))
        yield ALERT

    def tick(self, now: int) -> Iterator[Alert]:
        yield replace(ALERT, state="resolved", started_at=now, resolved_at=now)

    def active(self) -> Iterator[Alert]:
        yield ALERT


Talker.name = "talker"


class Breaks(Talker):
    """Fails in every hook, in `second` after one alert."""

    def learned(self, contact: Contact, now: int) -> None:
        raise KeyError(contact.row)

    forgotten = tick = active = crowded = learned  # type: ignore[assignment]

    def second(self, activity: Activity, frames: int, dropped: int) -> Iterator[Alert]:
        yield ALERT
        raise ValueError("no more")


Breaks.name = "breaks"


def test_events_reach_the_detectors_and_alerts_come_back() -> None:
    talker = Talker()
    engine = Engine([talker])
    engine.learned(CONTACT, 7)
    assert engine.second(SECOND, 100, 3) == [ALERT]
    engine.forgotten(4)
    assert engine.crowded(8, 1000) == [ALERT]
    assert talker.heard == [(CONTACT, 7), (SECOND, 100, 3), 4, (8, 1000)]
    assert engine.evaluations == {"talker": 1}


def test_what_fired_is_counted_by_detector_and_severity_from_zero_on() -> None:
    engine = Engine([Talker()])
    assert engine.counts == {("talker", "info"): 0, ("talker", "warning"): 0, ("talker", "critical"): 0}
    engine.second(SECOND, 0, 0)
    engine.tick(9)
    assert engine.counts["talker", "warning"] == 1


def test_alerts_are_the_firing_ones_and_the_last_that_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_HISTORY", 2)
    engine = Engine([Talker()])
    for now in (1, 9, 3):
        engine.tick(now)
    assert [(alert.started_at, alert.state) for alert in engine.alerts()] == [
        (3, "resolved"),
        (5, "firing"),
        (9, "resolved"),
    ]


def test_a_detector_that_fails_is_counted_and_logged_once_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    talker = Talker()
    engine = Engine([Breaks(), talker])
    engine.learned(CONTACT, 1)
    assert engine.second(SECOND, 0, 0) == [ALERT, ALERT]  # what it said before it failed counts
    engine.forgotten(1)
    assert len(engine.tick(2)) == 1
    assert [alert.state for alert in engine.alerts()] == ["resolved", "firing"]
    assert engine.failures == {"breaks": 5, "talker": 0}
    assert caplog.text.count("detector breaks failed") == 1
    assert len(talker.heard) == 3


def test_a_hook_that_is_not_there_costs_nothing() -> None:
    class Mute(Detector):
        """Wants nothing."""

    engine = Engine([Mute(None, Facts(lambda _: PHONE))])
    engine.learned(CONTACT, 1)
    assert engine.second(SECOND, 0, 0) == engine.tick(1) == engine.alerts() == []
    assert set(engine.evaluations.values()) == {0}


class Judge(Detector):
    """Hears what clients of known state move, and of clock steps."""

    name = "judge"

    def __init__(self) -> None:
        super().__init__(None, Facts(lambda _: PHONE))
        self.heard: list[Any] = []

    def moved(self, seconds: Sequence[OwnerSecond], until: int, coverage: Coverage) -> Iterator[Alert]:
        self.heard.append(([second.label.owner for second in seconds], until, coverage))
        self.allowed += 1
        yield ALERT

    def stepped(self, now: int) -> Iterator[Alert]:
        yield replace(ALERT, state="resolved", resolved_at=now)


Judge.name = "judge"


def owners() -> Owners:
    return Owners((), Allowances(), lambda contact: owner_key(contact.place))


def moved(state: int) -> Activity:
    """The phone sends something to the only contact."""
    one = np.ones(1, np.int64)
    return Activity(7, one * 0, one, one, one, one, one, one, one, one * 0, np.array([state], np.int8))


def test_what_clients_of_known_state_move_reaches_those_that_judge_it() -> None:
    judge = Judge()
    engine = Engine([judge, Talker()], owners())
    engine.learned(CONTACT, 1)
    assert engine.second(moved(BACKGROUND), 100, 3) == [ALERT, ALERT]
    assert engine.second(moved(0), 150, 4) == [ALERT]  # nobody knows: only the other one spoke
    engine.second(moved(BACKGROUND), 200, 5)
    assert judge.heard == [
        (["unknown"], 7, Coverage(100, 3, 0, 0)),
        (["unknown"], 7, Coverage(200, 5, 150, 4)),
    ]
    assert engine.evaluations == {"judge": 2, "talker": 3}
    assert engine.allowed == {"judge": 2, "talker": 0}


def test_a_contact_that_is_gone_reaches_nobody() -> None:
    engine = Engine([Judge()], owners())
    engine.learned(CONTACT, 1)
    engine.forgotten(0)
    assert engine.second(moved(BACKGROUND), 1, 0) == []


def test_owners_cost_nothing_where_nobody_judges_them() -> None:
    kept = owners()
    engine = Engine([Talker()], kept)
    engine.learned(CONTACT, 1)
    engine.second(moved(BACKGROUND), 1, 0)
    assert kept.second(moved(BACKGROUND)) == []


def test_a_clock_step_reaches_those_that_keep_spans_of_time() -> None:
    engine = Engine([Judge(), Talker()], owners())
    [alert] = engine.stepped(9)
    assert (alert.state, alert.resolved_at) == ("resolved", 9)
    assert engine.alerts()[0] == alert


def test_those_that_are_suspected_are_told_once() -> None:
    judge, talker = Judge(), Talker()
    engine = Engine([judge, talker], owners())
    judge.suspects.add("phone")
    talker.suspects |= {"phone", "tablet"}
    engine.suspect("watch")
    assert engine.take_suspects() == {"phone", "tablet", "watch"}
    assert engine.take_suspects() == set()


def test_suspects_that_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_SUSPECTS", 3)
    judge = Judge()
    engine = Engine([judge], owners())
    for number in range(10):
        judge.suspects.add(f"client {number}")
        engine.second(moved(BACKGROUND), 1, 0)
    engine.suspect("one more")
    assert judge.suspects == set()
    assert engine.take_suspects() == {"client 0", "client 1", "client 2"}


class Tuned(Talker):
    """Takes other settings."""

    def __init__(self, settings: Any, facts: Facts) -> None:
        super().__init__()
        self.settings = settings

    def retuned(self, settings: Any, facts: Facts) -> None:
        self.settings = settings

    def ended(self) -> Iterator[Alert]:
        yield replace(ALERT, state="resolved", resolved_at=9)


class Untuned(Tuned):
    """Cannot, and is made anew."""

    retuned = Detector.retuned


Tuned.name = Untuned.name = "talker"
FACTS = Facts(lambda _: PHONE)


def test_other_settings_reach_the_rule_that_runs() -> None:
    rule = Tuned(1, FACTS)
    rule.suppressed = 3
    engine = Engine([rule])
    assert engine.retune([(Tuned, 2)], FACTS, Allowances()) == []
    assert (rule.settings, engine.suppressed) == (2, {"talker": 3})
    assert engine.second(SECOND, 1, 0) == [ALERT]


def test_a_rule_that_is_switched_off_ends_what_is_open_and_keeps_its_counts() -> None:
    rule = Tuned(1, FACTS)
    rule.suppressed = 3
    engine = Engine([rule])
    [ended] = engine.retune([], FACTS, Allowances())
    assert ended.state == "resolved"
    assert engine.alerts() == [ended]
    assert (engine.second(SECOND, 1, 0), engine.suppressed) == ([], {"talker": 3})
    engine.retune([(Tuned, 1)], FACTS, Allowances())
    assert engine.second(SECOND, 1, 0) == [ALERT]
    assert engine.suppressed == {"talker": 3}


def test_a_rule_that_takes_no_other_settings_is_made_anew() -> None:
    rule = Untuned(1, FACTS)
    engine = Engine([rule])
    assert [alert.state for alert in engine.retune([(Untuned, 2)], FACTS, Allowances())] == ["resolved"]
    engine.learned(CONTACT, 1)
    assert rule.heard == []
