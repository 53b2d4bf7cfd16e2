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

    @classmethod
    def unpack(cls, words: NDArray[np.uint64], tail: NDArray[np.uint64] | None) -> "FlowKey":
        """From the four words of `model.packets`, and the three more of IPv6."""
        first, second, third, fourth = (int(word).to_bytes(8, "little") for word in words)
        if tail is None:
            source, destination = third[:4], third[4:]
        else:
            high, far_high, far_low = (int(word).to_bytes(8, "little") for word in tail)
            source, destination = high + third, far_high + far_low
        return cls(
            first[:6] if fourth[3] & 1 else None,
            second[:6] if fourth[3] & 2 else None,
            source,
            destination,
            fourth[0],
            int.from_bytes(first[6:], "big"),
            int.from_bytes(second[6:], "big"),
            int.from_bytes(fourth[4:6], "little"),
            fourth[2],
        )
