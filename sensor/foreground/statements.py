"""Statements of persons about clients in a file: read whole, written whole or not at all."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensor.base.text import printable

MAX_FILE = 1_000_000
"""Bytes of the file that are read."""

MAX_TEXT = 256
"""Characters of one value."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Nobody uses the client; times in ns."""

    client: str
    """Its id."""
    since: int
    until: int
    note: str = ""


def read_statements(path: Path, most: int) -> list[Statement]:
    """At most `most`; none where there is no such file. ValueError, of one line: it cannot be read, or holds others."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ValueError(error.strerror or type(error).__name__) from None
    try:
        value = json.loads(raw)
        return [_statement(each) for each in value["statements"]][:most]
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise ValueError("it is damaged") from None


def write_statements(path: Path, statements: Iterable[Statement]) -> None:
    """The file holds either what it held or all of `statements`, whatever happens meanwhile. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"statements": [asdict(each) for each in statements]}, indent=1)
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _statement(value: Any) -> Statement:
    client, since, until, note = value["client"], value["since"], value["until"], value.get("note", "")
    if not (type(since) is int and type(until) is int and 0 <= since <= until < 2**63):
        raise ValueError("no times")
    if not (isinstance(client, str) and isinstance(note, str) and 0 < len(client) <= MAX_TEXT):
        raise ValueError("no texts")
    return Statement(printable(client, MAX_TEXT), since, until, printable(note, MAX_TEXT))
