import hashlib
import json
import lzma
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.enrich.embedded import DATA, unpack
from sensor.enrich.geo import GeoDatabase
from sensor.enrich.mmdb import ATTRIBUTION
from sensor.errors import DataError

CONTENT = b"what the database holds " * 100_000


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A small stand-in for the shipped file, with its sidecar."""
    folder = tmp_path / "package"
    folder.mkdir()
    ship(folder, CONTENT)
    return folder / "small.mmdb.xz"


def ship(folder: Path, content: bytes) -> None:
    facts = {"name": "Small", "file": "small.mmdb", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "small.mmdb.xz").write_bytes(lzma.compress(content))
    (folder / "small.json").write_text(json.dumps(facts))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "idlewire"


def test_it_is_unpacked_once(shipped: Path, state: Path) -> None:
    first = unpack(state, shipped)
    assert (first.path, first.name, first.temporary) == (state / "small.mmdb", "Small", False)
    assert first.path.read_bytes() == CONTENT
    assert first.path.stat().st_mode & 0o777 == 0o644
    before = first.path.stat()
    again = unpack(state, shipped)
    assert again == first
    assert again.path.stat().st_ino == before.st_ino
    assert os.listdir(state) == ["small.mmdb"]


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT[:-1] + b"!", b"of an older release"])
def test_a_damaged_or_other_copy_is_replaced_as_a_whole(shipped: Path, state: Path, content: bytes) -> None:
    state.mkdir(parents=True)
    (state / "small.mmdb").write_bytes(content)
    with (state / "small.mmdb").open("rb") as in_use:
        assert unpack(state, shipped).path.read_bytes() == CONTENT
        assert in_use.read() == content


def test_a_newer_package_replaces_the_copy_of_an_older_one(shipped: Path, state: Path) -> None:
    unpack(state, shipped)
    ship(shipped.parent, b"newer")
    assert unpack(state, shipped).path.read_bytes() == b"newer"


def test_what_a_crash_left_is_removed_and_a_running_copy_is_not(shipped: Path, state: Path) -> None:
    state.mkdir(parents=True)
    left, running = state / ".small.mmdb.abc.part", state / ".small.mmdb.def.part"
    left.write_bytes(b"")
    running.write_bytes(b"")
    os.utime(left, (1_000_000, 1_000_000))
    unpack(state, shipped)
    assert sorted(os.listdir(state)) == [running.name, "small.mmdb"]


def test_a_state_folder_that_cannot_take_it_gives_a_temporary_copy_and_a_warning(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    unpacked = unpack(tmp_path / "file" / "state", shipped)
    assert unpacked.temporary
    assert unpacked.path.parent == tmp_path
    assert unpacked.path.read_bytes() == CONTENT
    assert "state_dir" in caplog.text
    assert "free 3 MB" in caplog.text


def test_no_room_anywhere_is_an_error_that_names_both_places(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"^state_dir: no place .*file/state, nor in .*gone.*free 3 MB"):
        unpack(tmp_path / "file" / "state", shipped)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode:
        pytest.skip("may not mount a tmpfs here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_no_half_copy(
    shipped: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert unpack(small_disk, shipped).temporary
    assert "No space left" in caplog.text
    assert os.listdir(small_disk) == []
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(DataError, match="No space left"):
        unpack(small_disk, shipped)
    assert os.listdir(small_disk) == []


@pytest.mark.parametrize("damage", [b"", b"no xz", lzma.compress(CONTENT)[:-40], lzma.compress(b"something else")])
def test_a_damaged_package_is_said_and_nothing_is_written(shipped: Path, state: Path, damage: bytes) -> None:
    shipped.write_bytes(damage)
    with pytest.raises(DataError, match="install idlewire again"):
        unpack(state, shipped)
    assert os.listdir(state) == []


@pytest.mark.parametrize("sidecar", ["", "[]", "{}", '{"name": "x", "file": "y", "size": "z", "sha256": ""}'])
def test_a_damaged_sidecar_is_said(shipped: Path, state: Path, sidecar: str) -> None:
    (shipped.parent / "small.json").write_text(sidecar)
    with pytest.raises(DataError, match=r"small\.json cannot be read"):
        unpack(state, shipped)


def test_the_temporary_copy_has_no_name_once_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    database = GeoDatabase(state_dir=tmp_path / "file")
    database.open()
    assert os.listdir(tmp_path) == ["file"]
    assert database.lookup(b"\x08\x08\x08\x08").country == "US"
    database.close()


def test_licences_and_figures_stand_beside_the_data() -> None:
    text = (DATA / "LICENSES.md").read_text()
    facts = json.loads((DATA / "ipinfo_lite.json").read_text())
    assert facts["attribution"] == ATTRIBUTION
    assert ATTRIBUTION in text
    for name in ("ipinfo_lite.mmdb.xz", "oui.tsv.gz"):
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() in text
    assert facts["sha256"] in text
