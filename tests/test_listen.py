"""Which packets of a span are looked into."""

from collections.abc import Sequence

import numpy as np
import pytest

from sensor import listen as listen_module
from sensor.account.flows import FlowTable
from sensor.decode.headers import HeaderDecoder
from sensor.decode.messages import MessageDecoder
from sensor.listen import Budget, listen
from sensor.model.message import DnsAnswer, Heard, TlsHello
from tests.frames import (
    ACK,
    FAR,
    HOME,
    PHONE,
    ROUTER,
    START,
    SYN,
    answer,
    batch,
    dns,
    ethernet,
    hello,
    ip,
    tcp,
    udp,
)

LONG = hello("api.io.mi.com", padding=1700)


class Ear:
    """A decoder with its flow table."""

    def __init__(self) -> None:
        self.messages = MessageDecoder()
        self.table = FlowTable()

    def hears(self, *frames: bytes, begin: int = 0) -> list[Heard]:
        """What the frames from `begin` on say, as one span."""
        made = batch(list(enumerate(frames)))
        packets = HeaderDecoder().decode(made)
        span = slice(begin, len(packets))
        times = packets.time[span]
        flows = self.table.add(packets, span, times)
        return list(listen(self.messages, self.table, made, packets, span, flows, times, Budget()))

    def wanted(self) -> int:
        """Flows whose next payload is looked at."""
        return int(np.count_nonzero(self.table.wanted[: self.table.count]))


def said(heard: Sequence[Heard]) -> list[str | None]:
    return [
        each.message.question if isinstance(each.message, DnsAnswer) else each.message.server_name for each in heard
    ]


def stream(at: int, end: int, port: int = 40_000) -> bytes:
    """Bytes of the hello behind a SYN with number 6."""
    return tcp(HOME, FAR, LONG[at:end], sequence=7 + at, ports=(port, 443))


@pytest.fixture
def ear() -> Ear:
    return Ear()


OPENS = tcp(HOME, FAR, flags=SYN, sequence=6)


def test_what_is_heard_knows_its_ends_and_its_time(ear: Ear) -> None:
    [heard] = ear.hears(udp(HOME, FAR), tcp(HOME, FAR, hello("a.example")))
    assert isinstance(heard.message, TlsHello)
    assert heard.message.server_name == "a.example"
    assert (heard.source_mac, heard.destination_mac, heard.time) == (PHONE, ROUTER, START + 1)
    assert (heard.source_port, heard.destination_port, heard.protocol) == (40_000, 443, 6)


def test_messages_come_in_the_order_of_their_packets(ear: Ear) -> None:
    heard = ear.hears(
        answer("one.example", FAR),
        stream(0, 1400),
        answer("two.example", FAR),
        stream(1400, len(LONG)),
        answer("three.example", FAR),
    )
    assert said(heard) == ["one.example", "two.example", "api.io.mi.com", "three.example"]


@pytest.mark.parametrize(
    "frame",
    [
        tcp(HOME, FAR, b"GET / HTTP/1.1\r\n"),
        tcp(HOME, FAR, flags=ACK),
        udp(HOME, FAR, LONG),
        udp(HOME, FAR, dns("a.example", FAR), ports=(53_000, 5300)),
        udp(HOME, FAR, b"", ports=(40_000, 53)),
    ],
)
def test_other_packets_are_not_looked_at(ear: Ear, frame: bytes) -> None:
    assert ear.hears(frame) == []
    assert ear.messages.stats.segments == 0


def test_the_first_payload_behind_a_syn_is_looked_at_once(ear: Ear) -> None:
    later = [tcp(HOME, FAR, b"x" * 50, sequence=7 + at) for at in (0, 50, 100)]
    assert ear.hears(OPENS, *later) == []
    assert (ear.messages.stats.segments, ear.wanted()) == (1, 0)
    ear.hears(*later)
    assert ear.messages.stats.segments == 1


def test_a_syn_waits_for_payload_over_batches(ear: Ear) -> None:
    assert ear.hears(OPENS, tcp(HOME, FAR, flags=ACK, sequence=7)) == []
    assert ear.wanted() == 1
    assert said(ear.hears(stream(0, len(LONG)))) == ["api.io.mi.com"]
    assert ear.wanted() == 0


def test_the_answering_side_of_a_handshake_is_not_waited_for(ear: Ear) -> None:
    ear.hears(tcp(FAR, HOME, flags=SYN | ACK, ports=(443, 40_000), macs=(ROUTER, PHONE)))
    assert ear.wanted() == 0


@pytest.mark.parametrize("begins", [[0, 600, 1200], [1200, 0, 600], [1200, 600, 0], [600, 0, 0, 1200, 1200]])
def test_a_stream_draws_in_the_later_packets_of_its_flow(ear: Ear, begins: list[int]) -> None:
    heard = ear.hears(OPENS, *(stream(at, at + 600 if at < 1200 else len(LONG)) for at in begins))
    assert said(heard) == ["api.io.mi.com"]
    assert (ear.wanted(), len(ear.messages.streams)) == (0, 0)


def test_streams_of_many_flows_at_once(ear: Ear) -> None:
    heads = [stream(0, 1000, port) for port in range(1000, 1100)]
    tails = [stream(1000, len(LONG), port) for port in range(1000, 1100)]
    heard = ear.hears(*heads, *tails)
    assert [each.source_port for each in heard] == list(range(1000, 1100))


def test_a_span_in_the_middle_of_a_batch(ear: Ear) -> None:
    frames = [udp(HOME, FAR), answer("before.example", FAR), stream(0, 1000), stream(1000, len(LONG))]
    assert said(ear.hears(*frames, begin=2)) == ["api.io.mi.com"]


def test_the_whole_frame_goes_before_what_the_ring_holds_of_it(ear: Ear) -> None:
    frame = tcp(HOME, FAR, LONG)
    made = batch([(0, frame)])
    made.captured[:] = 100
    made.copies[0] = frame
    packets = HeaderDecoder().decode(made)
    flows = ear.table.add(packets, slice(0, 1), packets.time)
    assert said(list(listen(ear.messages, ear.table, made, packets, slice(0, 1), flows, packets.time, Budget()))) == [
        "api.io.mi.com"
    ]


def test_tunnels_are_opened_up_to_a_cap(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen_module, "MAX_TUNNELS", 3)
    inner = ip("10.0.0.1", HOME, 17, udp("10.0.0.1", HOME, dns("in.example", FAR), ports=(53, 9))[34:])
    heard = ear.hears(*[ethernet(HOME, FAR, ip(HOME, FAR, 4, inner))] * 5, answer("out.example", FAR))
    assert said(heard) == ["in.example"] * 3 + ["out.example"]
    assert ear.table.packets[: ear.table.count].sum() == 6


def test_nothing_to_hear(ear: Ear) -> None:
    assert ear.hears() == []
    assert ear.hears(b"\0" * 60) == []
