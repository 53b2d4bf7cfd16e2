"""What the tests of this room share."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.enrich.mmdb import database

MmdbFactory = Callable[..., Path]


@pytest.fixture
def mmdb(tmp_path: Path) -> MmdbFactory:
    """`mmdb("a.mmdb", {"42.0.0.0/8": {...}}, kind="Some-DB")` writes a file and returns its path."""

    def write(
        name: str,
        networks: Mapping[str, object],
        kind: str = "Test-DB",
        built_at: int = 1_790_000_000,
        version: int = 6,
    ) -> Path:
        path = tmp_path / name
        path.write_bytes(database(networks, kind, built_at, version))
        return path

    return write
