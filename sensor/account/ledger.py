"""Who sent how much to whom: clients, their contacts, and the services of each contact.

1. Every flow counts for one service row; a service belongs to one contact, a contact to one client.
2. A contact is one (client, client address, remote address); each client has two more: `local`, for talk that
   reaches no destination, and `other`, into which evicted contacts are merged. So totals always add up.
3. A client that opens too many contacts loses its own coldest ones. When the whole table is full, the client
   with the most contacts loses. When the client table is full, clients that never got an answer from a
   destination go first; one that did stays until it was quiet for `KNOWN_FOR`. Newcomers without room are
   counted under the client "other".
4. Rows that were evicted are used again only after `release`, when flows and detectors have let go of them.
"""

from dataclasses import dataclass

import numpy as np

from sensor.account.columns import Meter, Moved, Rows, Tally
from sensor.account.flows import SENT, Collected
from sensor.account.locality import Ends
from sensor.account.tables import ClientRow, Contacts, Services
from sensor.base.addresses import address_text, mac_text
from sensor.base.times import SECOND
from sensor.model.activity import Activity, Contact
from sensor.model.client import Totals
from sensor.model.destination import Place

MAX_NEW_CONTACTS = 250
"""Contacts of one kind that one client may get in one second; flows beyond that count for its `other`."""

OPENED, ANSWERED, AGAIN = range(3)
"""Contacts are counted apart: those whose first packet the client sent, those whose first packet it received (anyone
can send those), and those that were refused and moved enough to be looked at once more."""

MAX_NEW_CLIENTS = 200
"""Clients that may appear in one second; those beyond that count for the client "other"."""

GONE = 300 * SECOND
"""A client that asks to join after so much silence really joins: hosts ask for routers without having left, too."""

AWAY = 1_800 * SECOND
"""A client that joins the network after so much silence was away."""

RETURNING = 60 * SECOND
"""The first packets of a client that comes back (multicast, neighbours) may come so long before it asks to join."""

KNOWN_FOR = 86_400 * SECOND
"""A client that got answers from destinations is kept this long after its last packet."""

EVICTED_AT_ONCE = 16
"""One part in so many of a full table is evicted together, because finding the coldest costs a pass."""


MAC_BYTES = 6
"""Addresses have 4 or 16."""

UNSETTLED = Place()
"""The place of a contact that was just opened, until the pipeline looked it up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of the tables."""

    clients: int = 1000
    contacts: int = 20_000
    contacts_per_client: int = 4000


@dataclass(slots=True)
class LedgerStats:
    """What had no room."""

    evicted_clients: int = 0
    """Clients merged into "other" because the table was full."""
    evicted_contacts: int = 0
    """Contacts merged into their client's `other`."""
    refused_contacts: int = 0
    """Flows that went straight to `other` because their client opened too many contacts in one second."""
    refused_clients: int = 0
    """Flows that went straight to the client "other"."""


