"""Which service row a new flow counts for."""

from struct import pack

import numpy as np
import pytest

from sensor.account import classify as classify_module
from sensor.account.classify import Classifier
from sensor.account.ledger import Ledger, Limits
from sensor.account.locality import Local
from sensor.base.addresses import parse_address
from sensor.base.times import SECOND
from sensor.decode.headers import HeaderDecoder
from tests.frames import (
    FAR,
    FAR_SIX,
    FAR_TOO,
    HOME,
    HOME_SIX,
    HOME_TOO,
    PHONE,
    ROUTER,
    SYN,
    TABLET,
    batch,
    ethernet,
    ip,
    tcp,
    udp,
)

BACK = (ROUTER, PHONE)


class Case:
    """A classifier with its ledger; every frame opens a flow of its own."""

    def __init__(self, **limits: int) -> None:
        self.ledger = Ledger(Limits(**limits))
        self.classifier = Classifier(self.ledger, Local())

    def classify(self, *frames: bytes, at: int = SECOND) -> list[tuple[str, int, int, bool]]:
        """(remote address or "", protocol, port, sent) of each."""
        packets = HeaderDecoder().decode(batch([(0, frame) for frame in frames]))
        new = np.arange(len(packets))
        times = np.full(len(packets), at)
        owners = self.classifier.classify(packets, new, times)
        return [(*self.service(row), sent) for row, sent in zip(owners.services, owners.sent, strict=True)]

    def service(self, row: int) -> tuple[str, int, int]:
        row = int(self.ledger.services.current(np.array([row]))[0])
        contact = int(self.ledger.services.contact[row])
        far = self.ledger.contacts.entry(contact).address
        ports = [(protocol, port) for protocol, port, at in self.ledger.services.of(contact) if at == row]
        assert len(ports) == 1
        return (".".join(map(str, far)) if len(far) == 4 else far.hex(), *ports[0])


@pytest.fixture
def case() -> Case:
    return Case()


def test_the_port_is_that_of_the_far_end_both_ways(case: Case) -> None:
    both = case.classify(tcp(HOME, FAR, flags=SYN), tcp(FAR, HOME, ports=(443, 40_000), macs=BACK))
    assert both == [(FAR, 6, 443, True), (FAR, 6, 443, False)]
    assert len(case.ledger.opened) == 1


def test_both_directions_share_a_contact_whichever_comes_first(case: Case) -> None:
    six = (tcp(HOME_SIX, FAR_SIX), tcp(FAR_SIX, HOME_SIX, ports=(443, 40_000), macs=BACK))
    found = case.classify(six[1], six[0])
    assert [(port, sent) for _, _, port, sent in found] == [(443, False), (443, True)]
    assert len(case.ledger.opened) == 1
    assert case.ledger.opened[0].client_address == parse_address(HOME_SIX)


def test_ipv6_addresses_that_share_eight_bytes_are_told_apart(case: Case) -> None:
    far = ("2400:3200::1", "2400:3200:1::1", "2400:3200::2", "2400:3200:1::1")
    case.classify(*(udp(HOME_SIX, each) for each in far))
    assert [contact.address for contact in case.ledger.opened] == [parse_address(each) for each in far[:3]]


