"""What of a flow's bytes is upload."""

import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.account.uploads import HEADERS, QUIC_ACK, REPEATED, Uploads
from sensor.model.packets import ACK, SYN, TCP, UDP, Packets

PUSH = 0x18
ESP, GRE, SCTP, UDP_LITE = 50, 47, 132, 136


@dataclass(frozen=True)
class Packet:
    """One packet as uploads see it."""

    flow: int = 0
    sequence: int = 0
    payload: int = 0
    flags: int = PUSH
    protocol: int = TCP
    port: int = 9999
    length: int = -1
    """IP bytes; -1: payload and 40."""
    segments: int = 1
    sent: bool = True


def columns(some: list[Packet]) -> Packets:
    count = len(some)
    words = np.zeros((4, count), np.uint64)
    words[1] = [(each.port >> 8 | (each.port & 0xFF) << 8) << 48 for each in some]
    words[3] = [each.protocol | 4 << 8 for each in some]
    length = [each.payload + 40 * each.segments if each.length < 0 else each.length for each in some]
    return Packets(
        time=np.arange(count),
        words=words,
        six=np.empty(0, np.int64),
        tail=np.zeros((3, 0), np.uint64),
        length=np.array(length, np.int64),
        segments=np.array([each.segments for each in some], np.int64),
        flags=np.array([each.flags for each in some], np.uint8),
        sequence=np.array([each.sequence % 2**32 for each in some], np.uint32),
        payload=np.zeros(count, np.int64),
        payload_length=np.array([each.payload for each in some], np.int64),
        message=np.zeros(count, np.bool_),
        row=np.arange(count),
    )


FLOWS = 4


def counted(*seconds: list[Packet], size: int = 1000) -> list[list[int]]:
    """What each flow uploaded in each second, the packets in batches of `size`."""
    uploads, found = Uploads(FLOWS), []
    uploads.open(slice(0, FLOWS))
    for some in seconds:
        packets = columns(some)
        flows = np.array([each.flow for each in some], np.int64)
        sent = np.array([each.sent for each in some], np.bool_)
        for start in range(0, len(some), size):
            span = slice(start, min(start + size, len(some)))
            uploads.add(flows[span], sent[span], packets, span)
        found.append(uploads.settle(np.arange(FLOWS)).tolist())
        assert not uploads.waiting(FLOWS).any()
    return found


def uploaded(*some: Packet, size: int = 1000) -> int:
    """What flow 0 uploaded in one second."""
    [[amount, *rest]] = counted(list(some), size=size)
    assert rest == [0] * (FLOWS - 1)
    return amount


def stream(start: int, *lengths: int, flags: int = PUSH, **more: int) -> list[Packet]:
    """Segments one after another."""
    at, found = start, []
    for length in lengths:
        found.append(Packet(sequence=at, payload=length, flags=flags, **more))  # type: ignore[arg-type]
        at += length
    return found


def test_payload_counts_and_headers_do_not() -> None:
    assert uploaded(*stream(1000, 1400, 1400, 200)) == 3000


def test_what_the_client_received_does_not_count() -> None:
    assert uploaded(*stream(1000, 1400, sent=False)) == 0
    assert uploaded(Packet(payload=1400, protocol=UDP, flags=0, sent=False)) == 0


def test_acknowledgements_of_a_download_do_not_count() -> None:
    assert uploaded(*stream(1000, *[0] * 500, flags=ACK)) == 0


def test_keep_alives_do_not_count() -> None:
    """One byte, or none, one before what comes next (RFC 9293 section 3.8.4)."""
    first = stream(1000, 500)
    alive = [Packet(sequence=1499, payload=payload, flags=ACK) for payload in (1, 0, 1)]
    assert counted([*first, *alive], alive) == [[500, 0, 0, 0], [0, 0, 0, 0]]


def test_retransmissions_do_not_count() -> None:
    some = stream(1000, 100, 100, 100)
    assert uploaded(*some, *some, some[1], *some) == 300
    assert counted(some, [*some, *stream(1300, 50)]) == [[300, 0, 0, 0], [50, 0, 0, 0]]


