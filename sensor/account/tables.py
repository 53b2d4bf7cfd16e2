"""The rows behind the ledger: clients, contacts, services."""

import numpy as np

from sensor.account.columns import Meter, Rows, Tally
from sensor.base.bounded import BoundedDict
from sensor.model.activity import Contact

MAX_ADDRESSES = 64
"""Addresses remembered per client; the ones longest unused go (IPv6 temporary addresses change daily)."""

MAX_SERVICES = 16
"""Protocols and ports told apart per contact; what is beyond counts under protocol 0, port 0."""

_FIRST_ROWS = 1024


class ClientRow:
    """One client: its addresses and the rows of its contacts."""

    __slots__ = ("_fresh", "_second", "addresses", "count", "id", "key", "local", "mac", "other", "remotes", "row")

    def __init__(self, row: int, key: bytes, identity: str, mac: bytes | None, local: int, other: int) -> None:
        self.row = row
        self.key = key
        self.id = identity
        self.mac = mac
        self.local = local
        self.other = other
        self.count = 0
        self.addresses: BoundedDict[bytes, bool] = BoundedDict(MAX_ADDRESSES)
        self.remotes: dict[bytes, dict[bytes, int]] = {}
        """Remote address -> own address -> contact row."""
        self._second = 0
        self._fresh = 0

    def see(self, address: bytes) -> None:
        """The client uses this address."""
        if any(address):
            self.addresses.put(address, True)

    def may_open(self, second: int, most: int) -> bool:
        """Whether it may open one more contact in this second."""
        if second != self._second:
            self._second, self._fresh = second, 0
        self._fresh += 1
        return self._fresh <= most


class Contacts:
    """Contacts by row, with totals, rates and what they moved in the running second."""

    def __init__(self) -> None:
        self.destinations = 0
        self.totals = Tally()
        self.second = Tally()
        self.meter = Meter()
        self.client = np.zeros(_FIRST_ROWS, np.int64)
        self.is_destination = np.zeros(_FIRST_ROWS, np.bool_)
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

    def retire(self, row: int, into: int) -> None:
        """Merges a row into another; it is used again only after `release`."""
        one = np.array([row])
        self.totals.merge(one, into)
        self.second.merge(one, into)
        self.meter.clear(row)
        self.destinations -= bool(self.is_destination[row])
        self.is_destination[row] = False
        self.client[row] = self.client[into]
        self._retired.append(row)

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
        if row >= size:
            self.client = np.concatenate([self.client, np.zeros(size, np.int64)])
            self.is_destination = np.concatenate([self.is_destination, np.zeros(size, np.bool_)])


class Services:
    """Protocol and remote port of each contact, by row."""

    def __init__(self) -> None:
        self.totals = Tally()
        self.contact = np.zeros(_FIRST_ROWS, np.int64)
        self._successor = np.arange(_FIRST_ROWS)
        self._port: list[tuple[int, int]] = []
        self._of: dict[int, dict[bytes, int]] = {}
        self._free: list[int] = []
        self._retired: list[int] = []

    def row(self, contact: int, protocol: int, port: int) -> int:
        """The row of a service; that of (0, 0) when the contact has too many."""
        mine = self._of.get(contact)
        if mine is None:
            mine = self._of[contact] = {}
        key = (protocol << 16 | port).to_bytes(3, "big")
        row = mine.get(key)
        if row is None:
            if len(mine) >= MAX_SERVICES:
                protocol, port, key = 0, 0, bytes(3)
                row = mine.get(key)
            if row is None:
                row = mine[key] = self._open(contact, protocol, port)
        return row

    def of(self, contact: int) -> list[tuple[int, int, int]]:
        """(protocol, port, row) of each service of a contact."""
        return [(*self._port[row], row) for row in self._of.get(contact, {}).values()]

    def current(self, rows: Rows) -> Rows:
        """The rows into which these were merged, or themselves."""
        while True:
            merged = self._successor[rows]
            if np.array_equal(merged, rows):
                return rows
            rows = merged

    def retire(self, contact: int, into: int) -> None:
        """Merges all services of a contact into the service row `into`."""
        for row in self._of.pop(contact, {}).values():
            self.totals.merge(np.array([row]), into)
            self._successor[row] = into
            self._retired.append(row)

    def retired(self) -> Rows:
        """Rows that flows must let go of."""
        return np.array(self._retired, np.int64)

    def release(self) -> None:
        """Retired rows may be used again."""
        self._successor[self._retired] = self._retired
        self._free.extend(reversed(self._retired))
        self._retired.clear()

    def _open(self, contact: int, protocol: int, port: int) -> int:
        if self._free:
            row = self._free.pop()
            self._port[row] = (protocol, port)
        else:
            row = len(self._port)
            self._port.append((protocol, port))
            self.totals.reserve(row)
            size = len(self.contact)
            if row >= size:
                self.contact = np.concatenate([self.contact, np.zeros(size, np.int64)])
                self._successor = np.concatenate([self._successor, np.arange(size, 2 * size)])
        self.contact[row] = contact
        return row
