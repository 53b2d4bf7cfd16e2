"""Super-frames count as the packets that crossed the wire."""

import pytest

from tests.decode.craft import decode, ethernet, ipv4, ipv6, tcp, udp


@pytest.mark.parametrize("total", [None, 0])
def test_a_super_frame_counts_what_crossed_the_wire(total: int | None) -> None:
    four, six = ipv4(tcp(bytes(30000)), total=total), ipv6(tcp(bytes(30000)), length=total)
    frames = ethernet(0x0800, four), ethernet(0x86DD, six), ethernet(0x0800, ipv4(udp(bytes(3000)), 17, total=total))
    packets, stats = decode(*frames, gso=[(1448, 1), (1448, 0x84), (1000, 5)])
    assert packets.segments.tolist() == [21, 21, 3]
    assert packets.length.tolist() == [30000 + 21 * 40, 30000 + 21 * 60, 3000 + 3 * 28]
    assert packets.payload_length.tolist() == [30000, 30000, 3000]
    assert stats.super_frames == 3


def test_udp_fragmentation_offload_repeats_the_ip_header_only() -> None:
    packets, _ = decode(ethernet(0x0800, ipv4(udp(bytes(3000)), 17)), gso=[(1480, 3)])
    assert (packets.segments[0], packets.length[0]) == (3, 3008 + 3 * 20)
