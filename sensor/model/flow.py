"""The key of a flow in one direction."""

from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class FlowKey(NamedTuple):
    """Who sends to whom, one direction of one conversation."""

    source_mac: bytes | None
    destination_mac: bytes | None
    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    vlan: int
    direction: int
    """One of the directions of `model.frames`."""


_WORDS = Struct(">6sH6sH4s4sBBBBBBxx")
"""The four words of `model.packets` as they lie in memory: ports are in network order, the VLAN id is little-endian."""
_TAIL = Struct("8s16s")


def unpack(words: NDArray[np.uint64], tail: NDArray[np.uint64]) -> list[FlowKey]:
    """From [4, n] words and [3, n] tails (0 for IPv4), as `model.packets` describes them."""
    keys = []
    rows = _WORDS.iter_unpack(np.ascontiguousarray(words.T).tobytes())
    tails = _TAIL.iter_unpack(np.ascontiguousarray(tail.T).tobytes())
    for fields, (near, far) in zip(rows, tails, strict=True):
        mac, port, far_mac, far_port, source, destination, protocol, family, direction, macs, low, high = fields
        if family == 6:
            source, destination = near + source + destination, far
        source_mac = mac if macs & 1 else None
        destination_mac = far_mac if macs & 2 else None
        vlan = high << 8 | low
        keys.append(
            FlowKey(source_mac, destination_mac, source, destination, protocol, port, far_port, vlan, direction)
        )
    return keys