def test_segments_out_of_order_count_once() -> None:
    one, two, three = stream(1000, 100, 100, 100)
    assert uploaded(one, three, two) == 300


def test_a_jump_without_payload_does_not_count() -> None:
    """Capture lost what was between."""
    assert uploaded(*stream(1000, 100), *stream(900_000, 100)) == 200


@pytest.mark.parametrize("start", [2**32 - 1, 2**32 - 150, 2**31 - 150, 2**32 - 300])
def test_sequence_numbers_wrap(start: int) -> None:
    some = stream(start, 100, 100, 100)
    assert uploaded(*some, *some) == 300
    assert counted(some[:1], some[:2], some) == [[100, 0, 0, 0]] * 3


def test_a_syn_takes_a_number_of_its_own() -> None:
    syn = Packet(sequence=999, flags=SYN)
    assert uploaded(syn, syn, *stream(1000, 100)) == 100
    assert uploaded(syn) == 0


def test_payload_in_a_syn_counts() -> None:
    """TCP Fast Open (RFC 7413); the same bytes may come again after the handshake."""
    syn = Packet(sequence=999, payload=300, flags=SYN)
    assert uploaded(syn) == 300
    assert uploaded(syn, *stream(1000, 300, 100)) == 400


@pytest.mark.parametrize("size", [1, 2, 100])
def test_two_connections_with_the_same_ports_in_one_second(size: int) -> None:
    one = [Packet(sequence=99, flags=SYN), *stream(100, 500, 500)]
    two = [Packet(sequence=4_000_000_000, flags=SYN), *stream(4_000_000_001, 70, 70), *stream(4_000_000_001, 70)]
    assert uploaded(*one, *two, size=size) == 1140
    assert uploaded(*one, *two, *one, size=size) == 2140
    assert uploaded(*two, *one[:1], *one, size=size) == 1140


def test_two_connections_with_the_same_ports_in_two_seconds() -> None:
    two = [Packet(sequence=5, flags=SYN), *stream(6, 70, 70)]
    assert counted(stream(3_000_000_000, 100), two) == [[100, 0, 0, 0], [140, 0, 0, 0]]


def test_super_frames_count_as_their_segments_do() -> None:
    assert uploaded(Packet(sequence=5, payload=60_000, segments=42), *stream(60_005, 1400)) == 61_400


def test_datagrams_count() -> None:
    assert uploaded(*[Packet(payload=1200, protocol=UDP, flags=0)] * 3) == 3600
    assert uploaded(Packet(payload=20, protocol=UDP, flags=0)) == 20


def test_acknowledgements_of_quic_do_not_count() -> None:
    def quic(payload: int, segments: int = 1) -> Packet:
        return Packet(payload=payload, protocol=UDP, flags=0, port=443, segments=segments)

    assert uploaded(*[quic(38)] * 500) == 0
    assert uploaded(quic(QUIC_ACK - 1)) == 0
    assert uploaded(quic(QUIC_ACK)) == QUIC_ACK
    assert uploaded(*[quic(38)] * 500, quic(1200)) == 1200
    assert uploaded(quic(40 * 10, segments=10)) == 0, "ten acknowledgements as one super-frame"
    assert uploaded(quic(1200 * 10, segments=10)) == 12_000


@pytest.mark.parametrize("protocol", [ESP, GRE, SCTP, UDP_LITE, TCP])
@pytest.mark.parametrize("port", [0, 443])
def test_what_has_no_known_payload_counts_without_headers(protocol: int, port: int) -> None:
    packet = Packet(protocol=protocol, flags=0, length=1000, port=port)
    assert uploaded(packet, packet) == 2 * (1000 - HEADERS)
    assert uploaded(Packet(protocol=protocol, flags=0, length=40, port=port)) == 0


