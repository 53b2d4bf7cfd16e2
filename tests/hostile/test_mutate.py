"""Damaged frames: nothing is raised, and every frame and byte is accounted for (cases D1 and D2)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sensor.model.frames import FrameBatch
from tests import captures
from tests.hostile import mutate
from tests.hostile.corpus import by_link, corpora, first_frames
from tests.hostile.craft import START
from tests.hostile.mutate import Finding, fuzz, mutated
from tests.hostile.oracle import examine

FRAMES = 2_000_000

CUTS = 200
"""Bytes of a frame at each of which it is cut."""

CUT_FRAMES = 20
"""Frames of each capture that are cut."""


def test_two_million_mutated_frames() -> None:
    figures = fuzz(FRAMES, seed=20_261_123)
    assert figures.frames >= FRAMES
    assert figures.packets > FRAMES // 2, "so damaged that little behind the IP header was tried"
    assert figures.undecodable > FRAMES // 50
    assert figures.messages > FRAMES // 50
    print(figures)


def test_crafted_frames_where_the_shared_captures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "paths", list)
    figures = fuzz(50_000, seed=7)
    assert figures.packets > 25_000
    assert figures.messages > 1_000


def test_the_same_seed_makes_the_same_frames() -> None:
    sources = corpora()
    first, second, other = mutated(sources, 5, 1), mutated(sources, 5, 1), mutated(sources, 5, 2)
    assert first.buffer.tobytes() == second.buffer.tobytes() != other.buffer.tobytes()


def test_what_raises_is_found_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test."""
    from sensor.decode import dns

    def broken(payload: bytes, stats: object) -> None:
        if len(payload) % 7 == 0:
            raise IndexError("out of range")

    monkeypatch.setattr(dns, "decode", broken)
    monkeypatch.setattr(captures, "paths", list)
    with pytest.raises(Finding, match=r"(?s)seed 7, batch \d.*IndexError.*row \d+ alone.*out of range"):
        fuzz(3 * mutate.BATCH, seed=7)


def test_every_capture_cut_at_every_byte() -> None:
    """D2; behind each cut the rest of the frame still stands in memory, and nothing of it may be believed."""
    paths = captures.paths()
    if not paths:
        pytest.skip(f"no captures in {captures.FOLDER}")
    cut = [batch for number, path in enumerate(paths) for batch in _cut(path, number)]
    outcome = examine(cut)
    stats = outcome.house.pipeline.headers.stats
    assert stats.frames == sum(map(len, cut)) > 500_000
    assert stats.undecodable > 100_000
    assert outcome.house.pipeline.counts.messages["dns"] > 1_000
    print(f"{stats.frames:,} frames: {stats.packets:,} packets, {stats.undecodable:,} undecodable")


def _cut(path: Path, number: int) -> Iterator[FrameBatch]:
    """Cut by the capture in every other file, on the wire in the others."""
    for source in by_link(first_frames(path, CUT_FRAMES)):
        pieces = np.minimum(source.captured, CUTS)
        row = np.repeat(np.arange(len(source)), pieces)
        captured = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        length = source.length[row] if number % 2 else captured.copy()
        time = START + number * 1_000_000_000 + np.arange(len(row))
        yield FrameBatch(source.frames.reshape(-1), row * source.frames.shape[1], captured, length, time, source.link)
