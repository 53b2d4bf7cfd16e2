"""Whether a database can be used, and beside which one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sensor.base.times import SECOND
from sensor.enrich.mmdb import open_mmdb
from sensor.enrich.updated import FUTURE, check_age, examined
from sensor.errors import DataError
from tests.far_database import COUNTRIES, WORLD

Mmdb = Callable[..., Path]


def test_the_newer_one_is_asked_and_the_embedded_one_for_what_it_does_not_have(mmdb: Mmdb) -> None:
    embedded = open_mmdb(mmdb("embedded.mmdb", WORLD, built_at=1_000))
    whole = examined(mmdb("whole.mmdb", WORLD, built_at=1_001))
    countries = examined(mmdb("countries.mmdb", COUNTRIES, built_at=1_001))
    older = examined(mmdb("older.mmdb", WORLD, built_at=1_000))
    assert whole.beside(embedded) == [whole.source]
    assert countries.beside(embedded) == [countries.source, embedded]
    assert older.beside(embedded) == [embedded]


def test_one_for_ipv4_only_can_be_used(mmdb: Mmdb) -> None:
    assert examined(mmdb("four.mmdb", WORLD, version=4)).source.only_ipv4


@pytest.mark.parametrize("content", [b"", b"text", b"\xab\xcd\xefMaxMind.com"])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mmdb"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^cannot be read as a MaxMind DB file$"):
        examined(path)


def test_one_that_knows_only_owners(mmdb: Mmdb) -> None:
    owners = {network: {"asn": record["asn"], "as_name": record["as_name"]} for network, record in WORLD.items()}
    with pytest.raises(DataError, match="it places 0, in 0 countries"):
        examined(mmdb("asn.mmdb", owners))


def test_how_old_it_may_be() -> None:
    check_age(5, 5, 5)
    check_age(FUTURE + 5, 5, 5)
    with pytest.raises(DataError, match=r"^is of 1970-01-02, which is in the future"):
        check_age(FUTURE + 6, 5, 5)
    with pytest.raises(DataError, match=r"^is of 1970-01-01, older than the one that is there"):
        check_age(4 * SECOND, 5 * SECOND, 5 * SECOND)
