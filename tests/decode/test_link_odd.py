"""The rarer links and wrappers, one frame at a time."""

from struct import pack

from tests.decode.craft import FAR, HOME, HOME_SIX, PHONE, ROUTER, decode, ethernet, ipv4, ipv6, tcp


def test_wrappers_that_are_looked_at_one_by_one() -> None:
    packet = ipv4(tcp())
    label = pack(">I", 5 << 12 | 1 << 8 | 64)
    packets, _ = decode(
        ethernet(0x8847, label + packet),
        ethernet(0x8847, label + bytes(4) + ethernet(0x0800, packet)),
        ethernet(len(packet) + 8, b"\xaa\xaa\x03\0\0\0\x08\0" + packet),
        ethernet(0x88E7, bytes(4) + ethernet(0x0800, packet)),
        ethernet(0x893F, bytes(6) + b"\x08\0" + packet),
    )
    assert packets.length.tolist() == [40] * 5
    assert {packets.key(index) for index in range(5)} == {packets.key(0)}


def test_link_types_without_ethernet() -> None:
    packet, six = ipv4(tcp()), ipv6(tcp())
    for link, frame, source in [
        (101, packet, None), (12, six, None), (228, packet, None), (229, six, None),
        (0, b"\x02\0\0\0" + packet, None), (0, b"\0\0\0\x02" + packet, None), (108, b"\0\0\0\x1e" + six, None),
        (113, pack(">HHH", 0, 1, 6) + PHONE + b"\0\0" + b"\x08\0" + packet, PHONE),
        (113, pack(">HHH", 0, 1, 0) + PHONE + b"\0\0" + b"\x08\0" + packet, None),
        (276, b"\x86\xdd" + bytes(9) + b"\x06" + PHONE + b"\0\0" + six, PHONE),
        (9, b"\xff\x03\x00\x21" + packet, None), (50, b"\xff\x03\x00\x57" + six, None), (9, b"\x21" + packet, None),
        (104, b"\x0f\x00\x08\x00" + packet, None), (107, b"\x18\x41\x03\xcc" + packet, None),
        (239, b"\x02\0\0\0" + pack("<HH", 5, 10) + b"a\0\0\0" + pack("<HH", 4 + len(packet), 9) + packet, None),
    ]:  # fmt: skip
        packets, _ = decode(frame, link=link)
        key = packets.key(0)
        assert (key.source_mac, key.destination_mac, key.destination_port) == (source, None, 443), link
        assert packets.length[0] == len(six if key.source == HOME_SIX else packet)


def test_a_wireless_frame() -> None:
    body = b"\xaa\xaa\x03\0\0\0\x08\0" + ipv4(tcp())
    to_router = b"\x88\x01\0\0" + ROUTER + PHONE + FAR + b"\0\0" + b"\0\0" + b"\0\0" + body
    packets, _ = decode(b"\0\0\x08\0\0\0\0\0" + to_router, link=127)
    assert packets.key(0)[:4] == (PHONE, FAR + b"\0\0", HOME, FAR)
    secret = bytes([to_router[0], 0x41]) + to_router[2:]
    _, stats = decode(secret, link=105)
    assert stats.non_ip == 1
