"""The messages that sinks have yet to get, in one SQLite file; everything here blocks, and is called by one thread."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sensor.errors import StoreError
from sensor.model.letter import Batch, Fate, Fresh, Letter, Written
from sensor.model.told import Told
from sensor.store import database, told

VERSION = 2
"""Of the tables below (pragma user_version)."""
STEPS = {1: told.SCHEMA}
"""What makes a file of that version one of the next."""
MAX_DELIVERED, MAX_DEAD, MAX_REFERENCES = 10_000, 1_000, 5_000
"""Rows of each kind that are kept; the oldest go first."""
DELIVERED_SECONDS, DEAD_SECONDS, REFERENCE_SECONDS = 86_400.0, 30 * 86_400.0, 30 * 86_400.0
"""For how long; in seconds that the sensor ran, as the wall clock may be anything."""
PRUNE_SECONDS = 600.0
"""From one look at what is too old to the next."""

SCHEMA = (
    """
CREATE TABLE notice (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL, severity TEXT NOT NULL,
    title TEXT NOT NULL, created_at INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE letter (
    number INTEGER PRIMARY KEY, notice INTEGER NOT NULL, sink TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_at INTEGER, last_error TEXT, ran REAL NOT NULL, UNIQUE (notice, sink));
CREATE INDEX letter_state ON letter (state);
CREATE TABLE reference (
    sink TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, ran REAL NOT NULL, PRIMARY KEY (sink, key)
    ) WITHOUT ROWID;
CREATE TABLE clock (ran REAL NOT NULL);
INSERT INTO clock VALUES (0);
"""
    + told.SCHEMA
)
LETTERS = """
SELECT sink, id, key, severity, title, created_at, ran, letter.number, state, attempts, next_at, last_error
FROM letter JOIN notice ON notice.number = letter.notice
"""

_KEPT_OPEN = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""After these a transaction is cleanly undone, and reading goes on."""


class OutboxStore:
    """Letters, their messages, and references for edits. Any method but `open` and `close` may raise StoreError."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds, that of the letters' `since`."""
        self.path = path
        self.reopened = 0
        """How often the file was opened again after an error."""
        self.damage: list[str] = []
        """What was wrong with files that were put aside; whoever tells it empties it."""
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._rescued: sqlite3.Connection | None = None
        self._ready = False
        self._file: tuple[int, int] | None = None
        self._next = 1
        self._base = 0.0
        self._opened = self._pruned = clock()

    @property
    def is_open(self) -> bool:
        """Whether it can be written to, as far as is known."""
        return self._connection is not None and self._ready

    def open(self) -> list[Letter]:
        """Open the file, or begin one; what waits in it, oldest first. DataError: it is newer; StoreError: not now."""
        if self._connection is None:
            self._connect()
        [ran] = self._all("SELECT MAX(ran) FROM (SELECT ran FROM clock UNION ALL SELECT MAX(ran) FROM letter)")
        self._base, self._opened = ran[0] or 0.0, self._clock()
        for table in ("letter", "notice"):
            [last] = self._all(f"SELECT MAX(number) FROM {table}")  # noqa: S608  # our own names
            self._next = max(self._next, (last[0] or 0) + 1)
        waiting = self._letters("WHERE state = 'waiting' ORDER BY letter.number", ())
        self._ready = True
        return waiting

    def told(self) -> list[Told]:
        """What is remembered of alerts."""
        connection = self._writable()
        return self._reading(lambda: told.read(connection))

    def close(self) -> None:
        """Let go of the file; harmless twice."""
        for connection in (self._connection, self._rescued):
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
        self._connection = self._rescued = None
        self._ready = False

    def write(self, batch: Batch) -> Written:
        """All of the batch or nothing, on the disk when it returns."""
        self._follow_file()
        connection = self._connection
        if connection is None:
            raise StoreError(f"{self.path}: not open")
        try:
            connection.execute("BEGIN IMMEDIATE")
            known = tuple(self._insert(connection, fresh) for fresh in batch.fresh)
            self._update(connection, batch)
            told.write(connection, batch.told)
            self._prune(connection)
            connection.execute("UPDATE clock SET ran = ?", (self._ran(self._clock()),))
            dead = {str(sink): int(count) for sink, count in connection.execute(
                "SELECT sink, COUNT(*) FROM letter WHERE state = 'dead' GROUP BY sink"
            )}  # fmt: skip
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failure(error) from None
        return Written(known, dead)

    def read(self, number: int, sink: str, key: str) -> tuple[str | None, str | None]:
        """The message of a letter as JSON, and the reference of (sink, key); None for what there is none of."""
        body = self._all(
            "SELECT body FROM letter JOIN notice ON notice.number = notice WHERE letter.number = ?", number
        )
        return (str(body[0][0]) if body else None), self.reference(sink, key)

    def reference(self, sink: str, key: str) -> str | None:
        """What the sink returned for the last delivered message of the key."""
        found = self._all("SELECT value FROM reference WHERE sink = ? AND key = ?", sink, key)
        return str(found[0][0]) if found else None

    def dead(self) -> list[Letter]:
        """All dead letters, oldest first."""
        return self._reading(lambda: self._letters("WHERE state = 'dead' ORDER BY letter.number", ()))

    def revive(self, number: int | None, sinks: Iterable[str]) -> list[Letter]:
        """Dead letters of these sinks wait again, one or all; their ages begin anew. Returns them, oldest first."""
        self._follow_file()
        now = self._ran(self._clock())
        with_number = "" if number is None else " AND letter.number = ?"
        found: list[Letter] = []
        for sink in sinks:
            arguments = (sink,) if number is None else (sink, number)
            where = f"WHERE state = 'dead' AND sink = ?{with_number}"
            found += self._reading(lambda: self._letters(where, arguments))  # noqa: B023  # called at once
        if not found:
            return []
        changed = [(now, letter.number) for letter in found]
        try:
            connection = self._writable()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE letter SET state = 'waiting', attempts = 0, next_at = NULL, ran = ? WHERE number = ?", changed
            )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failure(error) from None
        for letter in found:
            letter.fate, letter.attempts, letter.next_at, letter.since = "waiting", 0, None, self._clock()
        return sorted(found, key=lambda letter: letter.number or 0)

    def _connect(self) -> None:
        if self._rescued is not None and database.identity(self.path) is not None:
            database.put_aside(self.path, "it is not the one that was begun")
        self._connection, damage = database.connect(self.path, SCHEMA, VERSION, STEPS)
        if damage is not None:
            self.damage.append(damage)
        try:
            if self._rescued is not None:
                self._rescued.backup(self._connection)
                self._rescued.close()
                self._rescued = None
        except sqlite3.Error as error:
            raise self._failure(error) from None
        self._file = database.identity(self.path)

    def _ran(self, moment: float) -> float:
        """Seconds that the sensor had run at a moment of the clock, over all its runs."""
        return max(0.0, self._base + moment - self._opened)

    def _insert(self, connection: sqlite3.Connection, fresh: Fresh) -> tuple[tuple[int, Fate], ...]:
        first = fresh.letters[0]
        found = connection.execute("SELECT number FROM notice WHERE id = ?", (first.notice,)).fetchone()
        notice = self._number() if found is None else int(found[0])
        if found is None:
            connection.execute(
                "INSERT INTO notice VALUES (?, ?, ?, ?, ?, ?, ?)",
                (notice, first.notice, first.key, first.severity, first.title, first.at, fresh.body),
            )
        known: list[tuple[int, Fate]] = []
        for letter in fresh.letters:
            row = connection.execute(
                "SELECT number, state FROM letter WHERE notice = ? AND sink = ?", (notice, letter.sink)
            ).fetchone()
            if row is not None:
                known.append((int(row[0]), row[1]))
                continue
            number = self._number()
            connection.execute(
                "INSERT INTO letter VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, notice, letter.sink, *self._state(letter)),
            )
            known.append((number, letter.fate))
        return tuple(known)

    def _update(self, connection: sqlite3.Connection, batch: Batch) -> None:
        now = self._ran(self._clock())
        connection.executemany(
            "UPDATE letter SET state = ?, attempts = ?, next_at = ?, last_error = ?, ran = ? WHERE number = ?",
            [(*self._state(letter), letter.number) for letter in batch.marks],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO reference VALUES (?, ?, ?, ?)",
            [(sink, key, value, now) for (sink, key), value in batch.references.items()],
        )
        connection.executemany("DELETE FROM letter WHERE number = ?", [(number,) for number in batch.forgotten])

    def _state(self, letter: Letter) -> tuple[object, ...]:
        """What is waiting is as old as it is; what is settled, since now."""
        moment = letter.since if letter.fate == "waiting" else self._clock()
        return letter.fate, letter.attempts, letter.next_at, letter.error, self._ran(moment)

    def _prune(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM letter WHERE number IN (SELECT number FROM letter WHERE state = 'dead'"
            " ORDER BY number DESC LIMIT -1 OFFSET ?)", (MAX_DEAD,)
        )  # fmt: skip
        now = self._clock()
        if now - self._pruned < PRUNE_SECONDS:
            return
        self._pruned, ran = now, self._ran(now)
        for state, age in (("delivered", DELIVERED_SECONDS), ("dead", DEAD_SECONDS)):
            connection.execute("DELETE FROM letter WHERE state = ? AND ran < ?", (state, ran - age))
        connection.execute(
            "DELETE FROM letter WHERE number IN (SELECT number FROM letter WHERE state = 'delivered'"
            " ORDER BY number DESC LIMIT -1 OFFSET ?)", (MAX_DELIVERED,)
        )  # fmt: skip
        connection.execute("DELETE FROM reference WHERE ran < ?", (ran - REFERENCE_SECONDS,))
        connection.execute(
            "DELETE FROM reference WHERE (sink, key) IN (SELECT sink, key FROM reference"
            " ORDER BY ran DESC LIMIT -1 OFFSET ?)", (MAX_REFERENCES,)
        )  # fmt: skip
        connection.execute("DELETE FROM notice WHERE NOT EXISTS (SELECT 1 FROM letter WHERE notice = notice.number)")

    def _letters(self, where: str, arguments: tuple[object, ...]) -> list[Letter]:
        found = self._all(LETTERS + where, *arguments)
        now = self._clock()
        ran = self._ran(now)
        for row in found:
            row[6] = now - max(0.0, ran - row[6])
        return [Letter(*row) for row in found]

    def _all(self, statement: str, *arguments: object) -> list[Any]:
        connection = self._connection or self._rescued
        if connection is None:
            raise StoreError(f"{self.path}: not open")
        return self._reading(lambda: [list(row) for row in connection.execute(statement, arguments)])

    def _reading(self, ask: Callable[[], list[Any]]) -> list[Any]:
        try:
            return ask()
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def _writable(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.path}: not open")
        return self._connection

    def _number(self) -> int:
        """Never one that was used before by this process, whatever became of the file."""
        self._next += 1
        return self._next - 1

    def _failure(self, error: sqlite3.Error) -> StoreError:
        """Undo, and where the connection can no longer be believed (I/O error, damage), have it opened again."""
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        if database.code(error) == sqlite3.SQLITE_FULL and self._connection is not None:
            with suppress(sqlite3.Error):  # the log may be what fills the disk
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if database.code(error) not in _KEPT_OPEN and self._connection is not None:
            self.reopened += 1
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection, self._ready = None, False
        if database.is_damage(error):
            with suppress(StoreError):
                database.put_aside(self.path, str(error))
                self.damage.append(str(error))
        return StoreError(f"{self.path}: {error}")

    def _follow_file(self) -> None:
        """A file that was taken away can still be written to, for nobody: what it holds is taken along to a new one."""
        if self._connection is None or database.identity(self.path) == self._file:
            return
        try:
            self._rescued = sqlite3.connect(":memory:")
            self._connection.backup(self._rescued)
            # Closed before there is a new file: closing removes the log by its name.
            self._connection.close()
        except sqlite3.Error as error:
            raise self._failure(error) from None
        self._connection, self._ready = None, False
        raise StoreError(f"{self.path}: has gone")
