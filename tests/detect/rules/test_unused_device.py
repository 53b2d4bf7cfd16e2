from typing import Any

import pytest

from sensor.base.settings import build
from sensor.base.times import SECOND
from sensor.detect.rules.unused_device import Settings, UnusedDevice
from sensor.errors import ConfigError
from sensor.model.alert import AlertClient
from sensor.model.destination import Place
from tests.detect.lab import CLOUD, PHONE, START, TABLET, V4, V6, Lab, Move


def quiet_lab(settings: dict[str, Any] | None = None, source: str = "schedule", **more: Any) -> Lab:
    """A television at a time when nobody uses it."""
    lab = Lab(UnusedDevice, settings or {}, **more)
    lab.clients[PHONE] = AlertClient(PHONE, PHONE, "TV", "Samsung", ("192.168.2.20",))
    lab.is_("background", source=source, because=None)
    return lab


@pytest.mark.parametrize("address", [V4, V6])
def test_a_thing_that_uploads_at_a_time_when_nobody_uses_it(address: str) -> None:
    lab = quiet_lab()
    lab.meets(address, CLOUD, "log.example.com")
    [alert] = lab.seconds(20, Move(0, 5_000, 800))
    assert alert.summary == (
        f"TV (Samsung) sent 100.0 KB so far to Example Cloud in Germany (log.example.com, {address}) in 19 s "
        "at a time when nobody uses it."
    )
    assert (alert.detector, alert.severity, alert.state) == ("unused_device", "warning", "firing")
    assert alert.thresholds == {"min_bytes": 100_000, "window_seconds": 43_200.0}
    assert alert.measured["window_bytes"] == alert.measured["uploaded_bytes"] == 100_000
    assert alert.measured["would_not_fire"] == [
        "a person had used it", "min_bytes above 100.0 KB", 'an [[allow]] for "Example Cloud" on this client',
    ]  # fmt: skip
    assert alert.measured["timeline"] == ["2026-09-21T14:13:20Z background, told by schedule"]
    assert alert.evidence.first_seen == START + SECOND // 2
    assert alert.evidence.foreground.source == "schedule"


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("source", ["push", "home_assistant", "manual", "inferred"])
def test_silent_where_anyone_else_speaks_for_it(address: str, source: str) -> None:
    lab = quiet_lab(source=source)
    lab.meets(address, CLOUD)
    assert lab.seconds(60, Move(0, 50_000)) == []


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("state", ["foreground", "unknown"])
def test_silent_outside_of_those_hours(address: str, state: Any) -> None:
    lab = Lab(UnusedDevice)
    lab.is_(state, source="schedule")
    lab.meets(address, CLOUD)
    assert lab.seconds(60, Move(0, 50_000)) == []


@pytest.mark.parametrize(("missing", "alerts"), [(1, 0), (0, 1)])
def test_it_takes_as_much_as_it_takes(missing: int, alerts: int) -> None:
    lab = quiet_lab()
    lab.meets(V4, CLOUD)
    assert len(lab.second(Move(0, 100_000 - missing))) == alerts


def test_silent_for_a_download() -> None:
    lab = quiet_lab()
    lab.meets(V4, CLOUD)
    assert lab.seconds(60, Move(0, 7_000, 90_000)) == []


def test_it_adds_up_over_the_window_and_no_longer() -> None:
    lab = quiet_lab()
    lab.meets(V4, CLOUD)
    assert lab.second(Move(0, 60_000)) == []
    lab.waits(12 * 3600)
    assert lab.second(Move(0, 60_000)) == []
    lab.waits(10 * 3600)
    assert len(lab.second(Move(0, 60_000))) == 1


def test_two_things_are_two_matters() -> None:
    lab = quiet_lab()
    lab.is_("background", TABLET, source="schedule")
    lab.meets(V4, CLOUD, row=0)
    lab.meets(V4, CLOUD, row=1, client=TABLET)
    assert lab.second(Move(0, 60_000), Move(1, 60_000)) == []
    assert len(lab.second(Move(0, 60_000), Move(1, 60_000))) == 2


def test_what_is_allowed_and_what_is_beyond() -> None:
    lab = quiet_lab(allow=[{"name": "updates", "owners": ["Example"], "max_bytes": "200KB"}])
    lab.meets(V4, CLOUD)
    assert lab.seconds(4, Move(0, 50_000)) == []
    assert lab.engine.allowed == {"unused_device": 1}
    [alert] = lab.second(Move(0, 1))
    assert alert.measured["window_bytes"] == 200_001


def test_one_alert_while_it_goes_on_and_totals_at_the_end() -> None:
    lab = quiet_lab()
    lab.meets(V4, CLOUD)
    [fired] = lab.seconds(300, Move(0, 50_000))
    [over] = lab.waits(3_700)
    assert (over.id, over.state, over.measured["uploaded_bytes"]) == (fired.id, "resolved", 15_000_000)
    assert over.resolved_at == over.evidence.last_seen + 3_600 * SECOND
    assert over.summary == (
        "TV (Samsung) sent 15.0 MB to Example Cloud in Germany (42.62.48.10) in 5 min at a time when nobody uses it."
    )
    [again] = lab.seconds(2, Move(0, 50_000))
    assert (again.fingerprint == fired.fingerprint, again.id == fired.id) == (True, False)


def test_what_goes_to_hundreds_of_owners_in_turn_is_one_alert() -> None:
    lab = quiet_lab()
    for row in range(600):
        lab.meets(f"9.1.{row // 250}.{row % 250}", Place("US", 70_000 + row, f"Owner {row}"), row=row)
    alerts = [alert for _ in range(3) for row in range(600) for alert in lab.second(Move(row, 1_400))]
    [alert] = alerts
    assert alert.measured["owner"] == "other owners"
    assert " and others, beyond 512 owners in " in alert.summary


def test_a_clock_step_ends_everything() -> None:
    lab = quiet_lab()
    lab.meets(V4, CLOUD)
    lab.second(Move(0, 99_000))
    assert lab.steps(30 * 86_400) == []
    assert lab.second(Move(0, 99_000)) == []
    [fired] = lab.second(Move(0, 99_000))
    [over] = lab.steps(-30 * 86_400)
    assert (over.id, over.state) == (fired.id, "resolved")


def test_a_window_too_short_to_be_kept_in_parts() -> None:
    with pytest.raises(ConfigError, match="window: expected at least 1m"):
        build(Settings, {"window": "30s"})
