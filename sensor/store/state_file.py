"""A small JSON file in the state folder: written whole and atomically, read with mistrust."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from sensor.base.text import printable

MAX_FILE = 32_000_000
"""Bytes that are read at most."""

_log = logging.getLogger(__name__)


class StateFile:
    """One file; neither reading nor writing it ever raises: what cannot be kept is logged once, and counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failures = 0
        self._broken = False

    def read(self) -> dict[str, Any] | None:
        """The object in the file; None where there is no file, or none that can be used."""
        try:
            with self.path.open("rb") as file:
                raw = file.read(MAX_FILE + 1)
            value = json.loads(raw) if len(raw) <= MAX_FILE else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self.refuse(str(error))
            return None
        if not isinstance(value, dict):
            self.refuse("too large, or no JSON object")
            return None
        return value

    def refuse(self, why: str) -> None:
        """What the file holds cannot be used: it is put aside, so that it can be looked at, and begun anew."""
        self.failures += 1
        aside = self.path.with_suffix(".broken")
        _log.warning("%s cannot be used (%s); it goes to %s", self.path, printable(why, 200), aside)
        try:
            self.path.replace(aside)
        except OSError:
            _log.warning("%s cannot be put aside", self.path)

    def write(self, value: dict[str, Any]) -> bool:
        """Replaces the file by this object; a crash leaves the old or the new one. False where it cannot be written."""
        fresh = self.path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(json.dumps(value, separators=(",", ":")).encode())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            self.failures += 1
            if not self._broken:
                _log.warning("%s cannot be written: %s; it is tried again", self.path, error.strerror or error)
            self._broken = True
            return False
        self._broken = False
        return True
