"""The IP database that comes inside the package: kept compressed there, unpacked once into the state folder."""

import hashlib
import json
import logging
import lzma
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sensor.base.times import SECOND
from sensor.errors import DataError

DATA = Path(__file__).parent / "data"
"""Data files of this room; their origin and licences: `data/LICENSES.md`."""

SHIPPED = DATA / "ipinfo_lite.mmdb.xz"

PART_LIFETIME = 600
"""Seconds after which an unfinished copy that nobody writes to is what a crash left, and is removed."""

_CHUNK = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Where the database lies, ready to be opened."""

    path: Path
    name: str
    temporary: bool
    """The state folder could not take it: the caller removes `path` as soon as it has opened it."""


def unpack(state_dir: Path, shipped: Path = SHIPPED) -> Unpacked:
    """The shipped database, unpacked into `state_dir` unless exactly this one lies there already.

    The facts (name, file, size, sha256) stand in the `.json` beside `shipped`. A copy with another checksum
    (damaged, or of another release) is replaced by renaming a complete one over it, so a crash leaves the old
    one or the new one. Where the state folder cannot take it, a warning says why and a temporary copy is used
    for this run: a replay needs no state folder. DataError: the package is damaged, or there is no room at all.
    """
    name, file, size, checksum = _facts(shipped)
    target = state_dir / file
    if _is_intact(target, size, checksum):
        return Unpacked(target, name, temporary=False)
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        part = _copy(shipped, state_dir, file, checksum)
        place(part, target)
    except OSError as error:
        _log.warning(
            "no place for the IP database in state_dir %s (%s): using a temporary copy; "
            "free %d MB there, make it writable for this user, or set another state_dir",
            state_dir, error.strerror or error, size // 1_000_000 + 1,
        )  # fmt: skip
        return Unpacked(_temporary(shipped, file, size, checksum, state_dir), name, temporary=True)
    return Unpacked(target, name, temporary=False)


def shipped_at(shipped: Path = SHIPPED) -> int:
    """When the shipped database was built, ns since 1970. DataError: the package is damaged."""
    sidecar = _sidecar(shipped)
    try:
        built = datetime.fromisoformat(json.loads(sidecar.read_bytes())["built_at"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{sidecar} cannot be read ({error}): install idlewire again") from error
    return int(built.timestamp()) * SECOND


def place(part: Path, target: Path) -> None:
    """Renames a complete file over `target` and puts that on the disk; clears what a crash left. OSError."""
    now = part.stat().st_mtime
    try:
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    for left in target.parent.glob(f".{target.name}.*.part"):
        with suppress(OSError):
            if left.stat().st_mtime < now - PART_LIFETIME:
                left.unlink()


def _facts(shipped: Path) -> tuple[str, str, int, str]:
    sidecar = _sidecar(shipped)
    try:
        facts = json.loads(sidecar.read_bytes())
        return str(facts["name"]), str(facts["file"]), int(facts["size"]), str(facts["sha256"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{sidecar} cannot be read ({error}): install idlewire again") from error


def _sidecar(shipped: Path) -> Path:
    return shipped.with_suffix("").with_suffix(".json")


def _is_intact(path: Path, size: int, checksum: str) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == checksum
    except OSError:
        return False


def _copy(shipped: Path, folder: Path, file: str, checksum: str) -> Path:
    """A complete and checked copy under a temporary name in `folder`, on the disk; none is left after an error."""
    handle, name = tempfile.mkstemp(prefix=f".{file}.", suffix=".part", dir=folder)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            for chunk in _chunks(shipped, checksum):
                out.write(chunk)
            out.flush()
            # Readable for the user that the sensor becomes after it was started as root.
            os.fchmod(out.fileno(), 0o644)
            os.fsync(out.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


def _chunks(shipped: Path, checksum: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    try:
        with lzma.open(shipped, "rb") as packed:
            while chunk := packed.read(_CHUNK):
                digest.update(chunk)
                yield chunk
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{shipped} cannot be unpacked ({error}): install idlewire again") from error
    if digest.hexdigest() != checksum:
        raise DataError(f"{shipped} is damaged (its checksum is another): install idlewire again")


def _temporary(shipped: Path, file: str, size: int, checksum: str, state_dir: Path) -> Path:
    folder = Path(tempfile.gettempdir())
    try:
        return _copy(shipped, folder, file, checksum)
    except OSError as error:
        raise DataError(
            f"state_dir: no place for the IP database in {state_dir}, nor in {folder} ({error.strerror or error}): "
            f"free {size // 1_000_000 + 1} MB, or make {state_dir} writable for this user"
        ) from error
