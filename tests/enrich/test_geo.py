import logging
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton

import maxminddb
import pytest
from maxminddb.reader import Reader

from sensor.base.times import SECOND, rfc3339
from sensor.enrich import geo
from sensor.enrich.geo import GeoDatabase
from sensor.enrich.mmdb import ATTRIBUTION
from sensor.enrich.updated import FILE
from sensor.errors import DataError
from sensor.model.destination import Place
from tests.far_database import WORLD

ROOT = Path(__file__).parents[2]
Mmdb = Callable[..., Path]
GOOGLE = inet_pton(AF_INET, "8.8.8.8")


def four(text: str) -> bytes:
    return inet_pton(AF_INET, text)


def opened(*paths: Path, state: Path = Path("/nonexistent")) -> GeoDatabase:
    database = GeoDatabase(paths, state_dir=state)
    database.open()
    return database


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GeoDatabase]:
    database = opened(state=tmp_path_factory.mktemp("state"))
    yield database
    database.close()


@pytest.mark.parametrize(
    ("address", "country", "asn", "owner"),
    [
        ("42.62.48.10", "CN", 23724, "China Telecom"),
        ("8.8.8.8", "US", 15169, "Google"),
        ("18.193.233.122", "DE", 16509, "Amazon"),
        ("1.1.1.1", "AU", 13335, "Cloudflare"),
        ("2400:3200::1", "CN", 45102, "Alibaba"),
        ("2001:4860:4860::8888", "US", 15169, "Google"),
    ],
)
def test_the_embedded_database_knows_the_world(
    embedded: GeoDatabase, address: str, country: str, asn: int, owner: str
) -> None:
    place = embedded.lookup(inet_pton(AF_INET6 if ":" in address else AF_INET, address))
    assert (place.country, place.asn) == (country, asn)
    assert owner in (place.owner or "")


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "224.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_it_says_nothing_about_local_addresses(embedded: GeoDatabase, address: str) -> None:
    assert embedded.lookup(four(address)) == Place()


@pytest.mark.parametrize("address", [b"", b"\x08", b"\x08\x08\x08", bytes(6), bytes(17)])
def test_what_is_no_address_is_unknown(embedded: GeoDatabase, address: bytes) -> None:
    assert embedded.lookup(address) == Place()
    assert embedded.errors == 0


def test_it_says_who_made_it_and_when(embedded: GeoDatabase) -> None:
    assert embedded.name == "IPinfo Lite"
    assert embedded.built_at is not None
    assert rfc3339(embedded.built_at).startswith("2026-10-26T")
    assert embedded.attribution == ATTRIBUTION


def test_answers_are_remembered_up_to_a_cap_and_shared(mmdb: Mmdb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo, "MAX_CACHED", 4)
    database = opened(mmdb("a.mmdb", {"8.0.0.0/8": {"country_code": "US"}}))
    first, second = database.lookup(GOOGLE), database.lookup(four("8.1.1.1"))
    assert first is second
    for last in range(10):
        database.lookup(four(f"8.0.0.{last}"))
    assert database.evicted == 8


def test_a_closed_database_knows_nothing_and_opens_again(mmdb: Mmdb) -> None:
    database = GeoDatabase([mmdb("a.mmdb", {"8.0.0.0/8": {"country_code": "US"}})], state_dir=Path("/nonexistent"))
    assert (database.lookup(GOOGLE), database.built_at, database.name) == (Place(), None, "")
    for _ in range(2):
        database.open()
        assert database.lookup(GOOGLE) == Place("US")
        database.close()
        assert database.lookup(GOOGLE) == Place()


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"country_code": "CN", "country": "China", "asn": "AS4134", "as_name": "X"}, Place("CN", 4134, "X")),
        ({"country": {"iso_code": "de", "names": {"en": "Germany"}}}, Place("DE")),
        ({"country": "FR", "country_name": "France"}, Place("FR")),
        (
            {"autonomous_system_number": 15169, "autonomous_system_organization": "GOOGLE"},
            Place(None, 15169, "GOOGLE"),
        ),
        ({"registered_country": {"iso_code": "US"}}, Place()),
        ({"country_code": "EU"}, Place()),
        ({"country_code": "AP"}, Place()),
        ({"country_code": "ZZ"}, Place()),
        ({"country_code": "??"}, Place()),
        ({"country_code": ""}, Place()),
        ({"country_code": "ČN"}, Place()),
        ({"country_code": 86, "country": ["CN"], "asn": {}, "as_name": 7}, Place()),
        ({"asn": "AS0", "as_name": "  "}, Place()),
        ({"asn": "AS4294967296"}, Place()),
        ({"asn": "AS" + "9" * 250}, Place()),
        ({"asn": 7, "as_name": "evil\x1b[2J\u202eowner"}, Place(None, 7, "evil\\u001b[2J\\u202eowner")),
        ({"as_name": "x" * 250}, Place(None, None, "x" * 128)),
        ("CN", Place()),
        (["CN"], Place()),
    ],
)  # fmt: skip
def test_the_usual_fields_are_read_and_nothing_is_believed(mmdb: Mmdb, record: object, place: Place) -> None:
    assert opened(mmdb("a.mmdb", {"8.0.0.0/8": record})).lookup(GOOGLE) == place


