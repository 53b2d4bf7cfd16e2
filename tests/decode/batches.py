"""Batches of frames for the tests of the header decoder."""

from collections.abc import Sequence

import numpy as np

from sensor.model.frames import PADDING, FrameBatch


def batch_of(
    frames: Sequence[bytes],
    link: int = 1,
    *,
    wire: Sequence[int] | None = None,
    gap: bytes = b"\xee",
    vlan: Sequence[int] | None = None,
    direction: Sequence[int] | None = None,
    gso: Sequence[tuple[int, int]] | None = None,
    copies: dict[int, bytes] | None = None,
) -> FrameBatch:
    """Frames with 16 bytes of `gap` between them; `wire`: their lengths on the wire; `gso`: size and type of each."""
    buffer, offset = bytearray(), []
    for frame in frames:
        buffer += gap * 16
        offset.append(len(buffer))
        buffer += frame
    buffer += gap * PADDING
    sizes = np.array([len(frame) for frame in frames], np.int64)
    return FrameBatch(
        buffer=np.frombuffer(bytes(buffer), np.uint8),
        offset=np.array(offset, np.int64),
        captured=sizes,
        length=sizes.copy() if wire is None else np.array(wire, np.int64),
        time=np.arange(len(frames), dtype=np.int64),
        link=link,
        direction=None if direction is None else np.array(direction, np.uint8),
        vlan=None if vlan is None else np.array(vlan, np.uint16),
        gso_size=None if gso is None else np.array([size for size, _ in gso], np.uint16),
        gso_type=None if gso is None else np.array([kind for _, kind in gso], np.uint8),
        copies=copies or {},
    )
