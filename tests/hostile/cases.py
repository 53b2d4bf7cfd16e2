"""Frames that decoders must survive, by the number of their case in the project's catalogue.

Each case is a list of Ethernet frames of one attacker; what they are meant to break is said where they are made.
"""

import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from struct import pack

from tests.hostile.craft import ROUTER, answer, ethernet, hello, ip, labels, tcp, udp

ATTACKER = bytes.fromhex("020000000066")
ATTACKER_ID = "02:00:00:00:00:66"
LAN, NET = bytes([192, 168, 2, 66]), bytes([45, 1, 2, 3])
LAN_SIX, NET_SIX = bytes.fromhex("fd00" + "00" * 13 + "66"), bytes.fromhex("2a001450" + "00" * 11 + "66")

PORTS = (53, 67, 68, 443, 5353, 546, 547)

Frames = list[bytes]


def out(protocol: int, payload: bytes, **more: int) -> bytes:
    """The attacker sends."""
    return ethernet(ATTACKER, ROUTER, ip(LAN, NET, protocol, payload, **more))


def back(protocol: int, payload: bytes, **more: int) -> bytes:
    """The attacker gets an answer."""
    return ethernet(ROUTER, ATTACKER, ip(NET, LAN, protocol, payload, **more))


def out_six(protocol: int, payload: bytes, **more: int) -> bytes:
    """The attacker sends, over IPv6."""
    return ethernet(ATTACKER, ROUTER, ip(LAN_SIX, NET_SIX, protocol, payload, **more))


def d4_names_that_never_end() -> Frames:
    """Compression that points at itself, at each other, forward, far; names and labels that are too long."""
    head = pack(">HHHHHH", 1, 0x8180, 1, 1, 0, 0) + labels("a.example") + b"\0\1\0\1"
    here = 0xC000 | len(head)
    record = b"\0\1\0\1\0\0\1\x2c\0\4" + NET
    chain = b"".join(pack(">H", 0xC000 | len(head) + 2 * (at + 1)) for at in range(127)) + b"\0"
    owners = [
        pack(">H", here), pack(">HH", here + 2, here), b"\xff\xff", pack(">H", here + 40), chain,
        b"\x3fa" * 128 + b"\0", b"\x40" + b"a" * 64 + b"\0", b"\0", b"\x05ab",
        bytes([63]) + b"x" * 63 + bytes([63]) + b"y" * 63, b"\x80", b"\xc0",
    ]  # fmt: skip
    return [back(17, udp(53, 9, head + owner + tail)) for owner in owners for tail in (record, b"", record[:7])]


def d5_the_largest_answer() -> Frames:
    """64 KB over TCP, all of it compressed names."""
    count = 4000
    records = b"".join(b"\xc0\x0c\0\5\0\1\0\0\1\x2c\0\4\1b\xc0\x0c" for _ in range(count))
    message = pack(">HHHHHH", 1, 0x8180, 1, count, 0, 0) + labels("a." * 30 + "example") + b"\0\1\0\1" + records
    stream = len(message[:65_535]).to_bytes(2, "big") + message[:65_535]
    pieces = [stream[at : at + 1400] for at in range(0, len(stream), 1400)]
    return [back(6, tcp(53, 9, piece, seq=1 + 1400 * at)) for at, piece in enumerate(pieces)]


def d6_many_addresses_and_odd_lives() -> Frames:
    """As many addresses for one name as a message holds; times to live of nothing, of 68 years, and below zero."""
    many = [bytes([45, 9, at >> 8, at & 0xFF]) for at in range(4090)]
    stream = answer("many.example", *many)
    whole = len(stream).to_bytes(2, "big") + stream
    pieces = [whole[at : at + 1400] for at in range(0, len(whole), 1400)]
    big = [back(6, tcp(53, 9, piece, seq=1 + 1400 * at)) for at, piece in enumerate(pieces)]
    return big + [back(17, udp(53, 9, answer("odd.example", NET, ttl=ttl))) for ttl in (0, 1 << 31, (1 << 32) - 1)]


def d7_aliases_in_circles() -> Frames:
    """CNAME loops and a chain of fifty."""

    def chain(names: list[str], last: bytes = b"") -> bytes:
        records = [
            labels(a) + b"\0\5\0\1\0\0\0\x09" + pack(">H", len(labels(b))) + labels(b) for a, b in pairwise(names)
        ]
        records += [labels(names[-1]) + b"\0\1\0\1\0\0\0\x09\0\4" + last] if last else []
        return pack(">HHHHHH", 1, 0x8180, 1, len(records), 0, 0) + labels(names[0]) + b"\0\1\0\1" + b"".join(records)

    fifty = [f"n{number}.example" for number in range(50)]
    loops = (["a.b", "a.b"], ["a.b", "c.d", "a.b"], ["a.b", "c.d", "e.f", "c.d"], fifty)
    return [back(17, udp(53, 9, chain(names, last))) for names in loops for last in (b"", NET)]


