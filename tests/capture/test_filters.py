"""What the socket filter asks the kernel to hand over in full."""

import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.capture import packet_socket
from sensor.capture.filters import FULL, Appetite, Layout, program

ETHERNET = Layout(room=174)
RAW = Layout(room=160, raw=True)
DULL = 173

HELLO = bytes.fromhex("160301060001000602") + bytes(500)
DATA = bytes.fromhex("170303060001000602") + bytes(500)
MIDDLE = b"\x99" * 500

Interpret = Callable[..., int]


def tcp(source: int, destination: int, payload: bytes, *, flags: int = 0x18, options: int = 12) -> bytes:
    return (
        struct.pack(">HHIIBBHHH", source, destination, 1, 2, (20 + options) << 2, flags, 9, 0, 0)
        + bytes(options)
        + payload
    )


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def four(protocol: int, body: bytes, *, options: int = 0, fragment: int = 0) -> bytes:
    length = 20 + options + len(body)
    header = struct.pack(">BBHHHBBH", 0x40 | (20 + options) // 4, 0, length & 0xFFFF, 7, fragment, 64, protocol, 0)
    return header + bytes(8) + bytes(options) + body


def six(protocol: int, body: bytes) -> bytes:
    return struct.pack(">IHBB", 0x60000000, len(body) & 0xFFFF, protocol, 64) + bytes(32) + body


def extension(following: int, length: int = 0) -> bytes:
    return bytes([following, length]) + bytes(6 + 8 * length)


def ethernet(packet: bytes, *before: bytes) -> bytes:
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return bytes(12) + b"".join(before) + kind + packet


INTERESTING = {
    "hello": four(6, tcp(40000, 443, HELLO)),
    "hello on any port": four(6, tcp(40000, 50123, HELLO)),
    "hello behind options": four(6, tcp(40000, 8443, HELLO, options=40), options=40),
    "hello over IPv6": six(6, tcp(40000, 443, HELLO)),
    "hello behind extension headers": six(0, extension(60) + extension(43, 2) + extension(6) + tcp(4000, 443, HELLO)),
    "DNS question": four(17, udp(5000, 53, bytes(200))),
    "DNS answer": six(17, udp(53, 5000, bytes(200))),
    "DNS over TCP": four(6, tcp(53, 5000, bytes(200))),
    "first fragment of a DNS answer": four(17, udp(53, 5000, bytes(1400)), fragment=0x2000),
    "first fragment over IPv6": six(44, bytes([17, 0, 0, 1, 0, 0, 0, 9]) + udp(53, 5000, bytes(1200))),
    "rest of a hello": four(6, tcp(40000, 443, MIDDLE)),
}

WIDE_ONLY = {
    "middle of a hello": four(6, tcp(40000, 443, MIDDLE, flags=0x10)),
    "rest of a hello, other port": six(6, tcp(40000, 8443, MIDDLE)),
    "DNS in a tunnel": four(47, bytes(4) + four(17, udp(5000, 53, bytes(200)))),
    "DNS in VXLAN": four(17, udp(50000, 4789, bytes(200))),
}

UNINTERESTING = {
    "application data": four(6, tcp(40000, 443, DATA)),
    "from the server": four(6, tcp(443, 40000, MIDDLE)),
    "a super-frame of an upload": four(6, tcp(40000, 443, MIDDLE * 40)),
    "QUIC": four(17, udp(40000, 443, bytes(1200))),
    "a later fragment": four(17, udp(53, 5000, bytes(1400)), fragment=100),
    "a later fragment over IPv6": six(44, bytes([17, 0, 0, 8, 0, 0, 0, 9]) + udp(53, 5000, bytes(1200))),
    "a ServerHello": four(6, tcp(443, 40000, b"\x16\x03\x03\x01\x00\x02" + bytes(500))),
    "a large tunnel frame": four(47, bytes(1400)),
    "ping": four(1, bytes(400)),
    "headers that reach out of the frame": six(0, extension(6, 255)[:200]),
    "neither IPv4 nor IPv6": b"\x75" + bytes(400),
}


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", INTERESTING)
def test_frames_with_messages_are_handed_over_in_full(interpret: Interpret, name: str, narrow: bool) -> None:
    packet = INTERESTING[name]
    assert interpret(program(ETHERNET, narrow=narrow), ethernet(packet)) == FULL
    assert interpret(program(RAW, narrow=narrow), packet) == FULL


@pytest.mark.parametrize("name", WIDE_ONLY)
def test_the_narrow_program_gives_up_the_unlikely(interpret: Interpret, name: str) -> None:
    frame = ethernet(WIDE_ONLY[name])
    assert interpret(program(ETHERNET), frame) == FULL
    assert interpret(program(ETHERNET, narrow=True), frame) == DULL


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", UNINTERESTING)
def test_of_all_others_only_the_headers(interpret: Interpret, name: str, narrow: bool) -> None:
    packet = UNINTERESTING[name]
    assert interpret(program(ETHERNET, narrow=narrow), ethernet(packet)) == DULL
    assert interpret(program(RAW, narrow=narrow), packet) == 159


@pytest.mark.parametrize(
    "before",
    [
        [b"\x81\x00\x00\x14"],
        [b"\x88\xa8\x00\x14", b"\x81\x00\x00\x15"],
        [b"\x88\x64\x11\x00\x00\x01\x01\x00"],
        [b"\x88\xa8\x00\x14", b"\x81\x00\x00\x15", b"\x88\x64\x11\x00\x00\x01\x01\x00"],
    ],
)
def test_tags_and_pppoe_are_looked_behind(interpret: Interpret, before: list[bytes]) -> None:
    def wrapped(packet: bytes) -> bytes:
        frame = ethernet(packet, *before)
        if before[-1][:2] == b"\x88\x64":
            frame = frame.replace(before[-1] + b"\x08\x00", before[-1] + b"\x00\x21", 1)
            frame = frame.replace(before[-1] + b"\x86\xdd", before[-1] + b"\x00\x57", 1)
        return frame

    for packet in (INTERESTING["hello"], INTERESTING["hello over IPv6"], INTERESTING["DNS answer"]):
        assert interpret(program(ETHERNET), wrapped(packet)) == FULL
    assert interpret(program(ETHERNET), wrapped(UNINTERESTING["application data"])) == DULL


def test_a_loopback_shows_each_frame_on_its_way_in(interpret: Interpret) -> None:
    frame, outgoing = ethernet(INTERESTING["DNS answer"]), 4
    looped = program(Layout(room=174, loopback=True))
    assert (interpret(looped, frame), interpret(looped, frame, outgoing)) == (FULL, 0)


@given(frame=st.binary(max_size=400), narrow=st.booleans(), start=st.sampled_from([*INTERESTING.values(), b""]))
@settings(max_examples=300)
def test_no_frame_is_ever_hidden(interpret: Interpret, frame: bytes, narrow: bool, start: bytes) -> None:
    for layout in (ETHERNET, RAW):
        for cut in (0, 20, 60, 120):
            mixed = (b"" if layout.raw else ethernet(start or b"E")[:14]) + start[:cut] + frame
            assert interpret(program(layout, narrow=narrow), mixed) in {FULL, layout.room - 1}


@pytest.mark.parametrize("layout", [ETHERNET, RAW, Layout(room=174, loopback=True)])
def test_the_kernel_accepts_the_programs(layout: Layout) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        for narrow in (False, True):
            packet_socket.attach(opened, program(layout, narrow=narrow))


def test_too_many_copies_narrow_the_filter_for_a_while() -> None:
    appetite = Appetite(budget=100, calm=5.0)
    assert not appetite.changes(100, 10.0)
    assert not appetite.changes(100, 11.5), "a new second, a new budget"
    assert appetite.changes(1, 11.6)
    assert appetite.narrow
    assert not appetite.changes(500, 16.0)
    assert appetite.changes(0, 16.7)
    assert not appetite.narrow


def test_vain_tries_become_rarer() -> None:
    appetite, now, pauses = Appetite(budget=100, calm=5.0, patience=60.0), 0.0, []
    for _ in range(6):
        appetite.changes(101, now)
        start = now
        while not appetite.changes(0, now):
            now += 0.5
        pauses.append(now - start)
    assert pauses == [5, 10, 20, 40, 60, 60]