def test_of_several_databases_the_first_that_knows_wins(mmdb: Mmdb) -> None:
    database = opened(
        mmdb("country.mmdb", {"8.0.0.0/8": {"country_code": "SG"}}, kind="DBIP-Country-Lite", built_at=1_790_000_000),
        mmdb("asn.mmdb", {"8.0.0.0/8": {"country_code": "US", "asn": "AS1", "as_name": "One"},
                          "9.0.0.0/8": {"country_code": "JP"}}, kind="ipinfo lite", built_at=1_780_000_000),
        mmdb("other.mmdb", {"8.0.0.0/8": {"asn": "AS2", "as_name": "Two"}}, kind="", built_at=1_800_000_000),
    )  # fmt: skip
    assert database.lookup(GOOGLE) == Place("SG", 1, "One")
    assert database.lookup(four("9.9.9.9")) == Place("JP")
    assert database.name == "DBIP-Country-Lite + ipinfo lite + other.mmdb"
    assert database.built_at == 1_780_000_000 * SECOND
    assert "DB-IP" in database.attribution
    assert ATTRIBUTION in database.attribution


def test_an_ipv4_database_says_nothing_about_ipv6_and_that_is_no_error(mmdb: Mmdb) -> None:
    database = opened(mmdb("a.mmdb", {"8.0.0.0/8": {"country_code": "US"}}, version=4))
    assert database.lookup(GOOGLE) == Place("US")
    assert database.lookup(inet_pton(AF_INET6, "2400:3200::1")) == Place()
    assert database.errors == 0


def test_a_configured_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mmdb"
    for content in (b"", b"no database", b"\xab\xcd\xefMaxMind.com", bytes(1000) + b"\xab\xcd\xefMaxMind.com\xe1"):
        broken.write_bytes(content)
        with pytest.raises(DataError, match=r"^geo\.databases: .*broken\.mmdb") as error:
            opened(broken)
        assert "\n" not in str(error.value)
    for path in (tmp_path, tmp_path / "missing.mmdb", Path("/dev/null")):
        with pytest.raises(DataError, match=rf"^geo\.databases: {path}"):
            opened(path)


def test_after_a_failed_open_nothing_stays_open(mmdb: Mmdb, tmp_path: Path) -> None:
    database = GeoDatabase([mmdb("a.mmdb", {"8.0.0.0/8": {"country_code": "US"}}), tmp_path], state_dir=tmp_path)
    with pytest.raises(DataError):
        database.open()
    assert database.lookup(GOOGLE) == Place()


