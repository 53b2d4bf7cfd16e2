"""What the ledger holds at one moment, as values for others."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np

from sensor.account.columns import Rows
from sensor.account.ledger import Ledger
from sensor.account.tables import ClientRow
from sensor.base.addresses import address_text, mac_text
from sensor.model.activity import Contact
from sensor.model.client import Client, Rates
from sensor.model.destination import Destination, Service

Describe = Callable[[bytes | None], tuple[str | None, str | None]]
"""MAC -> (vendor, name)."""


_SILENT = Rates()
_NO_SERVICES: tuple[Service, ...] = ()


def clients(ledger: Ledger, now: int, describe: Describe) -> list[Client]:
    """All clients that counted something, with rates at `now`; "other" only when it did."""
    rows = [row for row in ledger.clients.values() if ledger.client_totals.moved(row.row)]
    return [client(ledger, row, now, describe) for row in rows]


def client(ledger: Ledger, row: ClientRow, now: int, describe: Describe) -> Client:
    """One client."""
    vendor, name = describe(row.mac)
    totals, local, other = ledger.totals(row)
    return Client(
        row.id,
        mac_text(row.mac) if row.mac else None,
        tuple(address_text(address) for address in row.addresses),
        vendor,
        name,
        totals,
        local,
        other,
        ledger.client_meter.rates(row.row, now),
    )


class Destinations(Sequence[Destination]):
    """Destinations by bytes, most first; each is made only when it is looked at, so that a page can stop early."""

    def __init__(self, ledger: Ledger, now: int, client_id: str | None = None, *, brief: bool = False) -> None:
        """Those of one client id, or of all; `brief`: without rates and services."""
        self._brief = brief
        self._ledger = ledger
        self._now = now
        self._rows = _ranked(ledger, _rows(ledger, client_id))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Destination: ...
    @overload
    def __getitem__(self, index: slice) -> list[Destination]: ...
    def __getitem__(self, index: int | slice) -> Destination | list[Destination]:
        if isinstance(index, slice):
            return [self._destination(int(row)) for row in self._rows[index]]
        return self._destination(int(self._rows[index]))

    def __iter__(self) -> Iterator[Destination]:
        return (self._destination(int(row)) for row in self._rows)

    def _destination(self, row: int) -> Destination:
        contacts, services = self._ledger.contacts, self._ledger.services
        contact = contacts.entry(row)
        rates, listed = _SILENT, _NO_SERVICES
        if not self._brief:
            rates = contacts.meter.rates(row, self._now)
            listed = tuple(
                Service(protocol, port, services.totals.totals(at)) for protocol, port, at in services.of(row)
            )
        return Destination(
            contact.client,
            address_text(contact.client_address),
            address_text(contact.address),
            tuple(contact.names),
            contact.place,
            contacts.totals.totals(row),
            rates,
            listed,
        )


def ports(ledger: Ledger, contact: Contact) -> list[tuple[int, int]]:
    """(protocol, port) of the services to which the contact's client has sent; none once it was evicted."""
    services = ledger.services
    if not ledger.contacts.holds(contact):
        return []
    # Rows of flows whose packets belong to a later second are there already, but empty.
    return sorted(
        (protocol, port) for protocol, port, row in services.of(contact.row) if services.totals.sent_packets[row]
    )


def country_sent(ledger: Ledger) -> dict[tuple[str, str | None], int]:
    """(client id, country) -> bytes sent to destinations there, evicted ones included."""
    sums = dict(ledger.retired_countries)
    rows, entry = _rows(ledger, None), ledger.contacts.entry
    for row, sent in zip(rows.tolist(), ledger.contacts.totals.sent_bytes[rows].tolist(), strict=True):
        contact = entry(row)
        key = (contact.client, contact.place.country)
        sums[key] = sums.get(key, 0) + sent
    _add_nowhere(ledger, sums)
    return sums


def _add_nowhere(ledger: Ledger, sums: dict[tuple[str, str | None], int]) -> None:
    """What went straight to `other` was sent to destinations that nobody looked up."""
    placed: dict[str, int] = {}
    for (identity, _), nbytes in sums.items():
        placed[identity] = placed.get(identity, 0) + nbytes
    for client in ledger.clients.values():
        everything, local, _ = ledger.totals(client)
        rest = everything.sent_bytes - local.sent_bytes - placed.get(client.id, 0)
        if rest > 0:
            sums[client.id, None] = sums.get((client.id, None), 0) + rest


def _rows(ledger: Ledger, client_id: str | None) -> Rows:
    rows: Rows = np.flatnonzero(ledger.contacts.is_destination)
    if client_id is None:
        return rows
    owner = ledger.by_id(client_id)
    return rows[ledger.contacts.client[rows] == owner.row] if owner else rows[:0]


def _ranked(ledger: Ledger, rows: Rows) -> Rows:
    totals = ledger.contacts.totals
    ranked: Rows = rows[np.argsort(-(totals.sent_bytes[rows] + totals.received_bytes[rows]), kind="stable")]
    return ranked
