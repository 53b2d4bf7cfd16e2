"""The store of letters: nothing is lost by restarts, full disks, damaged or vanished files, and odd clocks."""

import os
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from sensor.errors import DataError, StoreError
from sensor.model.letter import Batch, Fresh, Letter
from sensor.store import database, outbox
from sensor.store.outbox import MAX_DEAD, MAX_REFERENCES, OutboxStore

DAY = 86_400.0


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def letter(notice="a1.firing", sink="lab", since=1000.0, **changes):
    whole = Letter(sink, notice, notice.partition(".")[0], "warning", "watchlist", 5, since)
    return replace(whole, **changes)


def fresh(notice="a1.firing", sinks=("lab",), since=1000.0, body=None, **changes):
    return Fresh(body or f'"{notice}"', tuple(letter(notice, sink, since, **changes) for sink in sinks))


@contextmanager
def opened(path, clock=None):
    store = OutboxStore(path, clock or Clock())
    try:
        store.waiting = store.open()
        yield store
    finally:
        store.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


def test_what_was_written_is_there_after_a_restart_in_order(path):
    with opened(path) as store:
        assert store.waiting == []
        written = store.write(Batch((fresh("b.firing", ("lab", "chat")), fresh("a.firing"))))
        assert [[fate for _, fate in each] for each in written.known] == [["waiting"] * 2, ["waiting"]]
    with opened(path) as store:
        assert [(each.notice, each.sink) for each in store.waiting] == [
            ("b.firing", "lab"), ("b.firing", "chat"), ("a.firing", "lab"),
        ]  # fmt: skip
        first = store.waiting[0]
        assert first == letter("b.firing", number=first.number, since=first.since)
        assert store.read(first.number, "lab", "b") == ('"b.firing"', None)
        assert store.read(9999, "lab", "b") == (None, None)


def test_marks_references_and_forgotten_letters(path):
    with opened(path) as store:
        [one, two, three] = [
            number for [(number, _)] in store.write(Batch((fresh("a.f"), fresh("b.f"), fresh("c.f")))).known
        ]
        marks = (letter("a.f", number=one, fate="delivered"), letter("b.f", number=two, fate="dead", error="no"))
        assert store.write(Batch(marks=marks, references={("lab", "a"): "ts1"}, forgotten=(three,))).dead == {"lab": 1}
        store.write(Batch(references={("lab", "a"): "ts2"}))
    with opened(path) as store:
        assert store.waiting == []
        assert store.reference("lab", "a") == "ts2"
        assert [(each.number, each.error) for each in store.dead()] == [(two, "no")]


def test_a_message_that_is_known_is_not_stored_again(path):
    with opened(path) as store:
        [[(number, _)]] = store.write(Batch((fresh("a.f"),))).known
        store.write(Batch(marks=(letter("a.f", number=number, fate="delivered"),)))
        assert store.write(Batch((fresh("a.f", ("lab", "chat")),))).known == (
            ((number, "delivered"), (number + 1, "waiting")),
        )


def test_dead_letters_wait_again_when_told(path):
    clock = Clock()
    with opened(path, clock) as store:
        store.write(Batch((fresh("a.f", fate="dead", attempts=9), fresh("b.f", ("lab", "chat"), fate="dead"))))
        clock.now += 4 * DAY
        [one] = store.revive(store.dead()[0].number, ["lab", "chat"])
        assert (one.notice, one.fate, one.attempts, one.since) == ("a.f", "waiting", 0, clock.now)
        assert store.revive(12345, ["lab"]) == []
        assert [each.sink for each in store.revive(None, ["lab"])] == ["lab"]
        assert [each.sink for each in store.dead()] == ["chat"]
    with opened(path) as store:
        assert [each.notice for each in store.waiting] == ["a.f", "b.f"]


