"""What the service manager is told (sd_notify(3)); does nothing where nobody listens."""

import logging
import socket
import time
from collections.abc import Mapping

SECONDS = 1.0
"""Longest wait for a service manager that does not read."""

_log = logging.getLogger(__name__)


class NotifySocket:
    """The datagram socket named by NOTIFY_SOCKET; a path, or after "@" an abstract name."""

    def __init__(self, environment: Mapping[str, str], process: int) -> None:
        """`process`: the own id; a watchdog that is meant for another process is none."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        ours = environment.get("WATCHDOG_PID") in {None, "", str(process)}
        self.watchdog_seconds = _seconds(environment.get("WATCHDOG_USEC", "")) if self._address and ours else None
        """The service is restarted after so long without `watchdog`; None: nobody waits for it."""
        self._said = ""
        self._failed = False

    def ready(self) -> None:
        """Started, or done with `reloading`."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read anew; `ready` must follow, whatever comes of it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Everything still moves; to be said at least every half of `watchdog_seconds`."""
        self._send("WATCHDOG=1")

    def status(self, line: str) -> None:
        """One line for people (systemctl status); sent when it is another one than before."""
        line = " ".join(line.split())
        if line != self._said and self._send(f"STATUS={line}"):
            self._said = line

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened:
                opened.settimeout(SECONDS)
                opened.sendto(message.encode(errors="replace"), self._address)
        except OSError as error:
            if not self._failed:
                _log.warning("the service manager cannot be told (NOTIFY_SOCKET): %s", error.strerror or error)
            self._failed = True
            return False
        self._failed = False
        return True


def _address(name: str) -> str:
    """As the kernel wants it; "" for kinds that are not supported, such as vsock."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else ""


def _seconds(microseconds: str) -> float | None:
    """None where there is no positive number."""
    return int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() and int(microseconds) else None
