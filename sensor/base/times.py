"""Nanoseconds since 1970 as text."""

from datetime import UTC, datetime
from functools import lru_cache

SECOND = 1_000_000_000
"""Nanoseconds."""

_LAST = 253_402_300_799
"""The last second that RFC 3339 can write: 9999-12-31T23:59:59Z."""


def rfc3339(time: int) -> str:
    """RFC 3339 in UTC with microseconds; times beyond what it can write are clamped."""
    second, rest = divmod(max(time, 0), SECOND)
    return f"{_second_text(min(second, _LAST))}.{rest // 1000:06d}Z"


@lru_cache(256)
def _second_text(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
