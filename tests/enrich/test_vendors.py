import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.enrich.vendors import PRIVATE, Vendors
from sensor.errors import DataError


@pytest.fixture(scope="module")
def vendors() -> Vendors:
    table = Vendors()
    table.open()
    return table


@pytest.mark.parametrize(
    ("mac", "vendor"),
    [
        ("04106b000001", "Xiaomi Communications Co Ltd"),
        ("b827eb123456", "Raspberry Pi Foundation"),
        ("d83addffffff", "Raspberry Pi Trading Ltd"),
        ("2ccf67000000", "Raspberry Pi (Trading) Ltd"),
        ("6038e0c535a0", "Belkin International Inc."),
        ("c85ce27abcde", "SYNERGY SYSTEMS AND SOLUTIONS"),
        ("0055da012345", "Shinko Technos co.,ltd."),
        ("000000000001", "XEROX CORPORATION"),
    ],
)
def test_the_maker_is_named_as_published(vendors: Vendors, mac: str, vendor: str) -> None:
    assert vendors.vendor(bytes.fromhex(mac)) == vendor


def test_a_made_up_mac_is_private_even_where_its_prefix_is_registered(vendors: Vendors) -> None:
    assert vendors.vendor(bytes.fromhex("daa119000001")) == PRIVATE
    assert vendors.vendor(bytes.fromhex("02000000000a")) == PRIVATE


@pytest.mark.parametrize(
    "mac",
    [
        "ffffffffffff",
        "01005e000001",
        "333300000001",
        "000000000000",
        "000101000001",  # its holder is not published
        "c85ce2f00000",  # a divided block of the registry, in a part that nobody has
        "fcffffffffff",
        "04106b",
        "",
    ],
)
def test_groups_and_unknown_prefixes_have_no_maker(vendors: Vendors, mac: str) -> None:
    assert vendors.vendor(bytes.fromhex(mac)) is None


@pytest.mark.parametrize(
    ("mac", "vendor"),
    [("001122000000", "large"), ("001122300000", "medium"), ("001122345000", "small"), ("001123000000", None)],
)
def test_the_longest_prefix_wins(tmp_path: Path, mac: str, vendor: str | None) -> None:
    path = tmp_path / "oui.tsv.gz"
    path.write_bytes(gzip.compress(b"001122\tlarge\n0011223\tmedium\n001122345\tsmall\n"))
    table = Vendors(path)
    table.open()
    assert table.vendor(bytes.fromhex(mac)) == vendor


def test_every_line_is_found(vendors: Vendors) -> None:
    for line in vendors._lines.decode().splitlines()[::97]:
        prefix, _, vendor = line.partition("\t")
        assert vendors._find(prefix.encode()) == vendor.encode()


def test_the_table_is_sorted_and_tidy(vendors: Vendors) -> None:
    lines = vendors._lines.decode().splitlines()
    prefixes = [line.split("\t")[0] for line in lines]
    assert prefixes == sorted(set(prefixes))
    assert len(lines) > 50_000
    assert all(line.isprintable() for line in "".join(lines).split("\t"))


@given(mac=st.binary(max_size=8))
def test_any_mac_may_be_asked(mac: bytes) -> None:
    table = Vendors()
    table._lines = b"001122\tx\n" * 2 + b"\n\t\n" + mac
    answer = table.vendor(mac)
    assert answer is None or isinstance(answer, str)


def test_before_it_is_opened_only_private_is_known() -> None:
    assert Vendors().vendor(bytes.fromhex("04106b000001")) is None
    assert Vendors().vendor(bytes.fromhex("06106b000001")) == PRIVATE


@pytest.mark.parametrize("content", [None, b"", b"no gzip", gzip.compress(b"x" * 9999, mtime=0)[:-20]])
def test_a_damaged_table_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "oui.tsv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"oui\.tsv\.gz cannot be read"):
        Vendors(path).open()
