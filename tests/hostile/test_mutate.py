"""Two million mutated frames: nothing is raised, and every frame and byte is accounted for."""

import numpy as np
import pytest

from tests.hostile.mutate import Finding, crafted_corpus, fuzz, mutated_batch, shared_corpus

FRAMES = 2_000_000


def test_two_million_mutated_frames() -> None:
    outcome = fuzz(FRAMES, seed=20_261_123)
    assert outcome.frames == FRAMES
    assert outcome.packets > FRAMES // 2, "so damaged that little behind the IP header was tried"
    assert outcome.undecodable > FRAMES // 50
    assert outcome.messages > FRAMES // 200
    print(outcome)


def test_mutants_of_crafted_frames() -> None:
    """What runs everywhere, also where the shared captures are not."""
    outcome = fuzz(50_000, seed=7, corpus=crafted_corpus())
    assert outcome.frames == outcome.packets + outcome.non_ip + outcome.undecodable == 50_000
    assert outcome.messages > 500


def test_the_same_seed_makes_the_same_frames() -> None:
    corpus = shared_corpus() or crafted_corpus()
    first, second = (mutated_batch(np.random.default_rng(5), corpus, 500, 1) for _ in range(2))
    assert first.buffer.tobytes() == second.buffer.tobytes()


def test_a_broken_decoder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test: an exception in the message decoder names the seed and the frame."""
    from sensor.decode import dns

    def broken(payload: bytes, stats: object) -> None:
        if len(payload) % 7 == 0:
            raise IndexError("out of range")

    monkeypatch.setattr(dns, "decode", broken)
    with pytest.raises(Finding, match="seed 7, batch 0.*\n.*IndexError"):
        fuzz(8192, seed=7, corpus=crafted_corpus())
