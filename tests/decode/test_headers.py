"""The header decoder by example, and against the plain reference decoder."""

from pathlib import Path
from struct import pack

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensor.decode.headers import DecodeStats, HeaderDecoder
from sensor.decode.link_odd import LINKS
from sensor.model.packets import Packets
from tests.decode import reference
from tests.decode.batches import batch_of

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"

PHONE, ROUTER = bytes.fromhex("6038e0c535a0"), bytes.fromhex("020000000001")
HOME, FAR = bytes([192, 168, 2, 100]), bytes([42, 62, 48, 10])
HOME_SIX, FAR_SIX = bytes.fromhex("20010db8" + "00" * 11 + "64"), bytes.fromhex("24003200" + "00" * 11 + "01")
HELLO = bytes.fromhex("160301020001000001fc0303")


def ethernet(kind: int, payload: bytes, tags: bytes = b"") -> bytes:
    return ROUTER + PHONE + tags + pack(">H", kind) + payload


def ipv4(payload: bytes, protocol: int = 6, *, total: int | None = None, ihl: int = 5, offset: int = 0x4000) -> bytes:
    options = bytes([1]) * (ihl * 4 - 20)
    total = 20 + len(options) + len(payload) if total is None else total
    return pack(">BBHHHBBH", 0x40 | ihl, 0, total, 7, offset, 64, protocol, 0) + HOME + FAR + options + payload


def ipv6(payload: bytes, follows: int = 6, *, length: int | None = None) -> bytes:
    length = len(payload) if length is None else length
    return pack(">IHBB", 6 << 28, length, follows, 64) + HOME_SIX + FAR_SIX + payload


def tcp(payload: bytes = b"", *, port: int = 443, offset: int = 5, flags: int = 0x18) -> bytes:
    return pack(">HHIIBBHHH", 50000, port, 0x01020304, 9, offset << 4, flags, 1000, 0, 0) + payload


def udp(payload: bytes = b"", *, port: int = 9999) -> bytes:
    return pack(">HHHH", 50000, port, 8 + len(payload), 0) + payload


def decode(*frames: bytes, link: int = 1, **more: object) -> tuple[Packets, DecodeStats]:
    decoder = HeaderDecoder()
    packets = decoder.decode(batch_of(frames, link, **more))  # type: ignore[arg-type]
    stats = decoder.stats
    assert stats.frames == len(frames) == len(packets) + stats.non_ip + stats.undecodable
    assert stats.packets == len(packets)
    assert (packets.payload_length >= 0).all()
    return packets, stats


def test_a_tcp_packet_over_ethernet() -> None:
    packets, stats = decode(ethernet(0x0800, ipv4(tcp(b"data", flags=0x12)) + bytes(6)), direction=[1])
    key = packets.key(0)
    assert key == (PHONE, ROUTER, HOME, FAR, 6, 50000, 443, 0, 1)
    assert (packets.length[0], packets.segments[0], packets.row[0]) == (44, 1, 0)  # Ethernet padding does not count
    assert (packets.flags[0], packets.sequence[0]) == (0x12, 0x01020304)
    assert (packets.payload[0], packets.payload_length[0]) == (54, 4)
    assert not packets.message[0]
    assert stats == DecodeStats(frames=1, packets=1)


def test_ipv6_and_ipv4_in_one_batch_keep_their_order() -> None:
    packets, _ = decode(
        ethernet(0x86DD, ipv6(udp(b"1234"), 17)),
        ethernet(0x0806, bytes(28)),
        ethernet(0x0800, ipv4(tcp())),
        ethernet(0x86DD, ipv6(tcp(b"x"))),
    )
    assert packets.row.tolist() == [0, 2, 3]
    assert packets.six.tolist() == [0, 2]
    assert [packets.key(index).source for index in range(3)] == [HOME_SIX, HOME, HOME_SIX]
    assert [packets.key(index).destination for index in range(3)] == [FAR_SIX, FAR, FAR_SIX]
    assert packets.length.tolist() == [52, 40, 61]
    assert packets.payload.tolist() == [62, 0, 74]


def test_nothing_in_nothing_out() -> None:
    packets, _ = decode()
    assert len(packets) == 0


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


def test_an_unknown_link_type_is_counted() -> None:
    _, stats = decode(bytes(60), bytes(60), link=147)
    assert (stats.undecodable, stats.unknown_link) == (2, 2)


def test_the_link_field_of_a_capture_may_hold_the_length_of_the_fcs() -> None:
    packets, _ = decode(ethernet(0x0800, ipv4(tcp())), link=0x04000001)
    assert len(packets) == 1


def test_options_move_the_ports() -> None:
    packets, _ = decode(ethernet(0x0800, ipv4(tcp(b"abc"), ihl=15)))
    assert packets.key(0).destination_port == 443
    assert (packets.length[0], packets.payload[0]) == (83, 94)


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


