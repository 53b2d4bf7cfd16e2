"""Every frame is counted once, and the reasons add up."""

from struct import pack

from tests.decode.craft import decode, ethernet, ipv4, tcp


def test_frames_are_packets_or_without_ip_or_undecodable() -> None:
    deep = ethernet(0x0800, ipv4(tcp()), pack(">HH", 0x8100, 1) * 9)
    _, stats = decode(
        ethernet(0x0800, ipv4(tcp())),
        ethernet(0x0806, bytes(28)),
        ethernet(0x88CC, bytes(20)),
        ethernet(0x0800, ipv4(tcp()))[:30],
        ethernet(0x0800, ipv4(tcp(), total=10)),
        bytes(9),
        deep,
    )
    assert (stats.frames, stats.packets, stats.non_ip, stats.undecodable) == (7, 1, 2, 4)
    assert (stats.cut, stats.malformed, stats.too_deep) == (2, 1, 1)