def test_later_fragments_count_without_headers() -> None:
    first = Packet(payload=1452, protocol=UDP, flags=0, length=1500)
    later = Packet(protocol=UDP, flags=0, length=1500, port=0)
    assert uploaded(first, later) == 1452 + 1500 - HEADERS


@pytest.mark.parametrize("protocol", [1, 58])
def test_pings_do_not_count(protocol: int) -> None:
    assert uploaded(Packet(protocol=protocol, flags=0, length=1000)) == 0


def test_flows_do_not_mix_and_a_new_one_starts_from_nothing() -> None:
    uploads = Uploads(2)
    uploads.open(slice(0, 2))
    some = [*stream(0, 10), *stream(5, 20, flow=1)]
    uploads.add(np.array([0, 1]), np.ones(2, np.bool_), columns(some), slice(0, 2))
    assert uploads.settle(np.array([0, 1])).tolist() == [10, 20]
    uploads.keep(np.array([1]))
    uploads.add(np.array([0]), np.ones(1, np.bool_), columns(stream(25, 30)), slice(0, 1))
    assert uploads.settle(np.array([0])).tolist() == [30]
    uploads.add(np.array([0]), np.ones(1, np.bool_), columns(stream(5, 20)), slice(0, 1))
    assert uploads.settle(np.array([0])).tolist() == [0], "a repetition stays one"
    uploads.open(slice(0, 1))
    uploads.add(np.array([0]), np.ones(1, np.bool_), columns(stream(25, 30)), slice(0, 1))
    uploads.add(np.array([0]), np.ones(1, np.bool_), columns(stream(5, 20)), slice(0, 1))
    assert uploads.settle(np.array([0])).tolist() == [50], "another flow in the same row"


@dataclass
class Model:
    """The same, packet by packet."""

    base: int | None = None
    behind: int = 0
    ahead: int = 0
    carried: int = 0
    certain: int = 0
    seen: list[int] = field(default_factory=list)

    def add(self, packet: Packet) -> None:
        if not packet.sent:
            return
        if packet.flags:
            self._add_tcp(packet)
            return
        estimate = 40 * packet.segments + packet.payload if packet.length < 0 else packet.length
        amount = packet.payload or max(0, estimate - HEADERS * packet.segments)
        is_ack = packet.protocol == UDP and packet.port == 443 and amount < QUIC_ACK * packet.segments
        self.certain += 0 if is_ack or packet.protocol in (1, 58) else amount

    def _add_tcp(self, packet: Packet) -> None:
        opening = bool(packet.flags & SYN)
        if not packet.payload and not opening:
            return
        start = (packet.sequence + opening) % 2**32
        if self.base is None:
            self.base = start
        elif opening and start != self.base:
            self.certain += min(self.carried, self.ahead)
            self.base, self.behind, self.ahead, self.carried = start, 0, 0, 0
        distance = (start - self.base + 2**31) % 2**32 - 2**31
        if distance < -self.behind:
            self.certain += packet.payload
            return
        self.ahead = max(self.ahead, distance + packet.payload)
        self.carried += packet.payload

    def settle(self) -> int:
        moved = min(self.carried, self.ahead)
        result = self.certain + moved
        self.base = None if self.base is None else (self.base + moved) % 2**32
        self.behind = min(self.behind + moved, REPEATED)
        self.ahead = self.carried = self.certain = 0
        return result


SEQUENCES = st.one_of(st.integers(0, 4000), st.integers(2**32 - 4000, 2**32 - 1), st.integers(0, 2**32 - 1))
SEGMENTS = st.builds(
    Packet,
    flow=st.integers(0, FLOWS - 1),
    sequence=SEQUENCES,
    payload=st.one_of(st.just(0), st.integers(0, 1500), st.integers(0, 65_000)),
    flags=st.sampled_from([ACK, PUSH, PUSH, SYN, SYN, SYN | ACK, 0x04, 0x11, 0]),
    sent=st.sampled_from([True, True, True, False]),
)
OTHERS = st.builds(
    Packet,
    flow=st.integers(0, FLOWS - 1),
    payload=st.one_of(st.just(0), st.integers(0, 1500)),
    flags=st.just(0),
    protocol=st.sampled_from([UDP, ESP, SCTP, 1, 58, TCP]),
    port=st.sampled_from([443, 53, 0]),
    segments=st.sampled_from([1, 1, 2, 40]),
)
SECONDS = st.lists(st.lists(st.one_of(SEGMENTS, SEGMENTS, OTHERS), max_size=40), min_size=1, max_size=3)


