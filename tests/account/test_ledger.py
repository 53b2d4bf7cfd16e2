"""Who sent how much to whom, and what happens when a table is full."""

import numpy as np
import pytest

from sensor.account import ledger as ledger_module
from sensor.account.flows import Collected
from sensor.account.ledger import AWAY, GONE, MAX_NEW_CONTACTS, RETURNING, Ledger, Limits
from sensor.account.locality import Ends
from sensor.base.addresses import parse_address
from sensor.base.times import SECOND
from sensor.model.client import Totals

PHONE, ME = bytes.fromhex("640980000001"), parse_address("192.168.1.9")


def far(number: int) -> bytes:
    return parse_address("42.0.0.0")[:1] + number.to_bytes(3, "big")


def move(ledger: Ledger, remote: bytes | None, *, mac: bytes = PHONE, sent: bool = True, nbytes: int = 100,
         port: int = 443, at: int = SECOND) -> int:  # fmt: skip
    """One packet of a flow of its own; returns its service row."""
    ends = Ends(mac, ME, remote, sent)
    contact, _ = ledger.assign(ends, at)
    service = ledger.services.row(contact, 6, port)
    values = [np.array([value], np.int64) for value in (0, service, sent, nbytes, 1, at, at, nbytes * sent)]
    ledger.post(Collected(*values))  # type: ignore[arg-type]
    return service


def sums(ledger: Ledger) -> int:
    rows = [ledger.totals(row)[0] for row in ledger.clients.values()]
    return sum(row.sent_bytes + row.received_bytes for row in rows)


def test_totals_per_client_contact_and_service() -> None:
    ledger = Ledger(Limits())
    move(ledger, far(1))
    move(ledger, far(1), sent=False, nbytes=900)
    move(ledger, far(1), port=80, nbytes=7)
    move(ledger, None, nbytes=5)
    [contact] = ledger.find(PHONE, far(1))
    assert ledger.contacts.totals.totals(contact.row) == Totals(107, 900, 2, 1, SECOND, SECOND)
    services = {port: ledger.services.totals.totals(row).sent_bytes for _, port, row in ledger.services.of(contact.row)}
    assert services == {443: 100, 80: 7}
    everything, local, other = ledger.totals(ledger.clients[PHONE])
    assert (everything.sent_bytes, local.sent_bytes, other.sent_bytes) == (112, 5, 0)


def test_closing_a_second_gives_what_destinations_moved_in_it() -> None:
    ledger = Ledger(Limits())
    move(ledger, far(1), nbytes=50)
    move(ledger, None, nbytes=5)
    activity = ledger.close(2 * SECOND)
    assert (activity.sent_bytes.tolist(), activity.sent_packets.tolist()) == ([50], [1])
    assert len(ledger.close(3 * SECOND).rows) == 0


def test_the_coldest_contacts_of_a_full_client_go_to_its_other_row() -> None:
    ledger = Ledger(Limits(contacts_per_client=32))
    for number in range(40):
        move(ledger, far(number), at=SECOND * (1 + number))
    ledger.release()
    assert len(ledger.clients[PHONE].contacts) <= 32
    assert not ledger.find(PHONE, far(0))
    assert ledger.find(PHONE, far(39))
    everything, _, other = ledger.totals(ledger.clients[PHONE])
    assert everything.sent_bytes == 4000
    assert other.sent_bytes == 100 * ledger.stats.evicted_contacts


def test_a_full_table_takes_from_the_client_that_holds_most() -> None:
    ledger = Ledger(Limits(contacts=50))
    quiet = bytes.fromhex("020000000077")
    move(ledger, far(1), mac=quiet, at=SECOND)
    for number in range(200):
        move(ledger, far(number), at=SECOND * 2 + number)
    assert ledger.find(quiet, far(1))
    assert ledger.contacts.destinations <= 50


def test_bytes_of_an_evicted_contact_that_were_on_the_way_are_not_lost() -> None:
    ledger = Ledger(Limits(contacts_per_client=16))
    service = move(ledger, far(0), at=SECOND)
    for number in range(1, 30):
        move(ledger, far(number), at=SECOND * (1 + number))
    assert not ledger.find(PHONE, far(0))
    late = [np.array([value], np.int64) for value in (0, service, 1, 11, 1, SECOND, SECOND, 11)]
    ledger.post(Collected(*late))  # type: ignore[arg-type]
    everything, _, other = ledger.totals(ledger.clients[PHONE])
    assert everything.sent_bytes == 30 * 100 + 11
    assert other.sent_bytes == ledger.stats.evicted_contacts * 100 + 11


