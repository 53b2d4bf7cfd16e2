"""Ports, TCP fields, payloads, and the packets that deserve a closer look."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.decode.transport import TUNNEL_PORTS
from sensor.decode.tunnel import is_tunnel
from sensor.model.packets import UDP
from tests.decode.craft import HELLO, decode, ethernet, ipv4, ipv6, tcp, udp


def test_options_move_the_ports() -> None:
    packets, _ = decode(ethernet(0x0800, ipv4(tcp(b"abc"), ihl=15)))
    assert packets.key(0).destination_port == 443
    assert (packets.length[0], packets.payload[0]) == (83, 94)


@pytest.mark.parametrize("size", range(1, 13))
def test_a_hello_is_marked_however_little_of_it_comes(size: int) -> None:
    packets, _ = decode(ethernet(0x0800, ipv4(tcp(HELLO[:size], port=8443))))
    assert packets.message[0]


def test_what_deserves_no_closer_look() -> None:
    other = b"\x17" + HELLO[1:], HELLO[:5] + b"\x02", b"\x16\x02" + HELLO[2:], b""
    packets, _ = decode(
        *(ethernet(0x0800, ipv4(tcp(payload))) for payload in other),
        ethernet(0x0800, ipv4(udp(b"", port=53), 17)),
        ethernet(0x0800, ipv4(udp(b"question", port=53), 17)),
        ethernet(0x0800, ipv4(udp(HELLO), 17)),
        ethernet(0x0800, ipv4(udp(b"query", port=5353), 17)),
    )
    assert not packets.message.any()


def test_what_comes_from_port_53_may_be_an_answer() -> None:
    answer = b"\0\x35" + udp(b"answer")[2:]
    packets, _ = decode(ethernet(0x0800, ipv4(answer, 17)), ethernet(0x86DD, ipv6(answer, 17)))
    assert packets.message.tolist() == [True, True]


def test_tunnels_are_marked_and_their_payload_is_what_they_wrap() -> None:
    inner = ipv4(tcp())
    packets, stats = decode(
        ethernet(0x0800, ipv4(inner, 4)),
        ethernet(0x0800, ipv4(udp(bytes(30), port=4789), 17)),
        ethernet(0x86DD, ipv6(inner, 4)),
        ethernet(0x0800, ipv4(bytes(8), 50)),
    )
    assert packets.message.tolist() == [True, True, True, False]
    assert packets.payload.tolist() == [34, 42, 54, 0]
    assert packets.payload_length.tolist() == [40, 30, 40, 0]
    assert stats.tunnels == 3


def test_bytes_behind_the_captured_ones_are_not_believed() -> None:
    """A ring holds the headers only; whether the rest is a hello is known from the copy that stands beside it."""
    frame = ethernet(0x0800, ipv4(tcp(HELLO + bytes(500))))
    packets, _ = decode(frame[:54], frame[:54], wire=[len(frame)] * 2, gap=b"\x16", copies={1: frame})
    assert packets.message.tolist() == [False, True]
    assert packets.payload.tolist() == [54, 54]


def test_the_marked_ports_are_those_that_can_be_opened() -> None:
    assert [port for port in range(65536) if is_tunnel(UDP, 0, port)] == list(TUNNEL_PORTS)


SOLICITATION = bytes([133, 0, 0, 0, 0, 0, 0, 0])
ZERO = bytes(4)


def discover(port: int = 67, source: bytes = ZERO) -> bytes:
    """A DHCP request as a client sends it before it has an address."""
    packet = ipv4(b"\0\x44" + udp(bytes(240), port=port)[2:], 17)
    return packet[:12] + source + b"\xff" * 4 + packet[20:]


@pytest.mark.parametrize("tags", [b"", b"\x81\0\0\5", b"\x88\xa8\0\5\x81\0\0\7"], ids=["plain", "VLAN", "QinQ"])
def test_who_joins_is_marked(tags: bytes) -> None:
    packets, _ = decode(
        ethernet(0x0800, discover(), tags),
        ethernet(0x86DD, ipv6(SOLICITATION, 58), tags),
        ethernet(0x86DD, ipv6(b"\x3a\0\1\0\0\0\0\0" + SOLICITATION, 0), tags),
    )
    assert packets.message.tolist() == [True] * 3


def test_other_talk_with_the_dhcp_server_and_with_neighbours_is_not() -> None:
    packets, _ = decode(
        ethernet(0x0800, discover(port=68)),
        ethernet(0x0800, ipv4(b"\0\x43" + udp(bytes(240), port=68)[2:], 17)),
        ethernet(0x0800, ipv4(tcp(port=67))),
        *(ethernet(0x86DD, ipv6(bytes([kind]) + SOLICITATION[1:], 58)) for kind in (0, 128, 134, 135, 136, 255)),
        ethernet(0x86DD, ipv6(b"", 58)),
        ethernet(0x86DD, ipv6(b"\x3a\0\1\0\0\0\0\0" + SOLICITATION, 44)),
    )
    assert not packets.message.any()


def test_cut_frames_of_those_who_join() -> None:
    four, six = ethernet(0x0800, discover()), ethernet(0x86DD, ipv6(SOLICITATION, 58))
    packets, _ = decode(*(four[:size] for size in range(34, len(four))), wire=[len(four)] * (len(four) - 34))
    assert packets.message.tolist() == [size >= 38 for size in range(34, len(four))], "the ports must be there"
    packets, _ = decode(*(six[:size] for size in range(54, len(six))), wire=[len(six)] * (len(six) - 54), gap=b"\x85")
    assert packets.message.tolist() == [size > 54 for size in range(54, len(six))]


@given(st.lists(st.tuples(st.sampled_from([0x0800, 0x86DD]), st.binary(max_size=90)), max_size=8))
def test_any_bytes(packets: list[tuple[int, bytes]]) -> None:
    decode(*(ethernet(kind, content) for kind, content in packets))
    decode(*(ethernet(0x86DD, ipv6(content, 58)) for _, content in packets))
    decode(*(ethernet(0x0800, ipv4(b"\0\x44\0\x43" + content, 17)) for _, content in packets))
