"""The ClientHello of TLS out of the first bytes of a TCP stream (RFC 8446 sections 4.1.2 and 5.1, SNI: RFC 6066)."""

import struct
from typing import NamedTuple

from sensor.base.text import printable
from sensor.model.message import TlsHello

MAX_RECORDS = 256
"""Records that one hello may be spread over; tools that hide a name from filters use a few."""

MAX_SERVER_NAME = 255
"""Bytes; a longer one is no host name (RFC 1035 section 2.3.4)."""

SIGNATURE = 6
"""Bytes after which a stream that starts with a hello can be told from most others."""

HANDSHAKE, _CLIENT_HELLO = 22, 1
_MAX_RECORD = 16_384 + 2_048
_SERVER_NAME, _ECH = 0, 0xFE0D
_EXTENSION = struct.Struct("!HH")
_NAME = struct.Struct("!HBH")


class NeedMore(NamedTuple):
    """So far it is a hello, but not yet all of it."""

    size: int
    """It cannot be complete before the stream holds this many bytes."""


def may_be_hello(data: bytes | bytearray) -> bool:
    """Whether a stream that starts with these bytes, be they few, may start with a ClientHello."""
    size = len(data)
    return (
        size > 0
        and data[0] == HANDSHAKE
        and (size < 2 or data[1] == 3)
        and (size < 5 or 0 < data[3] << 8 | data[4] <= _MAX_RECORD)
        and (size < SIGNATURE or data[5] == _CLIENT_HELLO)
    )


def decode_hello(data: bytes, cut: bool = False) -> TlsHello | NeedMore | None:
    """Reads a stream from its first byte; None when it is no ClientHello. Never raises.

    `cut`: no more bytes will come, so take what is there; None then also when that holds no server name.
    """
    if not may_be_hello(data):
        return None
    if len(data) < 9:
        return None if cut else NeedMore(9)
    end = 9 + int.from_bytes(data[6:9], "big")
    if end > 5 + (data[3] << 8 | data[4]):
        return _from_records(data, cut)
    if len(data) >= end:
        return _hello(data, 9, end)
    return _partial(data, 9) if cut else NeedMore(end)


def _from_records(data: bytes, cut: bool) -> TlsHello | NeedMore | None:
    """A hello that is longer than its first record."""
    parts: list[bytes] = []
    at = held = 0
    need = 4
    for _ in range(MAX_RECORDS):
        if len(data) < at + 5:
            break
        if data[at] != HANDSHAKE or data[at + 1] != 3:
            return None
        size = data[at + 3] << 8 | data[at + 4]
        if not 0 < size <= _MAX_RECORD:
            return None
        part = data[at + 5 : at + 5 + size]
        parts.append(part)
        held += len(part)
        at += 5 + size
        if need == 4 and held >= 4:
            need = 4 + int.from_bytes(b"".join(parts)[1:4], "big")
        if held >= need > 4:
            return _hello(b"".join(parts), 4, need)
    else:
        return None
    if cut:
        return _partial(b"".join(parts), 4)
    return NeedMore(len(data) + max(need - held, 1))


def _partial(body: bytes, at: int) -> TlsHello | None:
    hello = _hello(body, at, len(body))
    return hello if hello is not None and hello.server_name is not None else None


def _hello(data: bytes, at: int, end: int) -> TlsHello | None:
    """Version, random, session id, cipher suites, compression methods, extensions."""
    try:
        at += 34
        at += 1 + data[at]
        at += 2 + (data[at] << 8 | data[at + 1])
        at += 1 + data[at]
    except IndexError:
        return None
    if at > end:
        return None
    name: str | None = None
    ech = False
    at += 2
    stop = end - 4
    unpack = _EXTENSION.unpack_from
    while at <= stop:
        kind, size = unpack(data, at)
        at += 4
        if kind == _SERVER_NAME:
            name = name or _server_name(data, at, min(at + size, end))
        elif kind == _ECH:
            ech = True
        at += size
    return TlsHello(name, ech)


def _server_name(data: bytes, at: int, end: int) -> str | None:
    """The first host_name of the list (RFC 6066 section 3)."""
    if end - at < 5:
        return None
    _, kind, size = _NAME.unpack_from(data, at)
    at += 5
    if kind != 0 or not 0 < size <= MAX_SERVER_NAME or at + size > end:
        return None
    # 4 characters for every byte: a shorter text would lose the end, which is what watchlists look at.
    return printable(data[at : at + size], 4 * MAX_SERVER_NAME)