def d8_next_to_nothing() -> Frames:
    """Empty and one-byte datagrams at the ports that decoders listen to, from port 0, too."""
    pairs = [(near, far) for port in PORTS for near, far in ((port, 9), (9, port), (0, port), (port, 0), (port, port))]
    payloads = (b"", b"\0", b"\xff", bytes(2))
    datagrams = [udp(near, far, payload) for near, far in pairs for payload in payloads]
    lying = [pack(">HHHH", near, far, length, 0) + b"x" for near, far in pairs for length in (0, 7, 8, 0xFFFF)]
    return [make(17, each) for each in datagrams + lying for make in (out, back, out_six)]


def d9_hellos_in_pieces() -> Frames:
    """One byte each; backwards; overlapping with other bytes; never finished; of 64 KB; two; behind data."""
    greeting = hello(b"pieces.example", padding=600)
    size = len(greeting)
    other = hello(b"others.example", padding=600)
    frames = []

    def stream(port: int, *parts: tuple[int, bytes]) -> None:
        frames.append(out(6, tcp(port, 443, seq=999, flags=0x02)))
        frames.extend(out(6, tcp(port, 443, payload, seq=1000 + at)) for at, payload in parts)

    each = [(at, greeting[at : at + 1]) for at in range(size)]
    stream(2001, *each)
    stream(2002, *reversed(each))
    stream(2003, (400, greeting[400:]), (0, other[:500]), (500, other[500:]))
    stream(2004, (0, greeting[:300]))
    long = b"\x16\x03\x01\xff\xff\x01\x00\xff\xfb\x03\x03" + bytes(65_000)
    stream(2005, *((at, long[at : at + 1400]) for at in range(0, len(long), 1400)))
    stream(2006, (0, greeting + other))
    stream(2007, (0, b"GET / HTTP/1.1\r\n\r\n"), (18, greeting))
    for number in range(3000):
        stream(10_000 + number, (0, greeting[: 1 + number % 600]))
    return frames


def d10_names_that_bite() -> Frames:
    """Server names and protocols that are markup, control characters, no UTF-8, addresses, too long."""
    names = [
        b"a\0b.example", b"\xff\xfe\x80.example", b"dot.example.", b"x" * 255, b"192.168.2.1", b"xn--" + b"9" * 59,
        b"<script>alert(1)</script>", b"\"'><svg onload=x>", b"{{7*7}}", b"\x1b[31mred\x1b]8;;http://x\x07",
        b"a\r\nSet-Cookie: b", "\u202eevil\u2028".encode(), b"=cmd|' /C calc'!A0", b"@everyone <!channel>", b"\\",
        b"", b".", b"..", b"a" * 63 + b".b",
    ]  # fmt: skip
    frames = [out(6, tcp(3000 + at, 443, hello(name))) for at, name in enumerate(names)]
    frames += [out(6, tcp(3100, 443, hello(b"fine.example", alpn=alpn))) for alpn in (b"", b"\x80\xff", b"x" * 255)]
    printed = [name.replace(b".", b"") for name in names if 0 < len(name.replace(b".", b"")) < 64]
    raw = [pack(">HHHHHH", 1, 0x8180, 1, 1, 0, 0) + bytes([len(each)]) + each + b"\0\0\1\0\1" for each in printed]
    return frames + [back(17, udp(53, 9, each + b"\xc0\x0c\0\1\0\1\0\0\0\x09\0\4" + NET)) for each in raw]


def d11_quic_that_is_none() -> Frames:
    """Initials with another version, ids of 0 and 21 bytes, coalesced, and a thousand that nobody can open."""
    numbers = random.Random(11)
    frames = []
    for version in (1, 0x6B3343CF, 0, 0xFACEB00C):
        for size in (0, 8, 20, 21, 255):
            packet = b"\xc3" + version.to_bytes(4, "big") + bytes([size]) + bytes(size) + b"\0\0\x44\xd0" + bytes(1200)
            frames.append(out(17, udp(4000, 443, packet)))
            frames.append(out(17, udp(4000, 443, packet[:200] + packet[:600])))
    head = b"\xc3\0\0\0\1\x08"
    return frames + [out(17, udp(4001, 443, head + numbers.randbytes(1194))) for _ in range(1000)]


