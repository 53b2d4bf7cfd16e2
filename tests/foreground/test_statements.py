"""The file of statements: whole, or as it was."""

import json
from pathlib import Path

import pytest

from sensor.foreground import statements
from sensor.foreground.statements import Statement, read_statements, write_statements

PHONE = Statement("60:38:e0:c5:35:a0", 5, 9, "in the drawer")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "manual.json"
    write_statements(path, [PHONE, Statement("192.0.2.7", 1, 2)])
    assert read_statements(path, 10) == [PHONE, Statement("192.0.2.7", 1, 2)]
    assert [each.name for each in path.parent.iterdir()] == ["manual.json"]


def test_no_file_is_no_statement_and_many_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "manual.json"
    assert read_statements(path, 10) == []
    write_statements(path, [PHONE] * 20)
    assert len(read_statements(path, 10)) == 10


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manual.json"
    write_statements(path, [PHONE])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(statements.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_statements(path, [])
    assert read_statements(path, 10) == [PHONE]


WHOLE = {"client": "a", "since": 1, "until": 2, "note": ""}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"statements": 5}',
        b'{"statements": [5]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (statements.MAX_FILE + 1),
        *(
            json.dumps({"statements": [WHOLE | wrong]}).encode()
            for wrong in ({"until": 0}, {"since": "x"}, {"until": True}, {"client": ""}, {"note": 5}, {"until": 2**70})
        ),
    ],
)
def test_a_damaged_file_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manual.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^it is damaged$"):
        read_statements(path, 10)


def test_a_folder_in_its_place_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Is a directory"):
        read_statements(tmp_path, 10)
