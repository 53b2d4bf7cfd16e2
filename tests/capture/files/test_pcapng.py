import struct

import pytest

from sensor.errors import CaptureError

T = 1_750_000_000_123_456_000
FRAMES = [(T, b"first"), (T + 1_000_000, b""), (T - 5_000_000_000, bytes(1514))]


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(build, read, order: str) -> None:
    got = read(build.pcapng(FRAMES, order, link=113))
    assert got.frames == FRAMES
    assert set(got.links) == {113}


def test_sections_may_change_the_byte_order_and_begin_their_interfaces_anew(build, read) -> None:
    parts = [build.pcapng(FRAMES, order, link) for order, link in (("<", 1), (">", 2), (">", 3), ("<", 4))]
    got = read(b"".join(parts * 30))
    assert got.frames == FRAMES * 120
    assert got.links[:12] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3


def test_a_section_in_the_other_order_that_reaches_beyond_the_memory(build, read) -> None:
    """The frames before it must be handed over before more is read: reading moves them."""
    frames = [(T, bytes([n % 256]) * 1000) for n in range(6000)]
    section = build.block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1) + bytes(900_000), ">")
    tail = build.interface(1, order=">") + build.packet(5, b"x", order=">")
    for cut in (3000, 4500, 5000):
        got = read(build.pcapng(frames[:cut]) + section + tail)
        assert got.frames == [*frames[:cut], (5000, b"x")]


def test_interfaces_have_their_own_clocks_and_links(build, read) -> None:
    nano = struct.pack("<HHB3x", 9, 1, 9)
    parts = [build.section(), build.interface(1), build.interface(101, nano)]
    parts += [build.packet(T // 1000, b"a"), build.packet(T + 7, b"b", 1), build.packet(T // 1000, b"c")]
    got = read(b"".join(parts))
    assert got.frames == [(T, b"a"), (T + 7, b"b"), (T, b"c")]
    assert got.links == [1, 101, 1]


def test_old_and_simple_packets(build, read) -> None:
    old = build.block(2, struct.pack("<HHIIII", 0, 3, 0, 42, 3, 9) + b"old")
    simple = build.block(3, struct.pack("<I", 6) + b"simple")
    got = read(build.section() + build.interface(snap=4) + simple + old + simple + simple + build.packet(50, b"new"))
    assert got.frames == [(0, b"simp"), (42_000, b"old"), (42_000, b"simp"), (42_000, b"simp"), (50_000, b"new")]
    assert got.lengths == [6, 9, 6, 6, 3]


def test_other_blocks_are_passed_over_and_do_not_cut_batches(build, read) -> None:
    other = build.block(0xBAD, b"whatever")
    packets = b"".join(build.packet(n, b"%d" % n) + other for n in range(100))
    got = read(other.join([build.section(), build.interface(), packets]))
    assert [data for _, data in got.frames] == [b"%d" % n for n in range(100)]
    assert got.batches <= 3


def test_a_long_unknown_block_is_passed_over_in_pieces(build, read) -> None:
    other = build.block(0xBAD, bytes(8_000_000))
    got = read(build.pcapng(FRAMES) + other + build.packet(9, b"after"))
    assert got.frames == [*FRAMES, (9000, b"after")]
    assert read(build.pcapng(FRAMES) + other[:-9]).stats.warnings[0].count("the last block is cut") == 1


def broken_blocks(build) -> dict[str, bytes]:
    """Lengths and numbers that lie."""
    return {
        "length 0": struct.pack("<II", 6, 0) + bytes(40),
        "length 3": struct.pack("<II", 6, 3) + bytes(40),
        "length 2^32-1": struct.pack("<II", 6, 0xFFFFFFFF) + bytes(40),
        "length 2^32-4": struct.pack("<II", 0xBAD, 0xFFFFFFFC) + bytes(40),
        "long packet": struct.pack("<II", 6, 2 << 20) + bytes(40),
        "ends as another": build.packet(1, b"abcd")[:-4] + struct.pack("<I", 99),
        "no such interface": build.packet(1, b"abcd", number=7),
        "interface 2^32-1": build.packet(1, b"abcd", number=0xFFFFFFFF),
        "frame longer than its block": build.packet(1, b"abcd", captured=5),
        "frame of 2^32-1": build.packet(1, b"abcd", captured=0xFFFFFFFF),
        "section of no order": build.block(0x0A0D0D0A, bytes(16)),
        "section of version 9": build.block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 9, 0, -1)),
        "short section": build.block(0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D)),
        "short interface": build.block(1, bytes(4)),
    }


def test_a_block_that_cannot_be(build, read) -> None:
    """An error naming file and offset at the start; the end of the file with a warning after the first frame."""
    start, whole = build.section() + build.interface(), build.pcapng(FRAMES)
    for case, block in broken_blocks(build).items():
        for rest in (b"", build.packet(2, b"never") * 3):
            with pytest.raises(CaptureError, match=rf"^[^\n]*0\.pcap: [^\n]*, at offset {len(start)}$"):
                read(start + block + rest)
            got = read(whole + block + rest)
            assert got.frames == FRAMES, case
            assert got.stats.warnings[0].endswith(f"at offset {len(whole)}; what came before it was read"), case


@pytest.mark.parametrize("options", [struct.pack("<HHB3x", 9, 1, 0xFF), struct.pack("<HH", 9, 4000), bytes(3)])
def test_an_interface_with_silly_options_is_read(build, read, options: bytes) -> None:
    got = read(build.section() + build.interface(options=options, snap=0xFFFFFFFF) + build.packet(1, b"abcd"))
    assert [data for _, data in got.frames] == [b"abcd"]


def test_every_cut_gives_the_frames_before_it(build, read) -> None:
    whole = build.pcapng(FRAMES[:2])
    ends = [len(build.pcapng(FRAMES[:count])) for count in range(3)]
    for size in range(ends[0], len(whole)):
        got = read(whole[:size])
        assert got.frames == FRAMES[: sum(end <= size for end in ends) - 1]
        assert len(got.stats.warnings) == (size not in ends)


def test_the_first_packet_without_any_interface_is_an_error(build, read) -> None:
    with pytest.raises(CaptureError, match="interface 0, which is not described, at offset 28"):
        read(build.section() + build.packet(1, b"abcd"))
