"""Noticing that interfaces, addresses or routes have changed."""

import asyncio
import socket
from typing import Any

from sensor.capture.watch import Changes


async def test_a_new_address_is_a_change(world: Any) -> None:
    with world.inside("c1"), Changes() as changes:
        await asyncio.sleep(0.05)
        assert not changes.event.is_set(), "nothing has happened"
        world.ip("c1", "addr add 10.90.0.1/32 dev lo")
        await asyncio.wait_for(changes.event.wait(), 3)
        world.ip("c1", "addr del 10.90.0.1/32 dev lo")


async def test_an_overrun_is_a_change_like_any_other(world: Any) -> None:
    with world.inside("c1"), Changes() as changes:
        assert changes._socket is not None
        changes._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(1, 40):
            world.ip("c1", f"addr add 10.91.0.{number}/32 dev lo")
        await asyncio.wait_for(changes.event.wait(), 3)
        await asyncio.sleep(0.05)
        changes.event.clear()
        world.ip("c1", "addr flush to 10.91.0.0/24")
        await asyncio.wait_for(changes.event.wait(), 3)


async def test_closing_twice_is_fine(world: Any) -> None:
    changes = Changes()
    with world.inside("c1"), changes:
        changes.__exit__(None, None, None)
