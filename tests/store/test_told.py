"""What is remembered of alerts, in the file; and files of the version that did not have it."""

import os

import pytest

from sensor.errors import DataError
from sensor.model.letter import Batch
from sensor.model.told import Told
from sensor.store import database, outbox
from tests.store.test_outbox import fresh, opened

ALERT = '{"fingerprint":"f1","summary":"x"}'


def test_rows_change_one_by_one_and_are_there_after_a_restart(tmp_path):
    path = tmp_path / "outbox.db"
    with opened(path) as store:
        store.write(
            Batch((fresh(),), told=(Told("f1", "[1]", ALERT), Told("f2", "[1]", ALERT), Told("f3", "[1]", ALERT)))
        )
        store.write(Batch(told=(Told("f1", "[2]"), Told("f2", None))))
    with opened(path) as store:
        assert sorted(store.told(), key=lambda row: row.fingerprint) == [
            Told("f1", "[2]", ALERT), Told("f3", "[1]", ALERT),
        ]  # fmt: skip


def test_all_or_nothing_with_the_letters(tmp_path):
    path = tmp_path / "outbox.db"
    with opened(path) as store:
        store.write(Batch((fresh("a.firing"),), told=(Told("f1", "[1]", ALERT),)))
        store._connection.execute("CREATE TRIGGER no BEFORE INSERT ON told BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(outbox.StoreError):
            store.write(Batch((fresh("b.firing"),), told=(Told("f2", "[1]", ALERT),)))
    with opened(path) as store:
        assert [row.fingerprint for row in store.told()] == ["f1"]
        assert [letter.notice for letter in store.waiting] == ["a.firing"]


def first_version(path):
    """As version 1 wrote it."""
    schema = outbox.SCHEMA.replace(outbox.told.SCHEMA, "")
    connection, _ = database.connect(path, schema, 1)
    connection.execute("INSERT INTO notice VALUES (1, 'a.firing', 'a', 'warning', 'watchlist', 5, '\"body\"')")
    connection.execute("INSERT INTO letter VALUES (1, 1, 'lab', 'waiting', 0, NULL, NULL, 0)")
    connection.close()


@pytest.mark.parametrize("looked_through", [database.CHECK_BYTES, 0], ids=["a small file", "a large one"])
def test_an_older_file_gets_the_tables_and_keeps_its_letters(looked_through, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "CHECK_BYTES", looked_through)
    path = tmp_path / "outbox.db"
    first_version(path)
    for _ in range(2):
        with opened(path) as store:
            assert [letter.notice for letter in store.waiting] == ["a.firing"]
            assert store.damage == []
            assert store.read(1, "lab", "a") == ('"body"', None)
            store.write(Batch(told=(Told("f1", "[1]", ALERT),)))
            assert store.told() == [Told("f1", "[1]", ALERT)]


def test_a_kill_within_the_step_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "outbox.db"
    first_version(path)
    monkeypatch.setattr(outbox, "STEPS", {1: outbox.told.SCHEMA + "SELECT nothing;"})
    with pytest.raises(outbox.StoreError), opened(path):
        pass
    monkeypatch.undo()
    with opened(path) as store:
        assert [letter.notice for letter in store.waiting] == ["a.firing"]
        assert store.told() == []


def test_a_newer_file_is_still_refused(tmp_path):
    path = tmp_path / "outbox.db"
    database.connect(path, outbox.SCHEMA, outbox.VERSION + 1)[0].close()
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"format {outbox.VERSION + 1}, this one knows {outbox.VERSION}"), opened(path):
        pass
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["outbox.db"]
