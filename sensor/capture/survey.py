"""What there is to watch on this box: its interfaces, and the clients that the kernel knows of, for a person.

Blocks for some milliseconds, sends nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from sensor.capture.interface import Link, addresses_of, connected, default_routes, links_of
from sensor.capture.neighbours import client_mac

MAX_SEEN = 1_000
"""Clients that are listed."""

NET = Path("/sys/class/net")

_AF_BRIDGE = 7
_OWN = 0x80
"""NUD_PERMANENT (linux/neighbour.h): a port's own address."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A client that the kernel knows of."""

    mac: str
    addresses: tuple[str, ...]
    interface: str
    """Where it is: a bridge's port, where that is known."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The box at one moment."""

    links: tuple[Link, ...]
    addresses: dict[str, tuple[str, ...]]
    """Interface -> its own, as "192.168.1.1/24"."""
    ways: tuple[str, ...]
    """Interfaces of the default routes, the preferred first."""
    wireless: frozenset[str]
    """Interfaces that are radios."""
    clients: tuple[Seen, ...]

    def ports(self, bridge: Link) -> list[Link]:
        """The interfaces that are joined to it."""
        return [link for link in self.links if link.master == bridge.index]


def survey() -> Survey:
    """CaptureError where netlink refuses."""
    with connected() as opened:
        links = links_of(opened)
        names = {link.index: link.name for link in links}
        addresses: dict[str, list[str]] = {}
        for index, own, _, length in addresses_of(opened):
            addresses.setdefault(names.get(index, f"#{index}"), []).append(f"{own}/{length}")
        ways = tuple(names.get(index, f"#{index}") for index in default_routes(opened))
        seen = list(_seen(opened, links, ways))
    return Survey(
        tuple(links),
        {name: tuple(all_) for name, all_ in addresses.items()},
        ways,
        frozenset(link.name for link in links if _is_wireless(link.name)),
        tuple(seen[:MAX_SEEN]),
    )


def _is_wireless(name: str) -> bool:
    return (NET / name / "phy80211").exists() or (NET / name / "wireless").exists()


def _seen(opened: IPRoute, links: list[Link], ways: tuple[str, ...]) -> Iterator[Seen]:
    """Those behind the default route are no clients, but for those of a box that has no other interface."""
    names = {link.index: link.name for link in links}
    bridges = {link.index for link in links if link.is_bridge}
    macs: dict[str, tuple[str, list[str]]] = {}
    for entry in opened.neigh("dump"):
        mac, name = _mac(entry), names.get(entry["ifindex"], "")
        address = entry.get_attr("NDA_DST")
        if mac is not None and address and (name not in ways or entry["ifindex"] in bridges):
            macs.setdefault(mac, (name, []))[1].append(str(address))
    for entry in opened.fdb("dump"):
        mac, master = _mac(entry), entry.get_attr("NDA_MASTER")
        if mac is not None and master in bridges and not entry["state"] & _OWN:
            macs[mac] = (names.get(entry["ifindex"], ""), macs.get(mac, ("", []))[1])
    for mac, (name, addresses) in sorted(macs.items(), key=lambda each: each[1][0]):
        yield Seen(mac, tuple(addresses), name)


def _mac(entry: Any) -> str | None:
    text = entry.get_attr("NDA_LLADDR")
    packed = client_mac(text) if text else None
    return None if packed is None else packed.hex(":")
