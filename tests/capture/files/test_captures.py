"""Real captures against the number of frames that tshark read of them, and damaged ones against any surprise."""

import gzip
import json
import os
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.capture.files import open_captures
from sensor.capture.files.pcap import KINDS
from sensor.errors import CaptureError

ROOT = Path(__file__).parents[3]
CAPTURES = ROOT.parent / "shared" / "captures"
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"no captures in {CAPTURES}")

OTHER_COUNT = {
    "tcpdump__dsa-high-vid.pcap": (4, "tshark does not know link type 284 and stops"),
    "tcpdump__frf16_magic_ie-oobr.pcap": (1, "tshark does not know link type 182 and stops"),
    "tcpdump__juniper_es_oobr.pcap": (1, "tshark does not mask the FCS bits of the link type and stops"),
    "tcpdump__vtp_asan.pcap": (5, "tshark does not know link type 182 and stops"),
    "tcpdump__vtp_asan-2.pcap": (1, "tshark does not know link type 182 and stops"),
    "tcpdump__vtp_asan-3.pcap": (1, "tshark does not know link type 182 and stops"),
    "pcapnggen__be__advanced__test102.pcapng": (5, "tshark counts three custom blocks, which hold no frame"),
    "pcapnggen__le__advanced__test102.pcapng": (5, "tshark counts three custom blocks, which hold no frame"),
    "ndpi__fuzz-2021-10-13.pcap": (0, "its only record says 524501 bytes and holds 197: cut; tshark shows the part"),
}
"""Frames, and why that is not what tshark says."""


def count(*paths: Path) -> int:
    return sum(len(batch) for batch in open_captures(paths).batches())


def complaint(path: Path) -> str:
    """What the error says, if there is one."""
    try:
        count(path)
    except CaptureError as error:
        return str(error)
    return ""


@needs_captures
def test_every_real_capture_has_as_many_frames_as_tshark_read() -> None:
    wrong = []
    for path in sorted(CAPTURES.glob("*/*.truth.json")):
        truth = json.loads(path.read_text())
        capture = path.with_name(path.name.removesuffix(".truth.json"))
        frames = OTHER_COUNT.get(capture.name, (truth["frames"], ""))[0]
        if count(capture) != frames:
            wrong.append(capture.name)
    assert wrong == []


@needs_captures
def test_all_of_them_at_once_are_as_many_as_one_by_one() -> None:
    paths = sorted(path for path in CAPTURES.glob("*/*.pcap*") if path.suffix in (".pcap", ".pcapng"))
    paths = [path for path in paths if path.parent.name in ("dns", "tls", "pcapng")]
    assert count(*paths) == sum(count(path) for path in paths)


@needs_captures
@pytest.mark.parametrize("name", ["dns/zeek__dns-edns-ecs.pcap", "pcapng/pcapnggen__be__difficult__test201.pcapng"])
def test_damaged_captures_give_frames_or_one_line(tmp_path: Path, name: str) -> None:
    content = (CAPTURES / name).read_bytes()[:20_000]
    random = Random(name)
    for turn in range(400):
        damaged = bytearray(gzip.compress(content, 1) if turn % 4 == 0 else content)
        for _ in range(random.randrange(1, 9)):
            at = random.randrange(min(len(damaged), random.choice((24, 100, len(damaged)))))
            damaged[at] = random.choice((0, 1, 0x7F, 0xFF, random.randrange(256)))
        if random.random() < 0.3:
            del damaged[random.randrange(len(damaged)) :]
        (tmp_path / "damaged").write_bytes(damaged)
        assert "\n" not in complaint(tmp_path / "damaged")


@settings(max_examples=300, deadline=None)
@given(start=st.sampled_from([b"", b"\n\r\r\n", b"\x1f\x8b\x08", *KINDS]), rest=st.binary(max_size=300))
def test_any_bytes_give_frames_or_one_line(tmp_path_factory, start: bytes, rest: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(start + rest)
    assert complaint(path).isprintable()


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_the_size_of_batches_changes_nothing_else(build, read, kind: str) -> None:
    random = Random(7)
    frames = [(n * 1000, random.randbytes(random.choice((0, 60, 1514)))) for n in range(12_000)]
    content = getattr(build, kind)(frames) + b"cut"
    whole = read(content)
    assert whole.frames == frames
    for size in (1, 7, 1000):
        again = read(content, frames=size)
        assert again.frames == frames
        assert again.stats == whole.stats


def test_nothing_is_opened_before_the_first_batch() -> None:
    source = open_captures(["/nonexistent"])
    with pytest.raises(CaptureError, match=r"^/nonexistent: No such file or directory$"):
        next(source.batches())


def test_a_file_that_cannot_be_read_on() -> None:
    """The first page of a process is never mapped."""
    with pytest.raises(CaptureError, match=r"^/proc/self/mem: cannot read on: Input/output error$"):
        count(Path("/proc/self/mem"))


def test_standard_input_and_pipes(build, tmp_path: Path) -> None:
    content = gzip.compress(build.pcapng([(n * 1000, bytes(100)) for n in range(5000)]))
    script = "from sensor.capture.files import open_captures as o; print(sum(len(b) for b in o(['-']).batches()))"
    done = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True, cwd=ROOT, check=True)
    assert done.stdout == b"5000\n"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert count(pipe) == 5000
    writer.join()


def test_progress_is_counted_in_bytes_of_the_files(build, read) -> None:
    content = gzip.compress(build.pcap([(0, bytes(100))]))
    stats = read(content).stats
    assert stats.bytes_read == stats.total_bytes == len(content)


BOMB = """
import resource, sys
from sensor.capture.files import open_captures
batches = open_captures([sys.argv[1]]).batches()
open_captures([sys.argv[2]]).batches().__next__()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in batches: pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_what_unpacks_to_a_thousand_times_its_size_takes_no_more_memory(build, tmp_path: Path) -> None:
    head = build.section() + build.interface() + build.packet(1, b"x")
    bomb = zlib.compressobj(wbits=31)
    (tmp_path / "small").write_bytes(head)
    with (tmp_path / "bomb").open("wb") as file:
        file.write(bomb.compress(head))
        block = build.block(0xBAD, bytes(4_000_000))
        for _ in range(60):
            file.write(bomb.compress(block))
        file.write(bomb.compress(build.packet(1, bytes(60)) * 20_000))
        file.write(bomb.flush())
    script = [sys.executable, "-c", BOMB, str(tmp_path / "bomb"), str(tmp_path / "small")]
    done = subprocess.run(script, capture_output=True, cwd=ROOT, check=True, text=True)
    assert int(done.stdout) < 20_000


def test_hostile_files_take_no_longer_than_their_size(build, read) -> None:
    flips = (build.section("<") + build.section(">")) * 20_000
    turns = b"".join(build.section() + build.interface() + build.packet(1, b"") for _ in range(5000))
    begin = time.process_time()
    read(build.pcapng([(0, b"x")]) + flips)
    read(turns)
    read(gzip.compress(build.pcap([(0, b"x")])) + gzip.compress(b"") * 20_000)
    assert time.process_time() - begin < 10
