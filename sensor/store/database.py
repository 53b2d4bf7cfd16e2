"""One SQLite file of ours: opened with mistrust, put aside where it is damaged or somebody else's, begun anew."""

import logging
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sensor.base.text import printable
from sensor.errors import DataError, StoreError

APPLICATION = 0x49444C57
""" "IDLW" in the header of our files (pragma application_id)."""
KEEP_ASIDE = 2
"""Damaged files of one name that are kept."""
BUSY_SECONDS = 2.0
"""For another process to let go of the file."""
PAGE, CHECKPOINT_PAGES, MAX_WAL = 1024, 512, 1 << 19
"""Bytes of a page: small ones, as a transaction writes each page that it touches. The log is taken over into the file
at about 512 KB, and is cut back to that size."""

CHECK_BYTES = 32 << 20
"""Files up to this size are looked through when they are opened; a larger one would hold up the start (an SD card reads
some 30 MB a second), and its damage shows when it is met."""

SUFFIXES = ("", "-wal", "-shm", "-journal")
"""What belongs to one database (sqlite.org/tempfiles.html)."""

log = logging.getLogger(__name__)


def connect(
    path: Path, schema: str, version: int, steps: Mapping[int, str] = {}
) -> tuple[sqlite3.Connection, str | None]:
    """The only connection to the file, which it locks; and what was wrong with the file that it had to begin anew.

    `steps`: version -> the statements that make a file of it one of the next version.
    DataError: a newer version of the sensor wrote the file, which stays as it is. StoreError: not now.
    """
    written = _written_version(path)
    if written > version:
        raise DataError(
            f"{path}: written by a newer version of idlewire (format {written}, this one knows {version}): "
            "start that version, or move the file away"
        )
    damage = None
    try:
        return _open(path, schema, version, steps), None
    except _Unusable as error:
        damage = str(error)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    except sqlite3.Error as error:
        if not is_damage(error):
            raise StoreError(f"{path}: {error}") from None
        damage = str(error)
    put_aside(path, damage)
    try:
        return _open(path, schema, version, steps), damage
    except (sqlite3.Error, OSError, _Unusable) as error:
        raise StoreError(f"{path}: {error}") from None


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is to blame."""
    return code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def code(error: sqlite3.Error) -> int:
    """The primary result code (sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def identity(path: Path) -> tuple[int, int] | None:
    """Tells files apart; None where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def put_aside(path: Path, why: str) -> None:
    """Rename the file to NAME.corrupt-TIME with all that belongs to it; the oldest of too many go. StoreError."""
    stem = f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    name, count = stem, 0
    try:
        while path.with_name(name).exists():
            count += 1
            name = f"{stem}.{count}"
        log.warning("%s cannot be used (%s); it goes to %s", path, printable(why, 200), name)
        for suffix in reversed(SUFFIXES):
            source = path.with_name(path.name + suffix)
            if source.exists():
                source.replace(path.with_name(name + suffix))
    except OSError as error:
        raise StoreError(f"{path}: cannot be put aside: {error.strerror}") from None
    _forget_oldest(path, name)


def _forget_oldest(path: Path, newest: str) -> None:
    aside = [each for each in path.parent.glob(f"{path.name}.corrupt-*") if not each.name.endswith(SUFFIXES[1:])]
    old = sorted((each for each in aside if each.name != newest), key=lambda each: each.name)
    for each in old[: max(0, len(old) - (KEEP_ASIDE - 1))]:
        for suffix in SUFFIXES:
            with suppress(OSError):
                each.with_name(each.name + suffix).unlink()


class _Unusable(Exception):
    """A database, but not one that can be used."""


def _written_version(path: Path) -> int:
    """Out of the header (sqlite.org/fileformat.html), so that the file stays untouched; 0 where it is none of ours."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return 0
    ours = head[:16] == b"SQLite format 3\0" and head[68:72] == APPLICATION.to_bytes(4, "big")
    return int.from_bytes(head[60:64], "big") if ours else 0


def _open(path: Path, schema: str, version: int, steps: Mapping[int, str]) -> sqlite3.Connection:
    if path.is_dir():
        raise _Unusable("a folder")
    with suppress(OSError):
        path.parent.mkdir(mode=0o750, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=32)
    try:
        _set_up(connection)
        _adopt(connection, schema, version, steps)
    except BaseException:
        with suppress(sqlite3.Error):
            connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    for pragma in (
        # Exclusive: no second connection can ever write or checkpoint (the WAL-reset bug of SQLite before 3.51.3),
        # and no -shm file is needed, which a full disk would refuse.
        "locking_mode=EXCLUSIVE",
        f"page_size={PAGE}",
        "mmap_size=0",
        "trusted_schema=OFF",
        "temp_store=MEMORY",
        "cache_size=-1024",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        f"journal_size_limit={MAX_WAL}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _adopt(connection: sqlite3.Connection, schema: str, version: int, steps: Mapping[int, str]) -> None:
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [written] = connection.execute("PRAGMA user_version").fetchone()
    [tables] = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    if application == APPLICATION and written > version:
        raise DataError(f"written by a newer version of idlewire (format {written}, this one knows {version})")
    if tables == 0 and application in (0, APPLICATION):
        connection.executescript(
            f"BEGIN IMMEDIATE; {schema} PRAGMA application_id={APPLICATION}; PRAGMA user_version={version}; COMMIT;"
        )
        # The version stands in the file's own header from the start.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return
    if application != APPLICATION or not (written == version or written in steps):
        raise _Unusable("of another program")
    [pages] = connection.execute("PRAGMA page_count").fetchone()
    if pages * PAGE <= CHECK_BYTES:
        [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _Unusable(found)
    for each in range(written, version):
        connection.executescript(f"BEGIN IMMEDIATE; {steps[each]} PRAGMA user_version={each + 1}; COMMIT;")
