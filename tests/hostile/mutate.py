"""Damaged frames by the million (case D1): flips, cuts, insertions, deletions, splices and repetitions of real ones.

    python -m tests.hostile.mutate --frames 20000000 --seed 7

Every batch has random numbers of its own, so that it can be made again alone. After each batch the oracle is asked,
and once more at the end of each house; what fails is told with the seed and, where one frame is enough, that frame.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.model.frames import FrameBatch
from tests.hostile.corpus import WIDTH, Corpus, corpora
from tests.hostile.craft import SECOND, START
from tests.hostile.oracle import conserved, new_house, verdict

BATCH = 8192
"""Frames that are mutated together."""

BATCHES_PER_HOUSE = 64
"""Then a new house begins: tables are filled more than once, and memory stays flat."""

SPAN = SECOND // 8
"""Packet time of a batch: seconds end between batches and within them."""

OTHER_LINKS = 0.1
"""Part of the batches that is not of the most frequent link type."""

LIVE = 0.25
"""Part of the batches that comes with what the kernel says beside the frame: direction, VLAN, offload."""

BEHIND_IP = 34
"""Every third batch is of frames that carry messages, damaged only from here on: they still find their decoder."""

EDGES = np.array(
    [0, 1, 2, 3, 5, 8, 15, 16, 17, 20, 0x3F, 0x40, 0x45, 0x60, 0x7F, 0x80, 0x81, 0xC0, 0xFE, 0xFF], np.uint8
)
"""Bytes that decide: lengths, versions, compression pointers, signs."""

TIMES = np.array([0, 1, 4_294_967_295 * SECOND, 2**63 - 1, -1, START - 60 * SECOND])
"""Times that nobody can believe."""

Rng = np.random.Generator
Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]


@dataclass
class Heap:
    """Frames that are damaged where they lie: as in a corpus."""

    frames: Bytes
    captured: Rows
    length: Rows


class Finding(Exception):
    """The oracle was wrong: what was raised, by which batch, and how to see it again."""


@dataclass
class Figures:
    """What a run did."""

    frames: int = 0
    packets: int = 0
    undecodable: int = 0
    messages: int = 0
    seconds: float = 0.0
    """CPU time."""
    slowest: float = 0.0
    """CPU time of the slowest batch."""

    def __str__(self) -> str:
        return (
            f"{self.frames:,} frames: {self.packets:,} packets, {self.undecodable:,} undecodable, {self.messages:,} "
            f"messages; {self.seconds:.1f} s CPU, slowest batch of {BATCH:,}: {self.slowest:.2f} s"
        )


def fuzz(frames: int, seed: int, progress: Callable[[Figures], None] = lambda _: None) -> Figures:
    """At least that many mutated frames through the whole house. Finding."""
    sources, figures, number = corpora(), Figures(), 0
    while figures.frames < frames:
        began, first = time.process_time(), number
        house, _ = new_house()
        fed = 0
        try:
            while number < first + BATCHES_PER_HOUSE and figures.frames + fed < frames:
                batch, before = mutated(sources, seed, number), time.process_time()
                number += 1
                fed += len(batch)
                house.pipeline.feed(batch)
                conserved(house, fed)
                figures.slowest = max(figures.slowest, time.process_time() - before)
            house.pipeline.finish()
            verdict(house, fed)
        except Exception as error:
            told = f"seed {seed}, batch {number - 1} in a house that began with {first}:\n{traceback.format_exc()}"
            raise Finding(told + _alone(sources, seed, number - 1)) from error
        figures.frames += fed
        figures.packets += house.pipeline.headers.stats.packets
        figures.undecodable += house.pipeline.headers.stats.undecodable
        figures.messages += sum(house.pipeline.counts.messages.values())
        figures.seconds += time.process_time() - began
        progress(figures)
    return figures


def mutated(sources: list[Corpus], seed: int, number: int) -> FrameBatch:
    """The batch of that number."""
    rng = np.random.default_rng((seed, number))
    other = len(sources) > 1 and rng.random() < OTHER_LINKS
    source = sources[rng.integers(1, len(sources)) if other else 0]
    size = min(BATCH, max(64, 16 * len(source)))
    inner = number % 3 == 1 and len(source.speaking) > 0
    rows = rng.choice(source.speaking, size) if inner else rng.integers(0, len(source), size)
    heap = Heap(source.frames[rows], source.captured[rows], source.length[rows])
    for mutate, share in _MUTATIONS:
        some = rng.permutation(size)[: int(size * share)]
        mutate(rng, heap, some, BEHIND_IP if inner else 0)
    buffer, offset = heap.frames.reshape(-1), np.arange(size, dtype=np.int64) * heap.frames.shape[1]
    times = _times(rng, size, number)
    batch = FrameBatch(buffer, offset, heap.captured, heap.length, times, source.link)
    if rng.random() < LIVE:
        batch.direction = rng.integers(1, 6, size).astype(np.uint8)
        batch.vlan = (rng.integers(0, 4095, size) * (rng.random(size) < 0.2)).astype(np.uint16)
        batch.gso_size = (rng.choice([0, 1, 8, 536, 1448, 65_535], size) * (rng.random(size) < 0.3)).astype(np.uint16)
        batch.gso_type = rng.choice(np.array([0, 1, 3, 4, 5, 0x81, 0xFF], np.uint8), size)
    return batch


def _alone(sources: list[Corpus], seed: int, number: int) -> str:
    """The one frame that is enough, if one is."""
    batch = mutated(sources, seed, number)
    for row in range(len(batch)):
        part = slice(row, row + 1)
        columns = (batch.direction, batch.vlan, batch.gso_size, batch.gso_type)
        one = FrameBatch(
            batch.buffer, batch.offset[part], batch.captured[part], batch.length[part], batch.time[part], batch.link,
            *(None if column is None else column[part] for column in columns),
        )  # fmt: skip
        house, _ = new_house()
        try:
            house.pipeline.feed(one)
            house.pipeline.finish()
            verdict(house, 1)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what this looks for
            return f"row {row} alone: {error!r}\nlink {one.link}, wire length {one.length[0]}: {one.frame(0).hex()}"
    return "no frame of that batch is enough: it takes those before it"


def _times(rng: Rng, size: int, number: int) -> NDArray[np.int64]:
    """In order; in every third one with a few times that nobody can believe."""
    times = START + number * SPAN + np.sort(rng.integers(0, SPAN, size))
    if number % 3 == 0:
        times[rng.integers(0, size, 4)] = rng.choice(TIMES, 4)
    return times


def _flip(rng: Rng, heap: Heap, rows: Rows, begin: int) -> None:
    """One to six bytes of each row, half of them near its start, where headers are."""
    at = np.repeat(rows, rng.integers(1, 7, len(rows)))
    left = np.maximum(heap.captured[at] - begin, 1)
    reach = np.where(rng.random(len(at)) < 0.5, np.minimum(left, 80), left)
    place = begin + (rng.random(len(at)) * reach).astype(np.int64)
    bit = np.left_shift(1, rng.integers(0, 8, len(at))).astype(np.uint8)
    values = (rng.integers(0, 256, len(at), np.uint8), heap.frames[at, place] ^ bit, rng.choice(EDGES, len(at)))
    heap.frames[at, place] = np.choose(rng.integers(0, 3, len(at)), values)


def _cut(rng: Rng, heap: Heap, rows: Rows, begin: int) -> None:
    """The end is missing: in half of the rows on the wire, too."""
    heap.captured[rows] = (rng.random(len(rows)) * (heap.captured[rows] + 1)).astype(np.int64)
    wire = rows[: len(rows) // 2]
    heap.length[wire] = heap.captured[wire]


def _insert(rng: Rng, heap: Heap, rows: Rows, begin: int) -> None:
    for group in np.array_split(rows, 16):
        count, place = int(rng.integers(1, 65)), _place(rng, begin)
        heap.frames[group, place + count :] = heap.frames[group, place:-count]
        heap.frames[group, place : place + count] = rng.integers(0, 256, (len(group), count), np.uint8)
        heap.captured[group] = np.minimum(heap.captured[group] + count, WIDTH)
        heap.length[group] += count


def _delete(rng: Rng, heap: Heap, rows: Rows, begin: int) -> None:
    for group in np.array_split(rows, 16):
        count, place = int(rng.integers(1, 65)), _place(rng, begin)
        heap.frames[group, place:-count] = heap.frames[group, place + count :]
        heap.captured[group] = np.maximum(heap.captured[group] - count, 0)
        heap.length[group] = np.maximum(heap.length[group] - count, heap.captured[group])


def _splice(rng: Rng, heap: Heap, rows: Rows, begin: int) -> None:
    """The start of one frame, the rest of another."""
    for group in np.array_split(rows, 16):
        place, other = _place(rng, begin), rng.integers(0, len(heap.captured), len(group))
        heap.frames[group, place:] = heap.frames[other, place:]
        heap.captured[group] = np.maximum(heap.captured[other], np.minimum(heap.captured[group], place))
        heap.length[group] = np.maximum(heap.length[other], heap.captured[group])


def _repeat(rng: Rng, heap: Heap, rows: Rows, begin: int) -> None:
    """A piece comes two to seven times: tags, options and records without end."""
    for group in np.array_split(rows, 16):
        size, times, place = int(rng.integers(1, 41)), int(rng.integers(1, 7)), _place(rng, begin)
        piece = np.tile(heap.frames[group, place : place + size], times)
        heap.frames[group, place + size * (times + 1) :] = heap.frames[group, place + size : -size * times]
        heap.frames[group, place + size : place + size * (times + 1)] = piece
        heap.captured[group] = np.minimum(heap.captured[group] + size * times, WIDTH)
        heap.length[group] += size * times


def _place(rng: Rng, begin: int) -> int:
    return begin + int(rng.integers(0, 120) if rng.random() < 0.7 else rng.integers(0, WIDTH - 400))


_MUTATIONS = ((_splice, 0.12), (_repeat, 0.06), (_insert, 0.08), (_delete, 0.1), (_flip, 0.75), (_cut, 0.15))


def main() -> int:
    """Exit code 1 when something was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile.mutate", description="Mutated frames, all of them through the whole sensor."
    )
    parser.add_argument("--frames", type=int, default=20_000_000)
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    try:
        fuzz(options.frames, seed, lambda figures: print(figures, flush=True))
    except Finding as finding:
        again = f'again: make fuzz ARGS="--frames {options.frames} --seed {seed}"'
        print(finding, again, sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
