"""A newer database, from a real server into the state folder; and what never gets there."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor import geo_update
from sensor.base.times import SECOND
from sensor.config import Config, parse
from sensor.enrich.embedded import shipped_at
from sensor.enrich.geo import GeoDatabase
from sensor.errors import ConfigError, DataError
from sensor.geo_update import Outcome
from tests.enrich.mmdb import database
from tests.far_database import COUNTRIES, NOW, TOKEN, WORLD, FarDatabase, serving, world

DAY = 86_400
OLD = NOW // SECOND - 5 * DAY
NEW = NOW // SECOND - DAY
"""Seconds."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FarDatabase, Path]]:
    folder = tmp_path_factory.mktemp("far")
    with serving(folder) as far:
        yield far, folder / "ca.pem"


@pytest.fixture
def far(server: tuple[FarDatabase, Path], monkeypatch: pytest.MonkeyPatch) -> FarDatabase:
    """As it was made, and trusted."""
    far, authority = server
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    port = far.port
    far.__init__()  # type: ignore[misc]
    far.port = port
    return far


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "geo" / "updated.mmdb"


def configured(folder: Path, **geo: object) -> Config:
    return parse({"state_dir": str(folder), "geo": geo})


def updated(far: FarDatabase, folder: Path, *, force: bool = False, path: str | None = None) -> Outcome:
    url = far.url() if path is None else far.url(path)
    return geo_update.update(configured(folder), url, NOW, force=force)


def test_from_nothing_to_a_database_that_everybody_may_read(far: FarDatabase, tmp_path: Path, target: Path) -> None:
    far.gzipped(world(NEW))
    outcome = updated(far, tmp_path)
    assert (outcome.changed, outcome.name, outcome.built_at, outcome.path) == (
        True,
        "ipinfo lite",
        NEW * SECOND,
        target,
    )
    assert outcome.as_text() == f"ipinfo lite of 2026-11-17 is in {target}; a sensor that runs takes it within the hour"
    assert json.loads(outcome.as_json())["database"]["built_at"] == "2026-11-17T11:06:40.000000Z"
    assert target.read_bytes() == world(NEW)
    assert target.stat().st_mode & 0o777 == 0o644
    assert {each.name for each in target.parent.iterdir()} == {"updated.mmdb", "updated.json"}
    assert TOKEN not in target.with_suffix(".json").read_text()


def test_what_did_not_change_costs_nothing(far: FarDatabase, tmp_path: Path, target: Path) -> None:
    far.etag = '"one"'
    updated(far, tmp_path)
    before = target.stat()
    outcome = updated(far, tmp_path)
    assert (outcome.changed, outcome.received, outcome.newer) == (False, 0, True)
    assert outcome.as_text() == "ipinfo lite of 2026-11-17 is still the newest"
    assert far.asked[-1][1]["If-None-Match"] == '"one"'
    assert target.stat() == before
    assert updated(far, tmp_path, force=True).received > 0
    assert target.stat().st_ino == before.st_ino, "the same bytes replace nothing"


def test_another_url_and_a_damaged_file_are_asked_anew(far: FarDatabase, tmp_path: Path, target: Path) -> None:
    far.etag = '"one"'
    updated(far, tmp_path)
    updated(far, tmp_path, path="/another.mmdb")
    assert "If-None-Match" not in far.asked[-1][1]
    target.write_bytes(b"damaged")
    assert updated(far, tmp_path, path="/another.mmdb").changed
    assert target.read_bytes() == world()


def test_a_newer_one_replaces_it_and_an_older_one_does_not(far: FarDatabase, tmp_path: Path, target: Path) -> None:
    far.body = world(OLD)
    updated(far, tmp_path)
    far.body = world(NEW)
    assert updated(far, tmp_path).changed
    far.body = world(OLD)
    with pytest.raises(DataError, match=r"is of 2026-11-13, older than the one that is there \(2026-11-17\); what was"):
        updated(far, tmp_path)
    assert target.read_bytes() == world(NEW)
    assert updated(far, tmp_path, force=True).changed


