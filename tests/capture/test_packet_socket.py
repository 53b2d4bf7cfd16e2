"""Options of packet sockets."""

import socket
from typing import Any

import pytest

from sensor.capture import packet_socket
from sensor.capture.bpf import assemble
from sensor.capture.packet_socket import InterfaceGone
from sensor.errors import CaptureError


def test_no_frame_comes_in_before_the_interface_is_bound(world: Any) -> None:
    with world.inside("c1"), packet_socket.open_socket(1024, assemble("ret #65535")) as opened:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", 9))
            assert packet_socket.read_statistics(opened) == (0, 0)
            packet_socket.bind(opened, "lo")
            sender.sendto(b"x", ("127.0.0.1", 9))
        assert packet_socket.read_statistics(opened)[0] > 0
        assert packet_socket.read_statistics(opened) == (0, 0), "reading starts anew"


def test_a_ring_that_cannot_be_is_an_error(world: Any) -> None:
    with world.inside("c1"), pytest.raises(CaptureError, match="ring of 256 bytes"):
        packet_socket.open_socket(1, assemble("ret #0"))


def test_binding_to_nothing(world: Any) -> None:
    with world.inside("c1"), packet_socket.open_socket(1024, assemble("ret #0")) as opened:
        with pytest.raises(InterfaceGone, match="nothing0"):
            packet_socket.bind(opened, "nothing0")
        packet_socket.pending(opened)
