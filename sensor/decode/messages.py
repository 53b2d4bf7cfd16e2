"""The messages in a flow's packets: which segments belong to one, and what it says once it is complete."""

from dataclasses import dataclass
from typing import NamedTuple

from sensor.decode import dns, tls, tunnel
from sensor.decode.streams import MAX_BUFFER, Stream, StreamTable, ahead
from sensor.model.flow import FlowKey
from sensor.model.message import DnsAnswer, Heard, Joined, Segment, TlsHello
from sensor.model.packets import SYN, TCP, UDP

ICMPV6 = 58
ALL_ROUTERS = bytes.fromhex("ff02") + bytes(13) + b"\x02"
DHCP_SERVER_PORT = 67


class Feed(NamedTuple):
    """What came of one segment."""

    heard: tuple[Heard, ...]
    more: bool
    """The next segments of this flow in this direction are wanted, too."""


@dataclass(slots=True)
class MessageStats(dns.DnsStats):
    """What the decoder took in and what it gave up."""

    segments: int = 0
    """Segments looked at, those out of tunnels included."""
    hellos: int = 0
    """TLS hellos decoded."""
    cut_hellos: int = 0
    """Of those: incomplete, but with a server name."""
    bad_hellos: int = 0
    """Streams that began like a TLS hello and were none."""
    lost_streams: int = 0
    """Streams given up because a message outgrew its buffer or a piece of it never came."""
    tunnelled: int = 0
    """Packets found in tunnels."""
    deep_tunnels: int = 0
    """Packets wrapped more than tunnel.MAX_TUNNEL_DEPTH times: left shut."""


_NO, _MORE = Feed((), False), Feed((), True)


