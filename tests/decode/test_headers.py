"""The header decoder by example, and against the plain reference decoder."""

from dataclasses import fields
from struct import pack

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensor.decode.headers import DecodeStats, HeaderDecoder
from sensor.decode.link_odd import LINKS
from sensor.model.frames import HEAD
from sensor.model.packets import Packets
from tests.decode import reference
from tests.decode.batches import batch_of
from tests.decode.craft import (
    FAR,
    FAR_SIX,
    HELLO,
    HOME,
    HOME_SIX,
    PHONE,
    ROUTER,
    decode,
    ethernet,
    ipv4,
    ipv6,
    tcp,
    udp,
)


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


def test_a_hello_far_behind_long_headers_is_found() -> None:
    options = bytes([1]) * 40
    frames = [
        ethernet(0x86DD, ipv6(tcp(options + HELLO, offset=15))),
        ethernet(0x86DD, ipv6(tcp(options + b"no hello", offset=15))),
        ethernet(0x0800, ipv4(tcp(options + HELLO, offset=15), ihl=15)),
        ethernet(0x0800, ipv4(tcp(options[:12] + HELLO, offset=8))),
    ]
    assert decode(*frames)[0].message.tolist() == [True, False, True, True]


def test_heads_that_capture_has_read_change_nothing() -> None:
    frames = [frame + bytes(120) for frame in SEEDS]
    plain, with_heads = batch_of(frames), batch_of(frames)
    places = with_heads.offset[:, None] - 16 + np.arange(16 + HEAD)
    with_heads.heads = with_heads.buffer[places][:, 16:]
    one, two = HeaderDecoder().decode(plain), HeaderDecoder().decode(with_heads)
    for field in fields(Packets):
        assert np.array_equal(getattr(one, field.name), getattr(two, field.name)), field.name


def test_nothing_in_nothing_out() -> None:
    packets, _ = decode()
    assert len(packets) == 0


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
    together = rows_of(decode(*frames)[0])
    for row, frame in enumerate(frames):
        assert rows_of(decode(frame)[0]).get(0) == together.get(row)
