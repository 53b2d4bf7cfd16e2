from typing import Any

import pytest

from sensor.base.addresses import parse_address
from sensor.base.settings import build
from sensor.detect.allowance import Allowance, Allowances
from sensor.errors import ConfigError
from sensor.model.activity import Contact
from sensor.model.destination import Name, Place

GOOGLE = Place("US", 15_169, "Google LLC")


def allowance(**table: Any) -> Allowance:
    return build(Allowance, {"name": "fine", "reason": "it is wanted", **table})


def contact(*names: str, place: Place = GOOGLE, address: str = "8.8.8.8", client: str = "phone") -> Contact:
    return Contact(0, client, b"", parse_address(address), place, [Name(name, "tls") for name in names])


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
@pytest.mark.parametrize(
    "table",
    [
        {"owners": ["google"]},
        {"asns": [15_169]},
        {"countries": ["us"]},
        {"cidrs": ["8.8.8.0/24", "2001:4860::/32"]},
        {"domains": ["google.com"]},
        {"owners": ["Apple", "Google"], "domains": ["google.com"], "clients": ["phone"]},
    ],
)
def test_it_speaks_for_what_is_at_a_place_of_every_kind(address: str, table: dict[str, Any]) -> None:
    made = allowance(**table)
    assert Allowances([made]).of(contact("mtalk.google.com", address=address), watched=False) == (made,)


@pytest.mark.parametrize(
    "table",
    [
        {"owners": ["Google"], "domains": ["apple.com"]},
        {"owners": ["Apple"], "domains": ["google.com"]},
        {"owners": ["Google"], "clients": ["tablet"]},
        {"owners": ["Google"], "enabled": False},
        {"domains": ["talk.google.com"]},
    ],
)
def test_it_does_not_speak_for_less(table: dict[str, Any]) -> None:
    made = allowance(**table)
    assert Allowances([made], [made]).of(contact("mtalk.google.com"), watched=False) == ()


def test_a_borrowed_name_is_not_enough() -> None:
    made = allowance(owners=["Google"], domains=["google.com"])
    foreign = contact("mtalk.google.com", place=Place("CN", 4808, "China Unicom"))
    assert Allowances([], [made]).of(foreign, watched=False) == ()
    assert Allowances([made]).of(contact("mtalk.google.com", place=Place()), watched=False) == ()


def test_at_watched_places_only_the_owners_own_hold() -> None:
    own, shipped, later = (
        allowance(name="own", owners=["Google"]),
        allowance(owners=["Google"]),
        allowance(asns=[15_169]),
    )
    lists = Allowances([own], [shipped])
    lists.ship([later])
    assert lists.of(contact(), watched=False) == (own, shipped, later)
    assert lists.of(contact(), watched=True) == (own,)


def test_how_much_is_fine_and_for_whom() -> None:
    assert allowance(asns=[1]).covers("idle_drip", 10**15)
    capped = allowance(asns=[1], max_bytes="1KB", detectors=["idle_drip"])
    assert capped.covers("idle_drip", 1_000)
    assert not capped.covers("idle_drip", 1_001)
    assert not capped.covers("background_upload", 1)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "names no place; give one of countries, asns, owners, cidrs, domains"),
        ({"asns": [1], "reason": " "}, "reason: expected 1 to 300 printable characters"),
        ({"asns": [1], "reason": "a\nb"}, "reason: expected 1 to 300 printable characters"),
        ({"asns": [1], "reason": "a" * 301}, "reason: expected 1 to 300 printable characters"),
        ({"asns": [1], "max_bytes": "much"}, 'max_bytes: expected a size like "20KB"'),
        ({"asns": [1], "owner": "Google"}, "owner: unknown key; did you mean 'owners'?"),
    ],
)
def test_mistakes_name_the_key(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        allowance(**table)
    assert caught.value.problems[0].startswith(problem)


def test_a_reason_must_be_there() -> None:
    with pytest.raises(ConfigError, match='reason: missing; for example reason = "photo backup'):
        build(Allowance, {"name": "a", "asns": [1]})
