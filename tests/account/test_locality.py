"""Which end is the client."""

from sensor.account.locality import Local, Locality
from sensor.base.addresses import parse_address
from sensor.model.flow import FlowKey
from sensor.model.frames import OUTGOING

PHONE, ROUTER, OTHER = bytes.fromhex("640980000001"), bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
SYN, SYN_ACK = 0x02, 0x12


def key(source: str, destination: str, macs: tuple[bytes, bytes] = (PHONE, ROUTER), direction: int = 0) -> FlowKey:
    return FlowKey(*macs, parse_address(source), parse_address(destination), 6, 40000, 443, 0, direction)


def locality(prefixes: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> Locality:
    return Locality(Local(prefixes, frozenset(parse_address(one) for one in own)))


def test_the_private_end_is_the_client() -> None:
    for near, far in (("192.168.1.9", "42.62.48.10"), ("fd00::9", "2400:3200::1")):
        sent = locality().ends(key(near, far), SYN)
        back = locality().ends(key(far, near, (ROUTER, PHONE)), SYN_ACK)
        assert (sent.mac, sent.sent) == (PHONE, True)
        assert (back.mac, back.sent) == (PHONE, False)
        assert sent.remote == back.remote == parse_address(far)


def test_an_on_link_public_address_is_a_client() -> None:
    ends = locality(prefixes=("2a02:2f0:1:1::/64",)).ends(key("2400:3200::1", "2a02:2f0:1:1::9", (ROUTER, PHONE)), 0)
    assert (ends.client, ends.sent) == (parse_address("2a02:2f0:1:1::9"), False)


def test_talk_with_the_box_between_clients_and_multicast_is_local() -> None:
    here = locality(own=("192.168.1.1", "80.1.2.3"))
    assert here.ends(key("192.168.1.9", "80.1.2.3"), SYN).remote is None
    assert here.ends(key("192.168.1.9", "192.168.1.10"), SYN) == (PHONE, parse_address("192.168.1.9"), None, True)
    assert here.ends(key("192.168.1.9", "224.0.0.251"), 0).remote is None
    assert here.ends(key("42.62.48.10", "224.0.0.251"), 0).remote is None


def test_what_the_box_sends_counts_for_the_client_that_gets_it() -> None:
    answer = locality(own=("192.168.1.1",)).ends(key("192.168.1.1", "192.168.1.9", (ROUTER, PHONE), OUTGOING), 0)
    assert answer == (PHONE, parse_address("192.168.1.9"), None, False)


def test_between_two_public_ends_the_one_that_opened_the_flow_is_the_client() -> None:
    assert locality().ends(key("2a00::9", "2400:3200::1"), SYN).sent
    assert not locality().ends(key("2400:3200::1", "2a00::9"), SYN_ACK).sent


def test_between_two_public_ends_local_traffic_tells_first() -> None:
    here = locality()
    here.ends(key("192.168.1.9", "42.62.48.10", (PHONE, ROUTER)), SYN)
    inbound = here.ends(key("2400:3200::1", "2a00::9", (ROUTER, PHONE)), SYN)
    assert (inbound.mac, inbound.sent) == (PHONE, False)


def test_what_is_local_may_change() -> None:
    here = locality()
    assert here.ends(key("2a00::9", "2a00::8"), SYN).remote is not None
    here.replace(Local(("2a00::/64",)))
    assert here.ends(key("2a00::9", "2a00::8"), SYN).remote is None
