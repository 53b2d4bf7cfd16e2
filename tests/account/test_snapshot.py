"""What the ledger shows of itself."""

import numpy as np

from sensor.account.flows import Collected
from sensor.account.ledger import Ledger, Limits
from sensor.account.locality import Ends
from sensor.account.snapshot import Destinations, client, clients, country_sent, ports
from sensor.base.addresses import parse_address
from sensor.base.times import SECOND
from sensor.model.client import Rates, Totals
from sensor.model.destination import Name, Place, Service

PHONE, TABLET = bytes.fromhex("6038e0c535a0"), bytes.fromhex("640980000002")
PHONE_ID, TABLET_ID = PHONE.hex(":"), TABLET.hex(":")
HOME, NEAR, FAR = "192.168.1.9", "42.62.48.10", "5.6.7.8"


def nobody(mac: bytes | None) -> tuple[str | None, str | None]:
    return None, None


def move(ledger: Ledger, remote: str | None, nbytes: int, *, mac: bytes | None = PHONE, home: str = HOME,
         sent: bool = True, port: int = 443, at: int = SECOND) -> None:  # fmt: skip
    """One packet."""
    far = parse_address(remote) if remote else None
    contact, _ = ledger.assign(Ends(mac, parse_address(home), far, sent), at)
    service = ledger.services.row(contact, 6, port)
    values = [np.array([value], np.int64) for value in (0, service, sent, nbytes, 1, at, at, nbytes * sent)]
    ledger.post(Collected(*values))  # type: ignore[arg-type]


def test_an_empty_house() -> None:
    ledger = Ledger(Limits())
    assert clients(ledger, 0, nobody) == []
    assert list(Destinations(ledger, 0)) == []
    assert country_sent(ledger) == {}


def test_a_client_with_what_others_know_of_it() -> None:
    ledger = Ledger(Limits())
    move(ledger, FAR, 100)
    move(ledger, FAR, 900, sent=False, home="192.168.1.20", at=2 * SECOND)
    move(ledger, None, 7, at=3 * SECOND)
    asked = []

    def describe(mac: bytes | None) -> tuple[str | None, str | None]:
        asked.append(mac)
        return "Xiaomi", "Redmi Note"

    [phone] = clients(ledger, 3 * SECOND, describe)
    assert asked == [PHONE]
    assert (phone.id, phone.mac, phone.vendor, phone.name) == (PHONE_ID, PHONE_ID, "Xiaomi", "Redmi Note")
    assert set(phone.addresses) == {HOME, "192.168.1.20"}
    assert phone.totals == Totals(107, 900, 2, 1, SECOND, 3 * SECOND)
    assert phone.local == Totals(7, 0, 1, 0, 3 * SECOND, 3 * SECOND)
    assert phone.other == Totals()


def test_a_client_without_a_mac_is_its_address() -> None:
    ledger = Ledger(Limits())
    move(ledger, FAR, 100, mac=None)
    [phone] = clients(ledger, 0, nobody)
    assert (phone.id, phone.mac, phone.addresses) == (HOME, None, (HOME,))


def test_other_shows_only_when_it_counted_something() -> None:
    ledger = Ledger(Limits(clients=1))
    move(ledger, FAR, 100)
    assert [each.id for each in clients(ledger, 0, nobody)] == [PHONE_ID]
    move(ledger, FAR, 50, mac=TABLET)
    shown = {each.id: each for each in clients(ledger, 0, nobody)}
    assert "other" in shown
    assert sum(each.totals.sent_bytes for each in shown.values()) == 150


def test_rates_of_the_last_second() -> None:
    ledger = Ledger(Limits())
    move(ledger, FAR, 120)
    ledger.close(2 * SECOND)
    row = ledger.clients[PHONE]
    assert client(ledger, row, 2 * SECOND, nobody).rates == Rates(120.0, 0.0, 2.0, 0.0)
    assert Destinations(ledger, 2 * SECOND)[0].rates == Rates(120.0, 0.0, 2.0, 0.0)
    assert client(ledger, row, 100 * SECOND, nobody).rates == Rates()


