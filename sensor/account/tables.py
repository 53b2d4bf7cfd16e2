"""The rows behind the ledger: clients, contacts, services."""

from array import array
from collections.abc import Iterator

import numpy as np

from sensor.account.columns import FIRST_ROWS, Meter, Rows, Tally
from sensor.base.bounded import BoundedDict
from sensor.model.activity import Contact

MAX_ADDRESSES = 64
"""Addresses remembered per client; the ones longest unused go (IPv6 temporary addresses change daily)."""

MAX_SERVICES = 16
"""Protocols and ports told apart per contact; what is beyond counts under protocol 0, port 0."""

_NONE = -1


class ClientRow:
    """One client: its addresses and the rows of its contacts."""

    __slots__ = ("_fresh", "_second", "addresses", "contacts", "id", "key", "local", "mac", "other", "row")

    def __init__(self, row: int, key: bytes, identity: str, mac: bytes | None, local: int, other: int) -> None:
        self.row = row
        self.key = key
        self.id = identity
        self.mac = mac
        self.local = local
        self.other = other
        self.addresses: BoundedDict[bytes, bool] = BoundedDict(MAX_ADDRESSES)
        self.contacts: dict[bytes, int] = {}
        """Remote address and own address, joined -> contact row."""
        self._second = 0
        self._fresh = [0, 0, 0]

    def see(self, address: bytes) -> None:
        """The client uses this address."""
        if any(address):
            self.addresses.put(address, True)

    def rows(self, remote: bytes, own: bytes) -> list[int]:
        """Its contacts with one remote address, from `own` and the other addresses of its that are remembered."""
        addresses = [own, *(address for address in self.addresses if address != own)]
        return [row for address in addresses if (row := self.contacts.get(remote + address)) is not None]

    def may_open(self, second: int, kind: int, most: int) -> bool:
        """Whether it may get one more contact of this kind in this second."""
        if second != self._second:
            self._second, self._fresh = second, [0, 0, 0]
        self._fresh[kind] += 1
        return self._fresh[kind] <= most


class Contacts:
    """Contacts by row, with totals, rates and what they moved in the running second."""

    def __init__(self) -> None:
        self.destinations = 0
        self.totals = Tally()
        self.second = Tally()
        self.uploaded = np.zeros(FIRST_ROWS, np.int64)
        """Upload within the running second."""
        self.meter = Meter()
        self.client = np.zeros(FIRST_ROWS, np.int64)
        self.is_destination = np.zeros(FIRST_ROWS, np.bool_)
        self._entries: list[Contact | None] = []
        self._free: list[int] = []
        self._retired: list[int] = []

    def open(self, client: int, contact: Contact, *, is_destination: bool) -> int:
        """Gives the contact a row."""
        if self._free:
            row = self._free.pop()
        else:
            row = len(self._entries)
            self._entries.append(None)
            if row >= len(self.client):
                self._reserve(row)
        contact.row = row
        self._entries[row] = contact
        self.client[row] = client
        self.is_destination[row] = is_destination
        self.destinations += is_destination
        return row

    def entry(self, row: int) -> Contact:
        """The contact in a row that is in use."""
        contact = self._entries[row]
        if contact is None:
            raise KeyError(row)
        return contact

    def holds(self, contact: Contact) -> bool:
        """Whether it still has its row."""
        return contact.row < len(self._entries) and self._entries[contact.row] is contact

    def destinations_in(self, start: int, stop: int) -> list[Contact] | None:
        """The contacts in these rows that are destinations; None behind the last row."""
        if start >= len(self._entries):
            return None
        return [each for each in self._entries[start:stop] if each is not None and self.is_destination[each.row]]

    def retire(self, rows: Rows, into: int) -> None:
        """Merges rows into another; they are used again only after `release`."""
        self.totals.merge(rows, into)
        self.second.merge(rows, into)
        self.uploaded[into] += self.uploaded[rows].sum()
        self.uploaded[rows] = 0
        self.meter.clear(rows)
        self.destinations -= int(np.count_nonzero(self.is_destination[rows]))
        self.is_destination[rows] = False
        self.client[rows] = self.client[into]
        self._retired.extend(rows.tolist())

    def release(self) -> None:
        """Evicted rows may be used again."""
        for row in self._retired:
            self._entries[row] = None
        self._free.extend(reversed(self._retired))
        self._retired.clear()

    def _reserve(self, row: int) -> None:
        self.totals.reserve(row)
        self.second.reserve(row)
        self.meter.reserve(row)
        size = len(self.client)
        self.client = np.concatenate([self.client, np.zeros(size, np.int64)])
        self.uploaded = np.concatenate([self.uploaded, np.zeros(size, np.int64)])
        self.is_destination = np.concatenate([self.is_destination, np.zeros(size, np.bool_)])


