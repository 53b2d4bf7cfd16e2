"""The key of a flow in one direction."""

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


def unpack(words: NDArray[np.uint64], tail: NDArray[np.uint64]) -> list[FlowKey]:
    """From [4, n] words and [3, n] tails (0 for IPv4), as `model.packets` describes them."""
    first, second, _, fourth = words
    raw = np.ascontiguousarray(words.T).tobytes()
    rest = np.ascontiguousarray(tail.T).tobytes()
    facts = zip(
        (first >> np.uint64(48)).astype(np.uint16).byteswap().tolist(),
        (second >> np.uint64(48)).astype(np.uint16).byteswap().tolist(),
        (fourth & np.uint64(0xFF)).tolist(),
        ((fourth >> np.uint64(8)) & np.uint64(0xFF)).tolist(),
        ((fourth >> np.uint64(16)) & np.uint64(0xFF)).tolist(),
        ((fourth >> np.uint64(24)) & np.uint64(0xFF)).tolist(),
        ((fourth >> np.uint64(32)) & np.uint64(0xFFFF)).tolist(),
        strict=True,
    )
    keys = []
    for row, (source_port, destination_port, protocol, family, direction, macs, vlan) in enumerate(facts):
        at, far = 32 * row, 24 * row
        if family == 6:
            source = rest[far : far + 8] + raw[at + 16 : at + 24]
            destination = rest[far + 8 : far + 24]
        else:
            source, destination = raw[at + 16 : at + 20], raw[at + 20 : at + 24]
        near_mac = raw[at : at + 6] if macs & 1 else None
        far_mac = raw[at + 8 : at + 14] if macs & 2 else None
        keys.append(
            FlowKey(near_mac, far_mac, source, destination, protocol, source_port, destination_port, vlan, direction)
        )
    return keys