def test_what_is_older_than_the_one_that_is_built_in(far: FarDatabase, tmp_path: Path) -> None:
    far.body = world(shipped_at() // SECOND - 1)
    with pytest.raises(DataError, match="older than the one that is there"):
        updated(far, tmp_path)
    assert "is no older, and used" in updated(far, tmp_path, force=True).as_text()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>please log in</html>", "cannot be read as a MaxMind DB file"),
        (world()[:-40], "cannot be read as a MaxMind DB file"),
        (world(NOW // SECOND + 2 * DAY), "is of 2026-11-20, which is in the future: is the clock"),
        (world(places={"8.0.0.0/8": {"country_code": "US"}}), "well-known addresses are: of 8.8.8.8, 9.9.9.9, "),
        (world(places={each: {"country_code": "US"} for each in WORLD}), "it places 4, in 1 countries"),
        (world(places={each: {"asn": "AS1", "as_name": "One"} for each in WORLD}), "it places 0, in 0 countries"),
        (world().replace(b"Lcountry_code", b"\xffcountry_code"), "is damaged"),
    ],
)
def test_what_cannot_be_used_replaces_nothing(
    far: FarDatabase, tmp_path: Path, target: Path, body: bytes, why: str
) -> None:
    updated(far, tmp_path)
    far.body = body
    with pytest.raises(DataError) as caught:
        updated(far, tmp_path)
    line = str(caught.value)
    assert why in line
    assert line.startswith(f"https://127.0.0.1:{far.port}/…: what came ")
    assert TOKEN not in line
    assert "\n" not in line
    assert target.read_bytes() == world()
    assert len(list(target.parent.iterdir())) == 2


def test_a_failed_download_leaves_nothing_behind(far: FarDatabase, tmp_path: Path, target: Path) -> None:
    updated(far, tmp_path)
    far.length = 5 * len(far.body)
    with pytest.raises(DataError, match="the file ended early"):
        updated(far, tmp_path)
    assert target.read_bytes() == world()
    assert len(list(target.parent.iterdir())) == 2


def test_the_month_stands_in_the_url(far: FarDatabase, tmp_path: Path) -> None:
    updated(far, tmp_path, path="/free/dbip-country-lite-{month}.mmdb.gz")
    assert far.asked[-1][0] == "/free/dbip-country-lite-2026-11.mmdb.gz"


def test_a_folder_that_cannot_be_written(far: FarDatabase, tmp_path: Path) -> None:
    (tmp_path / "geo").write_text("in the way")
    with pytest.raises(DataError, match=r"^state_dir: cannot write in .*/geo: File exists"):
        updated(far, tmp_path)
    assert far.asked == []


def test_without_a_url_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^geo\.update_url: not set, so nothing is fetched") as caught:
        geo_update.url_of(configured(tmp_path))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_url_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    with pytest.raises(ConfigError, match=rf"^geo\.update_url_file: {file}: No such file"):
        geo_update.url_of(configured(tmp_path, update_url_file=str(file)))
    file.write_text(f"http://ipinfo.io/?token={TOKEN}\n")
    with pytest.raises(ConfigError, match=r"the URL must begin with https://") as caught:
        geo_update.url_of(configured(tmp_path, update_url_file=str(file)))
    assert TOKEN not in str(caught.value)
    file.write_text(f"https://ipinfo.io/?token={TOKEN}\n")
    made = configured(tmp_path, update_url_file=str(file))
    assert geo_update.url_of(made).endswith(TOKEN)


def test_an_update_that_nobody_would_use(tmp_path: Path) -> None:
    made = configured(tmp_path, update_url=f"https://a.example/{TOKEN}", databases=["/x.mmdb"])
    with pytest.raises(ConfigError, match=r"^geo\.databases: names files") as caught:
        geo_update.url_of(made)
    assert TOKEN not in f"{caught.value}{made!r}"


def test_a_sensor_takes_it_while_it_runs(far: FarDatabase, tmp_path: Path) -> None:
    """Countries from the new one; owners, which it does not have, from the one that is built in."""
    geo = GeoDatabase(state_dir=tmp_path, updates=True)
    geo.open()
    place = geo.lookup(bytes((8, 8, 8, 8)))
    assert geo.look() is None
    far.body = database({**COUNTRIES, "8.0.0.0/8": {"country": {"iso_code": "CA"}}}, "DBIP-Country-Lite", NEW)
    updated(far, tmp_path)
    began = time.monotonic()
    fresh = geo.look()
    assert fresh is not None
    geo.adopt(fresh)
    print(f"{1000 * (time.monotonic() - began):.1f} ms to look and adopt")
    now = geo.lookup(bytes((8, 8, 8, 8)))
    assert (place.country, now.country) == ("US", "CA")
    assert (now.owner, now.asn) == (place.owner, place.asn)
    assert geo.name == "DBIP-Country-Lite + IPinfo Lite"
    assert "DB-IP" in geo.attribution
    far.body = world(NEW + 60, kind="Own-DB")
    updated(far, tmp_path)
    fresh = geo.look()
    assert fresh is not None
    geo.adopt(fresh)
    assert (geo.name, geo.attribution, geo.lookup(bytes((8, 8, 8, 8))).owner) == ("Own-DB", "", "One")
    geo.close()
