"""Long lists in pages: stable order, and an opaque cursor that says where the next page begins."""

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

DEFAULT_LIMIT, MAX_LIMIT = 500, 2_000
"""Rows of one page."""

_NO_CURSOR = "cursor: not one of ours"

Key = tuple[str | int, ...]
Row = TypeVar("Row")


def page(rows: Iterable[Row], key: Callable[[Row], Key], query: Mapping[str, str]) -> tuple[list[Row], str | None]:
    """The rows after `query["cursor"]`, at most `query["limit"]`, and the cursor of the next page.

    `key` orders the rows and is unique. A row that comes or goes between two pages moves no other.
    ValueError, with a text for the user: a limit or cursor that is none.
    """
    limit, after = read_limit(query), read_cursor(query)
    ordered = sorted(rows, key=key)
    start = 0
    if after is not None:
        try:
            start = bisect_right(ordered, after, key=key)
        except TypeError:
            raise ValueError(_NO_CURSOR) from None
    chosen = ordered[start : start + limit]
    more = start + limit < len(ordered)
    return chosen, _write(key(chosen[-1])) if more else None


def read_limit(query: Mapping[str, str]) -> int:
    """Rows of one page. ValueError."""
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise ValueError(f"limit: must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def read_cursor(query: Mapping[str, str]) -> Key | None:
    """The key of the last row of the page before; its parts are not compared with any real key yet. ValueError."""
    cursor = query.get("cursor")
    if cursor is None:
        return None
    try:
        key = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        raise ValueError(_NO_CURSOR) from None
    if not (isinstance(key, list) and key and all(isinstance(part, str | int) for part in key)):
        raise ValueError(_NO_CURSOR)
    return tuple(key)


def _write(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