def test_a_known_path_does_not_ask_the_ledger_again(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.classify(tcp(HOME, FAR))
    monkeypatch.setattr(case.ledger, "assign", None)
    found = case.classify(tcp(HOME, FAR, ports=(40_001, 80)), tcp(FAR, HOME, ports=(80, 40_001), macs=BACK))
    assert found == [(FAR, 6, 80, True), (FAR, 6, 80, False)]


def test_the_same_addresses_behind_another_mac_are_another_client(case: Case) -> None:
    case.classify(tcp(HOME, FAR), tcp(HOME, FAR, macs=(TABLET, ROUTER)))
    assert [contact.client for contact in case.ledger.opened] == [PHONE.hex(":"), TABLET.hex(":")]


def test_local_talk_counts_for_its_sender_only(case: Case) -> None:
    there, back = case.classify(tcp(HOME, HOME_TOO, macs=(PHONE, TABLET)), tcp(HOME_TOO, HOME, macs=(TABLET, PHONE)))
    assert (there[3], back[3]) == (True, True)
    assert case.ledger.opened == []
    assert {PHONE, TABLET} <= set(case.ledger.clients)


def test_an_ipv6_packet_cannot_stand_for_an_ipv4_path(case: Case) -> None:
    ends = parse_address(HOME) + parse_address(FAR)
    odd = pack(">IHBB", 6 << 28, 0, 17, 64) + bytes(8) + ends + bytes(16)
    case.classify(ROUTER + PHONE + b"\x86\xdd" + odd)
    assert case.classify(udp(HOME, FAR)) == [(FAR, 17, 9999, True)]
    assert case.ledger.find(PHONE, parse_address(FAR))


def test_a_protocol_without_ports(case: Case) -> None:
    assert case.classify(ethernet(HOME, FAR, ip(HOME, FAR, 1, bytes(8)))) == [(FAR, 1, 0, True)]


def test_a_contact_that_was_evicted_is_opened_again() -> None:
    case = Case(contacts_per_client=1)
    case.classify(udp(HOME, FAR), at=SECOND)
    case.classify(udp(HOME, FAR_TOO), at=2 * SECOND)
    assert case.classify(udp(HOME, FAR), at=3 * SECOND) == [(FAR, 17, 9999, True)]
    assert case.ledger.stats.evicted_contacts == 2


def test_an_eviction_among_the_new_flows_is_noticed_at_once() -> None:
    case = Case(contacts_per_client=1)
    assert case.classify(udp(HOME, FAR)) == [(FAR, 17, 9999, True)]
    later = case.classify(udp(HOME, FAR_TOO), udp(HOME, FAR, ports=(40_001, 80)), at=2 * SECOND)
    assert later == [(FAR_TOO, 17, 9999, True), ("", 17, 80, True)], "the second finds no quiet contact to evict"


def test_a_refused_contact_is_asked_for_again_in_the_next_second(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.account.ledger.MAX_NEW_CONTACTS", 1)
    case.classify(udp(HOME, FAR))
    refused = case.classify(udp(HOME, FAR_TOO))
    assert refused[0][0] == ""
    assert case.classify(udp(HOME, FAR_TOO), at=2 * SECOND)[0][0] == FAR_TOO


def test_a_flow_without_room_is_reconsidered_out_of_a_second_budget(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.account.ledger.MAX_NEW_CONTACTS", 1)
    frames = [udp(HOME, FAR), udp(HOME, FAR_TOO), udp(HOME, "5.6.7.9", ports=(40_000, 53))]
    packets = HeaderDecoder().decode(batch([(0, frame) for frame in frames]))
    owners = case.classifier.classify(packets, np.arange(3), np.full(3, SECOND))
    assert owners.refused == [1, 2]
    again = case.classifier.reconsider(packets.key(1), 2 * SECOND - 1)
    assert again is not None
    assert (case.service(again[0]), again[1]) == ((FAR_TOO, 17, 9999), True)
    assert case.classifier.reconsider(packets.key(2), 2 * SECOND - 1) is None


def test_what_is_local_may_change_for_new_flows(case: Case) -> None:
    case.classify(udp(HOME, FAR))
    case.classifier.replace(Local(("42.0.0.0/8",)))
    assert case.classify(udp(HOME, FAR, ports=(40_001, 1)))[0] == ("", 17, 1, True)


def test_paths_have_a_cap(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify_module, "MAX_PATHS", 10)
    case.classify(*(udp(HOME, f"5.6.7.{number}") for number in range(100)))
    assert len(case.classifier._paths) <= 11
    assert len(case.ledger.opened) == 100
