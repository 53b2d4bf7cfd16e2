"""The AF_PACKET socket and its options, as linux/if_packet.h has them; needs CAP_NET_RAW."""

import contextlib
import ctypes
import errno
import os
import socket
import struct

from sensor.capture.privileges import MISSING
from sensor.errors import CaptureError

SLOT = 256
"""Bytes of the ring per frame: kernel header, then as much of the frame as fits."""

BLOCK = 1 << 18
"""Bytes the kernel allocates at once for the ring."""

RESERVE = 6
"""Bytes left free before the frame. The kernel puts L3 at a multiple of 16, + this, + 10 (virtio_net_hdr), so that
L3 starts 8-byte aligned in every slot: Ethernet at 82, IP at 96."""

NETWORK_OFFSET = 96
"""Where the IP header lies in a slot (tp_net) for link headers of up to 28 bytes."""

COPY_QUEUE = 4 << 20
"""Bytes of kernel memory for frames queued in full; without CAP_NET_ADMIN only net.core.rmem_max."""

_SOL_PACKET = 263
_ADD_MEMBERSHIP, _DROP_MEMBERSHIP, _RX_RING, _STATISTICS, _COPY_THRESH = 1, 2, 5, 6, 7
_VERSION, _RESERVE_OPTION, _VNET_HDR = 10, 12, 15
_TPACKET_V2 = 1
_MR_PROMISC = 1
_ETH_P_ALL = 3
_SO_RCVBUFFORCE, _SO_ATTACH_FILTER = 33, 26


class InterfaceGone(CaptureError):
    """The interface does not exist, is down, or went away under the socket."""


class _Program(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def open_socket(slots: int, program: bytes) -> socket.socket:
    """A socket with a ring of `slots` slots (a multiple of BLOCK // SLOT), on no interface yet.

    The filter is there before the first frame can be. Raises CaptureError.
    """
    try:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise CaptureError(MISSING) from error
    except OSError as error:
        raise CaptureError(f"no packet sockets on this system: {error.strerror}") from error
    try:
        made.setblocking(False)
        made.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        made.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
        made.setsockopt(_SOL_PACKET, _RESERVE_OPTION, RESERVE)
        made.setsockopt(_SOL_PACKET, _COPY_THRESH, 1)
        _grow_copy_queue(made)
        attach(made, program)
        request = struct.pack("IIII", BLOCK, slots * SLOT // BLOCK, SLOT, slots)
        made.setsockopt(_SOL_PACKET, _RX_RING, request)
    except OSError as error:
        made.close()
        raise CaptureError(f"cannot set up a packet ring of {slots * SLOT} bytes: {error.strerror}") from error
    return made


def bind(opened: socket.socket, interface: str) -> int:
    """Let the frames in; the interface's index. Raises InterfaceGone."""
    try:
        index = socket.if_nametoindex(interface)
        opened.bind((interface, _ETH_P_ALL))
    except OSError as error:
        raise InterfaceGone(f"interface {interface}: {error.strerror}") from error
    pending(opened)
    return index


def attach(opened: socket.socket, program: bytes) -> None:
    """Install a socket filter (see `bpf.assemble`) in place of the one before, without a gap."""
    code = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // 8, ctypes.addressof(code))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(described))


def set_promiscuous(opened: socket.socket, index: int, wanted: bool) -> None:
    """Ask for frames to anyone; the kernel takes the wish back when the socket closes."""
    option = _ADD_MEMBERSHIP if wanted else _DROP_MEMBERSHIP
    opened.setsockopt(_SOL_PACKET, option, struct.pack("IHH8s", index, _MR_PROMISC, 0, b""))


def read_statistics(opened: socket.socket) -> tuple[int, int]:
    """(frames, of those dropped) since the last call: reading sets both to 0. tp_packets includes tp_drops."""
    return struct.unpack("II", opened.getsockopt(_SOL_PACKET, _STATISTICS, 8))


def pending(opened: socket.socket) -> None:
    """Raise InterfaceGone where the kernel reports that the interface is down or gone."""
    code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code in {errno.ENETDOWN, errno.ENODEV, errno.ENXIO}:
        raise InterfaceGone("the interface is down or gone")
    if code:
        raise CaptureError(f"packet socket: {os.strerror(code)}")


def _grow_copy_queue(opened: socket.socket) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, COPY_QUEUE)
    except PermissionError:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, COPY_QUEUE)
