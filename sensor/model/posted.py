"""What somebody sent to the sensor's HTTP address to be acted upon, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BODY = 1_024
"""Bytes of a body; whoever sends more is told so."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One POST."""

    body: bytes
    """At most MAX_BODY + 1 bytes are read of it: with one more it is too large."""
    content_type: str = ""
    authorization: str | None = field(default=None, repr=False)
    """The value of that header."""
    sender: str = ""
    """The address it came from."""
    about: str = ""
    """The `{id}` of the path that it was sent to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender hears."""

    status: int
    """Of HTTP."""
    body: Mapping[str, object]
    """The answer as a JSON object, {"error": text} where it was refused; no part of it is the sender's word."""
    retry_after: int | None = None
    """Seconds, with 429."""


def refused(status: int, why: str, retry_after: int | None = None) -> Answer:
    """An answer that says no."""
    return Answer(status, {"error": why}, retry_after)
