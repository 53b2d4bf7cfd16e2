"""Link headers of whole batches: tags, sessions, what the kernel says beside the frame."""

from struct import pack

import pytest

from tests.decode.craft import FAR_SIX, HOME_SIX, PHONE, ROUTER, decode, ethernet, ipv4, ipv6, tcp, udp


@pytest.mark.parametrize("count", range(1, 10))
def test_stacked_vlan_tags_up_to_eight(count: int) -> None:
    tags = b"".join(pack(">HH", kind, 100 + at) for at, kind in enumerate([0x88A8, 0x8100, 0x9100, 0x9200] * 3))
    packets, stats = decode(ethernet(0x0800, ipv4(tcp()), tags[: 4 * count]))
    if count > 8:
        assert (len(packets), stats.undecodable, stats.too_deep) == (0, 1, 1)
    else:
        assert packets.key(0).vlan == 100
        assert packets.length[0] == 40


def test_the_tag_that_the_kernel_took_out_was_the_outermost() -> None:
    tagged = ethernet(0x0800, ipv4(tcp()), pack(">HH", 0x8100, 7))
    packets, _ = decode(tagged, tagged, vlan=[5, 0])
    assert [packets.key(index).vlan for index in range(2)] == [5, 7]


@pytest.mark.parametrize("protocol", [b"\x00\x57", b"\x57"])
def test_qinq_and_pppoe_and_ipv6(protocol: bytes) -> None:
    inside = ipv6(udp(b"hello"), 17)
    session = pack(">BBHH", 0x11, 0, 1, len(inside) + len(protocol)) + protocol + inside
    packets, _ = decode(ethernet(0x8864, session, pack(">HHHH", 0x88A8, 3, 0x8100, 4)))
    assert packets.key(0) == (PHONE, ROUTER, HOME_SIX, FAR_SIX, 17, 50000, 9999, 3, 0)
    assert packets.length[0] == 53


def test_an_unknown_link_type_is_counted() -> None:
    _, stats = decode(bytes(60), bytes(60), link=147)
    assert (stats.undecodable, stats.unknown_link) == (2, 2)


def test_the_link_field_of_a_capture_may_hold_the_length_of_the_fcs() -> None:
    packets, _ = decode(ethernet(0x0800, ipv4(tcp())), link=0x04000001)
    assert len(packets) == 1
