import struct

import pytest

from sensor.errors import CaptureError

T = 1_750_000_000_123_456_789
FRAMES = [(T, b"first"), (T + 1_000_000, b""), (T - 5_000_000_000, bytes(1514))]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34, 0x1C0001AC, 0x1C0001AB])
def test_every_variant_in_both_byte_orders(build, read, order: str, magic: int) -> None:
    got = read(build.pcap(FRAMES, order, magic, link=0x34000071))
    fine = magic in (0xA1B23C4D, 0x1C0001AC)
    assert got.frames == [(time if fine else time // 1000 * 1000, data) for time, data in FRAMES]
    assert set(got.links) == {113}
    assert got.stats.warnings == []
    assert got.stats.first == got.frames[2][0]
    assert got.stats.last == got.frames[1][0]


def test_the_length_on_the_wire(build, read) -> None:
    head = build.pcap([])
    snapped = struct.pack("<IIII", 1, 0, 4, 1500) + b"snap"
    lying = struct.pack("<IIII", 1, 0, 4, 2) + b"long"
    assert read(head + snapped + lying).lengths == [1500, 4]


def test_times_of_any_value_fit(build, read) -> None:
    got = read(build.pcap([]) + struct.pack("<IIII", 0xFFFFFFFF, 0xFFFFFFFF, 0, 0))
    assert got.frames == [(0xFFFFFFFF * 10**9 + 0xFFFFFFFF * 1000, b"")]


@pytest.mark.parametrize("kept", [1, 15, 16, 20])
def test_a_cut_last_record_is_a_warning(build, read, kept: int) -> None:
    whole = build.pcap(FRAMES[:2])
    got = read(whole + struct.pack("<IIII", 1, 0, 60, 60)[:kept] + bytes(max(0, kept - 16)))
    assert len(got.frames) == 2
    assert got.stats.undecodable == 1
    (warning,) = got.stats.warnings
    assert warning.endswith(f"0.pcap: the last record is cut, at offset {len(whole)}; what came before it was read")


def test_a_record_that_cannot_be_ends_the_file(build, read) -> None:
    whole = build.pcap(FRAMES)
    got = read(whole + struct.pack("<IIII", 1, 0, 0xFFFFFFFF, 60) + bytes(5_000_000))
    assert len(got.frames) == 3
    assert f"a frame of 4294967295 bytes cannot be, at offset {len(whole)}" in got.stats.warnings[0]
    long = read(whole + struct.pack("<IIII", 1, 0, 1 << 21, 60) + bytes(5_000_000) + whole)
    assert len(long.frames) == 3


def test_the_longest_frame_is_a_mebibyte(build, read) -> None:
    data = bytes(range(256)) * 4096
    assert read(build.pcap([(0, b"x"), (0, data), (0, b"y"), (0, data)])).frames[1::2] == [(0, data)] * 2


def test_a_first_record_that_cannot_be_is_an_error(build, read) -> None:
    with pytest.raises(CaptureError, match=r"0\.pcap: a frame of 4294967295 bytes cannot be, at offset 24"):
        read(build.pcap([]) + struct.pack("<IIII", 1, 0, 0xFFFFFFFF, 60))


def test_a_cut_file_header_is_an_error(build, read) -> None:
    with pytest.raises(CaptureError, match="header of 24 bytes is cut, at offset 20"):
        read(build.pcap([])[:20])


def test_no_frames_are_no_error(build, read) -> None:
    got = read(build.pcap([]))
    assert (got.frames, got.stats.warnings, got.stats.first) == ([], [], None)
