"""Captures that are made to hurt, and a healthy client beside whom they happen."""

import json
import struct
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.imix import LAN6, Generator
from tests.bench.measured import measure

ROOT = Path(__file__).resolve().parents[2]
START = 1_790_000_000_000_000
"""Microseconds since 1970: when every capture begins."""

SECOND = 1_000_000
ROUTER = b"\x02\x00\x00\x00\x00\x01"
HEALTHY = "64:09:80:00:00:00"
ATTACKER = bytes.fromhex("3c5ab4000066")

Frame = tuple[int, bytes]
"""(microseconds, bytes)."""

Bytes = NDArray[np.uint8]

CONFIG = """
[[watch]]
name = "somewhere"
cidrs = ["45.9.9.0/24"]
"""


@dataclass
class Run:
    """What one replay said and took."""

    report: dict[str, Any]
    cpu: float
    megabytes: float

    def client(self, mac: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = [client for client in self.report["clients"] if client["mac"] == mac]
        assert len(found) == 1, f"{mac} is there {len(found)} times"
        return found[0]

    @property
    def counted(self) -> int:
        """Bytes of all clients."""
        return sum(client["sent_bytes"] + client["received_bytes"] for client in self.report["clients"])


def replay(file: Path, config: str = CONFIG, timeout: float = 60) -> Run:
    """`idlewire replay FILE --json` in a process of its own: it must end with 0 and complain of nothing."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "idlewire.toml"
        settings.write_text(f'state_dir = "{folder}/state"\n{config}')
        words = [sys.executable, "-m", "sensor", "replay", str(file), "--json", "--local", LAN6, "--config", settings]
        output = Path(folder) / "out"
        run = measure([str(word) for word in words], output, folder=ROOT, timeout=timeout)
        assert run.code == 0, f"ended with {run.code} (124: too slow)\n{run.complaint}"
        assert "Traceback" not in run.complaint
        return Run(json.loads(output.read_text()), run.cpu, run.megabytes)


def write(file: Path, *parts: Iterable[Frame]) -> int:
    """A pcap of all parts in order of time; how many frames it holds."""
    frames = sorted((frame for part in parts for frame in part), key=lambda frame: frame[0])
    with file.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for time, data in frames:
            out.write(struct.pack("<IIII", time // SECOND, time % SECOND, len(data), len(data)) + data)
    return len(frames)


def read(file: Path) -> list[Frame]:
    """The frames of a pcap that `write` or the bench's generator wrote."""
    data = file.read_bytes()
    frames, at = [], 24
    while at < len(data):
        seconds, micro, length, _ = struct.unpack_from("<IIII", data, at)
        frames.append((seconds * SECOND + micro, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return frames


def healthy(folder: Path, seconds: float = 30, packets: int = 3000) -> list[Frame]:
    """A client with 60 flows, names by DNS and TLS among them, over so many seconds."""
    file = folder / "healthy.pcap"
    Generator(packets, 60, 1, 3, rate=packets / seconds).write(file)
    return read(file)


def spread(frames: Sequence[bytes], begin: float, rate: float) -> list[Frame]:
    """One after the other at so many per second, from `begin` seconds after the start."""
    return [(START + int((begin + number / rate) * SECOND), data) for number, data in enumerate(frames)]


def four(
    source_mac: Bytes | bytes, source: Bytes | bytes, destination: Bytes | bytes, rest: Bytes, protocol: int = 6
) -> list[bytes]:
    """Ethernet and IPv4 around the rows of `rest` [n, k]; the other columns are rows too, or the same for all."""
    count, size = rest.shape
    frames = np.zeros((count, 34 + size), np.uint8)
    frames[:, 0:6] = column(ROUTER)
    frames[:, 6:12] = column(source_mac)
    frames[:, 12:24] = column(struct.pack("!HBBHHHBB", 0x0800, 0x45, 0, 20 + size, 0, 0x4000, 64, protocol))
    frames[:, 26:30], frames[:, 30:34], frames[:, 34:] = column(source), column(destination), rest
    return rows(frames)


def six(source: Bytes | bytes, destination: Bytes | bytes, rest: Bytes, protocol: int = 6) -> list[bytes]:
    """Ethernet and IPv6 from the attacker around the rows of `rest`."""
    count, size = rest.shape
    frames = np.zeros((count, 54 + size), np.uint8)
    frames[:, 0:6], frames[:, 6:12] = column(ROUTER), column(ATTACKER)
    frames[:, 12:22] = column(struct.pack("!HIHBB", 0x86DD, 6 << 28, size, protocol, 64))
    frames[:, 22:38], frames[:, 38:54], frames[:, 54:] = column(source), column(destination), rest
    return rows(frames)


def syn(count: int, ports: NDArray[np.int64] | int = 40_000) -> Bytes:
    """TCP headers of connection attempts to port 443."""
    headers = np.zeros((count, 20), np.uint8)
    port = np.broadcast_to(np.asarray(ports), (count,))
    headers[:, 0], headers[:, 1] = port >> 8, port & 255
    headers[:, 2:4], headers[:, 12], headers[:, 13] = [1, 187], 0x50, 2
    return headers


def column(value: Bytes | bytes) -> Bytes:
    return np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value


def rows(frames: Bytes) -> list[bytes]:
    size, data = frames.shape[1], frames.tobytes()
    return [data[at : at + size] for at in range(0, len(data), size)]


def numbered(count: int, prefix: bytes, width: int) -> Bytes:
    """`count` different values of `prefix` and a number, [n, width]."""
    values = np.zeros((count, width), np.uint8)
    values[:, : len(prefix)] = column(prefix)
    number = np.arange(count)
    for at in range(width - len(prefix)):
        values[:, width - 1 - at] = (number >> (8 * at)) & 255
    return values


def ip_bytes(frames: Iterable[Frame]) -> int:
    """IP-layer bytes of frames whose lengths are honest (Ethernet, at most one tag)."""
    return sum(len(data) - (18 if data[12:14] == b"\x81\x00" else 14) for _, data in frames)
