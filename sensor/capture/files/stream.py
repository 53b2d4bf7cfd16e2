"""The bytes of one path, unpacked where they are gzip (RFC 1952)."""

import io
import os
import stat
import zlib

from sensor.base.text import printable
from sensor.errors import CaptureError

STANDARD_INPUT = "-"

_PACKED = 32 << 10
"""Packed bytes read at a time; few, because zlib copies what is left of them after each (possibly empty) member."""

_UNPACKED = 256 << 10
"""Most bytes unpacked at a time: 1 MB of gzip can unpack to 1 GB."""

_GZIP = b"\x1f\x8b\x08"


class Stream:
    """Opens `path` ("-": standard input) and reads it from start to end, without ever seeking.

    Raises CaptureError when the path cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == STANDARD_INPUT else printable(path)
        self.consumed = 0
        """Bytes of the file that were read, before unpacking."""
        self.fault: str | None = None
        """Why the bytes ended before their end, once they did."""
        self._file = _open(path, self.name)
        status = os.fstat(self._file.fileno())
        self.regular = stat.S_ISREG(status.st_mode)
        self.size = status.st_size if self.regular else 0
        self._gzip = False
        self._inflate: zlib._Decompress | None = None
        self._ahead = b""
        self._started = False

    def readinto(self, target: memoryview) -> int:
        """Fill the start of `target`; how many bytes, 0 at the end or at a fault. Does not raise."""
        if not self._started:
            self._start()
        if self._gzip:
            return self._unpack(target)
        if self._ahead:
            piece, self._ahead = self._ahead[: len(target)], self._ahead[len(target) :]
            target[: len(piece)] = piece
            return len(piece)
        try:
            got = self._file.readinto(target) or 0
        except OSError as error:
            self.fault = f"cannot read on: {error.strerror}"
            return 0
        self.consumed += got
        return got

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _start(self) -> None:
        self._started = True
        while len(self._ahead) < len(_GZIP) and (piece := self._read()):
            self._ahead += piece
        if self._ahead.startswith(_GZIP):
            self._gzip = True
            self._inflate = zlib.decompressobj(wbits=31)

    def _read(self) -> bytes:
        try:
            piece = self._file.read(_PACKED) or b""
        except OSError as error:
            self.fault = f"cannot read on: {error.strerror}"
            return b""
        self.consumed += len(piece)
        return piece

    def _unpack(self, target: memoryview) -> int:
        engine = self._inflate
        while engine is not None and self.fault is None:
            packed = self._ahead or self._read()
            self._ahead = b""
            try:
                piece = engine.decompress(packed, min(len(target), _UNPACKED))
            except zlib.error:
                self.fault = f"the gzip data is damaged near offset {self.consumed - len(engine.unconsumed_tail)}"
                return 0
            self._ahead = engine.unconsumed_tail
            if engine.eof:
                engine = self._inflate = self._next_member(engine.unused_data)
            elif not packed and not piece:
                self.fault = self.fault or f"the gzip data is cut at offset {self.consumed}"
            if piece:
                target[: len(piece)] = piece
                return len(piece)
        return 0

    def _next_member(self, ahead: bytes) -> "zlib._Decompress | None":
        """Members may follow each other; anything else after one is ignored, as gzip(1) does."""
        while len(ahead) < len(_GZIP) and (piece := self._read()):
            ahead += piece
        self._ahead = ahead if ahead.startswith(_GZIP) else b""
        return zlib.decompressobj(wbits=31) if self._ahead else None


def _open(path: str, name: str) -> io.FileIO:
    try:
        if path == STANDARD_INPUT:
            return io.FileIO(0, "rb", closefd=False)
        return io.FileIO(path, "rb")
    except (OSError, ValueError) as error:
        raise CaptureError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
