"""Home Assistant's words about entities, out of the messages of its WebSocket API. Pure.

https://developers.home-assistant.io/docs/api/websocket; the compressed states of `subscribe_entities` are those of
websocket_api/messages.py there: `a` (added: all of an entity), `c` (changed: what is new under "+"), `r` (removed);
`s` is the state, `lc` the seconds since 1970 when it last changed.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from sensor.base.times import SECOND

MAX_STATE = 255
"""Characters of a state; Home Assistant takes no longer ones."""

NOTHING = frozenset({"unavailable", "unknown", ""})
"""States that say that there is none."""

_LATEST = 4_102_444_800


class EntityState(NamedTuple):
    """One entity's state."""

    entity: str
    state: str | None
    """None: it has none at present."""
    changed: int | None = None
    """ns since 1970 when it last changed, by Home Assistant's clock."""


def messages(text: str) -> list[dict[str, Any]]:
    """The messages of one frame of text: an object, or an array of them; what is none is left out."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def states(event: object, wanted: Collection[str]) -> list[EntityState]:
    """What an event of `subscribe_entities` says of the wanted entities, in its order."""
    if not isinstance(event, dict):
        return []
    found = [_state(entity, body) for entity, body in _entries(event.get("a"), wanted)]
    for entity, body in _entries(event.get("c"), wanted):
        news = body.get("+")
        if isinstance(news, dict) and "s" in news:
            found.append(_state(entity, news))
    removed = event.get("r")
    if isinstance(removed, list):
        names = dict.fromkeys(entity for entity in removed if isinstance(entity, str))
        found += [EntityState(entity, None) for entity in names if entity in wanted]
    return found


def _entries(part: object, wanted: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        for entity, body in part.items():
            if entity in wanted and isinstance(body, dict):
                yield entity, body


def _state(entity: str, body: dict[str, Any]) -> EntityState:
    state = body.get("s")
    if not isinstance(state, str) or state in NOTHING or len(state) > MAX_STATE:
        return EntityState(entity, None)
    return EntityState(entity, state, _moment(body.get("lc")))


def _moment(seconds: object) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < _LATEST:
        return None
    return round(seconds * 1_000_000) * (SECOND // 1_000_000)