@settings(max_examples=300)
@given(SECONDS, st.lists(st.integers(1, 40), max_size=10))
def test_it_agrees_with_a_model_however_batches_are_cut(seconds: list[list[Packet]], cuts: list[int]) -> None:
    models = [Model() for _ in range(FLOWS)]
    expected = []
    for some in seconds:
        for packet in some:
            models[packet.flow].add(packet)
        expected.append([model.settle() for model in models])
    assert counted(*seconds) == expected
    for size in (1, 2, *cuts):
        assert counted(*seconds, size=size) == expected


@given(SECONDS)
def test_it_is_never_negative_and_never_more_than_was_sent(seconds: list[list[Packet]]) -> None:
    for some, found in zip(seconds, counted(*seconds), strict=True):
        sent = [0] * FLOWS
        for packet in some:
            sent[packet.flow] += packet.sent * (packet.payload + 40 * packet.segments)
        assert all(0 <= amount <= most for amount, most in zip(found, sent, strict=True))


@given(st.lists(st.integers(1, 1400), min_size=1, max_size=30), st.integers(0, 2**32 - 1), st.randoms())
def test_a_lossy_link_uploads_what_a_good_one_does(lengths: list[int], start: int, random: object) -> None:
    """Each segment is seen at least once, some again and again, none before the one that opens the flow."""
    some = stream(start, *lengths)
    again = [packet for packet in some for _ in range(random.choice([1, 1, 3]))]  # type: ignore[attr-defined]
    random.shuffle(again)  # type: ignore[attr-defined]
    syn = Packet(sequence=(start - 1) % 2**32, flags=SYN)
    assert uploaded(syn, *again) == sum(lengths)


@st.composite
def with_decoys(draw: st.DrawFn) -> tuple[int, list[list[Packet]]]:
    """(bytes that one connection uploads, some seconds of it among segments that never arrive)."""
    start, seconds, total = draw(st.one_of(SEQUENCES, st.integers(2**31 - 4000, 2**31))), [], 0
    decoy = st.builds(
        lambda at, payload, flags: Packet(sequence=start + at, payload=payload, flags=flags),
        st.one_of(st.integers(-5000, 9000), st.integers(0, 2**32 - 1), st.sampled_from([2**30, 2**31 - 1, 2**31])),
        st.sampled_from([0, 1, 1, 700]),
        st.sampled_from([PUSH, PUSH, SYN, ACK]),
    )
    for _ in range(draw(st.integers(1, 5))):
        some = draw(st.lists(decoy, max_size=3))
        for length in draw(st.lists(st.integers(1, 1400), max_size=4)):
            some += [Packet(sequence=start + total, payload=length), *draw(st.lists(decoy, max_size=2))]
            total += length
        seconds.append(some)
    return total, [[Packet(sequence=start - 1, flags=SYN), *seconds[0]], *seconds[1:]]


@settings(max_examples=200)
@given(with_decoys())
def test_nothing_that_is_sent_besides_hides_an_upload(given: tuple[int, list[list[Packet]]]) -> None:
    total, seconds = given
    assert sum(amount for amount, *_ in counted(*seconds)) >= total