@pytest.fixture(params=["C reader", "Python reader"])
def either_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that maxminddb takes by itself, and the one where there is no wheel for the machine."""
    if request.param == "Python reader":
        monkeypatch.setattr(maxminddb, "open_database", lambda path, _: Reader(path, maxminddb.MODE_MMAP))


@pytest.mark.usefixtures("either_reader")
def test_damaged_files_never_raise_out_of_a_lookup(
    mmdb: Mmdb, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = {"country": {"iso_code": "US"}, "asn": "AS15169", "as_name": "Google", "list": ["a", {"b": 300}]}
    whole = mmdb("a.mmdb", {"8.0.0.0/8": record}).read_bytes()
    data, metadata = whole.index(b"country") - 20, whole.index(b"MaxMind.com")
    chance = random.Random(7)
    damaged = tmp_path / "damaged.mmdb"
    errors = 0
    with caplog.at_level(logging.CRITICAL):
        for _ in range(1500):
            raw = bytearray(whole)
            for _ in range(chance.randint(1, 6)):
                first, last = chance.choice([(data, metadata), (data, metadata), (0, metadata), (0, len(raw))])
                raw[chance.randrange(first, last)] = chance.randrange(256)
            damaged.write_bytes(raw)
            try:
                database = opened(damaged)
            except DataError:
                continue
            database.lookup(GOOGLE)
            database.lookup(inet_pton(AF_INET6, "2400:3200::1"))
            errors += database.errors
            database.close()
    assert errors > 100


def test_damage_is_said_once_and_counted(mmdb: Mmdb, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = mmdb("a.mmdb", {"8.0.0.0/8": {"country_code": "US"}}).read_bytes()
    path = tmp_path / "bad.mmdb"
    path.write_bytes(raw.replace(b"Lcountry_code", b"\xffcountry_code"))
    database = opened(path)
    for last in range(5):
        assert database.lookup(four(f"8.8.8.{last}")) == Place()
    assert database.errors == 5
    assert len(caplog.records) == 1


def test_once_open_it_needs_no_file_and_no_import(tmp_path: Path) -> None:
    code = """if True:
        import sys, pathlib
        from sensor.enrich.geo import GeoDatabase
        database = GeoDatabase(state_dir=pathlib.Path(sys.argv[1]))
        database.open()
        sys.meta_path.clear()
        sys.addaudithook(lambda event, _: sys.exit(event) if event in ("open", "import") else None)
        sys.stdout.write(f"{database.lookup(bytes([8, 8, 8, 8])).country} {database.built_at}")
    """
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert ran.stdout.startswith("US 17")


def test_an_update_that_cannot_be_used_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "geo").mkdir()
    update = tmp_path / FILE
    for count, content in enumerate((b"", b"no database", bytes(100_000)), 1):
        update.write_bytes(content)
        database = GeoDatabase(state_dir=tmp_path, updates=True)
        database.open()
        assert (database.name, database.refused) == ("IPinfo Lite", 1)
        assert len(caplog.records) == count
        assert f"{update} cannot be read as a MaxMind DB file" in caplog.text
        assert database.look() is None, "it is said once"
        database.close()


def test_updates_come_and_go_beside_the_embedded_one(tmp_path: Path, mmdb: Mmdb) -> None:
    database = GeoDatabase(state_dir=tmp_path, updates=True)
    database.open()
    (tmp_path / "geo").mkdir()
    for name, country in (("a", "CA"), ("b", "MX")):
        record = {"country_code": country, "asn": "AS1", "as_name": "One"}
        mmdb(f"{name}.mmdb", {**WORLD, "8.0.0.0/8": record}, built_at=1_795_000_000).rename(tmp_path / FILE)
        fresh = database.look()
        assert fresh is not None
        database.adopt(fresh)
        assert database.lookup(GOOGLE).country == country, "what was remembered holds no more"
        assert database.look() is None
    (tmp_path / FILE).write_bytes(b"x")
    assert database.look() is None
    (tmp_path / FILE).unlink()
    assert database.look() is None
    assert (database.lookup(GOOGLE).country, database.refused) == ("MX", 1)
    mmdb("old.mmdb", WORLD, built_at=1_700_000_000).rename(tmp_path / FILE)
    fresh = database.look()
    assert fresh is not None
    database.adopt(fresh)
    assert database.name == "IPinfo Lite", "the newer of both"
    database.close()
    assert database.lookup(GOOGLE) == Place()


def test_an_update_is_used_from_the_start_on_but_not_beside_named_files(tmp_path: Path, mmdb: Mmdb) -> None:
    (tmp_path / "geo").mkdir()
    mmdb("new.mmdb", WORLD, kind="Own-DB", built_at=1_795_000_000).rename(tmp_path / FILE)
    named = mmdb("named.mmdb", {"8.0.0.0/8": {"country_code": "SG"}}, kind="Named")
    for databases, updates, name in (((), True, "Own-DB"), ((), False, "IPinfo Lite"), ((named,), True, "Named")):
        database = GeoDatabase(databases, state_dir=tmp_path, updates=updates)
        database.open()
        assert (database.name, database.look()) == (name, None)
        database.close()