def test_ages_are_those_of_the_running_sensor_and_outlive_it(path):
    with opened(path, Clock(1000.0)) as store:
        store.write(Batch((fresh("a.f", since=1000.0),)))
        store._clock.now = 1000.0 + DAY
        store.write(Batch())
    with opened(path, Clock(5.0)) as store:  # another boot: the monotonic clock began anew
        assert 5.0 - store.waiting[0].since == pytest.approx(DAY)


def test_the_wall_clock_is_asked_for_no_age(path, monkeypatch):
    """T6, T7: a year forward or back neither ages nor prunes anything."""
    clock = Clock()
    with opened(path, clock) as store:
        store.write(Batch((fresh("a.f"), fresh("b.f", fate="dead"))))
    for moment in (0.0, 4e9):
        monkeypatch.setattr("time.time", lambda moment=moment: moment)
        clock.now += outbox.PRUNE_SECONDS + 1
        with opened(path, clock) as store:
            clock.now += outbox.PRUNE_SECONDS + 1
            store.write(Batch())
            assert len(store.dead()) == 1
            assert len(store.waiting) == 1


def test_what_is_settled_is_pruned_by_age_and_number(path):
    clock = Clock()
    with opened(path, clock) as store:
        store.write(Batch((fresh("old.f", fate="delivered"), fresh("dead.f", fate="dead"), fresh("waits.f"))))
        store.write(Batch(references={("lab", str(n)): "x" for n in range(MAX_REFERENCES + 5)}))
        clock.now += 2 * DAY
        store.write(Batch())
        count_of = lambda table: store._all(f"SELECT COUNT(*) FROM {table}")[0][0]  # noqa: E731
        assert count_of("letter") == count_of("notice") == 2
        assert count_of("reference") == MAX_REFERENCES
        clock.now += 40 * DAY
        store.write(Batch())
        assert count_of("letter") == count_of("notice") == 1
        assert count_of("reference") == 0
        store.write(Batch(tuple(fresh(f"d{n}.f", fate="dead") for n in range(MAX_DEAD + 10))))
        dead = store.dead()
        assert len(dead) == MAX_DEAD
        assert dead[0].notice == "d10.f"