class MessageDecoder:
    """Reads DNS answers and TLS hellos out of segments; holds at most streams.MAX_HELD bytes."""

    def __init__(self) -> None:
        self.stats = MessageStats()
        self._streams = StreamTable()

    @property
    def streams(self) -> StreamTable:
        """The streams that wait for more; only to be read (`held`, `evicted`, `expired`, its length)."""
        return self._streams

    def feed(self, segment: Segment, start: int | None) -> Feed:
        """Looks at one segment.

        `start`: the sequence number of the first payload byte of this direction where the SYN was seen, else None.
        Hand over: UDP and TCP payload from or to port 53, any TCP payload that begins like a hello, and the payload of
        a flow whose SYN was seen until `more` is False.
        """
        self.stats.segments += 1
        if segment.protocol == TCP:
            if not segment.payload:
                return _MORE if start is not None else _NO
            return self._answers(segment, start) if segment.source_port == dns.PORT else self._hello(segment, start)
        if segment.protocol == UDP and dns.PORT in (segment.source_port, segment.destination_port):
            answer = dns.decode(segment.payload, self.stats)
            return _NO if answer is None else Feed((_heard(segment, answer),), False)
        joined = _joining(segment)
        return _NO if joined is None else Feed((_heard(segment, joined),), False)

    def feed_tunnel(self, time: int, key: FlowKey, payload: bytes) -> tuple[Heard, ...]:
        """Looks into a tunnel packet: `key` of the outer packet, `payload` what follows its last header.

        What is heard names the inner addresses and ports, and the MACs of the outer frame. Nobody follows the flows
        inside tunnels: a hello there is only found when its first segment comes first.
        """
        heard: tuple[Heard, ...] = ()
        try:
            for inner in tunnel.unwrap(key.protocol, key.source_port, key.destination_port, payload):
                self.stats.tunnelled += 1
                if inner.payload:
                    heard += self.feed(Segment(time, key.source_mac, key.destination_mac, *inner), None).heard
        except tunnel.TooDeep:
            self.stats.deep_tunnels += 1
        return heard

    def expire(self, now: int) -> tuple[Heard, ...]:
        """Gives up the streams without a segment for streams.STREAM_IDLE before `now` (ns); what they held by then."""
        heard: list[Heard] = []
        if self._streams:
            for stream in self._streams.expire(now):
                if stream.ready and stream.opener.source_port != dns.PORT:
                    heard += self._partial(stream.opener, stream).heard
        return tuple(heard)

    def flush(self) -> tuple[Heard, ...]:
        """Gives up all streams: no more packets will come."""
        return self.expire(1 << 63)

    def _hello(self, segment: Segment, start: int | None) -> Feed:
        payload = segment.payload
        signed = payload[0] == tls.HANDSHAKE and tls.may_be_hello(payload)
        if not signed and not self._streams and (start is None or segment.sequence == start):
            return _NO  # the usual case: a connection that does not begin with TLS
        sequence = _sequence(segment)
        whole = signed and len(payload) >= tls.SIGNATURE
        if self._streams:
            owner, key = _names(segment)
            stream = self._streams.get(owner, key)
            if stream is not None and not (whole and stream.apart(sequence)):
                return self._continue_hello(segment, sequence, owner, key, stream)
        if signed and (whole or sequence == start):
            return self._begin_hello(segment, sequence)
        distance = ahead(sequence, start) if start is not None else 0
        if start is not None and 0 < distance < MAX_BUFFER:
            self._open(segment, sequence, start)
        return _MORE if distance and -MAX_BUFFER < distance < MAX_BUFFER else _NO  # before the start: a keep-alive

    def _begin_hello(self, segment: Segment, sequence: int) -> Feed:
        cut = segment.length > len(segment.payload) or len(segment.payload) >= MAX_BUFFER
        hello = tls.decode_hello(segment.payload, cut=False)
        if not isinstance(hello, tls.NeedMore):
            return self._outcome(segment, hello)
        stream = self._open(segment, sequence, sequence)
        if cut:
            self._streams.close(*_names(segment))
            return self._partial(segment, stream)
        stream.goal = hello.size
        return _MORE

    def _continue_hello(self, segment: Segment, sequence: int, owner: bytes, key: bytes, stream: Stream) -> Feed:
        stream.time = segment.time
        fits = self._streams.add(owner, stream, sequence, segment.payload)
        cut = not fits or segment.length > len(segment.payload)
        if stream.ready < min(stream.goal, MAX_BUFFER) and not cut:
            return _MORE
        hello = tls.decode_hello(stream.content())
        if isinstance(hello, tls.NeedMore) and not cut and stream.ready < MAX_BUFFER:
            stream.goal = hello.size
            return _MORE
        self._streams.close(owner, key)
        if isinstance(hello, tls.NeedMore) or not stream.ready:
            return self._partial(segment, stream)
        return self._outcome(segment, hello) if tls.may_be_hello(stream.content()) else _NO

    def _partial(self, segment: Segment, stream: Stream) -> Feed:
        """The server name of a hello whose rest will not come."""
        hello = tls.decode_hello(stream.content(), cut=True)
        if hello is None or isinstance(hello, tls.NeedMore):
            self.stats.lost_streams += 1
            return _NO
        self.stats.cut_hellos += 1
        return self._outcome(segment, hello)

    def _outcome(self, segment: Segment, hello: TlsHello | None) -> Feed:
        if hello is None:
            self.stats.bad_hellos += 1
            return _NO
        self.stats.hellos += 1
        return Feed((_heard(segment, hello),), False)

    def _answers(self, segment: Segment, start: int | None) -> Feed:
        """DNS over TCP (RFC 7766 section 8): each message behind its length, over as many segments as it takes."""
        payload, sequence = segment.payload, _sequence(segment)
        owner, key = _names(segment)
        stream = self._streams.get(owner, key) if self._streams else None
        whole = _is_answer(payload)
        if whole and (stream is None or stream.apart(sequence)):
            # Mostly one message is one segment, and then needs no stream; not even behind a gap.
            heard = self._message(segment, payload[2:])
            if stream is None:
                return Feed(heard, False)
            self._streams.add(owner, stream, sequence, payload)
            return Feed(heard, True)
        if stream is None:
            base = _base(payload, sequence, start)
            if base is None:
                return _NO
            stream = self._open(segment, sequence, base)
            fits = len(payload) <= MAX_BUFFER
        else:
            stream.time = segment.time
            fits = self._streams.add(owner, stream, sequence, payload)
        return self._drain(segment, owner, key, stream, fits)

    def _drain(self, segment: Segment, owner: bytes, key: bytes, stream: Stream, fits: bool) -> Feed:
        """All messages that are ready. One longer than the buffer is read as far as it fits, its rest skipped.

        The stream stays open when it is empty: it knows where the next message starts, be its first piece one byte.
        """
        heard: tuple[Heard, ...] = ()
        data = stream.content()
        at = 0
        while len(data) - at >= 2:
            if not _may_be_answer(data[at : at + 8]):
                self._streams.close(owner, key)
                return Feed(heard, False)
            end = at + 2 + (data[at] << 8 | data[at + 1])
            if len(data) < end and (at or len(data) < MAX_BUFFER):
                break
            heard += self._message(segment, data[at + 2 : end])
            at = end
        if at:
            self._streams.skip(owner, stream, at)
        elif not fits:  # the next piece is lost, and what came after it fills the buffer
            self.stats.lost_streams += 1
            self._streams.close(owner, key)
        return Feed(heard, fits or at > 0)

    def _message(self, segment: Segment, message: bytes) -> tuple[Heard, ...]:
        answer = dns.decode(message, self.stats)
        return () if answer is None else (_heard(segment, answer),)

    def _open(self, segment: Segment, sequence: int, base: int) -> Stream:
        stream = Stream(base, segment)
        stream.add(sequence, segment.payload)
        self._streams.open(*_names(segment), stream)
        return stream


