"""One file, one connection; what cannot be used goes aside (tests/store/test_outbox.py tries each kind of damage)."""

import os
import sqlite3

import pytest

from sensor.errors import StoreError
from sensor.store.database import APPLICATION, KEEP_ASIDE, code, connect, identity, is_damage, put_aside

SCHEMA = "CREATE TABLE thing (number INTEGER PRIMARY KEY);"


def test_begun_and_opened_again(tmp_path):
    path = tmp_path / "deeper" / "x.db"
    for number in (1, 2):
        connection, damage = connect(path, SCHEMA, 3)
        connection.execute("INSERT INTO thing VALUES (?)", (number,))
        assert damage is None
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT COUNT(*) FROM thing").fetchone() == (number,)
        connection.close()


def test_the_log_goes_aside_with_its_file_and_the_oldest_go(tmp_path):
    for number in range(4):
        for suffix in ("", "-wal"):
            (tmp_path / f"x.db{suffix}").write_text(f"{number}{suffix}")
        put_aside(tmp_path / "x.db", "a try")
    texts = sorted(each.read_text() for each in tmp_path.iterdir())
    assert len(texts) == 2 * KEEP_ASIDE
    assert texts[-2:] == ["3", "3-wal"]


def test_an_error_of_the_disk_is_no_damage():
    full, broken = sqlite3.OperationalError("full"), sqlite3.DatabaseError("malformed")
    full.sqlite_errorcode, broken.sqlite_errorcode = sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT_INDEX
    assert (is_damage(full), is_damage(broken)) == (False, True)
    assert code(sqlite3.ProgrammingError("no code")) == sqlite3.SQLITE_ERROR


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to forget its rights")
def test_a_file_that_may_not_be_opened_stays_where_it_is(tmp_path):
    path = tmp_path / "x.db"
    connect(path, SCHEMA, 3)[0].close()
    path.chmod(0o600)
    before = identity(path)
    os.seteuid(65534)
    try:
        with pytest.raises(StoreError):
            connect(path, SCHEMA, 3)
    finally:
        os.seteuid(0)
    assert identity(path) == before
    assert identity(tmp_path / "none") is None
