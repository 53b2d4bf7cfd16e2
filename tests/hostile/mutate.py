"""Mutated frames through decode, account and detect: flipped, inserted, cut, spliced and repeated bytes.

python -m tests.hostile.mutate [--frames N] [--seed N]

The same seed makes the same frames. Corpus: the shared captures, or frames crafted with scapy where they are not
there. Oracle: nothing is raised, every frame is a packet, no IP, or undecodable; clients' bytes add up to those of
the packets.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sensor.account.ledger import Limits
from sensor.account.locality import Local
from sensor.account.snapshot import clients
from sensor.capture.files import CaptureFiles
from sensor.detect.engine import Engine
from sensor.enrich.names import NameBook
from sensor.errors import CaptureError
from sensor.model.frames import PADDING, FrameBatch
from sensor.pipeline import Pipeline
from tests.captures import FOLDER, Nowhere

BATCH = 8192
PER_FILE = 40
"""Frames taken of each capture: the first ones, where handshakes and questions are."""

LONGEST = 2000
EDGES = bytes([0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 20, 0x3F, 0x40, 0x45, 0x60, 0x7F, 0x80, 0x81, 0xC0, 0xFE, 0xFF])
"""Bytes that decide: lengths, versions, compression pointers, signs."""

Corpus = dict[int, list[bytes]]
"""Link type -> frames."""


class Finding(Exception):
    """What was raised, and by which frames."""


@dataclass
class Outcome:
    """What became of all frames."""

    frames: int = 0
    packets: int = 0
    non_ip: int = 0
    undecodable: int = 0
    messages: int = 0


def fuzz(frames: int, seed: int, corpus: Corpus | None = None) -> Outcome:
    """Feed so many mutated frames; Finding when the oracle is wrong."""
    corpus = corpus or shared_corpus() or crafted_corpus()
    pipeline = new_pipeline()
    for number in range(-(-frames // BATCH)):
        rng = np.random.default_rng([seed, number])
        batch = mutated_batch(rng, corpus, min(BATCH, frames - number * BATCH), number)
        try:
            pipeline.feed(batch)
            check(pipeline)
        except Exception as error:
            raise Finding(f"seed {seed}, batch {number}: {error!r}\n{culprit(batch)}") from error
    pipeline.finish()
    check(pipeline)
    counted = sum(
        client.totals.sent_bytes + client.totals.received_bytes
        for client in clients(pipeline.ledger, 0, lambda _: (None, None))
    )
    if counted != pipeline.counts.ip_bytes:
        raise Finding(f"seed {seed}: clients have {counted} bytes, the packets {pipeline.counts.ip_bytes}")
    stats = pipeline.headers.stats
    return Outcome(stats.frames, stats.packets, stats.non_ip, stats.undecodable, sum(pipeline.counts.messages.values()))


def new_pipeline() -> Pipeline:
    """As in the daemon, without a database."""
    return Pipeline(
        places=Nowhere(),
        names=NameBook(),
        engine=Engine([]),
        local=Local(),
        limits=Limits(),
        on_alert=lambda _: None,
    )


def check(pipeline: Pipeline) -> None:
    stats = pipeline.headers.stats
    assert stats.frames == pipeline.counts.frames
    assert stats.frames == stats.packets + stats.non_ip + stats.undecodable


def culprit(batch: FrameBatch) -> str:
    """The frame that raises by itself, in hex; or that it takes several."""
    for row in range(len(batch)):
        alone = FrameBatch(
            batch.buffer, batch.offset[row : row + 1], batch.captured[row : row + 1], batch.length[row : row + 1],
            batch.time[row : row + 1], batch.link,
            *(None if column is None else column[row : row + 1]
              for column in (batch.direction, batch.vlan, batch.gso_size, batch.gso_type)),
        )  # fmt: skip
        try:
            pipeline = new_pipeline()
            pipeline.feed(alone)
            pipeline.finish()
        except Exception as error:  # noqa: BLE001
            return f"frame {row}, link type {batch.link}: {error!r}\n{batch.frame(row).hex()}"
    return "no frame by itself"


def mutated_batch(rng: np.random.Generator, corpus: Corpus, count: int, number: int) -> FrameBatch:
    """`count` mutated frames of one link type; half of the Ethernet batches as if they came out of the ring."""
    links = sorted(corpus)
    weight = np.array([len(corpus[link]) for link in links], float)
    link = int(rng.choice(links, p=weight / weight.sum()))
    frames = list(mutants(rng, corpus[link], count))
    captured = np.array([len(frame) for frame in frames], np.int64)
    # Some frames were longer on the wire than what was captured of them; some headers lie about it.
    more = np.where(rng.random(count) < 0.1, rng.integers(0, 1 << rng.integers(1, 18), count), 0)
    batch = FrameBatch(
        buffer=np.frombuffer(b"".join(frames) + bytes(PADDING), np.uint8),
        offset=np.cumsum(captured) - captured,
        captured=captured,
        length=captured + more,
        time=1_790_000_000_000_000_000 + (np.arange(count, dtype=np.int64) + number * BATCH) * 10_000,
        link=link,
    )
    if link == 1 and number % 2:
        batch.direction = rng.integers(1, 6, count).astype(np.uint8)
        batch.vlan = np.where(rng.random(count) < 0.1, rng.integers(0, 4096, count), 0).astype(np.uint16)
        batch.gso_size = np.where(rng.random(count) < 0.1, rng.integers(0, 65536, count), 0).astype(np.uint16)
        batch.gso_type = rng.integers(0, 256, count).astype(np.uint8)
    return batch


def mutants(rng: np.random.Generator, frames: list[bytes], count: int) -> Iterator[bytes]:
    """Each of one to three mutations of a frame."""
    picks = rng.integers(0, len(frames), (count, 2)).tolist()
    kinds = rng.integers(0, len(MUTATIONS), (count, 3)).tolist()
    rounds = rng.choice([0, 1, 2, 3], count, p=[0.05, 0.55, 0.25, 0.15]).tolist()
    numbers = rng.integers(0, 1 << 31, (count, 3, 3)).tolist()
    for (first, second), kind, times, draws in zip(picks, kinds, rounds, numbers, strict=True):
        frame = frames[first]
        for turn in range(times):
            if frame:
                frame = MUTATIONS[kind[turn]](frame, frames[second], *draws[turn])
        yield frame[:LONGEST]


def place(frame: bytes, draw: int) -> int:
    """A position, three times out of four among the headers."""
    return draw % min(len(frame), 96) if draw & 3 else (draw >> 2) % len(frame)


def edge(frame: bytes, _: bytes, a: int, b: int, __: int) -> bytes:
    at = place(frame, a)
    return frame[:at] + EDGES[b % len(EDGES) :][:1] + frame[at + 1 :]


def flip(frame: bytes, _: bytes, a: int, b: int, __: int) -> bytes:
    at = place(frame, a)
    return frame[:at] + bytes([frame[at] ^ (1 << (b & 7))]) + frame[at + 1 :]


def noise(frame: bytes, _: bytes, a: int, b: int, c: int) -> bytes:
    at = place(frame, a)
    junk = (b << 31 | c).to_bytes(8, "big")[: 1 + c % 8]
    return frame[:at] + junk + frame[at + len(junk) :]


def insert(frame: bytes, _: bytes, a: int, b: int, c: int) -> bytes:
    at = place(frame, a)
    return frame[:at] + (b << 31 | c).to_bytes(8, "big") * (1 + b % 4) + frame[at:]


def delete(frame: bytes, _: bytes, a: int, b: int, __: int) -> bytes:
    at = place(frame, a)
    return frame[:at] + frame[at + 1 + b % 24 :]


def cut(frame: bytes, _: bytes, a: int, __: int, ___: int) -> bytes:
    return frame[: place(frame, a)]


def splice(frame: bytes, other: bytes, a: int, b: int, __: int) -> bytes:
    return frame[: place(frame, a)] + (other[place(other, b) :] if other else b"")


def repeat(frame: bytes, _: bytes, a: int, b: int, c: int) -> bytes:
    at = place(frame, a)
    return frame[:at] + frame[at : at + 1 + b % 40] * (2 + c % 6) + frame[at:]


MUTATIONS = (edge, edge, flip, noise, insert, delete, cut, splice, repeat)


def shared_corpus() -> Corpus:
    """The first frames of every shared capture; empty where the folder is absent."""
    corpus: Corpus = {}
    for path in sorted(FOLDER.glob("*/*")) if FOLDER.is_dir() else ():
        if path.suffix in (".json", ".py", ".md"):
            continue
        try:
            batch = next(CaptureFiles([path]).batches(PER_FILE))
        except (CaptureError, StopIteration):
            continue
        found = corpus.setdefault(batch.link, [])
        found.extend(batch.frame(row)[:LONGEST] for row in range(len(batch)))
    return corpus


def crafted_corpus() -> Corpus:
    """DNS, TLS, fragments, tags, tunnels and extension headers by scapy."""
    from scapy.contrib.mpls import MPLS
    from scapy.layers.dns import DNS, DNSQR, DNSRR
    from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, fragment
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
    from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
    from scapy.layers.ppp import PPP, PPPoE

    from tests.bench.imix import client_hello

    ether = Ether(src="64:09:80:00:00:01", dst="02:00:00:00:00:01")
    name = DNS(qr=1, qd=DNSQR(qname="www.example.com"), an=[
        DNSRR(rrname="www.example.com", type="CNAME", rdata="edge.example.net"),
        DNSRR(rrname="edge.example.net", rdata="52.1.2.3"),
    ])  # fmt: skip
    hello = client_hello("www.example.com", 517)
    tcp = [
        TCP(flags="S"),
        TCP(flags="SA"),
        TCP(dport=443) / hello,
        TCP(sport=53) / (len(bytes(name)).to_bytes(2, "big") + bytes(name)),
        TCP(),
    ]
    transports = [*tcp, UDP(sport=53) / name, UDP(dport=443) / bytes(100), ICMP(), GRE() / IP() / UDP(sport=53) / name]
    ips = [IP(src="192.168.1.2", dst="52.1.2.3"), IP(src="52.1.2.3", dst="192.168.1.2", options=[])]
    for middle in (b"", IPv6ExtHdrHopByHop(), IPv6ExtHdrFragment(offset=0, m=1), IPv6ExtHdrRouting()):
        head = IPv6(src="fd00::2", dst="2a00:1450::1")
        ips.append(head / middle if middle else head)
    links = [ether, ether / Dot1Q(vlan=20), ether / Dot1AD(vlan=1) / Dot1Q(vlan=2), ether / MPLS(label=3)]
    frames = [bytes(link / ip / transport) for link in links for ip in ips for transport in transports]
    frames += [bytes(ether / PPPoE(sessionid=1) / PPP() / ip / transport) for ip in ips for transport in transports]
    frames += [bytes(ether / part) for part in fragment(ips[0] / UDP() / bytes(3000), 1000)]
    frames.append(bytes(ether / ARP()))
    raw = [bytes(ip / transport) for ip in ips for transport in transports]
    cooked = [bytes.fromhex("0000000100060203040506070000") + b"\x08\x00" + frame for frame in raw]
    return {1: frames, 101: raw, 113: cooked}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.mutate", description="Mutated frames.")
    parser.add_argument("--frames", type=int, default=20_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    corpus = shared_corpus() or crafted_corpus()
    print(f"seed {options.seed}, corpus { ({link: len(frames) for link, frames in corpus.items()}) }", flush=True)
    began, done = time.monotonic(), 0
    while done < options.frames:
        count = min(1_000_000, options.frames - done)
        try:
            outcome = fuzz(count, options.seed + done, corpus)
        except Finding as finding:
            print(finding)
            return 1
        done += count
        print(f"{done:,} frames, {time.monotonic() - began:.0f} s; of the last {count:,}: {outcome}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
