import pytest

from sensor.detect.base import DETECTORS, Detector, Facts, owner_key
from sensor.detect.rules.watchlist import Watchlist
from sensor.model.alert import AlertClient
from sensor.model.destination import Place


def nobody(client: str) -> AlertClient:
    return AlertClient(client, None, None, None, ())


def test_a_detector_is_named_after_its_file() -> None:
    assert Watchlist.name == "watchlist"
    assert DETECTORS.find("watchlist") is Watchlist


def test_every_detector_can_be_switched_off() -> None:
    for name in DETECTORS.names():
        assert DETECTORS.find(name).settings_type().enabled in (True, False)


def test_a_detector_without_hooks_says_nothing() -> None:
    quiet = type("Quiet", (Detector,), {})(None, Facts(nobody))
    assert [*quiet.tick(1), *quiet.active()] == []


@pytest.mark.parametrize(
    ("place", "key"),
    [
        (Place("CN", 4837, "China Unicom"), "China Unicom"),
        (Place("CN", 4837), "AS4837"),
        (Place("CN"), "CN"),
        (Place(), "unknown"),
    ],
)
def test_whose_a_destination_is_as_far_as_is_known(place: Place, key: str) -> None:
    assert owner_key(place) == key
