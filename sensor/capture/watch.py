"""Notices that interfaces, addresses or routes have changed, without looking at what the kernel says about it."""

import asyncio
import socket
from types import TracebackType

_RTMGRP_LINK, _RTMGRP_IPV4_ADDRESS, _RTMGRP_IPV4_ROUTE = 0x1, 0x10, 0x40
_RTMGRP_IPV6_ADDRESS, _RTMGRP_IPV6_ROUTE = 0x100, 0x400
_GROUPS = _RTMGRP_LINK | _RTMGRP_IPV4_ADDRESS | _RTMGRP_IPV4_ROUTE | _RTMGRP_IPV6_ADDRESS | _RTMGRP_IPV6_ROUTE

_DRAIN = 64
"""Most messages taken off the socket before other tasks get their turn."""


class Changes:
    """An event that is set when anything changed, for use inside a running loop.

    An overrun of the netlink socket (ENOBUFS) is a change like any other: whoever waits reads everything
    anew anyway.
    """

    def __init__(self) -> None:
        self.event = asyncio.Event()
        """Set on changes; whoever has read everything anew clears it, before reading."""
        self._socket: socket.socket | None = None

    def __enter__(self) -> "Changes":
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        opened.setblocking(False)
        opened.bind((0, _GROUPS))
        asyncio.get_running_loop().add_reader(opened, self._drain)
        self._socket = opened
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _drain(self) -> None:
        self.event.set()
        for _ in range(_DRAIN):
            try:
                if self._socket is None or not self._socket.recv(1):
                    return
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS: messages were lost; the next read goes on behind them
                continue
