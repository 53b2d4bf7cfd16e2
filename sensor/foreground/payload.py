"""What a phone says in a few bytes: a word, or an object like the body of a push. Pure."""

import json
from typing import Any, NamedTuple

from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.model.foreground import EVENTS, Event

MAX_PAYLOAD = 4_096
"""Bytes; longer ones are not looked at."""
MAX_APP = 128
"""Characters of an app's name that are kept."""

_LATEST = 4_102_444_800
_EVENTS: dict[str, Event] = {event: event for event in EVENTS}
_WORDS: dict[str, Event] = {
    **_EVENTS,
    "on": "screen_on",
    "true": "screen_on",
    "off": "screen_off",
    "false": "screen_off",
}


class Told(NamedTuple):
    """One event as the phone tells it."""

    event: Event
    app: str | None = None
    time: int | None = None
    """ns since 1970, by the phone's clock."""
    sequence: int | None = None


def told(payload: bytes) -> Told | None:
    """What it says; None where it is nothing that is understood.

    A word (an event's name, on, off, true or false), as it is or as JSON; or a JSON object with "event" and, if
    wanted, "app", "time" (seconds since 1970) and "sequence". Other keys are left alone.
    """
    if len(payload) > MAX_PAYLOAD:
        return None
    try:
        text = payload.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    if (event := _WORDS.get(text.lower())) is not None:
        return Told(event)
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, str):
        event = _WORDS.get(value.strip().lower())
        return None if event is None else Told(event)
    return _object(value) if isinstance(value, dict) else None


def _object(value: dict[str, Any]) -> Told | None:
    word, app, time, sequence = (value.get(key) for key in ("event", "app", "time", "sequence"))
    event = _WORDS.get(word.lower()) if isinstance(word, str) else None
    if event is None or not (app is None or isinstance(app, str)):
        return None
    if time is not None and (isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time < _LATEST):
        return None
    if sequence is not None and (type(sequence) is not int or not 0 <= sequence < 2**63):
        return None
    at = None if time is None else round(time * 1_000) * (SECOND // 1_000)
    return Told(event, printable(app, MAX_APP) if app else None, at, sequence)
