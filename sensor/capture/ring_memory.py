"""A packet ring mapped into memory, with readable bytes behind its end."""

import ctypes
import mmap
import os
import socket

import numpy as np
from numpy.typing import NDArray

_MAP_FIXED = 0x10
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)


class RingMemory:
    """The ring's bytes as an array that never dangles.

    Decoders read a fixed number of bytes from the start of any frame, so also behind the last slot;
    the kernel maps a ring only in its exact size. So memory with a page to spare is reserved first
    (anonymous, owned by an `mmap` object) and the ring is mapped over its beginning. `close` maps
    empty memory over it again, which gives the ring back at once: arrays that someone still holds
    then read zeros, and the reservation goes when the last of them does.
    """

    def __init__(self, opened: socket.socket, size: int) -> None:
        """Map `size` bytes, the whole ring of the socket. Raises OSError."""
        self._size = size
        reserved = mmap.mmap(-1, size + mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.bytes: NDArray[np.uint8] = np.frombuffer(reserved, np.uint8)
        """[size + a page] the ring, then zeros."""
        self._map(mmap.MAP_SHARED, opened.fileno())

    def close(self) -> None:
        """Give the ring back; the array reads zeros from now on."""
        self._map(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)

    def _map(self, flags: int, descriptor: int) -> None:
        address = self.bytes.ctypes.data
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        if _libc.mmap(address, self._size, protection, flags | _MAP_FIXED, descriptor, 0) in {_FAILED, None}:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
