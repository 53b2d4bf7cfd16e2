"""One file; what its fields may hold is tried in test_geo.py."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sensor.enrich.mmdb import ATTRIBUTION, asn, country, open_mmdb, owner, said

Mmdb = Callable[..., Path]


def test_a_file_with_what_stands_in_it(mmdb: Mmdb) -> None:
    source = open_mmdb(mmdb("a.mmdb", {"8.0.0.0/8": {"country_code": "US"}}, kind="ipinfo lite", built_at=7))
    assert (source.name, source.built_at, source.credit, source.only_ipv4) == (
        "ipinfo lite",
        7 * 10**9,
        ATTRIBUTION,
        False,
    )
    record = source.record(bytes((8, 8, 8, 8)))
    assert (country(record), asn(record), owner(record)) == ("US", None, None)
    assert source.record(bytes(16)) == source.record(b"no address") == {}
    source.close()


@pytest.mark.parametrize(
    ("kind", "credit"),
    [("DBIP-Country-Lite", "DB-IP"), ("GeoLite2-City", "MaxMind"), ("Own-DB", ""), ("bundle ipinfo.mmdb", "IPinfo")],
)
def test_credit_goes_to_who_made_it(mmdb: Mmdb, kind: str, credit: str) -> None:
    found = open_mmdb(mmdb("a.mmdb", {"8.0.0.0/8": {"country_code": "US"}}, kind=kind)).credit
    assert credit in found
    assert bool(credit) == bool(found)


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a file") as caught:
        open_mmdb(tmp_path / "pipe")
    assert said(caught.value) == "is not a file"
