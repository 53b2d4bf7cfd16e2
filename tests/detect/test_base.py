import pytest

from sensor.detect.base import DETECTORS, Coverage, Detector, Facts, NobodyReports, owner_key, owner_of
from sensor.detect.rules.watchlist import Watchlist
from sensor.enrich.suffixes import PublicSuffixes
from sensor.model.activity import Contact
from sensor.model.alert import AlertClient
from sensor.model.destination import Name, Place
from sensor.model.foreground import NOTHING_KNOWN


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
    assert [*quiet.tick(1), *quiet.stepped(2), *quiet.moved([], 3, Coverage(1, 0, 0, 0)), *quiet.active()] == []
    assert (quiet.suppressed, quiet.allowed) == (0, 0)


def test_where_there_are_no_sources_nothing_is_known_of_anybody() -> None:
    nobody_reports = NobodyReports()
    assert nobody_reports.at("phone", 1) is NOTHING_KNOWN
    assert nobody_reports.between("phone", 0, 1) == []
    assert nobody_reports.moments("phone") == {}
    assert Facts(nobody).states.at("phone", 1) is NOTHING_KNOWN


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


@pytest.mark.parametrize(
    ("place", "names", "key"),
    [
        (Place("CN", 4837, "China Unicom"), ["api.mi.com"], "China Unicom"),
        (Place("CN", 4837), ["api.mi.com"], "AS4837"),
        (Place("CN"), ["api.account.xiaomi.com", "cdn.example"], "xiaomi.com"),
        (Place(), ["a.b.co.uk"], "b.co.uk"),
        (Place("CN"), ["com"], "CN"),
        (Place("CN"), [], "CN"),
        (Place(), ["\\x00"], "unknown"),
        (Place(), [], "unknown"),
    ],
)
def test_a_name_stands_in_for_an_owner_that_nobody_knows(place: Place, names: list[str], key: str) -> None:
    contact = Contact(0, "phone", b"", b"", place, [Name(name, "tls") for name in names])
    assert owner_of(contact, PublicSuffixes().registrable) == key
