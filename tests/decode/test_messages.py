"""Which segments belong to a message, and what is heard once it is complete."""

import random
import struct
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.decode.messages import MessageDecoder
from sensor.decode.streams import MAX_BUFFER, MAX_HELD, STREAM_IDLE
from sensor.model.flow import FlowKey
from sensor.model.message import DnsAnswer, Heard, Joined, Segment, TlsHello
from sensor.model.packets import SYN

PHONE, ROUTER = bytes.fromhex("6038e0c535a0"), bytes.fromhex("020000000001")
START = 0xFFFF_FF00
"""Close to the end, so that sequence numbers wrap inside the messages."""


def client_hello(name: bytes = b"api.io.mi.com", padding: int = 1700) -> bytes:
    """As long as a post-quantum hello, the name at its end."""
    entry = b"\0" + struct.pack("!H", len(name)) + name
    sni = struct.pack("!HHH", 0, len(entry) + 2, len(entry)) + entry
    extensions = struct.pack("!HH", 51, padding) + bytes(padding) + sni
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack("!H", len(extensions)) + extensions
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + struct.pack("!H", len(message)) + message


def dns_answer(name: str = "a.example", count: int = 1, padding: int = 0) -> bytes:
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    records = b"".join(b"\xc0\x0c" + struct.pack("!HHIHI", 1, 1, 60, 4, index) for index in range(count))
    header = struct.pack("!6H", 1, 0x8180, 1, count + 1, 0, 0)
    return (
        header
        + question
        + b"\0\1\0\1"
        + records
        + b"\xc0\x0c"
        + struct.pack("!HHIH", 16, 1, 0, padding)
        + bytes(padding)
    )


def prefixed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def tcp(payload: bytes, at: int = 0, port: int = 443, **other: object) -> Segment:
    """From the phone to a server, `at` bytes after the start of its stream."""
    segment = Segment(
        5,
        PHONE,
        ROUTER,
        b"\xc0\xa8\0\2",
        b"\5\6\7\x08",
        6,
        40_000,
        port,
        (START + at) % 2**32,
        0x18,
        payload,
        len(payload),
    )
    return segment._replace(**other)


def from_server(payload: bytes, at: int = 0, protocol: int = 6) -> Segment:
    return tcp(payload, at)._replace(
        source_mac=ROUTER,
        destination_mac=PHONE,
        source=b"\5\6\7\x08",
        destination=b"\xc0\xa8\0\2",
        protocol=protocol,
        source_port=53,
        destination_port=40_000,
    )


def server_names(heard: tuple[Heard, ...]) -> list[str | None]:
    return [each.message.server_name for each in heard if isinstance(each.message, TlsHello)]


def questions(heard: tuple[Heard, ...]) -> list[str]:
    return [each.message.question for each in heard if isinstance(each.message, DnsAnswer)]


def names_of(decoder: MessageDecoder, segments: list[Segment], start: int | None = START) -> list[str | None]:
    """What a pipeline gets that stops when it is told to."""
    names: list[str | None] = []
    for segment in segments:
        heard, more = decoder.feed(segment, start)
        names += server_names(heard)
        if not more:
            break
    return names


def test_a_hello_in_one_segment() -> None:
    heard, more = MessageDecoder().feed(tcp(client_hello()), START)
    assert not more
    assert heard == (
        Heard(5, PHONE, ROUTER, b"\xc0\xa8\0\2", b"\5\6\7\x08", 6, 40_000, 443, TlsHello("api.io.mi.com", ech=False)),
    )


def test_a_connection_of_another_kind_is_let_go_at_once() -> None:
    decoder = MessageDecoder()
    for payload in (b"GET / HTTP/1.1\r\n", b"\x16\3\1\0\5\2nope", b"\x17\3\3\0\1a", b"\x16\2"):
        assert decoder.feed(tcp(payload), START) == ((), False)
    assert len(decoder.streams) == 0


