"""A small world of network namespaces: two clients behind a bridge, a router that masquerades, an internet."""

import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000
INTERNET = "42.62.48.10"


class World:
    """ap: br0 (10.77.0.1, ports p1, p2) and wan; c1, c2: clients 10.77.0.11 and .12; w: the internet."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._libc = ctypes.CDLL(None, use_errno=True)

    def ip(self, where: str, line: str) -> None:
        subprocess.run(["ip", "-n", self.name(where), *line.split()], check=True, capture_output=True)

    def name(self, where: str) -> str:
        return f"{self.prefix}-{where}"

    @contextmanager
    def inside(self, where: str) -> Iterator[None]:
        """This thread, and threads it starts, live in the namespace: what they open stays there."""
        with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{self.name(where)}").open() as other:
            assert self._libc.setns(other.fileno(), CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert self._libc.setns(home.fileno(), CLONE_NEWNET) == 0

    def socket(self, where: str, kind: int = socket.SOCK_DGRAM, family: int = socket.AF_INET) -> socket.socket:
        with self.inside(where):
            return socket.socket(family, kind)

    def forward(self, on: bool) -> None:
        with self.inside("ap"):
            for family in ("ipv4", "ipv6"):
                Path(f"/proc/sys/net/{family}/conf/all/forwarding").write_text(str(int(on)))

    def build(self) -> None:
        for each in ("c1", "c2", "ap", "w"):
            subprocess.run(["ip", "netns", "add", self.name(each)], check=True)
            self.ip(each, "link set lo up")
            with self.inside(each):
                for kind in ("all", "default"):  # no router solicitations and the like between the counted frames
                    Path(f"/proc/sys/net/ipv6/conf/{kind}/disable_ipv6").write_text("1")
        self.bridge()
        for number in (1, 2):
            self._client(number)
        self._internet()
        self.forward(True)

    def bridge(self) -> None:
        """Create br0 (again) with its address, and its ports where they exist."""
        self.ip("ap", "link add br0 address 02:00:00:00:00:01 type bridge mcast_snooping 0 forward_delay 0")
        self.ip("ap", "addr add 10.77.0.1/24 dev br0")
        self.ip("ap", "link set br0 up")

    def plug(self) -> None:
        for number in (1, 2):
            self.ip("ap", f"link set p{number} master br0 up")

    def remove(self) -> None:
        for each in ("c1", "c2", "ap", "w"):
            subprocess.run(["ip", "netns", "del", self.name(each)], check=False, capture_output=True)

    def _client(self, number: int) -> None:
        here = f"c{number}"
        peer = f"peer name p{number} netns {self.name('ap')}"
        self.ip(here, f"link add e0 address 02:00:00:00:c0:0{number} type veth {peer}")
        self.ip(here, "link set e0 up")
        self.ip(here, f"addr add 10.77.0.1{number}/24 dev e0")
        self.ip("ap", f"link set p{number} master br0 up")
        self.ip(here, "route add default via 10.77.0.1")

    def _internet(self) -> None:
        self.ip("w", f"link add w0 type veth peer name wan netns {self.name('ap')}")
        self.ip("w", "link set w0 up")
        self.ip("w", f"addr add {INTERNET}/24 dev w0")
        self.ip("ap", "link set wan up")
        self.ip("ap", "addr add 42.62.48.1/24 dev wan")
        self.ip("ap", f"route add default via {INTERNET}")
        rules = "add table ip n\nadd chain ip n p { type nat hook postrouting priority 100 ; }\n"
        rules += 'add rule ip n p oifname "wan" masquerade\n'
        with self.inside("ap"):
            subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True)


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    absent = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    return f"needs {' and '.join(absent)} (Debian: iproute2, nftables)" if absent else None


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    reason = _missing()
    if reason:
        pytest.skip(reason)
    made = World(f"idwcap{os.getpid()}")
    made.remove()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds."""

    def wait(condition: Callable[[], bool], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def interpret() -> Callable[..., int]:
    """Run a classic BPF program over a frame, as the kernel does: a load outside the frame returns 0."""

    def load(frame: bytes, at: int, size: int) -> int | None:
        return int.from_bytes(frame[at : at + size], "big") if at + size <= len(frame) else None

    def run(program: bytes, frame: bytes, packet_type: int = 0) -> int:
        a = x = position = 0
        memory = [0] * 16
        while True:
            code = int.from_bytes(program[position * 8 : position * 8 + 2], "little")
            yes, no = program[position * 8 + 2], program[position * 8 + 3]
            k = int.from_bytes(program[position * 8 + 4 : position * 8 + 8], "little")
            position += 1
            kind, size, mode = code & 0x07, {0x00: 4, 0x08: 2, 0x10: 1}.get(code & 0x18, 0), code & 0xE0
            if kind == 0x06:
                return a if code & 0x18 == 0x10 else k
            if kind in {0x00, 0x01}:
                if mode == 0x20 and k == 0xFFFFF004:
                    value: int | None = packet_type
                else:
                    value = {0x00: k, 0x60: memory[k & 15], 0x80: len(frame)}.get(mode)
                    if value is None:
                        value = load(frame, k + (x if mode == 0x40 else 0), size)
                if value is None:
                    return 0
                a, x = (value, x) if kind == 0x00 else (a, value)
            elif kind == 0x02:
                memory[k] = a
            elif kind == 0x03:
                memory[k] = x
            elif kind == 0x04:
                other = x if code & 0x08 else k
                operations = {0x00: a + other, 0x10: a - other, 0x40: a | other, 0x50: a & other}
                shifts = {0x60: a << (other & 31), 0x70: a >> (other & 31)}
                a = {**operations, **shifts}[code & 0xF0] & 0xFFFFFFFF
            elif kind == 0x05:
                other = x if code & 0x08 else k
                test = {0x10: a == other, 0x20: a > other, 0x30: a >= other, 0x40: bool(a & other)}
                position += k if code & 0xF0 == 0 else (yes if test[code & 0xF0] else no)
            else:
                a, x = (a, a) if code == 0x07 else (x, x)

    return run
