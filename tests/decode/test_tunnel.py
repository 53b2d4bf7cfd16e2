"""Packets that scapy wrapped come out as they were; whatever else comes in, nothing is raised."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.layers.inet import IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import GRE, GRE_PPTP, Dot1Q, Ether
from scapy.layers.l2tp import L2TP
from scapy.layers.ppp import HDLC, PPP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from sensor.decode.tunnel import MAX_TUNNEL_DEPTH, Inner, TooDeep, is_tunnel, unwrap

FOUR = IP(src="10.0.0.1", dst="192.0.2.7") / UDP(sport=5000, dport=53) / Raw(b"query")
SIX = IPv6(src="fd00::1", dst="2001:db8::7") / TCP(sport=5000, dport=443, seq=77, flags="PA") / Raw(b"hello")
INNER_FOUR = Inner(bytes([10, 0, 0, 1]), bytes([192, 0, 2, 7]), 17, 5000, 53, 0, 0, b"query", 5)
INNER_SIX = Inner(
    bytes.fromhex("fd000000000000000000000000000001"),
    bytes.fromhex("20010db8000000000000000000000007"),
    6,
    5000,
    443,
    77,
    0x18,
    b"hello",
    5,
)
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
TEREDO_ORIGIN = b"\0\0" + bytes(6)
TEREDO_AUTHENTICATION = b"\0\1\2\3" + b"id" + b"key" + bytes(9)


def opened(protocol: int, payload: Packet | bytes, port: int = 0) -> list[Inner]:
    return list(unwrap(protocol, 40_000 if port else 0, port, bytes(payload)))


@pytest.mark.parametrize(
    ("protocol", "port", "wrap"),
    [
        pytest.param(4, 0, lambda inner: inner, id="ipip"),
        pytest.param(41, 0, lambda inner: inner, id="6in4"),
        pytest.param(94, 0, lambda inner: inner, id="old ipip"),
        pytest.param(47, 0, lambda inner: GRE() / inner, id="gre"),
        pytest.param(47, 0, lambda inner: GRE(key_present=1, seqnum_present=1, chksum_present=1) / inner, id="gre+"),
        pytest.param(47, 0, lambda inner: GRE(proto=0x6558) / ETHER / inner, id="gre ethernet"),
        pytest.param(47, 0, lambda inner: GRE(seqnum_present=1) / ERSPAN_II() / ETHER / inner, id="erspan II"),
        pytest.param(47, 0, lambda inner: GRE(proto=0x88BE) / ERSPAN_I() / ETHER / inner, id="erspan I"),
        pytest.param(47, 0, lambda inner: GRE(seqnum_present=1) / ERSPAN_III() / ETHER / inner, id="erspan III"),
        pytest.param(47, 0, lambda inner: GRE_PPTP(seqnum_present=1) / PPP() / inner, id="pptp"),
        pytest.param(97, 0, lambda inner: Raw(b"\x30\0") / ETHER / inner, id="etherip"),
        pytest.param(137, 0, lambda inner: MPLS(s=0) / MPLS(s=1) / inner, id="mpls"),
        pytest.param(17, 4789, lambda inner: VXLAN() / ETHER / Dot1Q() / Dot1Q() / inner, id="vxlan"),
        pytest.param(17, 8472, lambda inner: VXLAN() / ETHER / MPLS(s=1) / inner, id="vxlan mpls"),
        pytest.param(17, 4790, lambda inner: VXLAN(flags=12, NextProtocol=3) / ETHER / inner, id="vxlan-gpe"),
        pytest.param(
            17, 4790, lambda inner: VXLAN(flags=12, NextProtocol=4) / NSH(nextproto=3) / ETHER / inner, id="nsh"
        ),
        pytest.param(17, 6081, lambda inner: GENEVE() / ETHER / inner, id="geneve"),
        pytest.param(17, 6635, lambda inner: MPLS(s=1) / inner, id="mpls in udp"),
        pytest.param(17, 4754, lambda inner: GRE() / inner, id="gre in udp"),
        pytest.param(17, 4341, lambda inner: Raw(bytes(8)) / inner, id="lisp"),
        pytest.param(17, 2152, lambda inner: GTP_U_Header(teid=5) / inner, id="gtp-u"),
        pytest.param(17, 2152, lambda inner: GTP_U_Header(teid=5, S=1) / inner, id="gtp-u sequence"),
        pytest.param(17, 1701, lambda inner: L2TP(b"\0\2\0\1\0\2") / HDLC() / PPP() / inner, id="l2tp"),
    ],
)
@pytest.mark.parametrize(("inner", "expected"), [(FOUR, INNER_FOUR), (SIX, INNER_SIX)], ids=["IPv4", "IPv6"])
def test_each_kind_of_tunnel(
    protocol: int, port: int, wrap: Callable[[Packet], Packet], inner: Packet, expected: Inner
) -> None:
    assert opened(protocol, wrap(inner), port) == [expected]
    assert is_tunnel(protocol, 0, port)


@pytest.mark.parametrize("before", [b"", TEREDO_ORIGIN, TEREDO_AUTHENTICATION, TEREDO_AUTHENTICATION + TEREDO_ORIGIN])
def test_teredo(before: bytes) -> None:
    assert opened(17, before + bytes(SIX), 3544) == [INNER_SIX]


def test_options_and_extension_headers_are_passed_over() -> None:
    options = IP(src="10.0.0.1", dst="192.0.2.7", options=[IPOption_RR(routers=["192.0.2.1"])]) / FOUR[UDP]
    assert opened(4, options) == [INNER_FOUR]
    extended = IPv6(src="fd00::1", dst="2001:db8::7") / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / SIX[TCP]
    assert opened(41, extended) == [INNER_SIX]


def test_padding_behind_the_inner_packet_is_no_payload() -> None:
    assert opened(47, bytes(GRE() / FOUR) + bytes(30)) == [INNER_FOUR]


def test_a_cut_packet_tells_its_true_length() -> None:
    assert opened(4, bytes(FOUR)[:-2]) == [INNER_FOUR._replace(payload=b"que")]


def test_later_fragments_have_no_ports() -> None:
    assert opened(4, IP(frag=5, proto=17) / Raw(bytes(64))) == []
    assert opened(41, IPv6() / IPv6ExtHdrFragment(offset=5, nh=17) / Raw(bytes(64))) == []


def test_tunnels_in_tunnels_to_a_depth() -> None:
    deep: Packet = FOUR
    for depth in range(1, 33):
        if depth <= MAX_TUNNEL_DEPTH:
            assert opened(4, deep) == [INNER_FOUR]
        else:
            with pytest.raises(TooDeep):
                opened(4, deep)
        deep = IP() / deep if depth % 2 else IP() / UDP(sport=5, dport=4789) / VXLAN() / ETHER / deep


def test_what_wraps_nothing() -> None:
    assert opened(1, bytes(FOUR)) == []
    assert opened(17, bytes(FOUR), 9999) == []
    assert opened(4, IP() / Raw(b"")) == []
    assert not is_tunnel(17, 443, 50_000)
    assert not is_tunnel(6, 1701, 1701)
    assert is_tunnel(17, 1701, 50_000)
    assert not is_tunnel(17, 53, 8472)


KINDS = [(4, 0), (41, 0), (47, 0), (97, 0), (137, 0)]
PORTS = [1701, 2152, 3544, 4341, 4754, 4789, 4790, 6081, 6635, 8472]


@given(st.sampled_from(KINDS + [(17, port) for port in PORTS]), st.binary(max_size=2000))
def test_any_bytes(kind: tuple[int, int], payload: bytes) -> None:
    _open_quietly(*kind, payload)


SAMPLES = [
    (47, 0, bytes(GRE(proto=0x6558) / ETHER / Dot1Q() / FOUR)),
    (17, 4789, bytes(VXLAN() / ETHER / IP() / GRE() / SIX)),
    (17, 6081, bytes(GENEVE() / ETHER / SIX)),
    (17, 2152, bytes(GTP_U_Header(teid=5, S=1) / FOUR)),
    (17, 3544, TEREDO_AUTHENTICATION + TEREDO_ORIGIN + bytes(SIX)),
    (17, 1701, bytes(L2TP(b"\0\2\0\1\0\2") / HDLC() / PPP() / FOUR)),
]


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), max_size=6), st.data())
def test_damaged_tunnels(sample: tuple[int, int, bytes], damage: list[tuple[int, int]], data: st.DataObject) -> None:
    protocol, port, payload = sample
    broken = bytearray(payload)
    for place, byte in damage:
        broken[place % len(broken)] = byte
    _open_quietly(protocol, port, bytes(broken[: data.draw(st.integers(0, len(broken)))]))


def _open_quietly(protocol: int, port: int, payload: bytes) -> None:
    try:
        found = list(unwrap(protocol, port, port, payload))
    except TooDeep:
        return
    for inner in found:
        assert len(inner.source) == len(inner.destination)
        assert len(inner.source) in (4, 16)
        assert len(inner.payload) <= inner.length