@pytest.mark.parametrize("flags", [PUSH, SYN])
@pytest.mark.parametrize("ahead", [-(2**30), -5000, 1000, 40_000, 4_000_000, 2**30, 2**31 - 1, 2**31, 3 * 2**30])
@pytest.mark.parametrize("every", [1, 2, 7, 100])
def test_decoys_hide_nothing_however_often_they_come(flags: int, ahead: int, every: int) -> None:
    start = 4_294_000_000
    some = stream(start, *[1400] * 2000)
    seconds = [[Packet(sequence=start - 1, flags=SYN)]]
    for number in range(100):
        now = some[number * 20 : number * 20 + 20]
        decoy = Packet(sequence=now[0].sequence + ahead, payload=flags != SYN, flags=flags)
        seconds.append([*([decoy] if number % every == 0 else []), *now])
    found = [amount for amount, *_ in counted(*seconds)][1:]
    # One decoy of a byte is counted too, and may take the place of a byte that is sent later.
    assert all(amount >= 28_000 - 1 for amount in found)
    assert 2_800_000 <= sum(found) <= 2_800_000 + 100


def test_a_decoy_in_a_second_of_its_own_hides_nothing() -> None:
    """Before each second of payload, as little as may pass for what capture lost."""
    some, decoy = stream(1, *[1400] * 400), Packet(sequence=2**30, payload=1)
    seconds = [each for at in range(0, 400, 20) for each in ([decoy], some[at : at + 20])]
    assert sum(amount for amount, *_ in counted([Packet(flags=SYN)], *seconds)) >= 400 * 1400


def test_what_comes_again_from_long_ago_counts() -> None:
    """No stack keeps so much: it is another round of the numbers."""
    some = stream(0, *[60_000] * (REPEATED // 60_000 + 100))
    assert [amount for amount, *_ in counted(some, some[-1000:], some[:50])] == [len(some) * 60_000, 0, 3_000_000]


def test_repetitions_do_not_count_after_decoys_either() -> None:
    some = stream(1, *[1400] * 20)
    found = counted(some, [Packet(sequence=2**30, payload=1)], some, some[:7])
    assert [amount for amount, *_ in found] == [28_000, 1, 0, 0]


def test_what_comes_before_the_first_segment_counts() -> None:
    """Far ends with a stack of their own may count downwards."""
    some = stream(2**31, *[1400] * 700)[::-1]
    assert uploaded(*some) == 700 * 1400
    assert counted(some[:1], some[1:], size=64) == [[1400, 0, 0, 0], [699 * 1400, 0, 0, 0]]


def test_numbers_that_come_round_are_no_repetition() -> None:
    """The connection began at 0 and uploads 5 GiB."""
    piece = 60_000
    seconds = [stream(at * 500 * piece, *[piece] * 500) for at in range(180)]
    assert all(amount == 500 * piece for amount, *_ in counted(*seconds))


def test_a_repeated_syn_is_no_new_connection_however_batches_are_cut() -> None:
    """Among others that are: what is before the repeated one stays known."""
    some = stream(1000, 100, 100)
    again = [Packet(sequence=1199, flags=SYN), *some, Packet(sequence=9_000_000, flags=SYN)]
    assert counted(some, again) == counted(some, again, size=1) == [[200, 0, 0, 0], [0, 0, 0, 0]]


def cost(some: list[Packet]) -> float:
    """ns per packet, the least of some runs."""
    packets, uploads = columns(some), Uploads(2)
    flows, sent = np.zeros(len(some), np.int64), np.ones(len(some), np.bool_)
    uploads.open(slice(0, 2))
    took = []
    for _ in range(3):
        begun = time.process_time()
        uploads.add(flows, sent, packets, slice(0, len(some)))
        took.append(time.process_time() - begun)
    return min(took) / len(some) * 1e9


@pytest.mark.parametrize("payload", [0, 100])
def test_a_flood_of_connections_on_one_pair_of_ports_is_no_more_work(payload: int) -> None:
    flood = [Packet(sequence=at * 7919, flags=SYN, payload=payload) for at in range(16_384)]
    assert cost(flood) < 1_500


def test_connections_that_alternate_with_payload_are_all_counted() -> None:
    flood = [(Packet(sequence=at * 9973, flags=SYN), Packet(sequence=at * 9973 + 1, payload=10)) for at in range(2000)]
    assert uploaded(*(packet for pair in flood for packet in pair), size=16_384) == 20_000
