"""The database that `idlewire geo update` put into the state folder: where it lies, and whether it can be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, inet_aton, inet_ntop

from sensor.base.times import SECOND, rfc3339
from sensor.enrich.mmdb import CORRUPT, Mmdb, country, open_mmdb, owner, said
from sensor.errors import DataError

FILE = "geo/updated.mmdb"
"""Within the state folder."""

WELL_KNOWN = tuple(map(inet_aton, ("8.8.8.8", "9.9.9.9", "193.0.6.139", "202.12.27.33", "114.114.114.114")))
"""Addresses that any database of the world places: public resolvers, RIPE NCC in Amsterdam, a root server in Tokyo."""

MIN_PLACED = 3
"""Of those, how many must have a country, and that in two countries at least."""

FUTURE = 86_400 * SECOND
"""ns that a database may be built ahead of this clock."""


@dataclass(frozen=True, slots=True)
class Updated:
    """One that can be used."""

    source: Mmdb
    has_owners: bool
    """Whether it says whose the addresses are; else somebody else has to."""

    def beside(self, embedded: Mmdb) -> list[Mmdb]:
        """What to ask, in this order: the newer of both, and the embedded one for what only that one knows."""
        if self.source.built_at <= embedded.built_at:
            return [embedded]
        return [self.source] if self.has_owners else [self.source, embedded]


def examined(path: Path) -> Updated:
    """The file, open. DataError: it is none, is damaged, or does not say where well-known addresses are."""
    try:
        source = open_mmdb(path)
    except (OSError, *CORRUPT) as error:
        # The reader's own words name a path that its user never saw.
        why = f": {said(error)}" if isinstance(error, OSError) else ""
        raise DataError(f"cannot be read as a MaxMind DB file{why}") from error
    try:
        records = [source.record(address) for address in WELL_KNOWN]
    except CORRUPT as error:
        source.close()
        raise DataError(f"is damaged: {said(error)}") from error
    places = [found for found in map(country, records) if found is not None]
    if len(places) < MIN_PLACED or len(set(places)) < 2:
        source.close()
        raise DataError(f"does not say in which countries well-known addresses are: {_shown(places)}")
    return Updated(source, has_owners=sum(owner(record) is not None for record in records) >= MIN_PLACED)


def check_age(built_at: int, in_use: int, now: int) -> None:
    """DataError: built in the future, or before the one that is `in_use`; all ns since 1970."""
    if built_at > now + FUTURE:
        raise DataError(f"is of {_day(built_at)}, which is in the future: is the clock of this box right?")
    if built_at < in_use:
        raise DataError(f"is of {_day(built_at)}, older than the one that is there ({_day(in_use)})")


def _day(at: int) -> str:
    return rfc3339(at)[:10]


def _shown(places: Sequence[str]) -> str:
    asked = ", ".join(inet_ntop(AF_INET, address) for address in WELL_KNOWN)
    return f"of {asked} it places {len(places)}, in {len(set(places))} countries"
