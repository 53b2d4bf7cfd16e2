"""A wire in a namespace of its own."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from sensor.capture.live import LiveSettings
from sensor.errors import SensorError
from sensor.selftest import network
from sensor.selftest.clients import CLIENTS, Packets
from sensor.selftest.network import SENSOR_END, wired

SETTINGS = LiveSettings(SENSOR_END, "always", 1 << 20, 0.01)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")


def namespaces():
    """Those that any thread on this machine is in."""
    return {os.readlink(each) for each in Path("/proc").glob("[0-9]*/task/[0-9]*/ns/net") if each.is_symlink()}


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
    home, before = os.readlink("/proc/thread-self/ns/net"), interfaces()
    with wired(SETTINGS) as wire:
        assert wire.capture.name == SENSOR_END
        assert os.readlink("/proc/thread-self/ns/net") == home, "sinks keep this machine's network"
        assert interfaces() == before
    assert interfaces() == before


def test_it_is_gone_where_the_test_fails():
    before = namespaces()
    with pytest.raises(RuntimeError), wired(SETTINGS):
        raise RuntimeError
    assert namespaces() <= before


def test_a_kernel_without_namespaces(monkeypatch):
    monkeypatch.setattr(network, "_CLONE_NEWNET", 1)
    with pytest.raises(SensorError, match="no network namespace can be made here: Invalid argument"), wired(SETTINGS):
        pass


def test_a_kernel_without_veth(monkeypatch):
    monkeypatch.setattr(network, "CLIENT_END", "x" * 20)
    with pytest.raises(SensorError, match="no test wire can be made here"), wired(SETTINGS):
        pass
