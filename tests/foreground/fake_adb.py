"""An adb server on a loopback socket: the smart-socket protocol of SERVICES.TXT, and phones that behave or do not."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

UNAUTHORIZED = (
    "device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\nTry 'adb kill-server' if that seems wrong.\n"
    "Otherwise check for a confirmation dialog on your device."
)


@dataclass
class FakePhone:
    """A phone behind the server."""

    printed: str | Callable[[str], str] = ""
    """What a command prints, or what makes it out of the command."""
    state: str = "device"
    """Or "offline", "unauthorized", as `adb devices` shows it."""
    services: tuple[str, ...] = ("shell,v2,raw:", "exec:", "shell:")
    habit: str = "answer"
    """Or "hang", "garbage", "endless", "empty_packets", "huge_packet", "break_off", "stderr"."""
    commands: list[str] = field(default_factory=list)
    """Services with their commands, as they came."""

    def output(self, command: str) -> bytes:
        text = self.printed if isinstance(self.printed, str) else self.printed(command)
        return text.encode()


class FakeAdb:
    """Speaks with as many clients at once as there are."""

    def __init__(self) -> None:
        self.phones: dict[str, FakePhone] = {}
        self.port = 0
        self.habit = "answer"
        """Or "hang", "garbage", "close" for the whole server."""
        self.connections = 0
        self.open = 0
        """Connections that the other side has not ended."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """On the port it had before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As `adb kill-server`: all connections break."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        await until(lambda: not self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.add(writer)
        try:
            await self._speak(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _request(reader)
        if self.habit == "hang":
            await reader.read()
        elif self.habit == "garbage":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
        if self.habit != "answer":
            return
        assert request.startswith("host:transport:")
        serial = request.removeprefix("host:transport:")
        phone = self.phones.get(serial)
        if phone is None:
            await _fail(writer, f"device '{serial}' not found")
        elif phone.state == "unauthorized":
            await _fail(writer, UNAUTHORIZED)
        elif phone.state != "device":
            await _fail(writer, f"device {phone.state}")
        else:
            writer.write(b"OKAY")
            await self._run(phone, await _request(reader), reader, writer)

    async def _run(
        self, phone: FakePhone, request: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        phone.commands.append(request)
        service = next((each for each in phone.services if request.startswith(each)), None)
        if service is None:
            await _fail(writer, "closed")
            return
        writer.write(b"OKAY")
        packets = service.startswith("shell,v2")
        output = phone.output(request.removeprefix(service))
        match phone.habit:
            case "answer" | "stderr":
                if phone.habit == "stderr":
                    writer.write(_packet(2, b"mWakefulness=Asleep\n"))
                if service == "shell:":
                    output = output.replace(b"\n", b"\r\n")
                for at in range(0, len(output), 1000):
                    piece = output[at : at + 1000]
                    writer.write(_packet(1, piece) if packets else piece)
                if packets:
                    writer.write(_packet(3, b"\0"))
                await writer.drain()
            case "hang":
                writer.write(_packet(1, output[:20]) if packets else output[:20])
                await reader.read()
            case "garbage":
                writer.write(bytes(range(256)) * 8)
                await writer.drain()
            case "endless":
                while True:
                    piece = b"mWakefulness=Awake\n" * 400
                    writer.write(_packet(1, piece) if packets else piece)
                    await writer.drain()
            case "empty_packets":
                while True:
                    writer.write(_packet(1, b"") * 500)
                    await writer.drain()
            case "huge_packet":
                writer.write(b"\1\xff\xff\xff\xff" + b"x" * 1000)
                await reader.read()
            case "break_off":
                writer.write(_packet(1, output[: len(output) // 2]) if packets else output[: len(output) // 2])
                await writer.drain()


@asynccontextmanager
async def serving(**phones: FakePhone):
    """A server with these phones, by serial."""
    server = FakeAdb()
    server.phones.update(phones)
    await server.start()
    try:
        yield server
    finally:
        with suppress(AssertionError):
            await server.stop()


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits until it holds."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def _request(reader: asyncio.StreamReader) -> str:
    length = int(await reader.readexactly(4), 16)
    return (await reader.readexactly(length)).decode()


async def _fail(writer: asyncio.StreamWriter, message: str) -> None:
    raw = message.encode()
    writer.write(b"FAIL%04x%s" % (len(raw), raw))
    await writer.drain()


def _packet(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(4, "little") + content
