import heapq
import os
import threading
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.capture.files import open_captures
from sensor.errors import CaptureError


def expected(files: list[list[tuple[int, bytes]]]) -> list[tuple[int, bytes]]:
    """Always the earliest of the files' next frames; the earlier file wins ties."""
    heads = [(frames[0][0], number, 0) for number, frames in enumerate(files) if frames]
    heapq.heapify(heads)
    out = []
    while heads:
        _, number, row = heapq.heappop(heads)
        out.append(files[number][row])
        if row + 1 < len(files[number]):
            heapq.heappush(heads, (files[number][row + 1][0], number, row + 1))
    return out


def frames_of(random: Random, number: int, count: int, spread: int, back: float) -> list[tuple[int, bytes]]:
    time, out = random.randrange(1_000) * 1000, []
    for row in range(count):
        time += random.randrange(spread) * 1000
        late = random.randrange(50) * 1000 if random.random() < back else 0
        out.append((max(0, time - late), b"%d.%d" % (number, row)))
    return out


@pytest.mark.parametrize("frames", [1, 7, 4096])
def test_files_that_overlap(build, read, frames: int) -> None:
    random = Random(5)
    files = [frames_of(random, number, 6000 if number < 2 else 300, 3, 0.1) for number in range(6)]
    got = read(*(build.pcap(content) for content in files), frames=frames)
    assert got.frames == expected(files)
    assert frames != 4096 or got.batches < 40


def test_files_that_follow_each_other_are_opened_one_by_one(build, read) -> None:
    files = [[(10**9 * (n * 10 + m), b"%d" % m) for m in range(5)] for n in range(300)]
    Random(6).shuffle(files)
    got = read(*(build.pcap(content) for content in files))
    assert got.frames == sorted(frame for content in files for frame in content)
    assert got.stats.bytes_read == got.stats.total_bytes


def test_link_types_cut_batches(build, read) -> None:
    one, two = [(0, b"a"), (2000, b"c"), (4000, b"d")], [(1000, b"b")]
    got = read(build.pcap(one), build.pcapng(two, link=101))
    assert [data for _, data in got.frames] == [b"a", b"b", b"c", b"d"]
    assert got.links == [1, 101, 1, 1]
    assert got.batches == 3


def test_files_without_frames_and_cut_files_count_too(build, read) -> None:
    one = build.pcap([(5000, b"x"), (9000, b"y")])
    got = read(build.pcap([]), one, one[:-3], build.pcap([])[:24] + b"cut")
    assert [data for _, data in got.frames] == [b"x", b"x", b"y"]
    assert sorted(w.split("/")[-1].split(":")[0] for w in got.stats.warnings) == ["2.pcap", "3.pcap"]


def test_one_bad_file_is_an_error_before_any_frame(build, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(build.pcap([(0, b"x")]))
    (tmp_path / "bad").write_bytes(b"not a capture")
    with pytest.raises(CaptureError, match="bad: not a capture"):
        next(open_captures([tmp_path / "good", tmp_path / "bad"]).batches())


def test_a_pipe_among_files_is_read_once(build, tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_bytes(build.pcap([(n * 2000, b"f") for n in range(3000)]))
    content = build.pcap([(n * 2000 + 1000, bytes(500)) for n in range(3000)])
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    source = open_captures([pipe, file])
    times = [time for batch in source.batches() for time in batch.time.tolist()]
    writer.join()
    assert times == [n * 1000 for n in range(6000)]
    assert source.stats.total_bytes is None


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 32), counts=st.lists(st.integers(0, 12), min_size=2, max_size=8), spread=st.integers(1, 5)
)
def test_any_files_are_merged_by_their_next_frames(tmp_path_factory, seed: int, counts: list[int], spread: int) -> None:
    random = Random(seed)
    folder = tmp_path_factory.mktemp("merge")
    files = [frames_of(random, number, count, spread, 0.3) for number, count in enumerate(counts)]
    for number, content in enumerate(files):
        (folder / str(number)).write_bytes(_pcap(content))
    source = open_captures([folder / str(number) for number in range(len(files))])
    got = [batch.frame(row) for batch in source.batches(3) for row in range(len(batch))]
    assert got == [data for _, data in expected(files)]


def _pcap(frames: list[tuple[int, bytes]]) -> bytes:
    head = bytes.fromhex("4d3cb2a1 02000400 00000000 00000000 ffff0000 01000000")
    words = ([time // 10**9, time % 10**9, len(data), len(data)] for time, data in frames)
    records = (b"".join(word.to_bytes(4, "little") for word in head) for head in words)
    return head + b"".join(record + data for record, (_, data) in zip(records, frames, strict=True))
