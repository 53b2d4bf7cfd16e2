"""The tables of what people were told and have yet to be told: written along with the letters that it leads to.

The facts of a fingerprint change often and are small; its alert is large and changes seldom: two tables, so that a
change writes little.
"""

import sqlite3
from collections.abc import Iterable

from sensor.model.told import Told

MAX_ROWS = 20_000
"""More than the router ever knows; what would be more is not read."""

SCHEMA = """
CREATE TABLE told (fingerprint TEXT PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE told_alert (fingerprint TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


def write(connection: sqlite3.Connection, rows: Iterable[Told]) -> None:
    """Within the caller's transaction."""
    for row in rows:
        if row.facts is None:
            for table in ("told", "told_alert"):
                connection.execute(f"DELETE FROM {table} WHERE fingerprint = ?", (row.fingerprint,))  # noqa: S608  # ours
            continue
        connection.execute("INSERT OR REPLACE INTO told VALUES (?, ?)", (row.fingerprint, row.facts))
        if row.alert is not None:
            connection.execute(
                "INSERT INTO told_alert VALUES (?, ?) ON CONFLICT (fingerprint) DO UPDATE SET body = excluded.body",
                (row.fingerprint, row.alert),
            )


def read(connection: sqlite3.Connection) -> list[Told]:
    """All that is remembered."""
    found = connection.execute(
        "SELECT fingerprint, facts, body FROM told LEFT JOIN told_alert USING (fingerprint) LIMIT ?", (MAX_ROWS,)
    )
    return [Told(*row) for row in found]
