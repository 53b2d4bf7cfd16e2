"""A network namespace without a name, with one wire in it: a test client's end, and the end that the sensor captures.

A thread enters the namespace, opens what is needed and ends; only its sockets hold the namespace. So it goes with them,
wires and all, however the process ends, and the rest of the process never leaves the network of this machine.
"""

import ctypes
import errno
import os
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from sensor.capture.live import LiveCapture, LiveSettings
from sensor.errors import CaptureError, SensorError

CLIENT_END, SENSOR_END = "client", "sensor"
"""The wire's two ends; whatever this machine's interfaces are called, these are in another namespace."""

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Wire:
    """Frames go in at the client's end; `capture` has the other one."""

    def __init__(self, sender: socket.socket, capture: LiveCapture) -> None:
        self.capture = capture
        self._sender = sender

    def send(self, frames: Sequence[bytes]) -> None:
        """CaptureError: the wire takes none."""
        try:
            for frame in frames:
                self._sender.send(frame)
        except OSError as error:
            raise CaptureError(f"the test wire takes no packets: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is left of wire and namespace."""
        self.capture.close()
        self._sender.close()


@contextmanager
def wired(settings: LiveSettings) -> Iterator[Wire]:
    """The wire, and nothing of it afterwards. SensorError in one line: not on this kernel, or not in this container."""
    with ThreadPoolExecutor(1, "namespace") as thread:
        wire = thread.submit(_inside, settings).result()
    try:
        yield wire
    finally:
        wire.close()


def _inside(settings: LiveSettings) -> Wire:
    """Runs in a thread of its own: it stays in the namespace."""
    _leave()
    _no_noise()
    _lay()
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        sender.bind((CLIENT_END, 0))
        capture = LiveCapture(settings)
        capture.try_open()
    except BaseException:
        sender.close()
        raise
    return Wire(sender, capture)


def _leave() -> None:
    if _libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        hint = "; a container may need --privileged" if number == errno.EPERM else ""
        raise SensorError(f"no network namespace can be made here: {os.strerror(number)}{hint}")


def _no_noise() -> None:
    """Without addresses of its own the kernel asks for no routers in between; harmless where it does."""
    for which in ("all", "default"):
        with suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1", "ascii")


def _lay() -> None:
    try:
        with IPRoute() as netlink:
            netlink.link("add", ifname=CLIENT_END, kind="veth", peer={"ifname": SENSOR_END})
            for name in (CLIENT_END, SENSOR_END):
                netlink.link("set", index=socket.if_nametoindex(name), state="up")
    except (NetlinkError, OSError) as error:
        raise SensorError(f"no test wire can be made here (a pair of veth interfaces): {error}") from error