def test_a_snapped_packet_counts_as_on_the_wire() -> None:
    frame = ethernet(0x0800, ipv4(tcp(bytes(1000))))
    for size in range(14, 80):
        packets, stats = decode(frame[:size], wire=[len(frame)])
        if size < 34:
            assert (stats.undecodable, stats.cut) == (1, 1)
            continue
        assert packets.length[0] == 1040
        assert packets.key(0).destination_port == (443 if size >= 38 else 0)
        assert packets.flags[0] == (0x18 if size >= 48 else 0)
        assert packets.payload_length[0] == (1000 if size >= 47 else 0)


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
    assert packets.message.tolist() == [True, False, False, False, False, False]
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


@pytest.mark.parametrize("size", range(1, 13))
def test_a_hello_is_marked_however_little_of_it_comes(size: int) -> None:
    packets, _ = decode(ethernet(0x0800, ipv4(tcp(HELLO[:size], port=8443))))
    assert packets.message[0]


def test_what_deserves_no_closer_look() -> None:
    other = b"\x17" + HELLO[1:], HELLO[:5] + b"\x02", b"\x16\x02" + HELLO[2:], b""
    packets, _ = decode(
        *(ethernet(0x0800, ipv4(tcp(payload))) for payload in other),
        ethernet(0x0800, ipv4(udp(b"", port=53), 17)),
        ethernet(0x0800, ipv4(udp(HELLO), 17)),
        ethernet(0x0800, ipv4(udp(b"query", port=5353), 17)),
    )
    assert not packets.message.any()


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


# ---- against the reference


def rows_of(packets: Packets) -> dict[int, reference.Row]:
    return {
        int(packets.row[index]): reference.Row(
            packets.key(index),
            int(packets.length[index]),
            int(packets.flags[index]),
            int(packets.sequence[index]) if packets.flags[index] else 0,
            int(packets.payload[index]),
            int(packets.payload_length[index]),
            bool(packets.message[index]),
        )
        for index in range(len(packets))
    }


def same_as_reference(frames: list[bytes], wire: list[int]) -> None:
    expected = [reference.decode(frame, size) for frame, size in zip(frames, wire, strict=True)]
    for gap in (b"\0", b"\xff", b"\x45"):
        packets, stats = decode(*frames, wire=wire, gap=gap)
        found = rows_of(packets)
        for row, (frame, want) in enumerate(zip(frames, expected, strict=True)):
            assert found.get(row) == (None if isinstance(want, str) else want), frame.hex()
        assert stats.non_ip == expected.count("non_ip")
        assert stats.undecodable == expected.count("undecodable")


SEEDS = [
    ethernet(0x0800, ipv4(tcp(HELLO))),
    ethernet(0x0800, ipv4(udp(bytes(20), port=53), 17, ihl=7)),
    ethernet(0x0800, ipv4(udp(bytes(20)), 17, offset=0x2000)),
    ethernet(0x86DD, ipv6(tcp(HELLO))),
    ethernet(0x86DD, ipv6(bytes([43, 0]) + bytes(6) + bytes([17, 1]) + bytes(14) + udp(bytes(9)), 0)),
    ethernet(0x86DD, ipv6(b"\x06\0" + pack(">HI", 1, 5) + tcp(b"abc"), 44)),
    ethernet(0x86DD, ipv6(b"\x06\0\xc2\x04" + pack(">I", 80) + tcp(bytes(52)), 0, length=0)),
    ethernet(0x0800, ipv4(tcp()), pack(">HHHH", 0x88A8, 3, 0x8100, 4)),
    ethernet(0x8864, b"\x11\0\0\x01\0\x2a\0\x21" + ipv4(tcp())),
    ethernet(0x8847, pack(">I", 5 << 12 | 1 << 8 | 64) + ipv4(tcp())),
    ethernet(0x0800, ipv4(ipv4(tcp()), 4)),
    ethernet(0x0806, bytes(28)),
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[bytes, int]:
    """A frame with some bytes changed, cut somewhere, and its length on the wire."""
    frame = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    captured = draw(st.integers(0, len(frame)) | st.just(len(frame)))
    return bytes(frame[:captured]), max(captured, draw(st.sampled_from([captured, len(frame), len(frame) + 9])))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(mutated(), max_size=12))
def test_mutated_frames_decode_as_the_reference_says(frames: list[tuple[bytes, int]]) -> None:
    same_as_reference([frame for frame, _ in frames], [wire for _, wire in frames])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=6), st.sampled_from([*LINKS, 147, 0x04000001]))
def test_no_bytes_on_any_link_raise(frames: list[bytes], link: int) -> None:
    decode(*frames, link=link, gso=[(100, 1)] * len(frames))


def test_a_thousand_random_mutations_at_once() -> None:
    """The same rows in one batch as one by one: no row may leak into another."""
    random = np.random.default_rng(5)
    frames = []
    for _ in range(1000):
        frame = bytearray(SEEDS[random.integers(len(SEEDS))])
        for at in random.integers(0, len(frame), random.integers(0, 4)):
            frame[at] = random.integers(256)
        frames.append(bytes(frame[: random.integers(10, len(frame) + 20)]))
    same_as_reference(frames, [len(frame) for frame in frames])
    together, alone = rows_of(decode(*frames)[0]), {}
    for row, frame in enumerate(frames):
        alone.update({row: found for found in rows_of(decode(frame)[0]).values()})
    assert together == alone
