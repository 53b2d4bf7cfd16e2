"""Where an address is and whose: country, ASN and owner out of MaxMind DB files (maxmind.github.io/MaxMind-DB)."""

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from sensor.base.text import printable
from sensor.enrich.embedded import unpack
from sensor.enrich.mmdb import CORRUPT, Mmdb, asn, country, open_mmdb, owner, said
from sensor.enrich.updated import FILE, Updated, examined
from sensor.errors import DataError
from sensor.model.destination import Place

MAX_CACHED = 8192
"""Addresses whose answer is remembered; the one longest unused goes first."""

MAX_PLACES = 8192
"""Different answers that are held only once, however many addresses share them."""

_log = logging.getLogger(__name__)
_UNKNOWN = Place()


Stamp = tuple[int, int, int]
"""Whether a file is another one: inode, size, time of change."""


class GeoDatabase:
    """One or more databases asked in order: the country from the first that knows one, likewise ASN with owner."""

    def __init__(self, databases: Sequence[Path] = (), *, state_dir: Path, updates: bool = False) -> None:
        """No `databases`: the embedded one, unpacked into `state_dir`; with `updates` the one there that is newer.

        A file that is in use may be replaced (rename a new one over it) but must not be written to in place:
        it is mapped into memory.
        """
        self.databases = tuple(databases)
        self.state_dir = state_dir
        self.errors = 0
        """Lookups that a database answered with damaged data; the address then counts as unknown to it."""
        self.refused = 0
        """Updates in the state folder that cannot be used; what was in use goes on."""
        self._updates = updates and not databases
        self._sources: list[Mmdb] = []
        self._embedded: Mmdb | None = None
        """Kept open beside an update: after rights were given up it could not be made anew."""
        self._updated: Updated | None = None
        self._stamp: Stamp | None = None
        self._cached = functools.lru_cache(MAX_CACHED)(self._read)
        self._place = functools.lru_cache(MAX_PLACES)(Place)

    def open(self) -> None:
        """Opens all files; after that none is needed by name. DataError names the key, the file and what is wrong."""
        self.close()
        try:
            if not self.databases:
                self._embedded = _open_embedded(self.state_dir)
                self._sources = [self._embedded]
            for path in self.databases:
                self._sources.append(_open_configured(path))
        except DataError:
            self.close()
            raise
        fresh = self.look()
        if fresh is not None:
            self.adopt(fresh)

    def close(self) -> None:
        """Everything is unknown afterwards; may be opened again."""
        self._cached.cache_clear()
        self._place.cache_clear()
        held = [self._embedded, None if self._updated is None else self._updated.source, *self._sources]
        self._sources, self._embedded, self._updated, self._stamp = [], None, None, None
        for source in {id(source): source for source in held if source is not None}.values():
            source.close()

    def look(self) -> Updated | None:
        """The update that came into the state folder since the last look, for `adopt`; never raises.

        Reads files, so it belongs into a thread. One that cannot be used is logged and counted; one that is
        gone changes nothing before the next start.
        """
        path = self.state_dir / FILE
        stamp = _stamp(path) if self._updates else None
        if stamp is None or stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            return examined(path)
        except DataError as error:
            self.refused += 1
            _log.warning("%s %s; not used: run idlewire geo update, or delete it", path, error)
            return None

    def adopt(self, fresh: Updated) -> None:
        """Asks this one from now on, where it is newer than the embedded one; places that were told stay."""
        if self._embedded is None:
            fresh.source.close()
            return
        before, self._updated = self._updated, fresh
        self._sources = fresh.beside(self._embedded)
        self._cached.cache_clear()
        if before is not None:
            before.source.close()

    def lookup(self, address: bytes) -> Place:
        """What is known about 4 or 16 bytes of address; never raises."""
        return self._cached(address)

    @property
    def name(self) -> str:
        """For people: "IPinfo Lite", or the types of the configured databases."""
        return " + ".join(source.name for source in self._sources)

    @property
    def built_at(self) -> int | None:
        """When the publisher built the database (the oldest of several), ns; None while closed."""
        return min((source.built_at for source in self._sources), default=None)

    @property
    def attribution(self) -> str:
        """What has to be shown beside the data; empty where the publisher is not known."""
        return "; ".join(dict.fromkeys(source.credit for source in self._sources if source.credit))

    @property
    def evicted(self) -> int:
        """Remembered answers that made room for others."""
        info = self._cached.cache_info()
        return info.misses - info.currsize

    def _read(self, address: bytes) -> Place:
        where: str | None = None
        number: int | None = None
        whose: str | None = None
        for source in self._sources:
            record = self._record(source, address)
            if where is None:
                where = country(record)
            if number is None and whose is None:
                number, whose = asn(record), owner(record)
        return _UNKNOWN if where is None and number is None and whose is None else self._place(where, number, whose)

    def _record(self, source: Mmdb, address: bytes) -> Mapping[str, object]:
        try:
            return source.record(address)
        except CORRUPT as error:
            if not self.errors:
                _log.warning("geo database %s is damaged: %s (said once)", source.name, printable(str(error)))
            self.errors += 1
            return {}


def _open_embedded(state_dir: Path) -> Mmdb:
    unpacked = unpack(state_dir)
    try:
        return open_mmdb(unpacked.path, unpacked.name)
    except (OSError, *CORRUPT) as error:
        raise DataError(f"{unpacked.path} cannot be read ({said(error)}): delete it, it is made again") from error
    finally:
        if unpacked.temporary:
            unpacked.path.unlink(missing_ok=True)


def _open_configured(path: Path) -> Mmdb:
    try:
        return open_mmdb(path)
    except (OSError, *CORRUPT) as error:
        raise DataError(f"geo.databases: {path} cannot be read as a MaxMind DB file: {said(error)}") from error


def _stamp(path: Path) -> Stamp | None:
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
