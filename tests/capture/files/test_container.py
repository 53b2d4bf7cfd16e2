import gzip
from pathlib import Path

import pytest

from sensor.capture.files.container import MAX_OPEN, Opener
from sensor.errors import CaptureError

FRAMES = [(1_000_000_000 * n, bytes([n]) * n) for n in range(200)]


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_the_content_says_what_a_file_is_not_its_name(build, read, kind: str) -> None:
    content = getattr(build, kind)(FRAMES)
    assert read(content).frames == FRAMES
    assert read(gzip.compress(content)).frames == FRAMES


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty; expected a pcap or pcapng capture"),
        (b"\xd4", "found d4"),
        (b"GET / HTTP/1.1\r\n", "not a capture: expected pcap or pcapng at offset 0, found 47455420"),
        (gzip.compress(b"", mtime=0), "empty"),
        (gzip.compress(b"hello", mtime=0), "found 68656c6c"),
        (gzip.compress(gzip.compress(b"hello", mtime=0), mtime=0), "found 1f8b08"),
        (b"\x1f\x8b\x08" + bytes(3), "cut at offset 6"),
        (b"\x1f\x8b\x08" + b"\xff" * 30, "damaged"),
    ],
)
def test_what_is_no_capture_is_one_line(read, content: bytes, says: str) -> None:
    with pytest.raises(CaptureError, match=f"^[^\n]*0\\.pcap: [^\n]*{says}[^\n]*$"):
        read(content)


def test_gzip_that_is_cut_keeps_the_frames_before(build, read) -> None:
    packed = gzip.compress(build.pcap(FRAMES))
    got = read(packed[:-20])
    assert 0 < len(got.frames) <= len(FRAMES)
    assert got.frames == FRAMES[: len(got.frames)]
    assert got.stats.warnings == [
        f"{got.stats.warnings[0].split(': ')[0]}: the gzip data is cut at offset {len(packed) - 20}; "
        "what came before it was read"
    ]


def test_only_so_many_files_are_open_at_once(build, tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(build.pcap(FRAMES))
    files = Opener([str(path)] * (MAX_OPEN + 1))
    for number in range(MAX_OPEN):
        last = files.open(number)
    with pytest.raises(CaptureError, match="overlap in time"):
        files.open(MAX_OPEN)
    files.close(last)
    files.open(MAX_OPEN)
    files.close_all()
