"""A small file that survives crashes, and never stops the sensor."""

import logging
from pathlib import Path

import pytest

from sensor.store import state_file
from sensor.store.state_file import StateFile


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "learned.json")
    assert file.read() is None
    assert file.write({"version": 1, "names": ["Grüße"]})
    assert StateFile(tmp_path / "learned.json").read() == {"version": 1, "names": ["Grüße"]}
    assert [path.name for path in tmp_path.iterdir()] == ["learned.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'"text"'])
def test_what_cannot_be_used_is_put_aside(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "learned.json"
    path.write_bytes(content)
    file = StateFile(path)
    assert file.read() is None
    assert file.failures == 1
    assert not path.exists()
    assert path.with_suffix(".broken").read_bytes() == content
    assert "cannot be used" in caplog.text


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "MAX_FILE", 10)
    (tmp_path / "learned.json").write_text('{"a": "0123456789"}')
    assert StateFile(tmp_path / "learned.json").read() is None


def test_a_folder_that_is_not_there_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    file = StateFile(tmp_path / "state" / "learned.json")
    assert not file.write({"a": 1})
    assert not file.write({"a": 1})
    assert (file.failures, len(caplog.records)) == (2, 1)
    (tmp_path / "state").mkdir()
    assert file.write({"a": 2})
    assert file.read() == {"a": 2}


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StateFile(tmp_path / "learned.json")
    file.write({"a": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_file.os, "fsync", full)
    assert not file.write({"a": 2})
    assert file.read() == {"a": 1}
