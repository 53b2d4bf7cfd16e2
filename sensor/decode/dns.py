"""Answers of the Domain Name System out of the bytes of one message (RFC 1035 section 4, SVCB/HTTPS: RFC 9460)."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from sensor.base.text import printable
from sensor.model.message import DnsAnswer, DnsRecord

PORT = 53

A, CNAME, AAAA, SVCB, HTTPS = 1, 5, 28, 64, 65
"""Record types (IANA DNS parameters)."""

MAX_RECORDS = 64
"""Records of one message that are read; a resolver would not use more either."""

MAX_ADDRESSES = 64
"""Addresses, hints included, that one message may name."""

MAX_HINTS = 8
"""Addresses that are read from one ipv4hint or ipv6hint."""

MAX_CHAIN = 8
"""CNAMEs followed from the question to an address; resolvers give up at 8 to 16."""

MAX_JUMPS = 16
"""Compression pointers followed in one name; Go's resolver stops after 10."""

MAX_NAME = 255
"""Bytes of a name on the wire (RFC 1035 section 2.3.4)."""

MIN_TTL, MAX_TTL = 1, 86_400
"""Seconds."""

_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_PAIR = struct.Struct("!HH")
_INTERNET = 1
_WIDTH = {A: 4, AAAA: 16}
_READ = frozenset({A, AAAA, CNAME, SVCB, HTTPS})
_TEXT_LIMIT = 4 * MAX_NAME
"""Every byte escaped. A shorter text would lose the end of the name, which is the part that watchlists look at."""

_Found = tuple[str, int, tuple[bytes, ...], str | None]
"""Owner, TTL, addresses, and the name they belong to where that is not the owner."""


@dataclass(slots=True)
class DnsStats:
    """What was read, and what was left out of it."""

    dns_answers: int = 0
    """Responses decoded."""
    dns_malformed: int = 0
    """Messages on port 53 that are neither a query nor a readable response."""
    dns_cut: int = 0
    """Responses that end before their last answer: cut by the capture, a fragment, or damaged."""
    dns_bad_names: int = 0
    """Names that loop, point forward, are too long or are no names: left unnamed."""
    dns_bad_records: int = 0
    """Records whose data does not fit their type: left out."""
    dns_unread_records: int = 0
    """Records beyond MAX_RECORDS, addresses beyond MAX_ADDRESSES."""
    dns_unnamed_addresses: int = 0
    """Addresses that no CNAME chain of at most MAX_CHAIN steps joins to the question."""


def decode(payload: bytes, stats: DnsStats | None = None) -> DnsAnswer | None:
    """The answer section of a response; None for a query and for what is no DNS message. Never raises.

    Names are lower case, without the trailing dot, safe to show: bytes that are not printable ASCII are \\xNN, a dot
    inside a label is `\\.`; the root, and a name that cannot be read, is empty. A message that ends early gives the
    records before its end.
    """
    stats = stats or DnsStats()
    if len(payload) < 12:
        stats.dns_malformed += 1
        return None
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(payload)
    if not flags & 0x8000:
        return None
    names: dict[int, str] = {}  # by offset in this message: a few hundred ints below 16,384 have no way to collide
    try:
        question, at = _question(payload, questions, names)
    except (IndexError, ValueError):
        stats.dns_malformed += 1
        return None
    stats.dns_answers += 1
    if question is None:
        stats.dns_bad_names += 1
    if not answers:
        return DnsAnswer(question or "", flags & 15, (), ())
    records, found = _records(payload, at, answers, names, stats)
    addresses = _named(question, bool(questions), records, found, stats) if found else ()
    return DnsAnswer(question or "", flags & 15, tuple(records), addresses)


def _question(data: bytes, count: int, names: dict[int, str]) -> tuple[str | None, int]:
    """The first name that was asked for, and where the answers start: at the end, if they cannot be found."""
    if not count:
        return "", 12
    question, at = _name(data, 12, names)
    at += 4
    try:
        for _ in range(min(count, MAX_RECORDS) - 1):
            _, at = _name(data, at, names)
            at += 4
    except (IndexError, ValueError):
        if question is None:
            raise
        at = len(data)
    return question, at


def _records(
    data: bytes, at: int, count: int, names: dict[int, str], stats: DnsStats
) -> tuple[list[DnsRecord], list[_Found]]:
    records: list[DnsRecord] = []
    found: list[_Found] = []
    stats.dns_unread_records += max(count - MAX_RECORDS, 0)
    try:
        for _ in range(min(count, MAX_RECORDS)):
            owner, at = _name(data, at, names)
            kind, group, ttl, size = _RECORD.unpack_from(data, at)
            start, at = at + 10, at + 10 + size
            if at > len(data):
                stats.dns_cut += 1
                break
            if group != _INTERNET or kind not in _READ:
                continue
            if owner is None:
                stats.dns_bad_names += 1
                continue
            # RFC 2181 section 8: a TTL with the top bit set counts as 0.
            ttl = MIN_TTL if ttl == 0 or ttl >> 31 else min(ttl, MAX_TTL)
            if size == _WIDTH.get(kind):
                address = data[start:at]
                records.append(DnsRecord(owner, kind, ttl, address))
                found.append((owner, ttl, (address,), None))
            elif not _refer(_Record(data, start, at, names, owner, kind, ttl), records, found):
                stats.dns_bad_records += 1
    except (IndexError, ValueError, struct.error):
        stats.dns_cut += 1
    return records, found


