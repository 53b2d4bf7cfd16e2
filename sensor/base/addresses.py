"""MAC and IP addresses: bytes to text and back, and which addresses are routed on the internet."""

import ipaddress
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_ntop

MAX_JUDGED = 4096
"""Addresses whose answer a set of prefixes remembers; beyond that it forgets all of them."""

SPECIAL = (
    # IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), multicast and reserved space.
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/29",
    "192.0.0.170/31", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3", "::/127", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20",
    "5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip
"""Blocks that are not routed on the internet."""


def mac_text(mac: bytes) -> str:
    """`60:38:e0:c5:35:a0`."""
    return mac.hex(":")


def parse_mac(text: str) -> bytes:
    """From hex digits with or without `:`, `-` or `.`; ValueError otherwise."""
    mac = bytes.fromhex(text.replace(":", "").replace("-", "").replace(".", "").strip())
    if len(mac) != 6:
        raise ValueError(f"{text!r} is not a MAC address")
    return mac


def address_text(address: bytes) -> str:
    """As in RFC 5952; anything but 4 or 16 bytes in hex."""
    if len(address) == 4:
        return inet_ntop(AF_INET, address)
    if len(address) == 16:
        return inet_ntop(AF_INET6, address)
    return address.hex()


def parse_address(text: str) -> bytes:
    """An IPv4 or IPv6 address; ValueError otherwise."""
    return ipaddress.ip_address(text).packed


class Prefixes:
    """A set of address blocks; says whether an address lies in one of them."""

    def __init__(self, blocks: Iterable[str]) -> None:
        """ValueError for what is no block; host bits are ignored."""
        self.blocks = tuple(blocks)
        starts: dict[tuple[int, int], set[int]] = {}
        for block in self.blocks:
            network = ipaddress.ip_network(block, strict=False)
            width = network.max_prefixlen // 8
            starts.setdefault((width, int(network.netmask)), set()).add(int(network.network_address))
        self._masks = {
            width: [(mask, frozenset(first)) for (wide, mask), first in starts.items() if wide == width]
            for width in (4, 16)
        }
        self._judged: dict[bytes, bool] = {}

    def __contains__(self, address: bytes) -> bool:
        judged = self._judged.get(address)
        if judged is None:
            judged = self._judge(address)
            if len(self._judged) >= MAX_JUDGED:
                self._judged.clear()
            self._judged[address] = judged
        return judged

    def _judge(self, address: bytes) -> bool:
        value = int.from_bytes(address, "big")
        for mask, starts in self._masks.get(len(address), ()):  # noqa: SIM110  # any() takes three times as long
            if value & mask in starts:
                return True
        return False


_SPECIAL_BLOCKS = Prefixes(SPECIAL)


def is_global(address: bytes) -> bool:
    """Routed on the internet: not private, loopback, link-local, ULA, CGNAT, documentation, multicast or reserved."""
    return address not in _SPECIAL_BLOCKS