class Ledger:
    """Totals and rates per client, contact and service."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stats = LedgerStats()
        self.opened: list[Contact] = []
        """Contacts that are new since the last `release`."""
        self.gone: list[bytes] = []
        """Keys of clients that were evicted since then."""
        self.forgotten: list[int] = []
        """Rows of contacts that were evicted since then."""
        self.overflow = False
        """The client table was full since then."""
        self.clients: dict[bytes, ClientRow] = {}
        self.client_totals = Tally()
        self.client_meter = Meter()
        self.contacts = Contacts()
        self.services = Services()
        self._by_row: dict[int, ClientRow] = {}
        self._by_id: dict[str, ClientRow] = {}
        self._full_client = False
        """A client has as many contacts as it may; not taken back before `release`."""
        self._free_clients: list[int] = []
        self._fresh_clients = (0, 0)
        self._touched: list[Rows] = []
        self.retired_countries: dict[tuple[str, str | None], int] = {}
        """Bytes sent by (client id, country) of contacts that were evicted."""
        self._returned = np.zeros(1, np.int64)
        """By client row: when it was last heard of again after GONE."""
        self._silence = np.zeros(1, np.int64)
        """By client row: for how long it was silent before, ns."""
        self._other = self._add_client(b"", None, None, "other")

    @property
    def crowded(self) -> bool:
        """Contacts may have to go with the next new one."""
        return self.contacts.destinations >= self.limits.contacts or self._full_client

    @property
    def evictions(self) -> int:
        """Changes when rows that `assign` gave may be gone."""
        return self.stats.evicted_clients + self.stats.evicted_contacts

    def assign(self, ends: Ends, time: int, *, again: bool = False) -> tuple[int, bool]:
        """(contact row of a new flow, whether another flow between the same ends gets the same).

        `again`: there was no room for it at first; it gets room out of a budget of its own.
        """
        client = self._client(ends, time)
        client.see(ends.client)
        if ends.remote is None:
            return client.local, client is not self._other
        kind = AGAIN if again else OPENED if ends.sent else ANSWERED
        contact = self._contact(client, ends.client, ends.remote, time, kind)
        return contact, contact != client.other

    def post(self, moved: Collected) -> None:
        """Adds what flows moved to services, contacts and clients."""
        if not len(moved.flows):
            return
        service = self.services.current(moved.service)
        sent = moved.side == SENT
        out = Moved(np.where(sent, moved.bytes, 0), np.where(sent, moved.packets, 0))
        back = Moved(moved.bytes - out.bytes, moved.packets - out.packets)
        contact = self.services.contact[service]
        client = self.contacts.client[contact]
        self._note_returns(client, moved)
        self.services.totals.add(service, out, back, moved.first, moved.last)
        self.contacts.totals.add(contact, out, back, moved.first, moved.last)
        self.contacts.second.add(contact, out, back, moved.first, moved.last)
        self.client_totals.add(client, out, back, moved.first, moved.last)
        np.add.at(self.contacts.uploaded, contact, moved.uploaded)
        self._touched.append(contact)

    def close(self, until: int) -> Activity:
        """Ends the second at `until` ns: what its contacts moved, by ascending row."""
        moved_any = np.zeros(len(self.contacts.client), np.bool_)
        for rows in self._touched:
            moved_any[rows] = True
        touched = np.flatnonzero(moved_any)
        self._touched.clear()
        second = self.contacts.second
        sent, received = second.sent_bytes[touched], second.received_bytes[touched]
        self._meter_clients(touched, sent, received, until)
        self.contacts.meter.add(touched, sent, received, until)
        moved = second.sent_packets[touched] + second.received_packets[touched] > 0
        rows = touched[self.contacts.is_destination[touched] & moved]
        activity = Activity(
            until,
            rows,
            second.sent_bytes[rows],
            second.received_bytes[rows],
            second.sent_packets[rows],
            second.received_packets[rows],
            second.first_seen[rows],
            second.last_seen[rows],
            self.contacts.uploaded[rows],
            self.contacts.client[rows],
            np.zeros(len(rows), np.int8),
        )
        second.clear(touched)
        self.contacts.uploaded[touched] = 0
        return activity

    def release(self) -> None:
        """Rows evicted so far may be used again: flows and detectors know that they are gone."""
        self.opened.clear()
        self.gone.clear()
        self.forgotten.clear()
        self.overflow = False
        self._full_client = any(len(each.contacts) >= self.limits.contacts_per_client for each in self.clients.values())
        self.services.release()
        self.contacts.release()

    def find(self, client: bytes, remote: bytes, own: bytes = b"") -> list[Contact]:
        """The contacts of a client (by MAC or address) with one remote address, from `own` and its other addresses."""
        row = self.clients.get(client)
        return [self.contacts.entry(at) for at in row.rows(remote, own)] if row else []

    def by_id(self, identity: str) -> ClientRow | None:
        """The client of that id."""
        return self._by_id.get(identity)

    def key(self, contact: Contact) -> bytes:
        """What its client is keyed by: the MAC, or the address where the link carries none."""
        return self._by_row[int(self.contacts.client[contact.row])].key

    def identity(self, number: int) -> str:
        """The id of the client with that number in an Activity."""
        return self._by_row[number].id

    def totals(self, client: ClientRow) -> tuple[Totals, Totals, Totals]:
        """(all, local, other) of a client."""
        contacts = self.contacts.totals
        return self.client_totals.totals(client.row), contacts.totals(client.local), contacts.totals(client.other)

    def came_back(self, client: ClientRow, now: int) -> tuple[int, int]:
        """(when the client was heard of again, how long it was silent before), ns; 0 of silence: it was not gone."""
        silence = now - int(self.client_totals.last_seen[client.row])
        if silence >= GONE:
            # What it sent before in the running second is not posted yet.
            return now - now % SECOND, silence
        returned = int(self._returned[client.row])
        return returned, int(self._silence[client.row]) if 0 <= now - returned <= RETURNING else 0

    def _note_returns(self, clients: Rows, moved: Collected) -> None:
        last = self.client_totals.last_seen[clients]
        # Flows whose packets were posted before come again for their uploads alone, without a first time.
        back = np.flatnonzero((moved.first - last >= GONE) & (last > 0) & (moved.packets > 0))
        if len(back):
            rows = clients[back]
            np.maximum.at(self._returned, rows, moved.first[back])
            self._silence[rows] = self._returned[rows] - last[back]

    def _meter_clients(self, touched: Rows, sent: Rows, received: Rows, until: int) -> None:
        owners = self.contacts.client[touched]
        out, back, count = np.zeros((3, int(owners.max(initial=0)) + 1), np.int64)
        np.add.at(out, owners, sent)
        np.add.at(back, owners, received)
        np.add.at(count, owners, 1)
        clients = np.flatnonzero(count)
        self.client_meter.add(clients, out[clients], back[clients], until)

    def _client(self, ends: Ends, time: int) -> ClientRow:
        key = ends.mac or ends.client
        client = self.clients.get(key)
        if client is not None:
            return client
        if not self._room_for_client(time):
            self.stats.refused_clients += 1
            return self._other
        return self._add_client(key, ends.mac, time, client_id(key))

    def _room_for_client(self, time: int) -> bool:
        second, count = self._fresh_clients
        if time // SECOND != second:
            second, count = time // SECOND, 0
        if count < MAX_NEW_CLIENTS and len(self.clients) > self.limits.clients:
            self.overflow = True
            if not self._evict_clients(time):
                # Looking again in this second would find nothing again, at the cost of a pass each time.
                count = MAX_NEW_CLIENTS
        self._fresh_clients = (second, count + 1)
        if count >= MAX_NEW_CLIENTS:
            self.overflow = True
            return False
        return True

    def _add_client(self, key: bytes, mac: bytes | None, time: int | None, identity: str) -> ClientRow:
        row = self._free_clients.pop() if self._free_clients else len(self._by_row)
        self.client_totals.reserve(row)
        self.client_meter.reserve(row)
        if row >= len(self._returned):
            more = np.zeros(max(len(self._returned), 64), np.int64)
            self._returned = np.concatenate([self._returned, more])
            self._silence = np.concatenate([self._silence, more])
        self._returned[row] = self._silence[row] = 0
        local = self.contacts.open(row, Contact(0, identity, b"", b"", UNSETTLED), is_destination=False)
        other = self.contacts.open(row, Contact(0, identity, b"", b"", UNSETTLED), is_destination=False)
        client = ClientRow(row, key, identity, mac, local, other)
        self.client_totals.last_seen[row] = time or 0
        self.clients[key] = client
        self._by_row[row] = client
        self._by_id[identity] = client
        return client

    def _evict_clients(self, time: int) -> int:
        """The coldest of the clients that nothing ever answered, and of those that were quiet for long."""
        last = self.client_totals.last_seen
        candidates = [
            client
            for client in self.clients.values()
            if client is not self._other and (time - int(last[client.row]) > KNOWN_FOR or not self._answered(client))
        ]
        candidates.sort(key=lambda client: int(last[client.row]))
        chosen = candidates[: max(1, self.limits.clients // EVICTED_AT_ONCE)]
        for client in chosen:
            self._evict_client(client)
        return len(chosen)

    def _answered(self, client: ClientRow) -> bool:
        received = self.contacts.totals.received_packets
        return bool(received[[client.other, *client.contacts.values()]].any())

    def _evict_client(self, client: ClientRow) -> None:
        self.stats.evicted_clients += 1
        self._evict_contacts(client, list(client.contacts.values()))
        self._retire([client.local], self._other.local)
        self._retire([client.other], self._other.other)
        self.client_totals.merge(np.array([client.row]), self._other.row)
        self.client_meter.clear(client.row)
        for (identity, country), sent in list(self.retired_countries.items()):
            if identity == client.id:
                del self.retired_countries[identity, country]
                self._retire_country("other", country, sent)
        del self.clients[client.key]
        self.gone.append(client.key)
        del self._by_row[client.row]
        del self._by_id[client.id]
        self._free_clients.append(client.row)

    def _contact(self, client: ClientRow, address: bytes, remote: bytes, time: int, kind: int) -> int:
        row = client.contacts.get(remote + address)
        if row is not None:
            return row
        if client is self._other:
            return client.other
        if not client.may_open(time // SECOND, kind, MAX_NEW_CONTACTS):
            self.stats.refused_contacts += 1
            return client.other
        full = None
        if len(client.contacts) >= self.limits.contacts_per_client:
            full = client
        elif self.contacts.destinations >= self.limits.contacts:
            full = max(self.clients.values(), key=lambda each: len(each.contacts))
        if full is not None and not self._evict_coldest(full, time):
            self.stats.refused_contacts += 1
            return client.other
        contact = Contact(0, client.id, address, remote, UNSETTLED)
        row = self.contacts.open(client.row, contact, is_destination=True)
        self.contacts.totals.last_seen[row] = time
        client.contacts[remote + address] = row
        self._full_client |= len(client.contacts) >= self.limits.contacts_per_client
        self.opened.append(contact)
        return row

    def _evict_coldest(self, client: ClientRow, time: int) -> bool:
        """Makes room among contacts that were quiet in this second; detectors have yet to see what the others did."""
        rows = np.array(list(client.contacts.values()), np.int64)
        last = self.contacts.totals.last_seen[rows]
        order = np.argsort(last, kind="stable")[: max(1, len(rows) // EVICTED_AT_ONCE)]
        chosen = rows[order[last[order] < time // SECOND * SECOND]]
        self._evict_contacts(client, chosen.tolist())
        return len(chosen) > 0

    def _evict_contacts(self, client: ClientRow, rows: list[int]) -> None:
        self.stats.evicted_contacts += len(rows)
        for row, sent in zip(rows, self.contacts.totals.sent_bytes[rows].tolist(), strict=True):
            contact = self.contacts.entry(row)
            self._retire_country(client.id, contact.place.country, sent)
            del client.contacts[contact.address + contact.client_address]
        self.forgotten += rows
        self._retire(rows, client.other)

    def _retire(self, rows: list[int], into: int) -> None:
        """Merges contacts and their services into another contact."""
        if rows:
            self.services.retire(rows, self.services.row(into, 0, 0))
            self.contacts.retire(np.array(rows, np.int64), into)
            self._touched.append(np.array([into]))

    def _retire_country(self, identity: str, country: str | None, sent: int) -> None:
        key = (identity, country)
        self.retired_countries[key] = self.retired_countries.get(key, 0) + sent


def client_id(key: bytes) -> str:
    """Of a client by its key: the MAC, or the address where the link carries none."""
    return mac_text(key) if len(key) == MAC_BYTES else address_text(key)
