"""Where an address is and whose: country, ASN and owner out of MaxMind DB files (maxmind.github.io/MaxMind-DB)."""

import functools
import logging
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop

import maxminddb

from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.enrich.embedded import unpack
from sensor.errors import DataError
from sensor.model.destination import Place

ATTRIBUTION = "IP data by IPinfo (ipinfo.io), CC BY-SA 4.0"
"""Credit for the embedded database; its licence asks for it to be shown."""

MAX_CACHED = 8192
"""Addresses whose answer is remembered; the one longest unused goes first."""

MAX_PLACES = 8192
"""Different answers that are held only once, however many addresses share them."""

MAX_OWNER = 128
"""Characters of an owner's name."""

NO_COUNTRY = frozenset({"EU", "AP", "ZZ", "XX"})
"""Codes that databases write for "no one country": unknown, so that no rule matches them."""

_CREDITS = (
    ("ipinfo", ATTRIBUTION),
    ("dbip", "IP Geolocation by DB-IP (https://db-ip.com)"),
    ("geolite2", "Includes GeoLite2 data created by MaxMind (https://www.maxmind.com)"),
)
"""What the publishers ask to be shown, by part of the database's type."""

_CORRUPT = (maxminddb.InvalidDatabaseError, ValueError, TypeError, LookupError, ArithmeticError,
            struct.error, RecursionError, MemoryError)  # fmt: skip
"""What maxminddb's readers (C and Python) raise for damaged files; only the first is documented."""

_log = logging.getLogger(__name__)
_UNKNOWN = Place()


@dataclass(frozen=True, slots=True)
class _Source:
    reader: maxminddb.Reader
    name: str
    built_at: int
    credit: str
    only_ipv4: bool


class GeoDatabase:
    """One or more databases asked in order: the country from the first that knows one, likewise ASN with owner."""

    def __init__(self, databases: Sequence[Path] = (), *, state_dir: Path) -> None:
        """No `databases`: the embedded one, unpacked into `state_dir`.

        A file that is in use may be replaced (rename a new one over it) but must not be written to in place:
        it is mapped into memory.
        """
        self.databases = tuple(databases)
        self.state_dir = state_dir
        self.errors = 0
        """Lookups that a database answered with damaged data; the address then counts as unknown to it."""
        self._sources: list[_Source] = []
        self._cached = functools.lru_cache(MAX_CACHED)(self._read)
        self._place = functools.lru_cache(MAX_PLACES)(Place)

    def open(self) -> None:
        """Opens all files; after that none is needed by name. DataError names the key, the file and what is wrong."""
        self.close()
        try:
            if not self.databases:
                self._sources.append(_open_embedded(self.state_dir))
            for path in self.databases:
                self._sources.append(_open_configured(path))
        except DataError:
            self.close()
            raise

    def close(self) -> None:
        """Everything is unknown afterwards; may be opened again."""
        self._cached.cache_clear()
        self._place.cache_clear()
        while self._sources:
            self._sources.pop().reader.close()

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
        country: str | None = None
        asn: int | None = None
        owner: str | None = None
        for source in self._sources:
            record = self._record(source, address)
            if country is None:
                country = _country(record)
            if asn is None and owner is None:
                asn, owner = _asn(record), _owner(record)
        return _UNKNOWN if country is None and asn is None and owner is None else self._place(country, asn, owner)

    def _record(self, source: _Source, address: bytes) -> Mapping[str, object]:
        if len(address) == 4:
            family = AF_INET
        elif len(address) == 16 and not source.only_ipv4:
            family = AF_INET6
        else:
            return {}
        try:
            # Text is the cheapest of what the C reader takes: 1.7 us a lookup, 2.1 us by way of ipaddress.
            record = source.reader.get(inet_ntop(family, address))
        except _CORRUPT as error:
            if not self.errors:
                _log.warning("geo database %s is damaged: %s (said once)", source.name, printable(str(error)))
            self.errors += 1
            return {}
        return record if isinstance(record, dict) else {}


def _open_embedded(state_dir: Path) -> _Source:
    unpacked = unpack(state_dir)
    try:
        return _open(unpacked.path, unpacked.name)
    except (OSError, *_CORRUPT) as error:
        raise DataError(f"{unpacked.path} cannot be read ({_said(error)}): delete it, it is made again") from error
    finally:
        if unpacked.temporary:
            unpacked.path.unlink(missing_ok=True)


def _open_configured(path: Path) -> _Source:
    try:
        # Opening a FIFO would wait for a writer.
        if path.exists() and not path.is_file():
            raise DataError(f"geo.databases: {path} is not a file")
        return _open(path, None)
    except (OSError, *_CORRUPT) as error:
        raise DataError(f"geo.databases: {path} cannot be read as a MaxMind DB file: {_said(error)}") from error


def _open(path: Path, name: str | None) -> _Source:
    # MODE_AUTO: the C reader on mapped memory; where it has no wheel (32-bit Arm) the Python reader on mapped memory.
    reader = maxminddb.open_database(path, maxminddb.MODE_AUTO)
    try:
        facts = reader.metadata()
        kind = str(facts.database_type)
        credit = next((credit for part, credit in _CREDITS if part in kind.lower().replace("-", "")), "")
        built_at = int(facts.build_epoch) * SECOND
        return _Source(reader, name or printable(kind, 64) or path.name, built_at, credit, facts.ip_version == 4)
    except _CORRUPT:
        reader.close()
        raise


def _said(error: BaseException) -> str:
    return printable(error.strerror if isinstance(error, OSError) and error.strerror else str(error))


def _country(record: Mapping[str, object]) -> str | None:
    """`country_code` (IPinfo, ip-location-db), `country.iso_code` (MaxMind, DB-IP) or a two-letter `country`.

    `registered_country` is where the owner is registered, not where the address is: never used.
    """
    for value in (record.get("country_code"), record.get("country")):
        code = value.get("iso_code") if isinstance(value, dict) else value
        if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha():
            upper = code.upper()
            if upper not in NO_COUNTRY:
                return upper
    return None


def _asn(record: Mapping[str, object]) -> int | None:
    """`asn` ("AS15169" at IPinfo) or `autonomous_system_number` (MaxMind, DB-IP)."""
    for value in (record.get("asn"), record.get("autonomous_system_number")):
        digits = value.upper().removeprefix("AS") if isinstance(value, str) else str(value)
        if digits.isascii() and digits.isdecimal() and len(digits) <= 10 and 0 < int(digits) < 1 << 32:
            return int(digits)
    return None


def _owner(record: Mapping[str, object]) -> str | None:
    """`as_name` (IPinfo) or `autonomous_system_organization` (MaxMind, DB-IP)."""
    for value in (record.get("as_name"), record.get("autonomous_system_organization")):
        if isinstance(value, str) and value.strip():
            return printable(value.strip(), MAX_OWNER)
    return None
