"""One MaxMind DB file (maxmind.github.io/MaxMind-DB), and what the usual publishers call the fields in it."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop

import maxminddb

from sensor.base.text import printable
from sensor.base.times import SECOND

ATTRIBUTION = "IP data by IPinfo (ipinfo.io), CC BY-SA 4.0"
"""Credit for the embedded database; its licence asks for it to be shown."""

MAX_OWNER = 128
"""Characters of an owner's name."""

NO_COUNTRY = frozenset({"EU", "AP", "ZZ", "XX"})
"""Codes that databases write for "no one country": unknown, so that no rule matches them."""

CORRUPT = (maxminddb.InvalidDatabaseError, ValueError, TypeError, LookupError, ArithmeticError,
           struct.error, RecursionError, MemoryError)  # fmt: skip
"""What maxminddb's readers (C and Python) raise for damaged files; only the first is documented."""

_CREDITS = (
    ("ipinfo", ATTRIBUTION),
    ("dbip", "IP Geolocation by DB-IP (https://db-ip.com)"),
    ("geolite2", "Includes GeoLite2 data created by MaxMind (https://www.maxmind.com)"),
)
"""What the publishers ask to be shown, by part of the database's type."""


@dataclass(frozen=True, slots=True)
class Mmdb:
    """An open file."""

    reader: maxminddb.Reader
    name: str
    built_at: int
    """ns since 1970, as the publisher says."""
    credit: str
    only_ipv4: bool

    def record(self, address: bytes) -> Mapping[str, object]:
        """What it holds about 4 or 16 bytes of address; raises CORRUPT where it is damaged there."""
        if len(address) == 4:
            family = AF_INET
        elif len(address) == 16 and not self.only_ipv4:
            family = AF_INET6
        else:
            return {}
        # Text is the cheapest of what the C reader takes: 1.7 us a lookup, 2.1 us by way of ipaddress.
        record = self.reader.get(inet_ntop(family, address))
        return record if isinstance(record, dict) else {}

    def close(self) -> None:
        """Lets go of the file."""
        self.reader.close()


def open_mmdb(path: Path, name: str | None = None) -> Mmdb:
    """The file, mapped into memory, under the name of its type where none is given; raises OSError or CORRUPT."""
    # Opening a FIFO would wait for a writer.
    if path.exists() and not path.is_file():
        raise OSError(0, "is not a file")
    # MODE_AUTO: the C reader on mapped memory; where it has no wheel (32-bit Arm) the Python reader on mapped memory.
    reader = maxminddb.open_database(path, maxminddb.MODE_AUTO)
    try:
        facts = reader.metadata()
        kind = str(facts.database_type)
        credit = next((credit for part, credit in _CREDITS if part in kind.lower().replace("-", "")), "")
        built_at = int(facts.build_epoch) * SECOND
        return Mmdb(reader, name or printable(kind, 64) or path.name, built_at, credit, facts.ip_version == 4)
    except CORRUPT:
        reader.close()
        raise


def said(error: BaseException) -> str:
    """Why a file could not be read, in one line."""
    return printable(error.strerror if isinstance(error, OSError) and error.strerror else str(error))


def country(record: Mapping[str, object]) -> str | None:
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


def asn(record: Mapping[str, object]) -> int | None:
    """`asn` ("AS15169" at IPinfo) or `autonomous_system_number` (MaxMind, DB-IP)."""
    for value in (record.get("asn"), record.get("autonomous_system_number")):
        digits = value.upper().removeprefix("AS") if isinstance(value, str) else str(value)
        if digits.isascii() and digits.isdecimal() and len(digits) <= 10 and 0 < int(digits) < 1 << 32:
            return int(digits)
    return None


def owner(record: Mapping[str, object]) -> str | None:
    """`as_name` (IPinfo) or `autonomous_system_organization` (MaxMind, DB-IP)."""
    for value in (record.get("as_name"), record.get("autonomous_system_organization")):
        if isinstance(value, str) and value.strip():
            return printable(value.strip(), MAX_OWNER)
    return None
