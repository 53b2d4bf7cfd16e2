"""What each client itself called an address: its own DNS answers and TLS hellos, never another client's.

One address of a CDN carries thousands of names, so what one client asked for says nothing about another's contact.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sensor.base.bounded import BoundedDict
from sensor.base.times import SECOND
from sensor.model.destination import Name

MAX_CLIENTS = 1024
"""Clients with names; the one longest unused goes first, with all its names."""

MAX_STRANGERS = 128
"""Clients with names but without traffic of their own (an answer seen before its receiver sent anything)."""

MAX_ADDRESSES_PER_CLIENT = 2048
"""Addresses per client; the one longest unused goes first."""

MAX_NAMES_PER_ADDRESS = 8
"""Names per client and address; the last in the order of `lookup` go first."""

MAX_NAMES_PER_SOURCE = 4
"""Of those, names from one source (tls, dns, cname)."""

MAX_NAMES = 32_768
"""Names in all (about 13 MB as names are, 19 MB if all are as long as can be): beyond it the client with most
names loses its oldest, so that a flood costs whoever makes it."""

MAX_NAME_LENGTH = 255
"""Characters; a longer one is not learned (RFC 1035 section 2.3.4)."""

DNS_LIFE = 3600
"""Seconds that a DNS name holds at least, whatever its TTL: phones go on using addresses whose 30 s TTL is long
over, out of their apps' own caches and connection pools, and a reconnect then comes without a new question."""

TLS_LIFE = 86_400
"""Seconds that a name from a TLS hello holds: the client used it with this very address."""

RANKS = {"tls": 0, "dns": 1, "cname": 2}
"""Best source first; one that is not named here comes last."""


class NameBook:
    """Names per client and address, bounded; `now` is packet time in ns."""

    def __init__(self) -> None:
        self.learned = 0
        """Names written down, repeated ones too."""
        self.evicted = 0
        """Names that a cap pushed out before they expired."""
        self._clients: BoundedDict[bytes, _Pages] = BoundedDict(MAX_CLIENTS)
        self._strangers: BoundedDict[bytes, _Pages] = BoundedDict(MAX_STRANGERS)
        self._size = 0

    def __len__(self) -> int:
        """Names held, expired ones included until they are met."""
        return self._size

    def learn(
        self,
        client: bytes,
        address: bytes,
        names: Sequence[Name],
        now: int,
        ttl: int | None = None,
        *,
        known: bool = True,
    ) -> list[Name]:
        """`client` (its MAC, or its address where the link has none) heard `names`, best first, for `address`.

        `known`: the client has traffic of its own; names of others, which anyone can invent, cannot push out theirs.
        `ttl` in seconds is for names out of DNS. A name that is known already becomes new again. Returns what `lookup`
        says from then on.
        """
        fresh = [
            _Entry(name, now, now + _life(name, ttl) * SECOND)
            for name in (names if len(names) == 1 else dict.fromkeys(names))
            if 0 < len(name.name) <= MAX_NAME_LENGTH
        ]
        if not fresh:
            return self.lookup(client, address, now)
        self.learned += len(fresh)
        pages = self._pages(client, known=known)
        held = pages.entries.get(address) or []
        merged = fresh
        if held or len(fresh) > 1:
            repeated = {entry.name for entry in fresh}
            kept = [entry for entry in held if entry.until >= now and entry.name not in repeated]
            merged = sorted(fresh + kept, key=_order)
            found = len(merged)
            merged = _capped(merged)
            self.evicted += found - len(merged)
        self._resize(pages, len(merged) - len(held))
        gone = pages.entries.put(address, merged)
        if gone is not None:
            self._count_out(pages, gone[1])
        while self._size > MAX_NAMES:
            self._trim()
        return [entry.name for entry in merged]

    def lookup(self, client: bytes, address: bytes, now: int) -> list[Name]:
        """What this client called the address: by RANKS, newest first within a source; empty if nothing holds."""
        pages = self._clients.get(client) or self._strangers.get(client)
        held = pages.entries.get(address) if pages is not None else None
        if pages is None or held is None:
            return []
        names = [entry.name for entry in held if entry.until >= now]
        if not names:
            pages.entries.pop(address)
            self._resize(pages, -len(held))
        return names

    def forget(self, client: bytes) -> None:
        """Nothing is known of what this client calls anything."""
        pages = self._clients.pop(client)
        if pages is not None:
            self._size -= pages.size

    def _pages(self, client: bytes, *, known: bool) -> "_Pages":
        pages = self._clients.get(client)
        if pages is None and not known:
            pages = self._strangers.get(client)
        if pages is None:
            pages = self._strangers.pop(client) or _Pages()
            gone = (self._clients if known else self._strangers).put(client, pages)
            if gone is not None:
                self._size -= gone[1].size
                self.evicted += gone[1].size
        return pages

    def _trim(self) -> None:
        """An eighth off the client with most names, of strangers first: the search is paid once per many names."""
        strangers = [pages for pages in self._strangers.values() if pages.size]
        pages = max(strangers or self._clients.values(), key=lambda pages: pages.size)
        goal = pages.size - max(1, pages.size // 8)
        while pages.size > goal:
            held = pages.entries.pop(next(iter(pages.entries)))
            self._count_out(pages, held or [])

    def _count_out(self, pages: "_Pages", held: "list[_Entry]") -> None:
        self._resize(pages, -len(held))
        self.evicted += len(held)

    def _resize(self, pages: "_Pages", change: int) -> None:
        pages.size += change
        self._size += change


class _Entry(NamedTuple):
    name: Name
    learned: int
    until: int


class _Pages:
    """One client's names by address, and how many they are."""

    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: BoundedDict[bytes, list[_Entry]] = BoundedDict(MAX_ADDRESSES_PER_CLIENT)
        self.size = 0


def _life(name: Name, ttl: int | None) -> int:
    return TLS_LIFE if name.source == "tls" else max(ttl or 0, DNS_LIFE)


def _capped(entries: list[_Entry]) -> list[_Entry]:
    """At most MAX_NAMES_PER_ADDRESS, and MAX_NAMES_PER_SOURCE of one source: none can push out what others know."""
    if len(entries) <= min(MAX_NAMES_PER_SOURCE, MAX_NAMES_PER_ADDRESS):
        return entries
    sources: dict[str, int] = {}
    kept = []
    for entry in entries:
        source = entry.name.source
        sources[source] = sources.get(source, 0) + 1
        if sources[source] <= MAX_NAMES_PER_SOURCE:
            kept.append(entry)
    return kept[:MAX_NAMES_PER_ADDRESS]


def _order(entry: _Entry) -> tuple[int, int]:
    return RANKS.get(entry.name.source, len(RANKS)), -entry.learned