def test_a_destination_in_full() -> None:
    ledger = Ledger(Limits())
    move(ledger, FAR, 100)
    move(ledger, FAR, 30, port=80, sent=False)
    [contact] = ledger.find(PHONE, parse_address(FAR))
    contact.names.append(Name("api.example", "tls"))
    contact.place = Place("CN", 4134, "Chinanet")
    [found] = Destinations(ledger, 0)
    assert (found.client, found.client_address, found.address) == (PHONE_ID, HOME, FAR)
    assert (found.names, found.place) == ((Name("api.example", "tls"),), Place("CN", 4134, "Chinanet"))
    assert found.totals == Totals(100, 30, 1, 1, SECOND, SECOND)
    assert found.services == (
        Service(6, 443, Totals(100, 0, 1, 0, SECOND, SECOND)),
        Service(6, 80, Totals(0, 30, 0, 1, SECOND, SECOND)),
    )


def test_brief_destinations_have_neither_rates_nor_services() -> None:
    ledger = Ledger(Limits())
    move(ledger, FAR, 100)
    ledger.close(2 * SECOND)
    [found] = Destinations(ledger, 2 * SECOND, brief=True)
    assert (found.rates, found.services) == (Rates(), ())
    assert found.totals.sent_bytes == 100


def test_most_bytes_first_whichever_way_they_went() -> None:
    ledger = Ledger(Limits())
    move(ledger, "5.6.7.1", 10)
    move(ledger, "5.6.7.2", 500, sent=False)
    move(ledger, "5.6.7.3", 60)
    rows = Destinations(ledger, 0)
    assert [row.address for row in rows] == ["5.6.7.2", "5.6.7.3", "5.6.7.1"]
    assert (len(rows), rows[-1].address) == (3, "5.6.7.1")
    assert [row.address for row in rows[:2]] == ["5.6.7.2", "5.6.7.3"]


def test_the_destinations_of_one_client() -> None:
    ledger = Ledger(Limits())
    move(ledger, FAR, 1)
    move(ledger, NEAR, 2, mac=TABLET)
    assert [row.address for row in Destinations(ledger, 0, TABLET_ID)] == [NEAR]
    assert len(Destinations(ledger, 0, "00:00:00:00:00:01")) == 0
    assert len(Destinations(ledger, 0)) == 2


def test_the_services_to_which_a_client_has_sent() -> None:
    ledger = Ledger(Limits())
    move(ledger, FAR, 100, port=443)
    move(ledger, FAR, 100, port=53)
    move(ledger, FAR, 900, sent=False, port=22)
    [row] = np.flatnonzero(ledger.contacts.is_destination)
    contact = ledger.contacts.entry(int(row))
    assert ports(ledger, contact) == [(6, 53), (6, 443)]
    contact.row += 1
    assert ports(ledger, contact) == [], "its row is another one's"


def test_local_talk_is_no_destination() -> None:
    ledger = Ledger(Limits())
    move(ledger, None, 5)
    assert len(Destinations(ledger, 0)) == 0


def test_bytes_by_country_keep_those_of_evicted_destinations() -> None:
    ledger = Ledger(Limits(contacts_per_client=1))
    move(ledger, FAR, 100)
    ledger.opened[0].place = Place("CN")
    move(ledger, NEAR, 20, at=2 * SECOND)
    assert country_sent(ledger) == {(PHONE_ID, "CN"): 100, (PHONE_ID, None): 20}
    assert [row.address for row in Destinations(ledger, 0)] == [NEAR]


def test_bytes_by_country_of_an_evicted_client_are_those_of_other() -> None:
    ledger = Ledger(Limits(clients=1))
    move(ledger, FAR, 100)
    ledger.opened[0].place = Place("CN")
    move(ledger, NEAR, 20, mac=TABLET, at=2 * SECOND)
    assert country_sent(ledger) == {("other", "CN"): 100, (TABLET_ID, None): 20}