@pytest.mark.parametrize("start", [START, None], ids=["SYN seen", "mid-stream"])
def test_a_hello_over_two_segments(start: int | None) -> None:
    hello = client_hello()
    segments = [tcp(hello[:1400]), tcp(hello[1400:], 1400)]
    assert names_of(MessageDecoder(), segments, start) == ["api.io.mi.com"]


def test_a_hello_split_anywhere() -> None:
    hello = client_hello(padding=20)
    for split in range(1, len(hello)):
        first, second = tcp(hello[:split]), tcp(hello[split:], split)
        for order in ([first, second], [second, first], [second, second, first, first]):
            assert names_of(MessageDecoder(), order) == ["api.io.mi.com"]


@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
def test_a_hello_byte_by_byte(order: str) -> None:
    hello = client_hello()
    segments = [tcp(hello[at : at + 1], at) for at in range(len(hello))]
    if order != "forward":
        segments = segments[::-1]
    if order == "shuffled":
        random.Random(7).shuffle(segments)
    decoder = MessageDecoder()
    assert names_of(decoder, segments) == ["api.io.mi.com"]
    assert (len(decoder.streams), decoder.streams.held) == (0, 0)


@given(st.sets(st.integers(1, 1800), max_size=12), st.randoms())
@settings(deadline=None)
def test_pieces_in_any_order_with_repeats(cuts: set[int], random_: random.Random) -> None:
    hello = client_hello()
    edges = sorted({0, len(hello)} | {cut for cut in cuts if cut < len(hello)})
    segments = [tcp(hello[start:end], start) for start, end in pairwise(edges)]
    segments += random_.sample(segments, len(segments) // 2)
    random_.shuffle(segments)
    assert names_of(MessageDecoder(), segments) == ["api.io.mi.com"]


def test_where_segments_overlap_the_first_bytes_win() -> None:
    real, fake = client_hello(b"real.example"), client_hello(b"fake.example")
    middle = len(real) // 2
    segments = [tcp(real[middle:], middle), tcp(fake[100:], 100), tcp(real[:100])]
    assert names_of(MessageDecoder(), segments) == ["real.example"]


def test_a_hello_after_plain_text_begins_a_stream_of_its_own() -> None:
    decoder, hello = MessageDecoder(), client_hello()
    assert decoder.feed(tcp(b"CONNECT api.io.mi.com:443 HTTP/1.1\r\n\r\n"), START) == ((), False)
    assert decoder.feed(tcp(hello[:1000], 40), START) == ((), True)
    assert server_names(decoder.feed(tcp(hello[1000:], 1040), START).heard) == ["api.io.mi.com"]


def test_a_hello_far_behind_a_gap_does_not_wait_for_what_is_lost() -> None:
    decoder = MessageDecoder()
    assert decoder.feed(tcp(b"250 STARTTLS\r\n", 300), START).more
    assert names_of(decoder, [tcp(client_hello(), 314)]) == ["api.io.mi.com"]


def test_two_hellos_on_one_connection() -> None:
    decoder, first, second = MessageDecoder(), client_hello(), client_hello(b"b.example")
    names = names_of(decoder, [tcp(first)]) + names_of(decoder, [tcp(second, len(first))])
    assert names == ["api.io.mi.com", "b.example"]


def test_a_syn_takes_a_sequence_number() -> None:
    """TCP Fast Open: the hello comes with the SYN."""
    hello = client_hello()
    syn = tcp(hello[:700], -1, flags=SYN)
    assert names_of(MessageDecoder(), [syn, tcp(hello[700:], 700)]) == ["api.io.mi.com"]


def test_a_keep_alive_does_not_end_the_wait() -> None:
    hello = client_hello()
    segments = [tcp(b"\0", -1), tcp(hello[900:], 900), tcp(hello[:900])]
    assert names_of(MessageDecoder(), segments) == ["api.io.mi.com"]


def test_a_syn_seen_with_another_sequence_number() -> None:
    hello = client_hello()
    assert names_of(MessageDecoder(), [tcp(hello[:900]), tcp(hello[900:], 900)], START + 500_000) == ["api.io.mi.com"]


def test_segments_out_of_the_window_are_not_kept() -> None:
    decoder = MessageDecoder()
    assert decoder.feed(tcp(b"x" * 100, 1_000_000), START) == ((), False)
    assert len(decoder.streams) == 0


def test_a_64_kb_hello_gives_its_name_if_it_comes_early() -> None:
    late = client_hello(padding=60_000)
    segments = [tcp(late[at : at + 1400], at) for at in range(0, len(late), 1400)]
    decoder = MessageDecoder()
    assert names_of(decoder, segments) == []
    assert decoder.streams.held == 0
    early = late[:40] + client_hello(b"early.example", 0)[40:]
    early = (
        b"\x16\3\1\x40\0\1\0\xff\0"
        + early[9:52]
        + b"\xff\x00"
        + early[54:]
        + struct.pack("!HH", 21, 60_000)
        + bytes(60_000)
    )
    segments = [tcp(early[at : at + 1400], at) for at in range(0, len(early), 1400)]
    assert names_of(decoder, segments) == ["early.example"]
    assert decoder.stats.cut_hellos == 1


def test_a_hello_cut_by_the_capture() -> None:
    hello = client_hello(padding=10)
    there = hello.index(b"api.io.mi.com") + len("api.io.mi.com")
    assert names_of(MessageDecoder(), [tcp(hello[:there], length=1400)]) == ["api.io.mi.com"]
    assert names_of(MessageDecoder(), [tcp(hello[: there - 1], length=1400)]) == []


def test_a_hello_never_finished_is_forgotten_and_gives_the_name_it_showed() -> None:
    decoder = MessageDecoder()
    hello = client_hello(padding=10)
    assert decoder.feed(tcp(hello + b"", length=len(hello))._replace(payload=hello[:40]), START).more is False
    assert decoder.feed(tcp(client_hello()[:1000]), START).more
    assert decoder.expire(5 + STREAM_IDLE) == ()
    assert len(decoder.streams) == 1
    assert decoder.expire(6 + STREAM_IDLE) == ()
    assert (len(decoder.streams), decoder.streams.held, decoder.streams.expired) == (0, 0, 1)
    longer = hello[:3] + struct.pack("!H", len(hello)) + hello[5:6] + (len(hello) - 4).to_bytes(3, "big") + hello[9:]
    assert decoder.feed(tcp(longer), START).more
    assert server_names(decoder.flush()) == ["api.io.mi.com"]


def test_a_flood_of_beginnings_is_bounded_and_hurts_nobody_else() -> None:
    decoder, hello = MessageDecoder(), client_hello()
    assert decoder.feed(tcp(hello[:1000]), START).more
    for index in range(3000):
        flood = tcp(hello[:1000], source_mac=b"flood!", source=index.to_bytes(4, "big"))
        decoder.feed(flood, START)
        assert decoder.streams.held <= MAX_HELD
    assert decoder.streams.evicted > 0
    assert server_names(decoder.feed(tcp(hello[1000:], 1000), START).heard) == ["api.io.mi.com"]


def test_dns_over_udp() -> None:
    decoder = MessageDecoder()
    heard, more = decoder.feed(from_server(dns_answer(), protocol=17), None)
    assert questions(heard) == ["a.example"]
    assert not more
    assert (heard[0].source_mac, heard[0].destination_mac) == (ROUTER, PHONE)
    reversed_ports = from_server(dns_answer(), protocol=17)._replace(source_port=9, destination_port=53)
    assert questions(decoder.feed(reversed_ports, None).heard) == ["a.example"]


@pytest.mark.parametrize("payload", [b"", b"\0", bytes(12), b"\xff" * 100])
def test_noise_on_port_53(payload: bytes) -> None:
    decoder = MessageDecoder()
    for protocol in (6, 17):
        for source, destination in ((53, 0), (0, 53), (53, 53), (443, 53)):
            noise = from_server(payload, protocol=protocol)
            assert decoder.feed(noise._replace(source_port=source, destination_port=destination), None).heard == ()
    assert len(decoder.streams) == 0


def test_answers_over_tcp_in_one_segment_each() -> None:
    decoder, first, second = MessageDecoder(), prefixed(dns_answer("a.example")), prefixed(dns_answer("b.example"))
    assert questions(decoder.feed(from_server(first), START).heard) == ["a.example"]
    assert questions(decoder.feed(from_server(second, len(first)), START).heard) == ["b.example"]
    assert len(decoder.streams) == 0
    assert questions(decoder.feed(from_server(first + second, 9999), None).heard) == ["a.example", "b.example"]


@pytest.mark.parametrize("step", [1, 2, 3, 20, 50])
@pytest.mark.parametrize("backward", [False, True])
def test_answers_over_tcp_in_pieces(step: int, backward: bool) -> None:
    decoder = MessageDecoder()
    stream = b"".join(prefixed(dns_answer(name, 3)) for name in ("a.example", "b.example", "c.example"))
    segments = [from_server(stream[at : at + step], at) for at in range(0, len(stream), step)]
    heard: tuple[Heard, ...] = ()
    for segment in reversed(segments) if backward else segments:
        heard += decoder.feed(segment, START).heard
    assert questions(heard) == ["a.example", "b.example", "c.example"]
    assert len(decoder.streams) == 1
    assert decoder.flush() == ()
    assert decoder.streams.held == 0


def test_a_lost_segment_does_not_silence_later_answers() -> None:
    decoder = MessageDecoder()
    assert decoder.feed(from_server(prefixed(dns_answer())[:20]), START).more
    later = decoder.feed(from_server(prefixed(dns_answer("b.example")), 3000), START)
    assert questions(later.heard) == ["b.example"]


def test_the_largest_answer_over_tcp_and_the_one_behind_it() -> None:
    decoder = MessageDecoder()
    big = dns_answer("big.example", 3000)
    big += bytes(65_535 - len(big))
    stream = prefixed(big) + prefixed(dns_answer("b.example"))
    heard: tuple[Heard, ...] = ()
    start = time.perf_counter()
    for at in range(0, len(stream), 1400):
        heard += decoder.feed(from_server(stream[at : at + 1400], at), START).heard
        assert decoder.streams.held < 2 * MAX_BUFFER
    assert questions(heard) == ["big.example", "b.example"]
    assert time.perf_counter() - start < 0.1


def test_queries_over_tcp_are_not_followed() -> None:
    query = bytearray(prefixed(dns_answer()))
    query[4] = 1
    decoder = MessageDecoder()
    assert decoder.feed(tcp(bytes(query), port=53), START) == ((), False)
    assert len(decoder.streams) == 0


def test_a_tunnel_gives_inner_addresses_and_outer_macs() -> None:
    decoder = MessageDecoder()
    outer = FlowKey(PHONE, ROUTER, b"\1\1\1\1", b"\2\2\2\2", 41, 0, 0, 0, 0)
    for first, last in ((0, 1000), (1000, 2000)):
        part = client_hello()[first:last]
        header = struct.pack("!HHIIBBHHH", 5000, 443, START + first & 0xFFFF_FFFF, 0, 0x50, 0x18, 0, 0, 0)
        packet = struct.pack("!IHBB", 0x6000_0000, len(header + part), 6, 64) + b"s" * 16 + b"d" * 16 + header + part
        heard = decoder.feed_tunnel(9, outer, packet)
    assert server_names(heard) == ["api.io.mi.com"]
    assert (heard[0].source, heard[0].destination) == (b"s" * 16, b"d" * 16)
    assert (heard[0].source_mac, heard[0].destination_port, heard[0].time) == (PHONE, 443, 9)
    assert decoder.stats.tunnelled == 2


def test_tunnels_beyond_the_depth_are_counted() -> None:
    decoder = MessageDecoder()
    packet = b""
    for _ in range(32):
        packet = struct.pack("!BBHIBBH4s4s", 0x45, 0, 20 + len(packet), 0, 64, 4, 0, b"\1\1\1\1", b"\2\2\2\2") + packet
    assert decoder.feed_tunnel(0, FlowKey(PHONE, ROUTER, b"", b"", 4, 0, 0, 0, 0), packet) == ()
    assert decoder.stats.deep_tunnels == 1


ANY_SEGMENT = st.builds(
    Segment,
    st.integers(0, 2**40),
    st.sampled_from([PHONE, None]),
    st.just(ROUTER),
    st.just(b"\1\2\3\4"),
    st.just(b"\5\6\7\x08"),
    st.sampled_from([6, 6, 6, 17]),
    st.sampled_from([53, 40_000]),
    st.sampled_from([53, 443]),
    st.one_of(st.integers(0, 3000), st.integers(2**32 - 3000, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.integers(0, 255),
    st.one_of(
        st.binary(max_size=2000),
        st.binary(max_size=300).map(lambda rest: b"\x16\3\1\2\0\1" + rest),
        st.binary(max_size=300).map(prefixed),
        st.sampled_from([client_hello(), prefixed(dns_answer("a.example", 5, 100)) * 3]).flatmap(
            lambda whole: st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole))).map(
                lambda edges: whole[min(edges) : max(edges)]
            )
        ),
    ),
    st.integers(0, 3000),
)