class Services:
    """Protocol and remote port of each contact, by row; the rows of a contact are chained."""

    def __init__(self) -> None:
        self.totals = Tally()
        self.contact = np.zeros(FIRST_ROWS, np.int64)
        self._successor = np.arange(FIRST_ROWS)
        self._protocol, self._port = array("B"), array("H")
        self._next = array("q")
        """The next row of the same contact."""
        self._first, self._count = array("q"), array("B")
        """By contact: its newest row, and how many it has."""
        self._row: dict[bytes, int] = {}
        """Contact, protocol and port -> row."""
        self._free: list[int] = []
        self._retired: list[int] = []

    def row(self, contact: int, protocol: int, port: int) -> int:
        """The row of a service; that of (0, 0) when the contact has too many."""
        row = self._row.get(_key(contact, protocol, port))
        return self._open(contact, protocol, port) if row is None else row

    def of(self, contact: int) -> list[tuple[int, int, int]]:
        """(protocol, port, row) of each service of a contact, as they were first seen."""
        return [(self._protocol[row], self._port[row], row) for row in self._chain(contact)][::-1]

    def current(self, rows: Rows) -> Rows:
        """The rows into which these were merged, or themselves."""
        while True:
            merged = self._successor[rows]
            if np.array_equal(merged, rows):
                return rows
            rows = merged

    def retire(self, contacts: list[int], into: int) -> None:
        """Merges all services of some contacts into the service row `into`."""
        gone: list[int] = []
        for contact in contacts:
            for row in self._chain(contact):
                del self._row[_key(contact, self._protocol[row], self._port[row])]
                gone.append(row)
            if contact < len(self._first):
                self._first[contact], self._count[contact] = _NONE, 0
        rows = np.array(gone, np.int64)
        self.totals.merge(rows, into)
        self._successor[rows] = into
        self._retired += gone

    def retired(self) -> Rows:
        """Rows that flows must let go of."""
        return np.array(self._retired, np.int64)

    def release(self) -> None:
        """Retired rows may be used again."""
        self._successor[self._retired] = self._retired
        self._free.extend(reversed(self._retired))
        self._retired.clear()

    def _chain(self, contact: int) -> Iterator[int]:
        row = self._first[contact] if contact < len(self._first) else _NONE
        while row != _NONE:
            yield row
            row = self._next[row]

    def _open(self, contact: int, protocol: int, port: int) -> int:
        more = contact + 1 - len(self._first)
        if more > 0:
            self._first.extend([_NONE] * more)
            self._count.extend([0] * more)
        if self._count[contact] >= MAX_SERVICES and (protocol, port) != (0, 0):
            return self.row(contact, 0, 0)
        if self._free:
            row = self._free.pop()
            self._protocol[row], self._port[row], self._next[row] = protocol, port, self._first[contact]
        else:
            row = len(self._port)
            self._protocol.append(protocol)
            self._port.append(port)
            self._next.append(self._first[contact])
            if row >= len(self.contact):
                self._reserve(row)
        self.contact[row] = contact
        self._first[contact] = row
        self._count[contact] += 1
        self._row[_key(contact, protocol, port)] = row
        return row

    def _reserve(self, row: int) -> None:
        self.totals.reserve(row)
        size = len(self.contact)
        self.contact = np.concatenate([self.contact, np.zeros(size, np.int64)])
        self._successor = np.concatenate([self._successor, np.arange(size, 2 * size)])


def _key(contact: int, protocol: int, port: int) -> bytes:
    return (contact << 24 | protocol << 16 | port).to_bytes(8, "big")
