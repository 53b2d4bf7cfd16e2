"""Addresses as text, and which are on the internet."""

import pytest

from sensor.base.addresses import Prefixes, address_text, is_global, mac_text, parse_address, parse_mac


@pytest.mark.parametrize("text", ["8.8.8.8", "42.62.48.10", "2400:3200::1", "64:ff9b::808:808", "2002::1", "192.0.0.9"])
def test_routed_on_the_internet(text: str) -> None:
    assert is_global(parse_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "224.0.0.251",
        "239.1.1.1",
        "255.255.255.255",
        "0.0.0.0",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "240.0.0.1",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "fc00::1",
        "ff02::fb",
        "2001:db8::1",
        "2001::1",
        "100::1",
        "::ffff:8.8.8.8",
    ],
)
def test_not_routed_on_the_internet(text: str) -> None:
    assert not is_global(parse_address(text))


def test_text_and_back() -> None:
    assert address_text(parse_address("2400:3200:0:0::1")) == "2400:3200::1"
    assert address_text(b"\x01\x02\x03\x04") == "1.2.3.4"
    assert mac_text(parse_mac("60-38-E0-C5-35-A0")) == "60:38:e0:c5:35:a0"
    with pytest.raises(ValueError, match="MAC"):
        parse_mac("60:38:e0")


def test_prefixes_tell_families_apart() -> None:
    prefixes = Prefixes(["2a02:2f0:1::/64", "80.1.0.0/16"])
    assert parse_address("2a02:2f0:1::99") in prefixes
    assert parse_address("80.1.255.1") in prefixes
    assert parse_address("80.2.0.1") not in prefixes
    assert parse_address("2a02:2f0:2::1") not in prefixes
    assert b"" not in prefixes
