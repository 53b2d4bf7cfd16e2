"""The name of a destination is what that client called it: its own DNS answers and its own TLS hellos."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Sensor, running, until
from lab import CLIENT_MACS, Lab
from traffic import Internet, resolve, transfer

PHONE, TABLET = CLIENT_MACS["c1"], CLIENT_MACS["c2"]
RESOLVER4, RESOLVER6 = "8.8.8.8", "2001:4860:4860::8888"


@pytest.fixture(scope="module")
def naming(lab: Lab, internet: Internet, folder: Path) -> Iterator[Sensor]:
    lab.add_address(RESOLVER4)
    lab.add_address(RESOLVER6)
    with running(lab.box, folder) as sensor:
        yield sensor


def names(sensor: Sensor, mac: str, address: str) -> set[tuple[str, str]]:
    """(name, source) of one destination."""
    rows = [row for (_, there), row in sensor.destinations(mac).items() if there == address]
    return {(name["name"], name["source"]) for row in rows for name in row["names"]}


@pytest.mark.parametrize("resolver", [RESOLVER4, RESOLVER6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_a_name_from_dns_is_shown_for_the_client_that_asked(
    naming: Sensor, lab: Lab, internet: Internet, resolver: str, tcp: bool
) -> None:
    four, six = lab.new_address(), lab.new_address(six=True)
    name = f"{'tcp' if tcp else 'udp'}{len(resolver)}.api.example.org"
    internet.serve_names(resolver, {name: [four, six]})
    assert set(resolve(lab.c1, resolver, name, tcp=tcp)) == {four, six}
    for client in (lab.c1, lab.c2):
        transfer(client, four, up=1000)
        transfer(client, six, up=1000)
    for address in (four, six):
        assert until(lambda address=address: (name, "dns") in names(naming, PHONE, address), 5)
        assert names(naming, TABLET, address) == set(), "the tablet never asked for it"


def test_an_answer_too_large_for_udp_is_read_from_tcp(naming: Sensor, lab: Lab, internet: Internet) -> None:
    pool = [lab.new_address(block="52.29.7") for _ in range(60)]
    internet.serve_names(RESOLVER4, {"pool.example.org": pool})
    assert sorted(resolve(lab.c1, RESOLVER4, "pool.example.org")) == sorted(pool)
    transfer(lab.c1, pool[-1], up=1000)
    assert until(lambda: ("pool.example.org", "dns") in names(naming, PHONE, pool[-1]), 5)


def test_an_alias_keeps_the_name_that_was_asked_for(naming: Sensor, lab: Lab, internet: Internet) -> None:
    address = lab.new_address()
    internet.serve_names(RESOLVER4, {"edge7.cdn.example.net": [address]}, {"www.example.com": "edge7.cdn.example.net"})
    resolve(lab.c1, RESOLVER4, "www.example.com")
    transfer(lab.c1, address, up=1000)
    assert until(lambda: ("www.example.com", "dns") in names(naming, PHONE, address), 5)
    assert ("edge7.cdn.example.net", "dns") not in names(naming, PHONE, address), "behind the alias, not asked for"


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_a_name_from_tls_is_shown_for_the_client_that_shook_hands(naming: Sensor, lab: Lab, six: bool) -> None:
    address = lab.new_address(six=six)
    transfer(lab.c1, address, up=1000, server_name="mi.example.cn")
    transfer(lab.c2, address, up=1000, server_name="other.example.de")
    assert until(lambda: ("mi.example.cn", "tls") in names(naming, PHONE, address), 5)
    assert until(lambda: ("other.example.de", "tls") in names(naming, TABLET, address), 5)
    assert names(naming, PHONE, address) == {("mi.example.cn", "tls")}
    assert names(naming, TABLET, address) == {("other.example.de", "tls")}


def test_a_name_in_a_vlan(naming: Sensor, lab: Lab) -> None:
    address = lab.new_address()
    lab.through_vlan(address)
    transfer(lab.c2, address, up=1000, server_name="tagged.example.de")
    assert until(lambda: ("tagged.example.de", "tls") in names(naming, TABLET, address), 5)