def spoil(kind, path):
    data = path.read_bytes()
    if kind == "zeroed header":
        path.write_bytes(bytes(100) + data[100:])
    elif kind == "flipped pages":
        middle = bytearray(data)
        for at in range(1024, len(middle), 1024):
            middle[at : at + 64] = bytes(value ^ 0xFF for value in middle[at : at + 64])
        path.write_bytes(middle)
    elif kind == "flipped second half":
        half = len(data) // 2048 * 1024
        path.write_bytes(data[:half] + bytes(value ^ 0xFF for value in data[half:]))
    elif kind == "text":
        path.write_text("not a database, whatever its name says\n" * 100)
    elif kind == "another program":
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE letter (other)")
        other.close()
    elif kind == "half":
        path.write_bytes(data[: len(data) // 2 + 100])
    elif kind == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("kind", ["zeroed header", "flipped pages", "text", "another program", "half", "folder"])
def test_a_damaged_or_foreign_file_is_put_aside_and_begun_anew(path, kind):
    """S6: whatever is there, the store opens, and the third of its kind pushes the first one out."""
    for _ in range(3):
        with opened(path) as store:
            store.write(Batch(tuple(fresh(f"{n}.f", body="x" * 500) for n in range(50))))
        spoil(kind, path)
        with opened(path) as store:
            assert store.waiting == []
            assert len(store.damage) == 1
            store.write(Batch((fresh("new.f"),)))
        with opened(path) as store:
            assert [each.notice for each in store.waiting] == ["new.f"]
            assert store.damage == []
    aside = [each for each in path.parent.iterdir() if ".corrupt-" in each.name]
    assert len(aside) == (3 if kind == "folder" else database.KEEP_ASIDE), "a folder is somebody's: it is never deleted"


def test_the_damage_of_a_file_that_is_too_large_to_look_through_shows_when_it_is_met(path, monkeypatch):
    monkeypatch.setattr(database, "CHECK_BYTES", 0)
    with opened(path) as store:
        store.write(Batch(tuple(fresh(f"{n}.f", body="x" * 500) for n in range(50))))
    spoil("flipped second half", path)
    store = OutboxStore(path, Clock())
    with pytest.raises(StoreError):
        [store.read(each.number, each.sink, each.key) for each in store.open()]
    assert store.open() == []
    assert len(store.damage) == 1
    store.close()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_a_damaged_log_costs_no_more_than_its_end(path, damage):
    """S6: killed, and what was not yet taken over into the file is damaged."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[2]); from tests.store.test_outbox import *\n"
        "store = OutboxStore(Path(sys.argv[1]), Clock()); store.open()\n"
        "for n in range(20): store.write(Batch((fresh(f'{n}.f'),)))\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path), str(Path(__file__).parents[2])], check=False)
    log = path.with_name("outbox.db-wal")
    size = log.stat().st_size
    if damage == "truncated":
        os.truncate(log, size * 2 // 3)
    elif damage == "flipped":
        with log.open("r+b") as file:
            file.seek(size * 2 // 3)
            file.write(b"\xff" * 64)
    else:
        log.unlink()
    with opened(path) as store:
        assert [each.notice for each in store.waiting] == [f"{n}.f" for n in range(len(store.waiting))]
        assert len(store.waiting) < 20
        assert store.damage == []
        store.write(Batch((fresh("new.f"),)))


def test_a_newer_file_is_refused_in_one_line_and_untouched(path):
    """S8."""
    with opened(path) as store:
        store.write(Batch((fresh(),)))
        store._connection.execute("PRAGMA user_version=7")
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"written by a newer version.*format 7") as caught:
        OutboxStore(path, Clock()).open()
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["outbox.db"]


def test_an_empty_file_is_a_new_one(path):
    path.touch()
    with opened(path) as store:
        store.write(Batch((fresh(),)))
        assert store.damage == []


def test_others_may_not_read_it(path):
    with opened(path) as store:
        store.write(Batch((fresh(),)))
        assert all(each.stat().st_mode & 0o077 == 0 for each in path.parent.iterdir())


def test_exactly_one_connection_and_how_it_writes(path):
    """S12: the file is locked, so that no second connection ever writes or takes over the log."""
    with opened(path) as store:
        store.write(Batch((fresh(),)))
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("mmap_size", 0)):
            assert store._all(f"PRAGMA {pragma}") in ([[value]], []), pragma
        other = sqlite3.connect(path, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT * FROM letter")
        other.close()
        with pytest.raises(StoreError, match="locked"):
            OutboxStore(path, Clock()).open()


class Failing:
    """A connection whose nth COMMIT fails, after or before it took effect."""

    def __init__(self, connection, code, *, after):
        self.connection, self.code, self.after = connection, code, after

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, statement, *arguments):
        if statement != "COMMIT":
            return self.connection.execute(statement, *arguments)
        if self.after:
            self.connection.execute(statement)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = self.code
        raise error


@pytest.mark.parametrize("after", [False, True])
def test_an_io_error_is_never_success_and_the_file_is_opened_again(path, after):
    """S5: what the failed commit left behind is found, or is not, but is not believed."""
    with opened(path) as store:
        store._connection = Failing(store._connection, sqlite3.SQLITE_IOERR_FSYNC, after=after)
        with pytest.raises(StoreError, match="disk I/O error"):
            store.write(Batch((fresh(),)))
        assert not store.is_open
        with pytest.raises(StoreError, match="not open"):
            store.write(Batch((fresh(),)))
        assert len(store.open()) == after
        assert store.write(Batch((fresh(),))).known[0][0][1] == "waiting"
        assert store.reopened == 1


class Unreadable:
    """A connection that can read nothing."""

    def __init__(self, connection):
        self.connection = connection

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, statement, *arguments):
        if not statement.lstrip().startswith("SELECT"):
            return self.connection.execute(statement, *arguments)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error


@pytest.mark.parametrize("ask", ["read", "reference", "dead", "told", "write"])
def test_an_error_of_reading_is_told_and_the_file_is_opened_again(path, ask):
    """S5."""
    with opened(path) as store:
        [[(number, _)]] = store.write(Batch((fresh(),))).known
        store._connection = Unreadable(store._connection)
        arguments = {"read": (number, "lab", "a1"), "reference": ("lab", "a1"), "write": (Batch((fresh("b.f"),)),)}
        with pytest.raises(StoreError, match="disk I/O error"):
            getattr(store, ask)(*arguments.get(ask, ()))
        assert not store.is_open
        assert [each.number for each in store.open()] == [number]
        assert (store.reopened, store.damage) == (1, [])


def test_a_full_disk_is_undone_cleanly_and_reading_goes_on(path):
    with opened(path) as store:
        [[(number, _)]] = store.write(Batch((fresh("a.f"),))).known
        pages = store._all("PRAGMA page_count")[0][0]
        store._connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StoreError, match="full"):
            store.write(Batch(tuple(fresh(f"{n}.f", body="x" * 9000) for n in range(9))))
        assert store.is_open
        assert store.read(number, "lab", "a")[0] == '"a.f"'
        store._connection.execute("PRAGMA max_page_count=100000")
        store.write(Batch((fresh("b.f", body="x" * 9000),)))
    with opened(path) as store:
        assert [each.notice for each in store.waiting] == ["a.f", "b.f"]


@pytest.mark.parametrize("what", ["file", "folder", "another"])
def test_a_file_that_is_taken_away_is_taken_along(tmp_path, what):
    """S4: a file without a name would be written to for nobody."""
    folder = tmp_path / "state"
    folder.mkdir()
    path = folder / "outbox.db"
    with opened(path) as store:
        [[(number, _)]] = store.write(Batch((fresh("a.f"),), references={("lab", "a"): "ts"})).known
        if what == "folder":
            folder.rename(tmp_path / "gone")
        else:
            path.rename(tmp_path / "gone.db")
        if what == "another":
            path.write_text("something else")
        with pytest.raises(StoreError, match="has gone"):
            store.write(Batch((fresh("b.f"),)))
        assert store.read(number, "lab", "a") == ('"a.f"', "ts")
        assert [each.number for each in store.open()] == [number]
        store.write(Batch((fresh("b.f"),)))
    with opened(path) as store:
        assert [each.notice for each in store.waiting] == ["a.f", "b.f"]
        assert store.reference("lab", "a") == "ts"


def test_numbers_are_never_used_twice_even_in_a_new_file(path):
    with opened(path) as store:
        [[(first, _)]] = store.write(Batch((fresh("a.f"),))).known
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        store._failure(error)
        assert store.open() == []
        [[(second, _)]] = store.write(Batch((fresh("b.f"),))).known
        assert second > first


def test_a_folder_that_cannot_be_had_is_tried_again(tmp_path):
    (tmp_path / "state").touch()
    store = OutboxStore(tmp_path / "state" / "outbox.db", Clock())
    with pytest.raises(StoreError):
        store.open()
    (tmp_path / "state").unlink()
    assert store.open() == []
    store.close()


def test_one_transaction_is_little_to_write(path):
    """A message for three sinks costs some pages, however many there are already."""
    numbers = count()
    with opened(path) as store:
        for _ in range(10):
            store.write(Batch(tuple(fresh(f"{next(numbers)}.f", ("a", "b", "c"), body="x" * 2000) for _ in range(100))))
        store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        store.write(Batch((fresh("one.f", ("a", "b", "c"), body="x" * 2000),)))
        assert path.with_name("outbox.db-wal").stat().st_size < 20_000
