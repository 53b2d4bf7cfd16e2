import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.addresses import parse_address
from sensor.base.settings import build
from sensor.detect.watch import Matcher, Watch
from sensor.model.activity import Contact
from sensor.model.destination import Name, Place

PHONE = "60:38:e0:c5:35:a0"


def contact(
    address: str = "42.62.48.10",
    country: str | None = None,
    asn: int | None = None,
    owner: str | None = None,
    names: tuple[str, ...] = (),
) -> Contact:
    place = Place(country, asn, owner)
    return Contact(0, PHONE, b"\xc0\xa8\x02\x64", parse_address(address), place, [Name(name, "tls") for name in names])


def matcher(**settings: object) -> Matcher:
    return Matcher(build(Watch, {"name": "test", **settings}))


def test_a_country() -> None:
    china = matcher(countries=["cn"])
    assert china.matches(contact(country="CN"))
    assert not china.matches(contact(country="HK"))


def test_an_unknown_place_never_matches() -> None:
    everything = matcher(countries=["CN"], asns=[4837], owners=["Xiaomi"], domains=["xiaomi.com"])
    assert not everything.matches(contact())
    assert not everything.matches(contact(owner=""))


def test_an_as() -> None:
    assert matcher(asns=["AS4837"]).matches(contact(asn=4837))
    assert not matcher(asns=["AS4837"]).matches(contact(asn=48370))


def test_a_part_of_the_owners_name_whatever_the_case() -> None:
    xiaomi = matcher(owners=["xiaomi"])
    assert xiaomi.matches(contact(owner="Beijing XIAOMI Electronics"))
    assert not xiaomi.matches(contact(owner="Alibaba"))


@pytest.mark.parametrize("address", ["42.62.48.0", "42.62.48.10", "42.62.48.255", "2400:3200::1", "10.9.8.7"])
def test_an_address_in_a_network(address: str) -> None:
    assert matcher(cidrs=["42.62.48.0/24", "2400:3200::/32", "10.9.8.7"]).matches(contact(address))


@pytest.mark.parametrize("address", ["42.62.49.0", "42.62.47.255", "2400:3201::1", "10.9.8.6", "2a3e:300a::"])
def test_an_address_in_none(address: str) -> None:
    assert not matcher(cidrs=["42.62.48.0/24", "2400:3200::/32", "10.9.8.7"]).matches(contact(address))


def test_all_of_ipv4_is_not_ipv6() -> None:
    every = matcher(cidrs=["0.0.0.0/0"])
    assert every.matches(contact("8.8.8.8"))
    assert not every.matches(contact("2400:3200::1"))


@pytest.mark.parametrize("name", ["xiaomi.com", "api.io.xiaomi.com", "API.Xiaomi.COM."])
def test_a_domain_and_everything_under_it(name: str) -> None:
    assert matcher(domains=["xiaomi.com"]).matches(contact(names=("cdn.example", name)))


@pytest.mark.parametrize("name", ["notxiaomi.com", "xiaomi.com.example", "com", "xiaomi.co", ""])
def test_a_name_that_only_looks_like_it(name: str) -> None:
    assert not matcher(domains=["xiaomi.com"]).matches(contact(names=(name,)))


@pytest.mark.parametrize(
    "exception",
    [
        {"except_countries": ["CN"]},
        {"except_asns": [4837]},
        {"except_owners": ["unicom"]},
        {"except_cidrs": ["42.62.48.10"]},
        {"except_domains": ["update.xiaomi.com"]},
    ],
)
def test_an_exception_of_any_kind(exception: dict[str, object]) -> None:
    where = contact("42.62.48.10", "CN", 4837, "China Unicom", ("ota.update.xiaomi.com",))
    everything = {"countries": ["CN"], "asns": [4837], "owners": ["Unicom"], "cidrs": ["42.0.0.0/8"]}
    assert matcher(**everything).matches(where)
    assert not matcher(**everything, **exception).matches(where)


def test_only_some_clients() -> None:
    assert matcher(countries=["CN"], clients=[PHONE]).matches(contact(country="CN"))
    assert not matcher(countries=["CN"], clients=["02:00:00:00:00:01"]).matches(contact(country="CN"))


def test_the_places_that_matched() -> None:
    some = matcher(countries=["CN"], owners=["UNI"], cidrs=["42.0.0.0/8", "42.62.48.0/24"], domains=["xiaomi.com"])
    where = contact("42.62.48.10", "CN", 4837, "China Unicom", ("xiaomi.com", "api.xiaomi.com"))
    assert some.places(where) == {
        "country": "CN",
        "owner": "UNI",
        "cidr": "42.62.48.0/24",
        "domain": "xiaomi.com",
    }


def test_a_watch_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="names no place"):
        Watch(name="empty")  # type: ignore[arg-type]


@given(st.binary(max_size=20), st.text(), st.lists(st.text(), max_size=3))
def test_nothing_observed_makes_it_raise(address: bytes, owner: str, names: list[str]) -> None:
    where = Contact(0, PHONE, b"", address, Place(owner, None, owner), [Name(name, "dns") for name in names])
    matcher(countries=["CN"], owners=["x"], cidrs=["42.0.0.0/8", "2400::/16", "::/0"], domains=["xiaomi.com"]).matches(
        where
    )
