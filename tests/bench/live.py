"""The live benches: a routing box in namespaces, frames from both sides, the daemon on the bridge."""

import contextlib
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from daemon import HOOK_PORT, Hook, Sensor, cpu_seconds, resident_mb, running, until
from lab import BOX_MAC, LAN4, LAN6, Lab, Namespace
from numpy.typing import NDArray
from verdict import Verdicts

SIZE = 64
"""Bytes per frame: the smallest that hold Ethernet, IPv6 and UDP."""

RATE = 100_000
UP = 0.42
"""Share of the frames that clients send."""

WATCHED = "42.62.48.10"
Frames = NDArray[np.uint8]


def live(verdicts: Verdicts, seconds: float = 10) -> None:
    """CPU per packet of the sensor process and drops at 100,000 small frames/s."""
    with bench_lab(clients=50, flows=5000) as (lab, folder), running(lab.box, folder) as sensor:
        blast(lab, folder, RATE, 1.5)
        time.sleep(0.5)
        bridge, seen, cpu = through(lab), sensor.metrics_of_frames(), cpu_seconds(sensor.pid)
        sent = blast(lab, folder, RATE, seconds)
        time.sleep(0.5)
        used, passed = cpu_seconds(sensor.pid) - cpu, through(lab) - bridge
        frames, dropped = (after - before for after, before in zip(sensor.metrics_of_frames(), seen, strict=True))
        idle = cpu_seconds(sensor.pid)
        time.sleep(3)
        idle = (cpu_seconds(sensor.pid) - idle) / 3
        microseconds = 1e6 * used / max(passed, 1)
        print(f"sent {sent:,} in {seconds:.0f} s, through br0 {passed:,}, seen {frames:,.0f}, dropped {dropped:.0f}")
        print(f"sensor: {microseconds:.3f} us/packet, {100 * used / seconds:.1f} % of a core; idle {100 * idle:.2f} %")
        print(f"RSS {resident_mb(sensor.pid):.0f} MB, peak {resident_mb(sensor.pid, peak=True):.0f} MB")
        verdicts.add(f"the generator reaches {RATE:,}/s", passed >= 0.97 * RATE * seconds, f"{passed / seconds:,.0f}/s")
        verdicts.add("live CPU <= 0.6 us per packet", microseconds <= 0.6, f"{microseconds:.3f} us")
        verdicts.add("live: nothing dropped", dropped == 0, f"{dropped:.0f}")
        verdicts.add("live: every frame seen once", abs(frames - passed) <= 20, f"{frames - passed:+.0f}")


def forwarding(verdicts: Verdicts, seconds: float = 2.5, rounds: int = 3) -> None:
    """Frames forwarded at full speed: alone, with the sensor, with softflowd; interleaved."""
    rates: dict[str, list[float]] = {"alone": [], "idlewire": [], "softflowd": []}
    if not shutil.which("softflowd"):
        print("skipped: softflowd (apt-get install softflowd)")
        del rates["softflowd"]
    with bench_lab(clients=50, flows=5000) as (lab, folder):
        for _ in range(rounds):
            for name, measured in rates.items():
                with watching(name, lab, folder):
                    before = through(lab)
                    blast(lab, folder, 0, seconds)
                    measured.append((through(lab) - before) / seconds)
    alone = statistics.median(rates["alone"])
    for name, measured in rates.items():
        lost = 1 - statistics.median(measured) / alone
        print(f"{name:<10} {statistics.median(measured):>10,.0f} frames/s, taken away {100 * lost:5.1f} %")
    lost = 1 - statistics.median(rates["idlewire"]) / alone
    verdicts.add("forwarding taken away <= 1/3", lost <= 1 / 3, f"{100 * lost:.1f} %")


def latency(verdicts: Verdicts, trials: int = 50) -> None:
    """First packet of a client to a watched country -> its webhook has been received."""
    config = '[[watch]]\nname = "china"\ncountries = ["CN"]\n[[sink]]\nname = "bench"\ntype = "webhook"\n'
    config += f'url = "http://127.0.0.1:{HOOK_PORT}/hook"\n'
    frames = crafted(trials, trials, six_share=0.0, down=False, remote=socket.inet_aton(WATCHED))
    with bench_lab(clients=trials, flows=trials) as (lab, folder):
        hook = Hook(lab.box)
        hook.open()
        try:
            with running(lab.box, folder, config), lab.c1.entered(), packet_socket() as opened:
                starts = {}
                for frame in frames:
                    starts[frame[6:12].tobytes().hex(":")] = time.monotonic()
                    opened.send(frame.tobytes())
                    time.sleep(random.uniform(0.05, 0.2))
                until(lambda: len(hook.received) >= trials, 10)
        finally:
            hook.close()
    took = {alert["client"]["mac"]: at - starts[alert["client"]["mac"]] for at, alert in reversed(hook.received)}
    delays = sorted(took.values())
    verdicts.add("every trial alerted, once", len(delays) == len(hook.received) == trials, f"{len(hook.received)}")
    if delays:
        p50, p99 = statistics.median(delays), delays[min(len(delays) - 1, int(0.99 * len(delays)))]
        verdicts.add("first packet -> webhook <= 2 s", p99 <= 2.0, f"p50 {p50:.2f} s, p99 {p99:.2f} s, n {len(delays)}")


