import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sensor.detect import engine as engine_module
from sensor.detect.base import Detector, Facts
from sensor.detect.engine import Engine
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, AlertClient
from sensor.model.destination import Place

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