def test_evicted_rows_are_used_again_only_after_release() -> None:
    ledger = Ledger(Limits(contacts_per_client=16))
    for number in range(17):
        move(ledger, far(number), at=SECOND * (2 + number))
    gone = set(ledger.forgotten)
    assert gone
    assert not gone & {contact.row for contact in ledger.find(PHONE, far(16))}
    ledger.release()
    move(ledger, far(99), at=99 * SECOND)
    assert ledger.find(PHONE, far(99))[0].row in gone


def test_spoofed_clients_evict_each_other_but_never_a_known_one() -> None:
    ledger = Ledger(Limits(clients=64))
    move(ledger, far(1))
    move(ledger, far(1), sent=False)
    for number in range(1000):
        move(ledger, far(1), mac=b"\x02" + number.to_bytes(5, "big"), at=SECOND * (2 + number // 50))
    assert PHONE in ledger.clients
    assert len(ledger.clients) <= 65
    assert ledger.overflow
    assert sums(ledger) == 100 * 1002


def test_too_many_new_clients_in_one_second_share_the_other_client() -> None:
    ledger = Ledger(Limits(clients=1000))
    for number in range(300):
        move(ledger, far(1), mac=b"\x02" + number.to_bytes(5, "big"))
    assert ledger.stats.refused_clients == 100
    assert ledger.totals(ledger.clients[b""])[0].sent_bytes == 100 * 100


def test_one_client_cannot_open_contacts_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_NEW_CONTACTS", 10)
    ledger = Ledger(Limits())
    for number in range(25):
        move(ledger, far(number))
    everything, _, other = ledger.totals(ledger.clients[PHONE])
    assert (everything.sent_bytes, other.sent_bytes) == (2500, 1500)
    move(ledger, far(24), at=2 * SECOND)
    assert ledger.find(PHONE, far(24))


def test_a_port_scan_does_not_grow_the_services_of_a_contact() -> None:
    ledger = Ledger(Limits())
    for port in range(1, 500):
        move(ledger, far(1), port=port)
    [contact] = ledger.find(PHONE, far(1))
    services = ledger.services.of(contact.row)
    assert len(services) == 17
    assert sum(ledger.services.totals.totals(row).sent_bytes for _, _, row in services) == 499 * 100


def test_the_row_of_a_contact_lasts_unless_it_is_only_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_NEW_CONTACTS", 1)
    monkeypatch.setattr(ledger_module, "MAX_NEW_CLIENTS", 1)
    ledger = Ledger(Limits())
    stranger = bytes.fromhex("020000000077")
    contact, lasting = ledger.assign(Ends(PHONE, ME, far(1), True), SECOND)
    assert (ledger.contacts.entry(contact).address, lasting) == (far(1), True)
    assert ledger.assign(Ends(PHONE, ME, far(1), False), SECOND) == (contact, True)
    assert ledger.assign(Ends(PHONE, ME, None, True), SECOND) == (ledger.clients[PHONE].local, True)
    assert ledger.assign(Ends(PHONE, ME, far(2), True), SECOND) == (ledger.clients[PHONE].other, False)
    assert ledger.assign(Ends(stranger, ME, far(1), True), SECOND) == (ledger.clients[b""].other, False)
    assert ledger.assign(Ends(stranger, ME, None, True), SECOND) == (ledger.clients[b""].local, False)


def test_evictions_show_that_rows_may_be_gone() -> None:
    ledger = Ledger(Limits(contacts_per_client=1))
    move(ledger, far(1))
    before = ledger.evictions
    move(ledger, far(1))
    assert ledger.evictions == before
    move(ledger, far(2), at=2 * SECOND)
    assert ledger.evictions != before


def test_a_contact_that_moved_in_this_second_is_not_evicted_for_a_new_one() -> None:
    ledger = Ledger(Limits(contacts_per_client=2))
    move(ledger, far(1))
    move(ledger, far(2), at=SECOND + 1)
    move(ledger, far(3), at=2 * SECOND - 1)
    assert (ledger.stats.evicted_contacts, ledger.stats.refused_contacts, ledger.forgotten) == (0, 1, [])
    everything, _, other = ledger.totals(ledger.clients[PHONE])
    assert (everything.sent_bytes, other.sent_bytes) == (300, 100)
    move(ledger, far(3), at=2 * SECOND)
    assert (ledger.stats.evicted_contacts, ledger.stats.refused_contacts) == (1, 1)
    assert ledger.find(PHONE, far(3))


def test_a_full_table_refuses_newcomers_while_nothing_in_it_is_quiet() -> None:
    ledger = Ledger(Limits(contacts=20))
    for number in range(30):
        move(ledger, far(number))
    assert (ledger.contacts.destinations, ledger.stats.refused_contacts, ledger.stats.evicted_contacts) == (20, 10, 0)
    assert sums(ledger) == 3000


def test_contacts_that_others_open_leave_room_for_those_of_the_client() -> None:
    ledger = Ledger(Limits())
    for number in range(MAX_NEW_CONTACTS + 1):
        move(ledger, far(number), sent=False)
    assert ledger.stats.refused_contacts == 1
    assert len(ledger.clients[PHONE].contacts) == MAX_NEW_CONTACTS
    move(ledger, far(5000))
    assert ledger.find(PHONE, far(5000))
    assert ledger.stats.refused_contacts == 1


def test_a_refused_contact_has_a_second_budget_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_NEW_CONTACTS", 1)
    ledger = Ledger(Limits())
    ends = [Ends(PHONE, ME, far(number), True) for number in range(3)]
    assert [ledger.assign(each, SECOND)[1] for each in ends] == [True, False, False]
    assert [ledger.assign(each, SECOND, again=True)[1] for each in ends[1:]] == [True, False]


def test_evicted_clients_are_named_until_release() -> None:
    ledger = Ledger(Limits(clients=2))
    strangers = [b"\x02" + number.to_bytes(5, "big") for number in range(3)]
    for number, mac in enumerate(strangers):
        move(ledger, None, mac=mac, at=SECOND * (1 + number))
    assert ledger.gone == strangers[:1]
    ledger.release()
    assert ledger.gone == []


def test_the_key_of_a_contact_is_that_of_its_client() -> None:
    ledger = Ledger(Limits())
    move(ledger, far(1))
    ledger.assign(Ends(None, ME, far(2), True), SECOND)
    assert [ledger.key(contact) for contact in ledger.opened] == [PHONE, ME]


def test_uploads_count_for_their_contact_and_second() -> None:
    ledger = Ledger(Limits())
    move(ledger, far(1), nbytes=50)
    move(ledger, far(1), nbytes=70, port=80)
    move(ledger, far(2), nbytes=900, sent=False)
    activity = ledger.close(2 * SECOND)
    assert dict(zip(activity.rows.tolist(), activity.uploaded.tolist(), strict=True)) == {
        ledger.find(PHONE, far(1))[0].row: 120,
        ledger.find(PHONE, far(2))[0].row: 0,
    }
    assert {ledger.identity(number) for number in activity.clients.tolist()} == {PHONE.hex(":")}
    assert activity.states.tolist() == [0, 0]
    move(ledger, far(1), nbytes=5)
    assert ledger.close(3 * SECOND).uploaded.tolist() == [5]


def test_uploads_of_an_evicted_contact_count_for_no_other_one() -> None:
    ledger = Ledger(Limits(contacts_per_client=1))
    move(ledger, far(1), nbytes=50, at=SECOND)
    move(ledger, far(2), nbytes=7, at=3 * SECOND)
    assert ledger.close(4 * SECOND).uploaded.tolist() == [7]


MORNING = 40_000 * SECOND


def test_who_came_back_after_half_an_hour_was_away() -> None:
    ledger = Ledger(Limits())
    move(ledger, far(1), at=MORNING)
    phone = ledger.clients[PHONE]
    assert ledger.came_back(phone, MORNING + SECOND)[1] == 0
    assert ledger.came_back(phone, MORNING + GONE - 1)[1] == 0
    assert ledger.came_back(phone, MORNING + AWAY) == (MORNING + AWAY, AWAY)
    back = MORNING + AWAY
    move(ledger, None, at=back)
    assert ledger.came_back(phone, back + RETURNING) == (back, AWAY)
    assert ledger.came_back(phone, back + RETURNING + 1)[1] == 0


def test_uploads_that_come_without_packets_are_no_return() -> None:
    """Those whose packets were posted in the middle of the second, because the client has as many as it may."""
    ledger = Ledger(Limits())
    service = move(ledger, far(1), at=MORNING)
    never = np.iinfo(np.int64).max
    alone = [np.array([value], np.int64) for value in (0, service, True, 0, 0, never, MORNING, 60)]
    ledger.post(Collected(*alone))  # type: ignore[arg-type]
    back = MORNING + AWAY
    move(ledger, far(1), at=back)
    assert ledger.came_back(ledger.clients[PHONE], back + SECOND)[0] == back
