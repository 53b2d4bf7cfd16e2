"""However capture cuts the frames into batches, `replay --json` says the same, byte for byte (case D22)."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sensor.capture.files import CaptureFiles
from sensor.model.frames import FrameBatch
from tests import captures
from tests.hostile.cases import CASES
from tests.hostile.craft import Traffic, big_endian, ethernet, ip, many, public_v4, some, spread, tcp, together
from tests.hostile.healthy import BOX, HOME, WATCH, phone
from tests.hostile.oracle import examine

LARGEST, SPREAD = 12, 50
"""Captures that are tried: the largest, and so many of the others."""

ONE_BY_ONE = 1_500
"""Frames of a capture that is also delivered one by one; the largest one always is."""


def chosen() -> list[Path]:
    paths = sorted(captures.paths(), key=lambda path: (-path.stat().st_size, path.name))
    rest = paths[LARGEST:]
    return paths[:LARGEST] + rest[:: max(1, len(rest) // SPREAD)]


def recut(batches: Iterable[FrameBatch], seed: int) -> Iterator[FrameBatch]:
    """The same frames with other borders."""
    rng = np.random.default_rng(seed)
    for batch in batches:
        borders = np.unique(np.concatenate(([0, len(batch)], rng.integers(0, len(batch), 1 + len(batch) // 50))))
        for start, stop in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            part = slice(start, stop)
            yield FrameBatch(
                batch.buffer, batch.offset[part], batch.captured[part], batch.length[part], batch.time[part], batch.link
            )


def test_captures_in_batches_of_any_size() -> None:
    paths = chosen()
    if not paths:
        pytest.skip(f"no captures in {captures.FOLDER}")
    for path in paths:
        whole = examine(CaptureFiles([path]).batches(4096))
        assert examine(CaptureFiles([path]).batches(7)).text() == whole.text(), path.name
        assert examine(recut(CaptureFiles([path]).batches(), 22)).text() == whole.text(), path.name
        if whole.result["capture"]["frames"] <= ONE_BY_ONE or path is paths[0]:
            assert examine(CaptureFiles([path]).batches(1)).text() == whole.text(), path.name
    print(f"{len(paths)} captures")


def seconds_with_alerts() -> Traffic:
    """Twenty seconds with an alert of the healthy client, and a third of all hostile frames beside it."""
    frames = [frame for case in CASES for frame in case()][::3]
    return together(phone(20), some(frames, spread(len(frames), 19.5)))


def more_than_fits() -> Traffic:
    """More flows and destinations than the tables hold: what is evicted must not depend on the batches, either."""
    count = 85_000
    syn = ethernet(b"\x02" + bytes(5), b"\x02\0\0\0\0\1", ip(HOME, BOX, 6, tcp(4000, 443, flags=2)))
    macs = big_endian((2 << 40) + np.arange(count) % 40, 6)
    return together(phone(20), many(syn, spread(count, 15), (6, macs), (30, public_v4(count))))


SMALL = {**WATCH, "account": {"max_destinations": 6_000, "max_destinations_per_client": 500}}


@pytest.mark.parametrize(("traffic", "sizes"), [(seconds_with_alerts, (1, 7)), (more_than_fits, ())])
def test_crafted_seconds_in_batches_of_any_size(traffic: Callable[[], Traffic], sizes: tuple[int, ...]) -> None:
    made = traffic()
    whole = examine(made.batches(4096), SMALL)
    assert whole.result["alerts"]
    if traffic is more_than_fits:
        evicted = whole.house.counters().evicted
        assert min(evicted["flows"], evicted["destinations"]) > 0
    for size in sizes:
        assert examine(made.batches(size), SMALL).text() == whole.text(), f"batches of {size}"
    assert examine(recut(made.batches(30_000), 5), SMALL).text() == whole.text()
