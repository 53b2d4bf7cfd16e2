import struct
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensor.capture.files.interfaces import MAX_TIME, Clock, Interface, Interfaces, interface, link_type


def nanoseconds(clock: Clock, *ticks: int) -> list[int]:
    return clock.nanoseconds(np.array(ticks, np.uint64)).tolist()


def test_the_usual_clocks() -> None:
    assert nanoseconds(Clock(), 1_750_000_000_123_456) == [1_750_000_000_123_456_000]
    assert nanoseconds(Clock(9), 1_750_000_000_123_456_789) == [1_750_000_000_123_456_789]
    assert nanoseconds(Clock(0), 5) == [5_000_000_000]
    assert nanoseconds(Clock(12), 1999) == [1]
    assert nanoseconds(Clock(0x80 | 10), 1024 + 512) == [1_500_000_000]
    assert nanoseconds(Clock(6, 3600), 1) == [3_600_000_001_000]
    assert nanoseconds(Clock(6, -1), 3_000_000) == [2_000_000_000]


@given(st.integers(0, 2**64 - 1), st.integers(0, 255), st.one_of(st.just(0), st.integers(-(2**63), 2**63 - 1)))
def test_any_clock_is_right_to_the_nanosecond_and_never_overflows(ticks: int, resolution: int, offset: int) -> None:
    power = resolution & 0x7F
    unit = Fraction(1, 2**power) if resolution & 0x80 else Fraction(1, 10**power)
    exact = ticks * unit * 10**9
    within = min(int(exact), MAX_TIME)
    expected = max(0, min(within + offset * 10**9, MAX_TIME))
    (time,) = nanoseconds(Clock(resolution, offset), ticks)
    assert 0 <= time <= MAX_TIME
    if int(exact) < MAX_TIME - 10**10:
        assert abs(time - expected) <= 1


def test_a_description_with_options() -> None:
    options = struct.pack("<HH4sHHB3xHHqHH", 2, 4, b"eth0", 9, 1, 9, 14, 8, 7, 0, 0)
    assert interface("<", struct.pack("<HHI", 1, 0, 262144) + options) == Interface(1, 262144, Clock(9, 7))
    assert interface(">", struct.pack(">HHI", 113, 0, 0)) == Interface(113, 0, Clock())


def test_options_that_lie_are_passed_over() -> None:
    start = struct.pack("<HHI", 1, 0, 0)
    plain = Interface(1, 0, Clock())
    assert interface("<", start + struct.pack("<HH", 9, 65535)) == plain
    assert interface("<", start + struct.pack("<HHHxx", 9, 2, 3)) == plain
    assert interface("<", start + struct.pack("<HHB3x", 9, 1, 9)) == Interface(1, 0, Clock(9))  # no end
    assert interface("<", start[:7]) is None


@given(st.binary(max_size=60), st.sampled_from("<>"))
def test_any_bytes_are_an_interface_or_none(body: bytes, order: str) -> None:
    assert (interface(order, body) is None) == (len(body) < 8)


def test_interfaces_with_different_clocks_and_links() -> None:
    table = Interfaces()
    for number in range(20):
        table.add(Interface(100 + number, 64 + number, Clock(6 if number % 2 else 9)))
    numbers = np.array([0, 1, 19])
    assert table.count == 20
    assert table.first_snap == 64
    assert table.links(numbers).tolist() == [100, 101, 119]
    assert table.times(numbers, np.array([5, 5, 5], np.uint64)).tolist() == [5, 5000, 5000]


def test_the_upper_bits_of_the_link_type_tell_of_the_frame_check_sequence() -> None:
    assert link_type(0x30000084) == 132
    assert link_type(1) == 1
    assert link_type(12) == link_type(14) == 101