def d12_fragments_and_chains() -> Frames:
    """Overlaps, holes, a first fragment that is too small, one id for all; endless extension headers."""
    more, data = 0x2000, bytes(64)
    segment = tcp(5000, 443, hello(b"fragment.example"))
    frames = [
        out(6, segment[:8], frag=more),
        out(6, segment[8:], frag=1),
        out(6, data, frag=more | 1),
        out(6, data, frag=5),
    ]
    frames += [out(6, segment[: 8 * at], frag=more) for at in range(1, 5)]
    frames += [out(17, udp(53, 53, data), frag=more), out(17, data, frag=0x1FFF), out(17, b"", frag=more | 0x1FFF)]
    chain = b"".join(b"\x3c\0\1\4\0\0\0\0" for _ in range(100))
    frames += [out_six(60, chain[: 8 * count] + b"\6\0\1\4\0\0\0\0" + segment) for count in (1, 7, 8, 9, 50, 100)]
    frames += [
        out_six(51, b"\6" + bytes(7) + segment),
        out_six(51, b"\6\xff" + bytes(6)),
        out_six(0, b"\6\xff" + bytes(6)),
    ]
    jumbo = b"\6\0\xc2\4" + (100_000).to_bytes(4, "big")
    frames += [out_six(0, jumbo + segment, total=0), out_six(0, b"\6\0\xc2\4\0\0\0\1" + segment, total=0)]
    fragment = b"\6\0%b\0\0\0\7"
    frames += [out_six(44, fragment % pack(">H", offset) + segment) for offset in (1, 0, 8, 0xFFF8, 0xFFF9)]
    return frames


def d13_wrapped_again_and_again() -> Frames:
    """Eight and more VLAN tags, QinQ with PPPoE, tunnels in tunnels in tunnels."""
    packet = ip(LAN, NET, 6, tcp(6000, 443, hello(b"wrapped.example")))
    tag = b"\x81\x00\x00\x07"
    frames = [ethernet(ATTACKER, ROUTER, packet, tags=tag * count) for count in (1, 2, 7, 8, 9, 16, 64, 300)]
    six = ip(LAN_SIX, NET_SIX, 6, tcp(6000, 443, bytes(20)))
    for version, inner in ((b"\0\x21", packet), (b"\0\x57", six), (b"\xc0\x21", bytes(20))):
        session = b"\x11\0\0\x01" + pack(">H", len(inner) + 2) + version + inner
        frames += [ethernet(ATTACKER, ROUTER, session, 0x8864, tags=b"\x88\xa8\0\7" * count) for count in (0, 1, 2, 8)]
    for count in (1, 4, 8, 32):
        nested = gre = packet
        for _ in range(count):
            nested = ip(LAN, NET, 4, nested)
            gre = ip(LAN, NET, 47, b"\0\0\x08\0" + gre)
        frames += [ethernet(ATTACKER, ROUTER, nested), ethernet(ATTACKER, ROUTER, gre)]
    return frames


def d14_lengths_that_lie() -> Frames:
    """Total lengths beyond and below, header lengths that cannot be, TCP offsets that point anywhere."""
    segment = tcp(7000, 443, hello(b"lies.example"))
    frames = [
        make(6, segment, total=total) for total in (0, 1, 19, 20, 21, 39, 40, 41, 0xFFFF) for make in (out, out_six)
    ]
    frames += [out(6, tcp(7001, 443, hello(b"lies.example"), offset=offset)) for offset in range(16)]
    plain = out(6, segment)
    frames += [plain[:14] + bytes([0x40 | ihl]) + plain[15:] for ihl in range(16)]
    frames += [plain[:14] + bytes([version << 4 | 5]) + plain[15:] for version in range(16)]
    return frames


def d17_tcp_out_of_order() -> Frames:
    """SYNs again with other numbers, urgent data, resets, data from nowhere near the window."""
    greeting = hello(b"tricks.example")
    frames = []
    for port in range(8000, 8040):
        frames += [out(6, tcp(port, 443, seq=seq, flags=0x02)) for seq in (100, 5_000_000, 0xFFFF_FFFF)]
        frames += [out(6, tcp(port, 443, b"x", seq=seq, flags=0x38)) for seq in (101, 0x8000_0000, 0xFFFF_FFF0)]
        frames.append(out(6, tcp(port, 443, greeting, seq=0, flags=0x3F)))
        frames.append(back(6, tcp(443, port, b"\x13\x12" + bytes(18), flags=0x04, offset=10)))
        frames.append(out(6, tcp(port, 443, greeting, seq=0xFFFF_FFFF, flags=0x02)))
    return frames


def d19_leases_with_teeth() -> Frames:
    """DHCP: overloaded options, lengths beyond the packet, host names of control characters, two answers at once."""
    fixed = b"\2\1\6\0" + bytes(24) + ATTACKER + bytes(202) + b"\x63\x82\x53\x63"
    options = (
        b"\x34\1\3\xff",
        b"\x0c\xff" + b"\x1b" * 255,
        b"\x0c\xffab",
        b"\x51\x0d\1\0\0evil\nname\r\n",
        b"\x35\1\5" * 60,
        b"",
    )
    return [make(17, udp(67, 68, fixed + each)) for each in options for make in (back, back, out)]


CASES: tuple[Callable[[], Iterable[bytes]], ...] = (
    d4_names_that_never_end, d5_the_largest_answer, d6_many_addresses_and_odd_lives, d7_aliases_in_circles,
    d8_next_to_nothing, d9_hellos_in_pieces, d10_names_that_bite, d11_quic_that_is_none, d12_fragments_and_chains,
    d13_wrapped_again_and_again, d14_lengths_that_lie, d17_tcp_out_of_order, d19_leases_with_teeth,
)  # fmt: skip
