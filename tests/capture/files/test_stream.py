import gzip
import os
from pathlib import Path

import pytest

from sensor.capture.files.stream import Stream
from sensor.errors import CaptureError


def drain(path: Path, piece: int = 1000) -> tuple[bytes, Stream]:
    stream = Stream(str(path))
    out, target = bytearray(), memoryview(bytearray(piece))
    while got := stream.readinto(target):
        out += target[:got]
    stream.close()
    return bytes(out), stream


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [b"", b"a", b"\x1f\x8b", b"abc" * 50_000])
def test_plain_bytes_pass_through(tmp_path: Path, content: bytes) -> None:
    out, stream = drain(written(tmp_path, content))
    assert out == content
    assert stream.fault is None
    assert stream.consumed == len(content)


def test_gzip_is_unpacked_member_after_member(tmp_path: Path) -> None:
    content = os.urandom(100_000) + bytes(2_000_000)
    packed = gzip.compress(content) + gzip.compress(b"") + gzip.compress(b"more")
    out, stream = drain(written(tmp_path, packed))
    assert out == content + b"more"
    assert stream.fault is None
    assert stream.consumed == len(packed)


def test_what_follows_the_last_member_is_ignored(tmp_path: Path) -> None:
    out, stream = drain(written(tmp_path, gzip.compress(b"content") + bytes(100)))
    assert out == b"content"
    assert stream.fault is None


def test_cut_gzip_gives_what_it_can(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    packed = gzip.compress(content)[:50_000]
    out, stream = drain(written(tmp_path, packed))
    assert len(out) > 40_000
    assert content.startswith(out)
    assert stream.fault == "the gzip data is cut at offset 50000"


def test_damaged_gzip_gives_what_it_can(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    packed = bytearray(gzip.compress(content))
    packed[-8] ^= 1  # the checksum
    out, stream = drain(written(tmp_path, bytes(packed)))
    assert content.startswith(out)
    assert stream.fault is not None
    assert "damaged" in stream.fault


@pytest.mark.parametrize("path", ["/", "/nonexistent", "/nonexistent\n\x1b[31m", "bad\0name"])
def test_what_cannot_be_opened_is_one_line_that_names_it(path: str) -> None:
    with pytest.raises(CaptureError) as caught:
        Stream(path)
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith(path[:1])


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="Is a directory"):
        Stream(str(tmp_path))
