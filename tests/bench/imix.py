"""The capture file that the benches read: an IMIX of TCP, UDP and TLS flows with their DNS, and its truth.

At least 2 million packets, 20,000 flows, 50 clients, a quarter of it IPv6, at 100,000 packets/s; a few
per cent VLAN tags, IPv4 options, IPv6 extension headers and fragments. Every TLS flow begins with SYN,
SYN-ACK and a hello with a server name of its own (a third of the hellos, as post-quantum ones are, in
two segments); half of them follow a DNS question and answer of the same client.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LAN6 = "2a02:2f0:1:1::/64"
"""The clients' IPv6 addresses are global ones, as real ones are."""

ROUTER = b"\x02\x00\x00\x00\x00\x01"
RESOLVER = bytes([8, 8, 8, 8])
ROUND_TRIP = 20_000
"""Microseconds between SYN and SYN-ACK."""

HEADERS = 128
"""Bytes at the start of each frame that are computed in columns."""

PLAIN4, PLAIN6, TAGGED4, HOPOPTS6, FRAGMENT6, OPTIONS4, FRAGMENT4 = range(7)
SHARES = [0.735, 0.245, 0.004, 0.004, 0.004, 0.004, 0.004]
IP_HEADER = np.array([20, 40, 20, 48, 48, 24, 20])
IS_SIX = np.array([False, True, False, True, True, False, False])

Ints = NDArray[np.int64]


@dataclass
class Mix:
    """A generated file and what is in it."""

    file: Path
    packets: int
    names: int
    sent_bytes: int
    received_bytes: int


def mix(folder: Path, packets: int = 2_000_000, flows: int = 20_000, clients: int = 50, seed: int = 7) -> Mix:
    """The file with these figures from the folder, made first where it is not there yet."""
    file = folder / f"imix-{packets}-{flows}-{clients}-{seed}-v4.pcap"
    truth = file.with_suffix(".json")
    if not truth.exists():
        folder.mkdir(parents=True, exist_ok=True)
        truth.write_text(json.dumps(Generator(packets, flows, clients, seed).write(file)))
    return Mix(file, **json.loads(truth.read_text()))


