"""CPU per packet and memory on a capture file: the sensor beside softflowd, nfstream, tshark and scapy."""

import compileall
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import statistics
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imix import LAN6, Mix
from measured import measure
from verdict import Verdicts

ROOT = Path(__file__).resolve().parents[2]

NFSTREAM = """
import sys
from nfstream import NFStreamer
if __name__ == "__main__":
    flows = NFStreamer(sys.argv[1], n_dissections=int(sys.argv[2]), n_meters=1, statistical_analysis=False)
    print(sum(flow.bidirectional_packets for flow in flows))
"""

SCAPY = """
import sys
from scapy.all import IP, IPv6, TCP, UDP, PcapReader
totals = {}
for packet in PcapReader(sys.argv[1]):
    ip = packet.getlayer(IP) or packet.getlayer(IPv6)
    if ip is not None:
        transport = packet.getlayer(TCP) or packet.getlayer(UDP)
        key = packet.src, ip.src, ip.dst, getattr(transport, "sport", 0), getattr(transport, "dport", 0)
        totals[key] = totals.get(key, 0) + len(ip)
print(len(totals))
"""


@dataclass
class Tool:
    """A program that reads the file, and what its runs took."""

    name: str
    command: list[str]
    file: Path
    packets: int
    runs: int = 3
    nanoseconds: list[float] = field(default_factory=list)
    megabytes: float = 0.0

    def run(self, output: Path) -> None:
        run = measure(self.command, output, folder=ROOT)
        if run.code:
            raise RuntimeError(f"{self.name} ended with {run.code}: {run.complaint[-300:]}")
        self.nanoseconds.append(1e9 * run.cpu / self.packets)
        self.megabytes = max(self.megabytes, run.megabytes)

    @property
    def best(self) -> float:
        """ns per packet, user and system, children included; the least of the runs."""
        return min(self.nanoseconds)


def bench(mix: Mix, verdicts: Verdicts, *, runs: int = 3) -> None:
    """Print the table; judge the budgets of DESIGN.md section 6."""
    # As an installation does: where PYTHONDONTWRITEBYTECODE is set, each run would compile the sources again.
    compileall.compile_dir(ROOT / "sensor", quiet=1)
    with tempfile.TemporaryDirectory() as folder, collector() as port:
        output = Path(folder) / "sensor.json"
        tools = list(available(mix, port, Path(folder), runs))
        for round_ in range(runs):
            for tool in tools:
                if round_ < tool.runs:
                    tool.run(output if tool is tools[0] else Path(os.devnull))
        check(mix, json.loads(output.read_text()), verdicts)
    show(tools)
    judge({tool.name: tool for tool in tools}, verdicts)


def available(mix: Mix, port: int, folder: Path, runs: int) -> Iterator[Tool]:
    """The sensor first; a peer that is not installed is named and skipped."""
    whole, python = str(mix.file), sys.executable
    replay = [python, "-m", "sensor", "replay", whole, "--json", "--local", LAN6]
    yield Tool("idlewire replay", replay, mix.file, mix.packets, runs)
    if shutil.which("softflowd"):
        control = ["-p", str(folder / "pid"), "-c", "none"]  # reading a file, it may wait forever on a control socket
        words = ["softflowd", "-d", "-r", whole, "-n", f"127.0.0.1:{port}", "-v", "9", "-m", "100000", *control]
        yield Tool("softflowd", words, mix.file, mix.packets, runs)
    else:
        print("skipped: softflowd (apt-get install softflowd)")
    if importlib.util.find_spec("nfstream"):
        for name, dissections in (("nfstream", "0"), ("nfstream, nDPI", "20")):
            yield Tool(name, [python, "-c", NFSTREAM, whole, dissections], mix.file, mix.packets, min(runs, 2))
    else:
        print("skipped: nfstream (pip install nfstream)")
    if shutil.which("tshark"):
        part = head(mix.file, folder, 200_000)
        yield Tool("tshark", ["tshark", "-nr", str(part), "-q", "-z", "conv,ip"], part, 200_000, 1)
    else:
        print("skipped: tshark (apt-get install tshark)")
    if importlib.util.find_spec("scapy"):
        part = head(mix.file, folder, 30_000)
        yield Tool("scapy", [python, "-W", "ignore", "-c", SCAPY, str(part)], part, 30_000, 1)
    else:
        print("skipped: scapy (pip install scapy)")


@contextlib.contextmanager
def collector() -> Iterator[int]:
    """The port of a NetFlow collector on loopback that never reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        yield opened.getsockname()[1]


def head(file: Path, folder: Path, packets: int) -> Path:
    """A file of its first packets."""
    part = folder / f"head-{packets}.pcap"
    with file.open("rb") as source, part.open("wb") as out:
        out.write(source.read(24))
        for _ in range(packets):
            record = source.read(16)
            out.write(record + source.read(struct.unpack_from("<I", record, 8)[0]))
    return part


def check(mix: Mix, report: dict, verdicts: Verdicts) -> None:  # type: ignore[type-arg]
    """A fast answer must be the right one."""
    rows = [row for client in report["clients"] for row in client["destinations"]]
    found = {
        "packets": report["capture"]["frames"],
        "names": len(report["names_seen"]),
        "sent_bytes": sum(row["sent_bytes"] for row in rows),
        "received_bytes": sum(row["received_bytes"] for row in rows),
    }
    expected = {key: getattr(mix, key) for key in found}
    wrong = {key: (found[key], expected[key]) for key in found if found[key] != expected[key]}
    verdicts.add("replay equals the generator's truth", not wrong, f"(found, expected): {wrong}" if wrong else "")


def show(tools: list[Tool]) -> None:
    ours = tools[0]
    print(f"\n{'capture file':<18}{'ns/packet':>10}{'/ ours':>8}{'RSS MB':>8}{'packets':>11}   runs (ns/packet)")
    for tool in tools:
        runs = " ".join(f"{value:.0f}" for value in tool.nanoseconds)
        ratio = tool.best / ours.best
        print(f"{tool.name:<18}{tool.best:>10.0f}{ratio:>8.2f}{tool.megabytes:>8.0f}{tool.packets:>11}   {runs}")


def judge(tools: dict[str, Tool], verdicts: Verdicts) -> None:
    ours = tools["idlewire replay"]
    if "softflowd" in tools:
        # The machine's speed moves from minute to minute: only neighbours are compared.
        ratios = [mine / its for mine, its in zip(ours.nanoseconds, tools["softflowd"].nanoseconds, strict=True)]
        ratio, each = statistics.median(ratios), " ".join(f"{one:.2f}" for one in ratios)
        verdicts.add("CPU per packet <= 1.2x softflowd", ratio <= 1.2, f"{ratio:.2f}x (median of {each})")
    for name in ("nfstream", "nfstream, nDPI"):
        if name in tools:
            ratio = tools[name].best / ours.best
            verdicts.add(f"CPU per packet at least 5x less than {name}", ratio >= 5, f"{ratio:.1f}x less")
    verdicts.add("replay RSS <= 150 MB", ours.megabytes <= 150, f"{ours.megabytes:.0f} MB")
