"""A message on its way to one sink, as outbox and store hand it to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sensor.model.alert import Severity
from sensor.model.told import Told

Fate = Literal["waiting", "delivered", "dead"]
"""Still to be sent; arrived; given up, but kept so that it can be sent again by hand."""


@dataclass(slots=True)
class Letter:
    """One message for one sink, without its text; the outbox changes it as things happen."""

    sink: str
    notice: str
    """The message's id: the same for all sinks and in all tries."""
    key: str
    """What it is about: letters of one key and sink are delivered in order."""
    severity: Severity
    title: str
    at: int
    """ns since 1970: when the message was made."""
    since: float
    """Seconds by the monotonic clock: when it began to wait."""
    number: int | None = None
    """In the store, ascending; None while it is kept in memory only."""
    fate: Fate = "waiting"
    attempts: int = 0
    next_at: int | None = None
    """ns since 1970, to be shown only: when it is tried again."""
    error: str | None = None
    """Why it did not arrive the last time."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A message that the store does not have yet."""

    body: str
    letters: tuple[Letter, ...]
    """One per sink, all of the same message."""
    told: dict[str, Told] = field(default_factory=dict)
    """What is remembered from the moment on at which the message is stored, by fingerprint."""
    joined: bool = False
    """It is stored in the same transaction as the one before."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction; nobody changes it meanwhile."""

    fresh: tuple[Fresh, ...] = ()
    marks: tuple[Letter, ...] = ()
    """Letters of which the store has an older state."""
    references: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(sink, key) -> what the sink needs to edit or answer the last message of that key."""
    forgotten: tuple[int, ...] = ()
    """Numbers of letters that had no room."""
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a batch."""

    known: tuple[tuple[tuple[int, Fate], ...], ...] = ()
    """Per fresh message and letter: its number, and its fate there, which is another one where it was known."""
    dead: Mapping[str, int] = field(default_factory=dict)
    """Sink -> dead letters that are kept."""