def _sequence(segment: Segment) -> int:
    """Of the first payload byte: a SYN takes a number of its own (TCP Fast Open sends payload with it)."""
    return (segment.sequence + 1) & 0xFFFF_FFFF if segment.flags & SYN else segment.sequence


def _joining(segment: Segment) -> Joined | None:
    """Whether its sender just joined the network; the headers alone tell."""
    if segment.protocol == ICMPV6 and segment.destination == ALL_ROUTERS:
        return Joined("router_solicitation")
    if segment.protocol == UDP and segment.destination_port == DHCP_SERVER_PORT and not any(segment.source):
        return Joined("dhcp")
    return None


def _names(segment: Segment) -> tuple[bytes, bytes]:
    """Owner and key of a segment's stream."""
    ports = (segment.source_port << 16 | segment.destination_port).to_bytes(4, "big")
    macs = (segment.source_mac or b"") + (segment.destination_mac or b"")
    # Without MACs (tun, PPP) the sender's address tells who it is.
    return macs or segment.source, segment.source + segment.destination + ports


def _base(payload: bytes, sequence: int, start: int | None) -> int | None:
    """Where the DNS stream of a segment begins, if it belongs to one that can be read."""
    if _may_be_answer(payload) and (len(payload) >= 8 or sequence == start):
        return sequence
    return start if start is not None and 0 < ahead(sequence, start) < MAX_BUFFER else None


def _may_be_answer(data: bytes) -> bool:
    """Whether these bytes may start a DNS message over TCP: length, QR bit, at most one question."""
    size = len(data)
    return (
        (size < 2 or data[0] > 0 or data[1] >= 12)
        and (size < 5 or data[4] & 0x80 != 0)
        and (size < 8 or (data[6] == 0 and data[7] <= 1))
    )


def _is_answer(payload: bytes) -> bool:
    """Whether a segment holds exactly one response."""
    return len(payload) >= 14 and payload[0] << 8 | payload[1] == len(payload) - 2 and _may_be_answer(payload)


def _heard(segment: Segment, message: DnsAnswer | TlsHello | Joined) -> Heard:
    return Heard(*segment[:8], message)
