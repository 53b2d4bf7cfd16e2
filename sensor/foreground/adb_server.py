"""One shell command on a phone, asked of an adb server (the "smart socket" protocol of adb's SERVICES.TXT).

Every exchange has its own connection: `host:transport:SERIAL`, then one of SERVICES; closing it ends the command.
"""

import asyncio

# asyncio reaches for the two below on first use, when a sensor that was started as root may have given up the
# right to read its own installation.
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import os
from contextlib import suppress
from dataclasses import dataclass

from sensor.base.text import printable

SERVICES = ("shell,v2,raw:", "exec:", "shell:")
"""Ways to run a command, the best first: with packets (Android 7), raw (Android 5), through a terminal."""

MAX_COMMAND = 65_535
"""Bytes of a request that four hex digits can announce."""

MAX_MESSAGE = 1_024
"""Bytes of an error message that are read."""

STDOUT, EXIT = 1, 3
"""Kinds of packets in shell,v2 (adb's shell_protocol.h)."""

CLOSED = "closed"
"""What the server answers where a phone does not know a service."""


class ServerGoneError(Exception):
    """No adb server answers there."""


class BrokenOffError(Exception):
    """The connection ended within an answer: the phone was unplugged, or the server was stopped."""


class RefusedError(Exception):
    """The server's own words on why a phone cannot be asked."""


class TooLongError(Exception):
    """The phone answered more than was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed."""

    text: str
    service: str
    """By which of SERVICES; the next command may begin with it."""


class AdbServer:
    """Where the server listens. Limits of time are the caller's."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def shell(self, serial: str, command: str, limit: int, service: str = SERVICES[0]) -> Answer:
        """What the command prints, at most `limit` bytes. ServerGoneError, BrokenOffError, RefusedError, TooLongError.

        Services before `service` are not tried; where the phone refuses one, the next is.
        """
        for each in SERVICES[SERVICES.index(service) :]:
            try:
                return Answer(await self._run(serial, each, command, limit), each)
            except RefusedError as error:
                if str(error) != CLOSED:
                    raise
        raise RefusedError("the phone runs no commands")

    async def _run(self, serial: str, service: str, command: str, limit: int) -> str:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, ValueError) as error:
            raise ServerGoneError(_reason(error)) from None
        try:
            try:
                await _ask(reader, writer, f"host:transport:{serial}")
            except (OSError, EOFError) as error:
                raise ServerGoneError(_reason(error)) from None
            await _ask(reader, writer, service + command)
            read = _packets if service.startswith("shell,v2") else _until_end
            return (await read(reader, limit)).decode("utf-8", "replace")
        except (OSError, EOFError) as error:
            raise BrokenOffError(_reason(error)) from None
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: str) -> None:
    """Returns once the server said OKAY."""
    raw = request.encode("utf-8", "replace")
    if len(raw) > MAX_COMMAND:
        raise RefusedError("the request is too long")
    writer.write(b"%04x%s" % (len(raw), raw))
    await writer.drain()
    status = await reader.readexactly(4)
    if status == b"OKAY":
        return
    if status != b"FAIL":
        raise ServerGoneError("what listens there is no adb server")
    length = await reader.readexactly(4)
    try:
        wanted = int(length, 16)
    except ValueError:
        raise ServerGoneError("what listens there is no adb server") from None
    message = await _up_to(reader, min(max(wanted, 0), MAX_MESSAGE))
    raise RefusedError(printable(message.decode("utf-8", "replace").partition("\n")[0].strip(), 200))


async def _up_to(reader: asyncio.StreamReader, count: int) -> bytes:
    """`count` bytes, or what there is."""
    try:
        return await reader.readexactly(count)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def _packets(reader: asyncio.StreamReader, limit: int) -> bytes:
    """What the command printed, up to the packet with its exit code."""
    printed = bytearray()
    taken = 0
    while True:
        head = await reader.readexactly(5)
        length = int.from_bytes(head[1:], "little")
        # The head counts, too: packets without content may be endless.
        taken += 5 + length
        if taken > limit:
            raise TooLongError
        content = await reader.readexactly(length)
        if head[0] == EXIT:
            return bytes(printed)
        if head[0] == STDOUT:
            printed += content


async def _until_end(reader: asyncio.StreamReader, limit: int) -> bytes:
    printed = bytearray()
    while chunk := await reader.read(65_536):
        printed += chunk
        if len(printed) > limit:
            raise TooLongError
    return bytes(printed)


def _reason(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "the connection broke off"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return "no connection"
