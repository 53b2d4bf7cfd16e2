from typing import Any

import pytest

from sensor.base.times import SECOND
from sensor.detect.rules.upload_burst import UploadBurst
from sensor.model.foreground import Moment
from tests.detect.lab import CHINA, CLOUD, START, TABLET, V4, V6, Lab, Move

MUCH = Move(0, 200_000)


def idle_lab(settings: dict[str, Any] | None = None, moment: Moment | None = "joined", **more: Any) -> Lab:
    lab = Lab(UploadBurst, settings or {}, **more)
    lab.is_("background")
    if moment is not None:
        lab.just(moment)
    return lab


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize(
    ("moment", "said"),
    [("joined", "it joined the network"), ("locked", "it was locked"), ("charging", "it began to charge")],
)
def test_much_at_once_just_after(address: str, moment: Moment, said: str) -> None:
    lab = idle_lab(moment=moment)
    lab.waits(10)
    lab.meets(address, CHINA)
    [alert] = lab.seconds(5, MUCH)
    assert alert.summary == (
        f"Redmi Note (Xiaomi) sent 1.0 MB so far to China Unicom Beijing in China ({address}) just after {said}, "
        "while its screen was off."
    )
    assert (alert.detector, alert.severity, alert.state) == ("upload_burst", "info", "firing")
    assert alert.thresholds == {"within_seconds": 300.0, "min_bytes": 1_000_000}
    assert (alert.measured["after"], alert.measured["seconds_after"]) == (said, 10.5)
    assert alert.measured["window_bytes"] == alert.measured["uploaded_bytes"] == 1_000_000


@pytest.mark.parametrize("address", [V4, V6])
@pytest.mark.parametrize("state", ["foreground", "unknown"])
def test_silent_while_it_is_used_or_nobody_knows(address: str, state: Any) -> None:
    lab = Lab(UploadBurst)
    lab.is_(state)
    lab.just("joined")
    lab.meets(address)
    assert lab.seconds(60, MUCH) == []


@pytest.mark.parametrize("address", [V4, V6])
def test_silent_where_nothing_happened_before(address: str) -> None:
    lab = idle_lab(moment=None)
    lab.meets(address)
    assert lab.seconds(60, MUCH) == []


@pytest.mark.parametrize(("after", "alerts"), [(295, 1), (296, 0)])
def test_it_must_be_within_the_time(after: int, alerts: int) -> None:
    lab = idle_lab()
    lab.meets()
    lab.waits(after)
    assert len(lab.seconds(5, MUCH)) == alerts


@pytest.mark.parametrize(("missing", "alerts"), [(1, 0), (0, 1)])
def test_it_takes_as_much_as_it_takes(missing: int, alerts: int) -> None:
    lab = idle_lab()
    lab.meets()
    assert len(lab.second(Move(0, 1_000_000 - missing))) == alerts


def test_silent_for_what_only_a_schedule_says_and_info_for_what_is_inferred() -> None:
    lab = Lab(UploadBurst, {"severity": "critical"})
    lab.meets()
    lab.just("joined")
    lab.is_("background", source="schedule")
    assert lab.seconds(10, MUCH) == []
    lab.is_("background", source="inferred")
    [alert] = lab.seconds(10, MUCH)
    assert alert.severity == "info"


def test_what_happened_before_the_moment_does_not_count() -> None:
    lab = idle_lab()
    lab.meets()
    lab.seconds(4, MUCH)
    lab.waits(400)
    lab.just("charging")
    assert lab.seconds(4, MUCH) == []
    assert len(lab.second(MUCH)) == 1


def test_one_that_joins_again_and_again_gains_nothing_by_it() -> None:
    lab = idle_lab()
    lab.meets()
    alerts = []
    for _ in range(20):
        lab.just("joined")
        alerts += lab.second(Move(0, 100_000))
    assert len(alerts) == 1


def test_two_clients_are_two_matters() -> None:
    lab = idle_lab()
    lab.is_("background", TABLET)
    lab.meets(row=0)
    lab.meets(row=1, client=TABLET)
    [alert] = lab.seconds(20, MUCH, Move(1, 200_000))
    assert alert.client.name == "Redmi Note"


def test_what_is_allowed_and_what_is_beyond() -> None:
    lab = idle_lab(allow=[{"name": "photos", "owners": ["Example"], "max_bytes": "2MB"}])
    lab.meets(V4, CLOUD)
    assert lab.seconds(10, MUCH) == []
    assert lab.engine.allowed == {"upload_burst": 1}
    assert len(lab.second(MUCH)) == 1


def test_one_alert_while_it_goes_on_and_totals_at_the_end() -> None:
    lab = idle_lab()
    lab.meets()
    [fired] = lab.seconds(600, MUCH)
    [over] = lab.waits(200)
    assert (over.id, over.state, over.measured["uploaded_bytes"]) == (fired.id, "resolved", 120_000_000)
    assert over.resolved_at == over.evidence.last_seen + 120 * SECOND
    assert over.summary == (
        "Redmi Note (Xiaomi) sent 120.0 MB to China Unicom Beijing in China (42.62.48.10) just after "
        "it joined the network, while its screen was off."
    )
    lab.just("joined")
    [again] = lab.seconds(5, MUCH)
    assert (again.fingerprint == fired.fingerprint, again.id == fired.id) == (True, False)


def test_what_is_allowed_does_not_keep_it_open() -> None:
    lab = idle_lab(allow=[{"name": "photos", "domains": ["photos.example"]}])
    lab.meets(V4, CHINA, row=0)
    lab.meets(V6, CHINA, "photos.example", row=1)
    [fired] = lab.seconds(5, MUCH)
    [over] = lab.seconds(600, Move(1, 200_000))
    assert (over.id, over.state, over.measured["uploaded_bytes"]) == (fired.id, "resolved", 1_000_000)


def test_a_clock_step_ends_everything() -> None:
    lab = idle_lab()
    lab.meets()
    [fired] = lab.seconds(5, MUCH)
    assert fired.started_at == START + SECOND // 2
    [over] = lab.steps(-14 * 86_400)
    assert (over.id, over.state) == (fired.id, "resolved")
    lab.states.changes.clear()
    lab.is_("background")
    assert lab.seconds(20, MUCH) == []  # the moment lies in what is now the future
