"""The rows of clients, contacts and services, and how they are used again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.account.columns import Moved
from sensor.account.ledger import AGAIN, ANSWERED, OPENED
from sensor.account.tables import MAX_ADDRESSES, MAX_SERVICES, ClientRow, Contacts, Services
from sensor.model.activity import Contact
from sensor.model.destination import Place


def contact(number: int = 1) -> Contact:
    return Contact(-1, "c", b"\xc0\xa8\x01\x09", number.to_bytes(4, "big"), Place())


def count(table: Contacts | Services, row: int, nbytes: int) -> None:
    one, none = np.array([1]), np.zeros(1, np.int64)
    table.totals.add(np.array([row]), Moved(np.array([nbytes]), one), Moved(none, none), one, one)


def client() -> ClientRow:
    return ClientRow(0, b"key", "id", None, 1, 2)


class TestClientRow:
    def test_remembers_the_addresses_last_used(self) -> None:
        row = client()
        for number in range(MAX_ADDRESSES + 10):
            row.see(b"\xfd" + number.to_bytes(15, "big"))
            row.see(b"\xc0\xa8\x01\x09")
        assert len(row.addresses) == MAX_ADDRESSES
        assert b"\xc0\xa8\x01\x09" in row.addresses
        assert b"\xfd" + bytes(15) not in row.addresses

    @pytest.mark.parametrize("address", [bytes(4), bytes(16)])
    def test_the_unspecified_address_is_none_of_its_own(self, address: bytes) -> None:
        row = client()
        row.see(address)  # a DHCP request, duplicate address detection
        assert len(row.addresses) == 0

    def test_knows_its_contacts_with_an_address_by_its_own_addresses(self) -> None:
        row = client()
        near, too, far = b"\xc0\xa8\1\x09", b"\xc0\xa8\1\x0a", b"\5\6\7\x08"
        row.see(near)
        row.see(too)
        row.contacts |= {far + near: 7, far + too: 9, near + far: 1}
        assert sorted(row.rows(far, near)) == [7, 9]
        assert list(row.rows(b"\5\6\7\x09", near)) == []

    def test_knows_a_contact_by_an_address_that_it_does_not_remember(self) -> None:
        row = client()
        far, own = b"\5\6\7\x08", b"\xc0\xa8\1\x09"
        row.contacts[far + own] = 7
        assert list(row.rows(far, own)) == [7]
        assert list(row.rows(far, b"")) == []

    def test_opens_so_many_contacts_per_second(self) -> None:
        row = client()
        assert [row.may_open(7, OPENED, 2) for _ in range(4)] == [True, True, False, False]
        assert row.may_open(8, OPENED, 2)

    @pytest.mark.parametrize("spent", [OPENED, ANSWERED, AGAIN])
    def test_contacts_of_one_kind_leave_room_for_the_others(self, spent: int) -> None:
        row = client()
        assert [row.may_open(7, spent, 1) for _ in range(3)] == [True, False, False]
        assert [row.may_open(7, kind, 1) for kind in (OPENED, ANSWERED, AGAIN)] == [
            kind != spent for kind in (OPENED, ANSWERED, AGAIN)
        ]


class TestContacts:
    def test_a_row_knows_its_contact(self) -> None:
        contacts = Contacts()
        one, other = contact(1), contact(2)
        rows = contacts.open(5, one, is_destination=True), contacts.open(6, other, is_destination=False)
        assert (one.row, other.row) == rows
        assert contacts.entry(rows[0]) is one
        assert contacts.client[list(rows)].tolist() == [5, 6]
        assert contacts.destinations == 1

    def test_uploads_of_a_retired_row_move_and_room_grows_with_the_rows(self) -> None:
        contacts = Contacts()
        rows = [contacts.open(0, contact(number), is_destination=True) for number in range(3000)]
        contacts.uploaded[rows[-2:]] = 5, 7
        contacts.retire(np.array(rows[-2:]), rows[0])
        assert (contacts.uploaded[rows[0]], contacts.uploaded[rows[-2:]].tolist()) == (12, [0, 0])

    def test_a_retired_row_counts_for_another_and_waits_for_its_release(self) -> None:
        contacts = Contacts()
        kept, gone = (contacts.open(0, contact(at), is_destination=True) for at in range(2))
        count(contacts, kept, 100)
        count(contacts, gone, 11)
        contacts.retire(np.array([gone]), kept)
        assert contacts.totals.totals(kept).sent_bytes == 111
        assert (contacts.destinations, bool(contacts.is_destination[gone])) == (1, False)
        assert contacts.entry(gone).row == gone  # detectors may still ask
        assert contacts.open(0, contact(3), is_destination=True) != gone
        contacts.release()
        with pytest.raises(KeyError):
            contacts.entry(gone)
        assert contacts.open(0, contact(4), is_destination=True) == gone
        assert contacts.totals.totals(gone).sent_bytes == 0

    def test_columns_grow_with_the_rows(self) -> None:
        contacts = Contacts()
        rows = [contacts.open(number, contact(number), is_destination=True) for number in range(3000)]
        count(contacts, rows[-1], 9)
        assert contacts.client[rows].tolist() == list(range(3000))
        assert contacts.is_destination[rows].all()
        assert contacts.totals.totals(rows[-1]).sent_bytes == 9


class TestServices:
    def test_one_row_per_protocol_and_port(self) -> None:
        services = Services()
        tcp, udp, dns, elsewhere = (services.row(*key) for key in ((0, 6, 443), (0, 17, 443), (0, 17, 53), (1, 6, 443)))
        assert len({tcp, udp, dns, elsewhere}) == 4
        assert services.row(0, 6, 443) == tcp
        assert services.of(0) == [(6, 443, tcp), (17, 443, udp), (17, 53, dns)]
        assert services.contact[[tcp, udp, dns, elsewhere]].tolist() == [0, 0, 0, 1]
        assert services.of(99) == []

    def test_what_is_beyond_the_cap_shares_a_row(self) -> None:
        services = Services()
        known = [services.row(0, 6, port) for port in range(1, MAX_SERVICES + 1)]
        rest = services.row(0, 6, 999)
        assert rest not in known
        assert services.row(0, 17, 5) == rest
        assert services.row(0, 6, 1) == known[0]
        assert services.of(0)[-1] == (0, 0, rest)

    def test_retired_services_lead_to_the_one_they_were_merged_into(self) -> None:
        services = Services()
        gone, kept = services.row(0, 6, 443), services.row(1, 0, 0)
        count(services, gone, 70)
        services.retire([0], kept)
        assert services.totals.totals(kept).sent_bytes == 70
        assert services.current(np.array([gone, kept])).tolist() == [kept, kept]
        assert services.retired().tolist() == [gone]
        assert services.of(0) == []
        services.release()
        assert services.retired().tolist() == []
        assert services.row(2, 17, 53) == gone
        assert services.current(np.array([gone])).tolist() == [gone]
        assert services.of(2) == [(17, 53, gone)]

    def test_a_chain_of_merges_is_followed_to_its_end(self) -> None:
        services = Services()
        rows = [services.row(contact_row, 0, 0) for contact_row in range(4)]
        for contact_row in range(3):
            services.retire([contact_row], rows[contact_row + 1])
        assert services.current(np.array(rows)).tolist() == [rows[-1]] * 4

    def test_several_contacts_are_retired_at_once(self) -> None:
        services = Services()
        rows = [services.row(at, 6, port) for at in range(3) for port in range(1, 6)]
        kept = services.row(9, 0, 0)
        for row in rows:
            count(services, row, 10)
        services.retire([0, 1, 2, 77], kept)
        assert services.totals.totals(kept).sent_bytes == 150
        assert services.current(np.array(rows)).tolist() == [kept] * 15
        assert [services.of(at) for at in range(3)] == [[], [], []]
        assert sorted(services.retired().tolist()) == sorted(rows)

    def test_columns_grow_with_the_rows(self) -> None:
        services = Services()
        rows = np.array([services.row(number, 6, 443) for number in range(5000)])
        assert services.contact[rows].tolist() == list(range(5000))
        assert np.array_equal(services.current(rows), rows)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["count", "retire", "release"]), st.integers(1, 99))))
def test_no_byte_is_lost_over_retiring_and_using_again(steps: list[tuple[int, str, int]]) -> None:
    services, sum_of_all = Services(), 0
    other = services.row(100, 0, 0)
    for contact_row, step, value in steps:
        if step == "count":
            count(services, services.row(contact_row, 6, value), value)
            sum_of_all += value
        elif step == "retire":
            services.retire([contact_row], other)
        else:
            services.release()
    held = [row for at in (0, 1, 2, 3, 100) for _, _, row in services.of(at)]
    assert len(held) == len(set(held))
    assert sum(services.totals.totals(row).sent_bytes for row in held) == sum_of_all
