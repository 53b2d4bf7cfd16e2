"""The ring's memory."""

import mmap
import socket
from typing import Any

from sensor.capture import packet_socket
from sensor.capture.bpf import assemble
from sensor.capture.ring_memory import RingMemory


def test_there_are_zeros_behind_the_ring_and_views_outlive_it(world: Any) -> None:
    size = packet_socket.BLOCK
    with world.inside("c1"), packet_socket.open_socket(size // packet_socket.SLOT, assemble("ret #65535")) as opened:
        memory = RingMemory(opened, size)
        packet_socket.bind(opened, "lo")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", 9))
        held = memory.bytes
        assert len(held) == size + mmap.PAGESIZE
        assert held[0] & 1, "the first slot is filled"
        assert not held[size:].any()
        memory.close()
        assert not held.any()
    del memory
    assert not held.any()
