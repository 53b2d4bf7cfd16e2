"""What the doctor says."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "warning", "error"]
"""note: cannot be told here; warning: it works, but ...; error: it does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line, and what to do."""

    level: Level
    about: str
    said: str
    remedy: str | None = None