class _Record(NamedTuple):
    data: bytes
    start: int
    end: int
    names: dict[int, str]
    owner: str
    kind: int
    ttl: int


def _refer(record: _Record, records: list[DnsRecord], found: list[_Found]) -> bool:
    """Reads a record that names another name; False when its data does not fit its type."""
    if record.kind == CNAME:
        target = _name_within(record, record.start)
        if target is None or target[1] != record.end:
            return False
        records.append(DnsRecord(record.owner, CNAME, record.ttl, None, target[0]))
        return True
    return record.kind in (SVCB, HTTPS) and _service(record, records, found)


def _service(record: _Record, records: list[DnsRecord], found: list[_Found]) -> bool:
    """RFC 9460 section 2.2: priority, target (`.`: the owner itself), parameters."""
    target = _name_within(record, record.start + 2)
    if target is None:
        return False
    name, at = target
    hints: list[bytes] = []
    sound = True
    while sound and at + 4 <= record.end:
        key, size = _PAIR.unpack_from(record.data, at)
        at += 4
        width = 4 if key == 4 else 16 if key == 6 else 0
        sound = at + size <= record.end and not (width and size % width)
        if width and sound:
            stop = at + min(size, MAX_HINTS * width)
            hints.extend(record.data[place : place + width] for place in range(at, stop, width))
        at += size
    records.append(DnsRecord(record.owner, record.kind, record.ttl, None, name or None, tuple(hints)))
    if hints:
        found.append((record.owner, record.ttl, tuple(hints), name or None))
    return sound


def _named(
    question: str | None, asked: bool, records: list[DnsRecord], found: list[_Found], stats: DnsStats
) -> tuple[tuple[bytes, int, tuple[str, ...]], ...]:
    """Each address with the names that lead to it. Strangers to the question stay unnamed: resolvers skip them."""
    chains: dict[str, tuple[str, ...]] = {question: (question,)} if question else {}
    if question and len(found) < len(records):
        chains = _chains(question, records)
    addresses: list[tuple[bytes, int, tuple[str, ...]]] = []
    for owner, ttl, values, target in found:
        names = chains.get(owner)
        if names is None:
            if asked or not owner:
                stats.dns_unnamed_addresses += len(values)
                continue
            names = (owner,)
        if target is not None and target not in names:
            names = (*names, target)
        for value in values:
            addresses.append((value, ttl, names))  # noqa: PERF401 - few, and the loop reads better
    if len(addresses) > MAX_ADDRESSES:
        stats.dns_unread_records += len(addresses) - MAX_ADDRESSES
        del addresses[MAX_ADDRESSES:]
    return tuple(addresses)


def _chains(question: str, records: list[DnsRecord]) -> dict[str, tuple[str, ...]]:
    """Every name that the question leads to in at most MAX_CHAIN steps, with the way there."""
    aliases = {record.name: record.target for record in records if record.type == CNAME}
    chain: tuple[str, ...] = (question,)
    chains = {question: chain}
    for _ in range(MAX_CHAIN):
        target = aliases.get(chain[-1])
        if not target or target in chains:
            break
        chain = (*chain, target)
        chains[target] = chain
    return chains


def _name_within(record: _Record, at: int) -> tuple[str, int] | None:
    """A name that ends inside the record."""
    try:
        name, end = _name(record.data, at, record.names)
    except (IndexError, ValueError):
        return None
    return (name, end) if name is not None and end <= record.end else None


def _name(data: bytes, at: int, names: dict[int, str]) -> tuple[str | None, int]:
    """The name at an offset (None: not one that may be followed) and where it ends.

    IndexError when the message ends inside it, ValueError when its end cannot be told.
    """
    first = data[at]
    if first >= 0xC0:
        known = names.get((first & 0x3F) << 8 | data[at + 1])
        if known is not None:
            return known, at + 2
    return _spelled(data, at, names)


def _spelled(data: bytes, start: int, names: dict[int, str]) -> tuple[str | None, int]:
    labels: list[bytes] = []
    at = floor = start
    end = size = jumps = 0
    while length := data[at]:
        if length < 0x40:
            stop = at + 1 + length
            size += length + 1
            if size < MAX_NAME:
                labels.append(data[at + 1 : stop])
            elif end:
                return None, end
            at = stop
        elif length >= 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1]
            end = end or at + 2
            jumps += 1
            # Only backwards (RFC 1035 section 4.1.4: "a prior occurrence"): such a chain cannot loop.
            if target >= floor or target < 12 or jumps > MAX_JUMPS:
                return None, end
            at = floor = target
        elif end:
            return None, end
        else:
            raise ValueError("a label of a type that was never defined")  # RFC 1035: 01 and 10 are reserved
    if size >= MAX_NAME:
        return None, end or at + 1
    name = _text(labels)
    names[start] = name
    if jumps == 1 and end == start + 2:
        names[floor] = name
    return name, end or at + 1


def _text(labels: list[bytes]) -> str:
    raw = b".".join(labels).lower()
    if raw.count(b".") < len(labels):
        return printable(raw, _TEXT_LIMIT)
    return ".".join(printable(label.lower(), _TEXT_LIMIT).replace(".", "\\.") for label in labels)[:_TEXT_LIMIT]