def memory(verdicts: Verdicts) -> None:
    """Peak RSS and a scrape in everyday use of a large house, and RSS in a flood of a million addresses."""
    with bench_lab(clients=250, flows=20_000) as (lab, folder), running(lab.box, folder) as sensor:
        print(f"RSS after start {resident_mb(sensor.pid):.0f} MB")
        blast(lab, folder, 40_000, 8)
        time.sleep(0.5)
        peak = resident_mb(sensor.pid, peak=True)
        clients = len(sensor.get("/api/v1/clients")["clients"])
        verdicts.add(
            "RSS <= 150 MB: 250 clients, 20,000 active flows", peak <= 150, f"{peak:.0f} MB, {clients} clients"
        )
        before = cpu_seconds(sensor.pid)
        taken = sorted(scrape_seconds(sensor) for _ in range(15))
        used, lines = (cpu_seconds(sensor.pid) - before) / 15, len(sensor.metrics())
        spent = f"median {taken[7] * 1000:.0f} ms, CPU {used * 1000:.0f} ms, {lines} series"
        verdicts.add("scrape <= 50 ms: 250 clients", taken[0] <= 0.05, f"{taken[0] * 1000:.0f} ms, {spent}")
    with bench_lab(clients=50, flows=1_000_000) as (lab, folder), running(lab.box, folder) as sensor:
        blast(lab, folder, RATE, 12, only_up=True)
        time.sleep(1)
        peak = resident_mb(sensor.pid, peak=True)
        frames, dropped = sensor.metrics_of_frames()
        verdicts.add("RSS <= 150 MB: flood of a million addresses", peak <= 150, f"{peak:.0f} MB")
        print(f"frames {frames:,.0f}, dropped {dropped:.0f}")


def scrape_seconds(sensor: Sensor) -> float:
    """From the request to the last byte."""
    began = time.monotonic()
    sensor.request("/metrics")
    return time.monotonic() - began


@contextlib.contextmanager
def bench_lab(clients: int, flows: int) -> Iterator[tuple[Lab, Path]]:
    """A routing box that knows these clients, and a folder that holds the frames of both sides."""
    folder = Path(tempfile.mkdtemp(prefix="idlewire-bench-"))
    folder.chmod(0o755)
    try:
        with Lab.routing() as lab:
            lab.box.run("nft flush ruleset")
            neighbours = []
            for number in range(clients):
                four, six = client_addresses(number)
                mac = client_mac(number).hex(":")
                neighbours += [f"neigh replace {four} lladdr {mac} dev br0 nud permanent"]
                neighbours += [f"neigh replace {six} lladdr {mac} dev br0 nud permanent"]
            lab.box.ip(f"addr add {LAN4[:-2]}51.1/24 dev br0", *neighbours)
            crafted(clients, flows, six_share=0.25, down=False).tofile(folder / "up.bin")
            down = crafted(clients, min(flows, 50_000), six_share=0.25, down=True)
            down[:, 0:6] = np.frombuffer(bytes.fromhex(link(lab.box, "wan").replace(":", "")), np.uint8)
            down.tofile(folder / "down.bin")
            yield lab, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def watching(name: str, lab: Lab, folder: Path) -> Iterator[None]:
    if name == "idlewire":
        with running(lab.box, folder):
            yield
    elif name == "softflowd":
        control = ["-p", str(folder / "pid"), "-c", "none"]
        words = ["softflowd", "-d", "-N", "-i", "br0", "-n", "127.0.0.1:9995", "-v", "9", "-m", "100000", *control]
        process = subprocess.Popen(lab.box.command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)
    else:
        yield


