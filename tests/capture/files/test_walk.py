import struct
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.capture.files.walk import PLAIN_RECORDS, TRUST, Chain, Layout, plain_walk
from sensor.capture.files.window import Memory

PCAP = Layout("<", 8, 16, 2, 2)
BIG_ENDIAN = Layout(">", 8, 16, 0, 2)
PCAPNG = Layout("<", 4, 0, 0, 4)


def loaded(content: bytes) -> tuple[Memory, int]:
    memory = Memory(1, max(len(content), 1))
    memory.view[: len(content)] = content
    return memory, len(content)


def all_starts(walk, high: int) -> list[int]:
    starts: list[int] = []
    low = 0
    while True:
        found, low = walk(low, high)
        if not len(found):
            return starts
        starts += found.tolist()


def records(random: Random, count: int, order: str = "<", payload: bytes | None = None) -> bytes:
    out = []
    for index in range(count):
        size = random.choice((60, 60, 60, 590, 1514, 0, 3))
        data = random.randbytes(size) if payload is None else (payload * (size // len(payload) + 1))[:size]
        out.append(struct.pack(order + "IIII", 1_750_000_000 + index // 1000, index, size, size) + data)
    return b"".join(out)


@pytest.mark.parametrize("layout", [PCAP, BIG_ENDIAN])
def test_lanes_find_what_the_plain_walk_finds(layout: Layout) -> None:
    memory, high = loaded(records(Random(1), 20_000, layout.order)[:-5])
    plain = all_starts(lambda low, end: plain_walk(memory.map, layout, low, end, PLAIN_RECORDS), high)
    chain = Chain(memory, layout)
    starts, end = chain.walk(0, high)
    assert len(starts) > PLAIN_RECORDS / 2
    assert chain._trust == TRUST
    assert starts.tolist() == plain[: len(starts)]
    assert end == plain[len(starts)] if len(starts) < len(plain) else end <= high
    assert all_starts(chain.walk, high) == plain


def test_lanes_that_guess_wrong_change_nothing() -> None:
    """A capture of someone downloading captures: what looks like a record lies inside of one."""
    fake = struct.pack("<IIII", 1_750_000_000, 0, 24, 24) + bytes(24)
    memory, high = loaded(records(Random(2), 20_000, payload=fake))
    plain = all_starts(lambda low, end: plain_walk(memory.map, PCAP, low, end, PLAIN_RECORDS), high)
    chain = Chain(memory, PCAP)
    assert all_starts(chain.walk, high) == plain
    assert len(plain) == 20_000


def test_blocks_of_a_pcapng_section_are_walked_too() -> None:
    random = Random(3)
    out = []
    for _ in range(8000):
        size = random.randrange(32, 1600, 4)
        out.append(struct.pack("<II", 6, size) + random.randbytes(size - 12) + struct.pack("<I", size))
    content = b"".join(out)
    memory, high = loaded(content)
    chain = Chain(memory, PCAPNG)
    assert len(all_starts(chain.walk, high)) == 8000
    assert chain._trust == TRUST


def test_a_length_of_zero_leads_nowhere_but_ends() -> None:
    memory, high = loaded(struct.pack("<II", 6, 12) + bytes(4) + bytes(4_000_000))
    starts, end = Chain(memory, PCAPNG).walk(0, high)
    assert starts[0] == 0
    assert end == 12
    assert len(starts) <= PLAIN_RECORDS * 4


def test_walks_of_an_empty_stretch_find_nothing() -> None:
    memory, _ = loaded(b"")
    starts, end = Chain(memory, PCAP).walk(0, 0)
    assert (starts.tolist(), end) == ([], 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 60), st.sampled_from([PCAP, PCAPNG]))
def test_damaged_chains_are_walked_exactly(seed: int, hits: int, layout: Layout) -> None:
    """Up to the first record that cannot be: what follows it means nothing."""
    random = Random(seed)
    content = bytearray(records(random, 8000))
    for _ in range(hits):
        content[random.randrange(len(content))] = random.randrange(256)
    memory, high = loaded(bytes(content))
    plain = plain_walk(memory.map, layout, 0, high, 1 << 17)[0]
    chain = Chain(memory, layout)
    starts, _ = chain.walk(0, high)
    size = chain._length[plain] + layout.head
    good = int(np.argmax(size < 12)) if (size < 12).any() else len(plain)
    good = min(good, len(starts))
    assert starts[:good].tolist() == plain[:good].tolist()
    assert len(starts) or not len(plain)
