import struct

import numpy as np
import pytest

from sensor.capture.files.blocks import HEAD, OLD_PACKET, PACKET, SIMPLE_PACKET, PacketBlocks, packet_blocks


def columns(*heads: bytes, order: str = "<", snap: int = 0) -> PacketBlocks:
    words = np.frombuffer(b"".join(head[:HEAD].ljust(HEAD, b"\0") for head in heads), order + "u4").reshape(-1, 7)
    sizes = words[:, 1].astype(np.int64)
    return packet_blocks(np.arange(len(heads), dtype=np.int64) * 1000, sizes, words, snap)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_three_kinds_of_packet_block(order: str) -> None:
    blocks = columns(
        struct.pack(order + "7I", PACKET, 132, 3, 1, 2, 100, 1500),
        struct.pack(order + "IIHHIIII", OLD_PACKET, 132, 4, 9, 1, 2, 100, 1500),
        struct.pack(order + "III", SIMPLE_PACKET, 116, 1500),
        order=order,
    )
    assert blocks.offset.tolist() == [28, 1028, 2012]
    assert blocks.number.tolist() == [3, 4, 0]
    assert blocks.captured.tolist() == [100, 100, 100]
    assert blocks.length.tolist() == [1500, 1500, 1500]
    assert blocks.ticks[:2].tolist() == [(1 << 32) + 2] * 2
    assert blocks.simple.tolist() == [False, False, True]
    assert not blocks.wrong.any()


def test_a_simple_block_is_cut_to_the_snap_length_of_the_first_interface() -> None:
    head = struct.pack("<III", SIMPLE_PACKET, 116, 1500)
    assert columns(head, snap=98).captured.tolist() == [98]
    assert columns(head, snap=0xFFFFFFFF).captured.tolist() == [100]


def test_a_wire_length_below_the_captured_length_is_a_lie() -> None:
    blocks = columns(struct.pack("<7I", PACKET, 132, 0, 0, 0, 100, 7))
    assert blocks.length.tolist() == [100]


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<7I", PACKET, 132, 0, 0, 0, 101, 101),
        struct.pack("<7I", PACKET, 132, 0, 0, 0, 0xFFFFFFFF, 60),
        struct.pack("<7I", PACKET, 3 << 20, 0, 0, 0, 2 << 20, 60),
        struct.pack("<7I", PACKET, 12, 0, 0, 0, 0, 0),
        struct.pack("<III", SIMPLE_PACKET, 12, 60),
    ],
)
def test_a_frame_that_does_not_fit_is_wrong(head: bytes) -> None:
    good = struct.pack("<7I", PACKET, 132, 0, 0, 0, 100, 100)
    assert columns(good, head).wrong.tolist() == [False, True]
