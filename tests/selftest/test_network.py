"""A wire in a namespace of its own."""

import asyncio
import ctypes
import fcntl
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from sensor.capture.live import LiveSettings
from sensor.errors import SensorError
from sensor.selftest import network
from sensor.selftest.clients import CLIENTS, Packets
from sensor.selftest.network import CLIENT_END, SENSOR_END, wired

SETTINGS = LiveSettings(SENSOR_END, "always", 1 << 20, 0.01)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


SIOCGSKNS, PIDFD_GETFD = 0x894C, 438
"""linux/sockios.h: a socket's namespace; the system call's number (asm-generic/unistd.h)."""


class Watched:
    """A namespace with a number here, which the kernel takes away when the namespace is gone."""

    def __init__(self, pid):
        """Of the first socket of that process that is not in this machine's network."""
        self.number = 100_000 + pid
        found = _namespace_of(pid)
        with IPRoute() as netlink:
            netlink.set_netnsid(nsid=self.number, fd=found)
        os.close(found)

    @property
    def exists(self):
        listing = subprocess.run(["ip", "netns", "list-id"], capture_output=True, text=True, check=True).stdout
        return f"nsid {self.number} " in listing

    def is_gone_soon(self):
        end = time.monotonic() + 10
        while self.exists and time.monotonic() < end:
            time.sleep(0.02)
        return not self.exists


def _namespace_of(pid):
    process, libc = os.pidfd_open(pid), ctypes.CDLL(None, use_errno=True)
    try:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            if not os.readlink(each).startswith("socket:"):
                continue
            copy = libc.syscall(PIDFD_GETFD, process, int(each.name), 0)
            found = fcntl.ioctl(copy, SIOCGSKNS)
            os.close(copy)
            if os.readlink(f"/proc/self/fd/{found}") != os.readlink("/proc/self/ns/net"):
                return found
            os.close(found)
    finally:
        os.close(process)
    raise AssertionError("no socket in another namespace")


def interfaces():
    return {name for _, name in socket.if_nameindex()}


async def frames_of(wire, count):
    got = []
    async with asyncio.timeout(5):
        async for batch in wire.capture.batches():
            for offset, size in zip(batch.offset, batch.captured, strict=True):
                got.append(bytes(batch.buffer[offset : offset + size]))
            if len(got) >= count:
                break
    return got


def test_what_goes_in_is_captured():
    with wired(SETTINGS) as wire:
        frames = Packets(CLIENTS[0]).opening()
        wire.send(frames)
        got = asyncio.run(frames_of(wire, len(frames)))
    assert [frame for frame in got if frame in frames] == frames


def test_this_machine_does_not_see_it():
    home = os.readlink("/proc/thread-self/ns/net")
    with wired(SETTINGS) as wire:
        assert wire.capture.name == SENSOR_END
        assert os.readlink("/proc/thread-self/ns/net") == home, "sinks keep this machine's network"
        assert not interfaces() & {CLIENT_END, SENSOR_END}


def test_it_is_gone_where_the_test_fails():
    watched = []

    def fails():
        with wired(SETTINGS):
            watched.append(Watched(os.getpid()))
            assert watched[0].exists
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert watched[0].is_gone_soon()


def test_a_kernel_without_namespaces(monkeypatch):
    monkeypatch.setattr(network, "_CLONE_NEWNET", 1)
    with pytest.raises(SensorError, match="no network namespace can be made here: Invalid argument"), wired(SETTINGS):
        pass


def test_a_kernel_without_veth(monkeypatch):
    monkeypatch.setattr(network, "CLIENT_END", "x" * 20)
    with pytest.raises(SensorError, match="no test wire can be made here"), wired(SETTINGS):
        pass
