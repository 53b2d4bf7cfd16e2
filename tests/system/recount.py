"""An independent count: tcpdump's capture at a client, added up with nothing but `struct`."""

import re
import signal
import socket
import struct
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from lab import Namespace


class Count(NamedTuple):
    """Seen from the client, in IP-layer bytes and wire packets."""

    sent_bytes: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    received_packets: int = 0


class Recorder:
    """tcpdump on one interface, from `with` until its end; the file is kept."""

    def __init__(self, namespace: Namespace, interface: str, file: Path) -> None:
        self._command = namespace.command(
            "tcpdump", "-i", interface, "-p", "-n", "-s", "128", "-B", "65536", "--immediate-mode", "-Z", "root",
            "-w", str(file),
        )  # fmt: skip
        self.file = file

    def __enter__(self) -> "Recorder":
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        first = self._process.stderr.readline()
        while "listening on" not in first:
            if not first:
                raise RuntimeError("tcpdump did not start")
            first = self._process.stderr.readline()
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.send_signal(signal.SIGINT)
        complaint = self._process.communicate(timeout=10)[1]
        dropped = re.search(r"(\d+) packets dropped by kernel", complaint)
        if exc[0] is None and (dropped is None or int(dropped[1])):
            raise RuntimeError(f"tcpdump lost packets, there is no truth: {complaint}")


def frames(file: Path) -> list[tuple[bytes, int]]:
    """(bytes, length on the wire) of every frame of a little-endian pcap."""
    data = file.read_bytes()
    found, at = [], 24
    while at + 16 <= len(data):
        captured, length = struct.unpack_from("<II", data, at + 8)
        found.append((data[at + 16 : at + 16 + captured], length))
        at += 16 + captured
    return found


def longest(file: Path) -> int:
    """The longest frame: above 1518 it was merged from segments, or not split yet."""
    return max((length for _, length in frames(file)), default=0)


def recount(file: Path, mac: str, segment: int | None = None) -> dict[tuple[str, str], Count]:
    """(client address, remote address) -> count, for the client with this MAC.

    `segment`: the payload bytes per segment where super-frames are in the file (the kernel splits
    them later, each segment with its own copy of the headers); None: there must be none.
    """
    client = bytes.fromhex(mac.replace(":", ""))
    totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for frame, length in frames(file):
        sent = frame[6:12] == client
        if not sent and frame[:6] != client:
            continue
        at = 16 if frame[12:14] == b"\x81\x00" else 12
        kind, at = frame[at : at + 2], at + 2
        if kind == b"\x08\x00":
            header, address = (frame[at] & 15) * 4, socket.AF_INET
            total = struct.unpack_from("!H", frame, at + 2)[0] or length - at
            protocol, source, destination = frame[at + 9], frame[at + 12 : at + 16], frame[at + 16 : at + 20]
        elif kind == b"\x86\xdd":
            header, address = 40, socket.AF_INET6
            total = (struct.unpack_from("!H", frame, at + 4)[0] or length - at - 40) + 40
            protocol, source, destination = frame[at + 6], frame[at + 8 : at + 24], frame[at + 24 : at + 40]
        else:
            continue
        headers = header + ((frame[at + header + 12] >> 4) * 4 if protocol == 6 else 8)
        segments = 1
        if total > 1500:
            assert segment is not None, f"a frame of {total} bytes where the wire should carry segments"
            segments = -(-(total - headers) // segment)
            total += (segments - 1) * headers
        here, there = (source, destination) if sent else (destination, source)
        row = totals[socket.inet_ntop(address, here), socket.inet_ntop(address, there)]
        row[0 if sent else 1] += total
        row[2 if sent else 3] += segments
    return {key: Count(*row) for key, row in totals.items()}
