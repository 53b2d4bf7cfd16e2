"""IPv4 and IPv6 headers, honest and otherwise."""

from struct import pack

import pytest

from tests.decode.craft import HOME_SIX, decode, ethernet, ipv4, ipv6, tcp, udp


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(tcp(), ihl=5)[:19],
        ipv4(tcp(), total=19),
        b"\x44" + ipv4(tcp())[1:],
        b"\x55" + ipv4(tcp())[1:],
        b"\x4f" + ipv4(b"")[1:],
        ipv4(tcp(offset=4)),
        ipv4(tcp(offset=6)),
    ],
    ids=["cut", "total < header", "IHL 4", "version 5", "IHL beyond", "TCP offset 4", "TCP offset beyond"],
)
def test_headers_that_cannot_be(packet: bytes) -> None:
    good = ethernet(0x0800, ipv4(tcp(b"fine")))
    packets, stats = decode(good, ethernet(0x0800, packet), good)
    assert packets.row.tolist() == [0, 2]
    assert stats.undecodable == stats.cut + stats.malformed == 1


def test_a_total_length_beyond_the_frame_counts_but_gives_no_payload_that_is_not_there() -> None:
    packets, stats = decode(ethernet(0x0800, ipv4(udp(b"12345678"), 17, total=1500)))
    assert (packets.length[0], packets.payload_length[0], stats.beyond_frame) == (1500, 8, 1)


def test_fragments_have_ports_in_the_first_only() -> None:
    packets, stats = decode(
        ethernet(0x0800, ipv4(udp(bytes(16), port=53), 17, offset=0x2000)),
        ethernet(0x0800, ipv4(udp(bytes(16), port=53), 17, offset=0x0003)),
        ethernet(0x0800, ipv4(tcp()[:8], offset=0x2000)),
        ethernet(0x86DD, ipv6(b"\x11\0" + pack(">HI", 1, 5) + udp(bytes(8)), 44)),
        ethernet(0x86DD, ipv6(b"\x11\0" + pack(">HI", 8, 5) + udp(bytes(8)), 44)),
        ethernet(0x86DD, ipv6(b"\x11\0" + pack(">HI", 0, 5) + udp(bytes(8)), 44)),
    )
    assert [packets.key(index).destination_port for index in range(6)] == [53, 0, 443, 9999, 0, 9999]
    assert not packets.message.any()
    assert packets.payload_length.tolist() == [16, 0, 0, 8, 0, 8]
    assert stats.fragments == 5


def test_ipv6_extension_headers_of_every_kind() -> None:
    chain, payload = b"", tcp(b"abc")
    kinds = [0, 60, 43, 51, 135, 139, 140, 60]
    for kind, follows in zip(kinds, [*kinds[1:], 6], strict=True):
        chain += bytes([follows, 2 if kind == 51 else 1]) + bytes(14)
    packets, _ = decode(ethernet(0x86DD, ipv6(chain + payload, 0)))
    assert (packets.key(0).protocol, packets.key(0).destination_port) == (6, 443)
    assert packets.payload_length[0] == 3


def test_a_hundred_extension_headers_end_the_walk() -> None:
    chain = (bytes([60, 0]) + bytes(6)) * 100
    packets, stats = decode(ethernet(0x86DD, ipv6(chain + tcp(), 60)))
    assert (packets.key(0).protocol, packets.key(0).destination_port) == (60, 0)
    assert (packets.length[0], stats.long_chains) == (860, 1)


def test_an_authentication_header_of_length_zero_is_stepped_over() -> None:
    packets, _ = decode(ethernet(0x86DD, ipv6((b"\x33\0" + bytes(6)) * 3 + b"\x06\0" + bytes(6) + tcp(), 51)))
    assert packets.key(0).destination_port == 443


def test_jumbograms_and_payload_lengths_of_zero() -> None:
    jumbo = b"\x06\0\xc2\x04" + pack(">I", 70028) + tcp(bytes(70000))
    big = ipv6(tcp(bytes(70000)), length=0)
    empty, padded = ipv6(b"", 59), ipv6(b"", 6) + bytes(6)
    packets, _ = decode(*(ethernet(0x86DD, p) for p in (ipv6(jumbo, 0, length=0), big, empty, padded)))
    assert packets.length.tolist() == [70068, 70060, 40, 40]
    assert packets.payload_length.tolist() == [70000, 70000, 0, 0]


def test_an_option_header_that_the_wire_did_not_hold_is_no_packet_but_a_snapped_one_is() -> None:
    frame = ethernet(0x0800, ipv4(tcp(), ihl=15))
    _, stats = decode(frame[:54], wire=[73])
    assert stats.malformed == 1
    packets, _ = decode(frame[:54], wire=[74])
    assert (packets.length[0], packets.key(0).destination_port) == (80, 0)


def test_ipv6_that_is_announced_as_ipv4_is_read_by_its_version() -> None:
    packets, stats = decode(ethernet(0x0800, ipv6(tcp())), ethernet(0x86DD, ipv4(tcp())))
    assert packets.key(0).source == HOME_SIX
    assert (len(packets), stats.malformed) == (1, 1)