@given(st.lists(st.tuples(ANY_SEGMENT, st.sampled_from([0, 1, 2**32 - 5, None])), max_size=20))
@settings(deadline=None)
def test_any_segments(segments: list[tuple[Segment, int | None]]) -> None:
    decoder = MessageDecoder()
    for segment, start in segments:
        heard, more = decoder.feed(segment, start)
        assert isinstance(more, bool)
        assert all(each.source == segment.source for each in heard)
        assert decoder.streams.held <= MAX_HELD
    decoder.flush()
    assert (len(decoder.streams), decoder.streams.held) == (0, 0)


def joining(protocol: int, source: bytes, destination: bytes, port: int = 67) -> Segment:
    return tcp(b"", port=port)._replace(protocol=protocol, source=source, destination=destination, source_port=68)


ROUTERS = bytes.fromhex("ff020000000000000000000000000002")
LINK_LOCAL = bytes.fromhex("fe800000000000000000000000000009")


@pytest.mark.parametrize(
    ("segment", "via"),
    [
        (joining(17, bytes(4), b"\xff" * 4), "dhcp"),
        (joining(58, bytes(16), ROUTERS, 0), "router_solicitation"),
        (joining(58, LINK_LOCAL, ROUTERS, 0), "router_solicitation"),
    ],
)
def test_a_client_that_joins(segment: Segment, via: str) -> None:
    heard, more = MessageDecoder().feed(segment, None)
    assert not more
    assert [(each.source_mac, each.message) for each in heard] == [(PHONE, Joined(via))]


@pytest.mark.parametrize(
    "segment",
    [
        joining(17, b"\xc0\xa8\0\2", b"\xc0\xa8\0\1"),
        joining(17, bytes(4), b"\xff" * 4, 68),
        joining(58, LINK_LOCAL, LINK_LOCAL, 0),
        joining(136, bytes(4), b"\xff" * 4),
    ],
    ids=["renewal", "answer", "to one", "UDP-Lite"],
)
def test_who_does_not_join(segment: Segment) -> None:
    assert MessageDecoder().feed(segment, None) == ((), False)