class Generator:
    """One file; `write` may be called once."""

    def __init__(self, packets: int, flows: int, clients: int, seed: int, rate: float = 100_000) -> None:
        self.rate = rate
        self.rng = np.random.default_rng(seed)
        self._choose_ends(clients)
        self._choose_flows(flows)
        self._choose_packets(packets)
        self._choose_names()

    def write(self, file: Path) -> dict[str, int]:
        """Write the file; the figures of `Mix`."""
        chunk = 250_000
        with file.open("wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for start in range(0, len(self.time), chunk):
                self._write_chunk(out, slice(start, min(start + chunk, len(self.time))))
        return self.truth()

    def truth(self) -> dict[str, int]:
        flow = self.flow[self.special < 0]
        down = self.down[self.special < 0]
        ip = (self.length - 14)[self.special < 0] - 4 * (self.kind[flow] == TAGGED4)
        sent, received = int(ip[~down].sum()), int(ip[down].sum())
        for frame, goes_down in zip(self.frames, self.frame_down, strict=True):
            if goes_down:
                received += len(frame) - 14
            else:
                sent += len(frame) - 14
        names = int(self.tls.sum())
        return {"packets": len(self.time), "names": names, "sent_bytes": sent, "received_bytes": received}

    def _choose_ends(self, clients: int, remotes: int = 6000) -> None:
        rng = self.rng
        number = np.arange(clients)
        self.mac = np.zeros((clients, 6), np.uint8)
        self.mac[:] = [0x64, 0x09, 0x80, 0, 0, 0]
        self.mac[:, 4], self.mac[:, 5] = number // 256, number % 256
        self.four = np.tile(np.array([192, 168, 0, 0], np.uint8), (clients, 1))
        self.four[:, 2], self.four[:, 3] = 50 + (number + 10) // 250, (number + 10) % 250 + 1
        self.six = np.zeros((clients, 16), np.uint8)
        self.six[:, :8] = np.frombuffer(bytes.fromhex("2a0202f000010001"), np.uint8)
        self.six[:, 14:] = self.four[:, 2:]
        self.remote4 = rng.integers(1, 255, (remotes, 4)).astype(np.uint8)
        self.remote4[:, 0] = rng.choice([23, 31, 34, 52, 64, 93, 104, 142, 151, 185], remotes)
        self.remote6 = rng.integers(0, 256, (remotes, 16)).astype(np.uint8)
        self.remote6[:, :4] = np.frombuffer(bytes.fromhex("2a001450"), np.uint8)

    def _choose_flows(self, flows: int) -> None:
        rng = self.rng
        self.client = rng.integers(0, len(self.mac), flows)
        self.remote = np.minimum((rng.pareto(0.9, flows) * 20).astype(int), len(self.remote4) - 1)
        self.protocol = np.where(rng.random(flows) < 0.62, 6, 17)
        tcp = rng.choice([443, 80, 22, 993, 5222, 8443], flows, p=[0.8, 0.08, 0.02, 0.04, 0.03, 0.03])
        udp = rng.choice([443, 123, 3478, 51820], flows, p=[0.8, 0.1, 0.05, 0.05])
        self.port = np.where(self.protocol == 6, tcp, udp)
        self.local_port = 20_000 + np.arange(flows) % 40_000
        self.kind = rng.choice(7, flows, p=SHARES)
        self.tls = (self.protocol == 6) & (self.port == 443) & (self.kind < HOPOPTS6)
        self.large_hello = self.tls & (rng.random(flows) < 1 / 3)
        self.asks = self.tls & (rng.random(flows) < 0.5)

    def _choose_packets(self, packets: int) -> None:
        rng, flows = self.rng, len(self.client)
        weight = np.minimum(rng.pareto(1.1, flows) + 0.02, 2000.0)
        opening = np.repeat(np.arange(flows), 4)
        flow = np.concatenate([opening, rng.choice(flows, packets - len(opening), p=weight / weight.sum())])
        rng.shuffle(flow)
        time = 1_790_000_000_000_000 + np.cumsum(rng.exponential(1e6 / self.rate, packets)).astype(np.int64)
        self._shake_hands(flow, time)
        flow = self.flow
        self.down = rng.random(packets) < 0.58
        self.length = rng.choice([66, 590, 1514], packets, p=[7 / 12, 4 / 12, 1 / 12])
        kind = self.kind[flow]
        self.later_fragment = (rng.random(packets) < 0.5) & ((kind == FRAGMENT4) | (kind == FRAGMENT6))
        tls, ordinal = self.tls[flow], self.ordinal
        self.syn, self.syn_ack = tls & (ordinal == 0), tls & (ordinal == 1)
        self.hello = tls & (ordinal == 2)
        self.hello_rest = self.large_hello[flow] & (ordinal == 3)
        quic = (self.protocol[flow] == 17) & (self.port[flow] == 443)
        self.initial = quic & (ordinal == 0) & ~self.later_fragment
        self.down[self.syn | self.hello | self.hello_rest | self.initial] = False
        self.down[self.syn_ack] = True
        overhead = self._overhead(flow)
        self.length[self.port[flow] == 123] = 90
        self.length[self.syn | self.syn_ack] = overhead[self.syn | self.syn_ack]
        self.length[self.initial] = 1292
        segment = 1500 - 32 - IP_HEADER[kind]
        size = np.where(self.large_hello[flow], segment, SMALL_HELLO)
        self.length = np.where(self.hello, overhead + size, self.length)
        self.length = np.where(self.hello_rest, overhead + LARGE_HELLO - segment, self.length)
        tag = 4 * (kind == TAGGED4)
        self.length = np.clip(self.length, overhead, 1514 + tag).astype(np.int64)
        self.sequence = self._sequences(self.length - overhead)

    def _shake_hands(self, flow: Ints, time: Ints) -> None:
        """Puts the openings of TLS flows together: a round trip to the SYN-ACK, and the hello follows at once."""
        ordinal = ordinals(flow)
        first = np.empty(len(self.client), np.int64)
        first[flow[ordinal == 0]] = time[ordinal == 0]
        tls = self.tls[flow]
        after = np.array([0, ROUND_TRIP, ROUND_TRIP + 100, ROUND_TRIP + 110, ROUND_TRIP + 200])
        earliest = first[flow] + after[np.minimum(ordinal, 4)]
        opening = tls & (ordinal < 4)
        time = np.where(opening, earliest, np.where(tls, np.maximum(time, earliest), time))
        order = np.lexsort((ordinal, time))
        self.flow, self.time, self.ordinal = flow[order], time[order], ordinal[order]

    def _overhead(self, flow: Ints) -> Ints:
        kind = self.kind[flow]
        return 14 + 4 * (kind == TAGGED4) + IP_HEADER[kind] + np.where(self.protocol[flow] == 6, 32, 8)

    def _sequences(self, payload: Ints) -> Ints:
        """Each packet's TCP sequence number: all payload that its sender has sent in the flow before."""
        sender = self.flow * 2 + self.down
        order = np.argsort(sender, kind="stable")
        before = np.cumsum(payload[order]) - payload[order]
        new = np.r_[True, sender[order][1:] != sender[order][:-1]]
        before -= np.maximum.accumulate(np.where(new, before, 0))
        sequence = np.empty_like(before)
        sequence[order] = before
        first = self.syn | self.syn_ack
        return (self.flow * 40_503 + self.down * 977 + sequence + np.where(first, 0, 1)) & 0xFFFFFFFF

    def _choose_names(self) -> None:
        """Hellos, and DNS questions and answers as finished frames among the packets, just before their SYN."""
        syn = np.flatnonzero(self.syn)
        asking = syn[self.asks[self.flow[syn]]]
        self.frames: list[bytes] = []
        self.frame_down: list[bool] = []
        times = []
        for row in asking.tolist():
            flow = int(self.flow[row])
            question, answer = self._dns(flow)
            self.frames += [question, answer]
            self.frame_down += [False, True]
            times += [int(self.time[row]) - 30_000, int(self.time[row]) - 10_000]
        count = len(self.frames)
        time = np.concatenate([self.time, np.array(times, np.int64)])
        order = np.argsort(time, kind="stable")
        self.special = np.concatenate([np.full(len(self.time), -1), np.arange(count)])[order]
        self.time = time[order]
        lengths = np.array([len(frame) for frame in self.frames], np.int64)
        self.length = np.concatenate([self.length, lengths])[order]
        for name in ("flow", "ordinal", "down", "later_fragment", "syn", "syn_ack", "hello", "hello_rest", "initial",
                     "sequence"):  # fmt: skip
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(count, column.dtype)])[order])

    def _dns(self, flow: int) -> tuple[bytes, bytes]:
        client = int(self.client[flow])
        six = bool(IS_SIX[self.kind[flow]])
        name = dns_name(server_name(flow))
        kind = 28 if six else 1
        address = (self.remote6 if six else self.remote4)[self.remote[flow]].tobytes()
        asked = name + struct.pack("!HH", kind, 1)
        question = struct.pack("!HHHHHH", flow & 0xFFFF, 0x0100, 1, 0, 0, 0) + asked
        answer = struct.pack("!HHHHHH", flow & 0xFFFF, 0x8180, 1, 1, 0, 0) + asked
        answer += struct.pack("!HHHIH", 0xC00C, kind, 1, 300, len(address)) + address
        mac, four, port = self.mac[client].tobytes(), self.four[client].tobytes(), 30_000 + flow % 20_000
        return (
            ROUTER + mac + b"\x08\x00" + udp4(four, RESOLVER, port, 53, question),
            mac + ROUTER + b"\x08\x00" + udp4(RESOLVER, four, 53, port, answer),
        )

    def _write_chunk(self, out: object, rows: slice) -> None:
        headers = self._headers(rows)
        length = self.length[rows]
        start = np.concatenate([[0], np.cumsum(length + 16)])
        buffer = np.zeros(int(start[-1]), np.uint8)
        record = np.empty((len(length), 4), "<u4")
        record[:, 0], record[:, 1] = self.time[rows] // 1_000_000, self.time[rows] % 1_000_000
        record[:, 2] = record[:, 3] = length
        for column, values in enumerate(record.view(np.uint8).reshape(-1, 16).T):
            buffer[start[:-1] + column] = values
        for column in range(HEADERS):
            inside = column < length
            buffer[(start[:-1] + 16 + column)[inside]] = headers[inside, column]
        self._payloads(buffer, start[:-1] + 16, rows)
        buffer.tofile(out)  # type: ignore[arg-type]

    def _payloads(self, buffer: NDArray[np.uint8], start: Ints, rows: slice) -> None:
        """The hellos and DNS messages, one by one."""
        overhead = self._overhead(self.flow[rows])
        for row in np.flatnonzero(self.special[rows] >= 0).tolist():
            frame = self.frames[int(self.special[rows][row])]
            buffer[start[row] : start[row] + len(frame)] = np.frombuffer(frame, np.uint8)
        for row in np.flatnonzero(self.hello[rows] | self.hello_rest[rows]).tolist():
            flow = int(self.flow[rows][row])
            hello = client_hello(server_name(flow), LARGE_HELLO if self.large_hello[flow] else SMALL_HELLO)
            segment = 1500 - 32 - int(IP_HEADER[self.kind[flow]])
            part = hello[segment:] if self.hello_rest[rows][row] else hello[:segment]
            at = start[row] + overhead[row]
            buffer[at : at + len(part)] = np.frombuffer(part, np.uint8)

    def _headers(self, rows: slice) -> NDArray[np.uint8]:
        """The first bytes of each frame."""
        flow, down = self.flow[rows], self.down[rows]
        count = len(flow)
        self._h = h = np.zeros((count, HEADERS), np.uint8)
        kind, mac = self.kind[flow], self.mac[self.client[flow]]
        router = np.frombuffer(ROUTER, np.uint8)
        h[:, 0:6] = np.where(down[:, None], mac, router)
        h[:, 6:12] = np.where(down[:, None], router, mac)
        six, tagged = IS_SIX[kind], kind == TAGGED4
        every = np.arange(count)
        put16(h, every, np.full(count, 12), np.where(tagged, 0x8100, np.where(six, 0x86DD, 0x0800)))
        put16(h, every[tagged], np.full(int(tagged.sum()), 14), np.full(int(tagged.sum()), 20))
        put16(h, every[tagged], np.full(int(tagged.sum()), 16), np.full(int(tagged.sum()), 0x0800))
        network = 14 + 4 * tagged
        self._four(h, np.flatnonzero(~six), network, rows)
        self._six(h, np.flatnonzero(six), network, rows)
        self._transport(h, network + IP_HEADER[kind], rows)
        return h

    def _four(self, h: NDArray[np.uint8], at: Ints, network: Ints, rows: slice) -> None:
        flow, down = self.flow[rows][at], self.down[rows][at][:, None]
        o, kind = network[at], self.kind[flow]
        h[at, o] = 0x40 | (IP_HEADER[kind] // 4)
        put16(h, at, o + 2, self.length[rows][at] - o)
        put16(h, at, o + 4, self.rng.integers(0, 65536, len(at)))
        later = self.later_fragment[rows][at]
        put16(h, at, o + 6, np.where(kind == FRAGMENT4, np.where(later, 185, 0x2000), 0x4000))
        h[at, o + 8], h[at, o + 9] = 64, self.protocol[flow]
        client, remote = self.four[self.client[flow]], self.remote4[self.remote[flow]]
        source, destination = np.where(down, remote, client), np.where(down, client, remote)
        for column in range(4):
            h[at, o + 12 + column], h[at, o + 16 + column] = source[:, column], destination[:, column]
        options = kind == OPTIONS4
        h[at[options][:, None], o[options][:, None] + np.array([20, 21, 22])] = 1  # no-operation
        total = np.zeros(len(at), np.int64)
        for column in range(0, 24, 2):
            word = (h[at, o + column].astype(np.int64) << 8) | h[at, o + column + 1]
            total += np.where(column < IP_HEADER[kind], word, 0)
        total = (total & 0xFFFF) + (total >> 16)
        put16(h, at, o + 10, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)

    def _six(self, h: NDArray[np.uint8], at: Ints, network: Ints, rows: slice) -> None:
        flow, down = self.flow[rows][at], self.down[rows][at][:, None]
        o, kind = network[at], self.kind[flow]
        h[at, o], h[at, o + 7] = 0x60, 64
        put16(h, at, o + 4, self.length[rows][at] - o - 40)
        h[at, o + 6] = np.select([kind == HOPOPTS6, kind == FRAGMENT6], [0, 44], self.protocol[flow])
        client, remote = self.six[self.client[flow]], self.remote6[self.remote[flow]]
        source, destination = np.where(down, remote, client), np.where(down, client, remote)
        for column in range(16):
            h[at, o + 8 + column], h[at, o + 24 + column] = source[:, column], destination[:, column]
        extended = kind >= HOPOPTS6
        h[at[extended], o[extended] + 40] = self.protocol[flow][extended]
        hop, fragment = kind == HOPOPTS6, kind == FRAGMENT6
        h[at[hop], o[hop] + 42], h[at[hop], o[hop] + 43] = 1, 4  # PadN
        put16(h, at[fragment], o[fragment] + 42, np.where(self.later_fragment[rows][at][fragment], 185 << 3, 1))
        h[at[fragment], o[fragment] + 47] = 9

    def _transport(self, h: NDArray[np.uint8], offset: Ints, rows: slice) -> None:
        at = np.flatnonzero(~self.later_fragment[rows] & (self.special[rows] < 0))
        flow, down, o = self.flow[rows][at], self.down[rows][at], offset[at]
        put16(h, at, o, np.where(down, self.port[flow], self.local_port[flow]))
        put16(h, at, o + 2, np.where(down, self.local_port[flow], self.port[flow]))
        tcp = self.protocol[flow] == 6
        t, to = at[tcp], o[tcp]
        sequence = self.sequence[rows][t]
        put16(h, t, to + 4, sequence >> 16)
        put16(h, t, to + 6, sequence & 0xFFFF)
        h[t, to + 12], h[t, to + 14] = 0x80, 0x10
        h[t, to + 13] = np.select([self.syn[rows][t], self.syn_ack[rows][t]], [0x02, 0x12], 0x10)
        h[t, to + 20], h[t, to + 21], h[t, to + 22], h[t, to + 23] = 1, 1, 8, 10  # timestamps
        data = (self.port[flow][tcp] == 443) & (self.length[rows][t] > to + 37)
        for column, value in enumerate(b"\x17\x03\x03\x04\x00"):  # TLS application data
            h[t[data], to[data] + 32 + column] = value
        u, uo = at[~tcp], o[~tcp]
        put16(h, u, uo + 4, self.length[rows][u] - uo)
        quic = self.port[flow][~tcp] == 443
        h[u[quic], uo[quic] + 8] = 0x4D
        first = self.initial[rows][u]
        for column, value in enumerate(bytes.fromhex("c30000000108") + bytes(range(8))):
            h[u[first], uo[first] + 8 + column] = value
        put16(h, u[first], uo[first] + 24, 0x4000 | (self.length[rows][u[first]] - uo[first] - 26))


def ordinals(flow: Ints) -> Ints:
    """For each packet, how many of its flow came before."""
    order = np.argsort(flow, kind="stable")
    new = np.r_[True, flow[order][1:] != flow[order][:-1]]
    place = np.arange(len(flow))
    answer = np.empty(len(flow), np.int64)
    answer[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    return answer


def put16(h: NDArray[np.uint8], rows: Ints, columns: Ints, values: Ints) -> None:
    h[rows, columns] = (values >> 8) & 255
    h[rows, columns + 1] = values & 255


def server_name(flow: int) -> str:
    return f"h{flow:06d}.cdn{flow % 97:02d}.example.com"


def dns_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def udp4(source: bytes, destination: bytes, source_port: int, port: int, payload: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram; its UDP checksum is 0, none."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, 17, 0, source, destination)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]
    return header + struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload


def client_hello(name: str, size: int) -> bytes:
    """A TLS record with a ClientHello for this name (RFC 8446 section 4.1.2), padded to `size` bytes."""
    host = name.encode()
    server = struct.pack("!HHHBH", 0, len(host) + 5, len(host) + 3, 0, len(host)) + host
    alpn = b"\x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1"
    versions = b"\x00\x2b\x00\x05\x04\x03\x04\x03\x03"
    fixed = b"\x03\x03" + bytes(range(32)) + b"\x20" + bytes(32) + b"\x00\x06\x13\x01\x13\x02\x13\x03\x01\x00"
    padding = size - 9 - len(fixed) - 2 - len(server) - len(alpn) - len(versions) - 4
    extensions = alpn + struct.pack("!HH", 21, padding) + bytes(padding) + versions + server
    body = fixed + struct.pack("!H", len(extensions)) + extensions
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake


SMALL_HELLO, LARGE_HELLO = 517, 1790
"""Bytes of a hello with its record header: padded (RFC 7685), and with an X25519MLKEM768 key share."""
