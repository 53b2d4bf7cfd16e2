"""Waiting for what must come to pass."""

import asyncio
from collections.abc import Callable

WAIT = 10.0
"""Seconds after which a test that waits fails."""


async def until(condition: Callable[[], object]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.005)