def blast(lab: Lab, folder: Path, rate: float, seconds: float, *, only_up: bool = False) -> int:
    """Frames from the clients and from the internet at once; how many were sent."""
    program = str(Path(__file__).with_name("blaster.py"))
    sides = [(lab.c1, "c0", "up.bin", 1.0 if only_up else UP)]
    if not only_up:
        sides.append((lab.net, "w0", "down.bin", 1 - UP))
    senders = [
        subprocess.Popen(
            [sys.executable, program, side.name, wire, str(folder / file), str(SIZE), str(rate * share), str(seconds)],
            stdout=subprocess.PIPE,
        )
        for side, wire, file, share in sides
    ]
    return sum(int(json.loads(sender.communicate()[0])["sent"]) for sender in senders)


def crafted(clients: int, flows: int, *, six_share: float, down: bool, remote: bytes = b"") -> Frames:
    """One UDP frame of 64 bytes per flow, [flows, 64]; every flow has a remote address of its own, or this one."""
    rng = np.random.default_rng(11)
    frames = np.zeros((flows, SIZE), np.uint8)
    client = np.arange(flows) % clients
    macs = np.array([list(client_mac(number)) for number in range(clients)], np.uint8)
    fours = np.array([list(socket.inet_aton(client_addresses(n)[0])) for n in range(clients)], np.uint8)
    sixes = np.array(
        [list(socket.inet_pton(socket.AF_INET6, client_addresses(n)[1])) for n in range(clients)], np.uint8
    )
    number = rng.permutation(1 << 20)[:flows]
    six = rng.random(flows) < six_share
    box = np.frombuffer(bytes.fromhex(BOX_MAC.replace(":", "")), np.uint8)
    frames[:, 0:6], frames[:, 6:12] = (macs[client], box) if down else (box, macs[client])
    four = np.flatnonzero(~six)
    far_end = np.stack([np.full(flows, 52), 16 + (number >> 16), number >> 8 & 255, number & 255], 1).astype(np.uint8)
    if remote:
        far_end[:] = np.frombuffer(remote, np.uint8)
    frames[four, 12:14] = [8, 0]
    frames[four, 14:34] = np.frombuffer(
        bytes([0x45, 0, 0, SIZE - 14, 0, 0, 0x40, 0, 64, 17, 0, 0, *bytes(8)]), np.uint8
    )
    near, far = (30, 26) if down else (26, 30)
    frames[four, near : near + 4], frames[four, far : far + 4] = fours[client[four]], far_end[four]
    words = frames[four, 14:34].reshape(-1, 10, 2).astype(np.int64)
    total = (words[:, :, 0] * 256 + words[:, :, 1]).sum(1)
    total = (total & 0xFFFF) + (total >> 16)
    frames[four, 24], frames[four, 25] = (~total >> 8) & 255, ~total & 255
    rows = np.flatnonzero(six)
    frames[rows, 12:14] = [0x86, 0xDD]
    frames[rows, 14:22] = [0x60, 0, 0, 0, 0, SIZE - 54, 17, 64]
    near, far = (38, 22) if down else (22, 38)
    frames[rows, near : near + 16] = sixes[client[rows]]
    frames[rows, far : far + 4] = [0x2A, 0x05, 0xD0, 0x14]
    frames[rows, far + 13 : far + 16] = far_end[rows, 1:]
    at = np.where(six, 54, 34)
    every = np.arange(flows)
    local, port = 20_000 + every % 40_000, np.full(flows, 443)
    for offset, values in ((0, port if down else local), (2, local if down else port), (4, SIZE - at)):
        frames[every, at + offset], frames[every, at + offset + 1] = values >> 8, values & 255
    frames[every[~six], 42] = 0x4D
    return frames


def client_mac(number: int) -> bytes:
    return bytes([0x64, 0x09, 0x80, 0, 1 + number // 250, number % 250])


def client_addresses(number: int) -> tuple[str, str]:
    """IPv4 and IPv6; more than 200 clients also use the next /24."""
    subnet, host = 50 + number // 200, 20 + number % 200
    return f"{LAN4[:-2]}{subnet}.{host}", f"{LAN6}:{subnet * 1000 + host:x}"


def link(namespace: Namespace, interface: str) -> str:
    return str(namespace.show(f"link show {interface}")[0]["address"])


def through(lab: Lab) -> int:
    """Frames through the bridge interface, by its own counters."""
    counters = lab.box.show("link show br0")[0]["stats64"]
    return int(counters["rx"]["packets"] + counters["tx"]["packets"])


def packet_socket() -> socket.socket:
    """Sends on c0 of this thread's namespace."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.bind(("c0", 0))
    return opened
