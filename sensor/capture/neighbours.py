"""Which MAC has which address on this box's networks, read from the kernel's neighbour tables over netlink."""

import asyncio
import logging
from ipaddress import ip_address

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from sensor.base.addresses import parse_address, parse_mac
from sensor.errors import CaptureError

MAX_NEIGHBOURS = 4_096
"""Entries that are kept of one reading."""

FRESH = 10.0
"""Seconds that an entry is believed; addresses move from one client to the next."""

PAUSE = 1.0
"""Least seconds between two readings."""

_CONFIRMED = 0x02 | 0x04 | 0x08 | 0x10 | 0x80
"""NUD_REACHABLE, STALE, DELAY, PROBE, PERMANENT (linux/neighbour.h): an address that answered."""

_log = logging.getLogger(__name__)


class Neighbours:
    """The table as last read."""

    def __init__(self) -> None:
        self.failures = 0
        """Readings that netlink refused."""
        self._table: dict[bytes, bytes] = {}
        self._read_at: float | None = None
        self._reading: asyncio.Lock | None = None

    def mac(self, address: str) -> bytes | None:
        """The MAC of an IPv4 or IPv6 address, as last read."""
        try:
            return self._table.get(parse_address(address))
        except ValueError:
            return None

    async def look(self, address: str) -> None:
        """Reads the table anew where that may help to find the address; never raises."""
        if self._reading is None:
            self._reading = asyncio.Lock()
        async with self._reading:
            clock = asyncio.get_running_loop().time()
            age = None if self._read_at is None else clock - self._read_at
            if age is not None and age < (FRESH if self.mac(address) else PAUSE):
                return
            self._read_at = clock
            try:
                self._table = await asyncio.to_thread(read_neighbours)
            except CaptureError as error:
                self.failures += 1
                if self.failures == 1:
                    _log.warning("%s", error)


def read_neighbours() -> dict[bytes, bytes]:
    """Address -> MAC, both packed; blocks. CaptureError."""
    found: dict[bytes, bytes] = {}
    try:
        with IPRoute(strict_check=True) as netlink:
            for entry in netlink.neigh("dump"):
                address, mac = entry.get_attr("NDA_DST"), entry.get_attr("NDA_LLADDR")
                if address and mac and entry["state"] & _CONFIRMED and len(found) < MAX_NEIGHBOURS:
                    packed = client_mac(mac)
                    if packed is not None:
                        found[ip_address(address).packed] = packed
    except (NetlinkError, OSError) as error:
        raise CaptureError(f"cannot read the neighbour table over netlink: {error}") from error
    return found


def client_mac(text: str) -> bytes | None:
    """None for what no client has: groups, nothing at all, and addresses of links that are no Ethernet."""
    try:
        mac = parse_mac(text)
    except ValueError:
        return None
    return None if mac[0] & 1 or not any(mac) else mac
