"""What this box is, read over netlink: its interfaces, whether it routes for clients, which addresses are local.

Everything here blocks for some milliseconds and must run outside an event loop (pyroute2 runs its own).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from sensor.capture.packet_socket import InterfaceGone
from sensor.capture.ring import LINKTYPE_ETHERNET, LINKTYPE_RAW
from sensor.errors import CaptureError

NETWORKS = 4096
"""Most on-link prefixes, and most own addresses, that are taken note of."""

_UP, _LOOPBACK = 0x1, 0x8
_MAIN_TABLE = 254
_UNICAST = 1

_LINK_TYPES = {
    1: LINKTYPE_ETHERNET,
    772: LINKTYPE_ETHERNET,  # loopback
    512: LINKTYPE_RAW,  # PPP
    519: LINKTYPE_RAW,  # RAWIP: modems
    768: LINKTYPE_RAW,  # IPIP
    769: LINKTYPE_RAW,  # IP in IPv6
    776: LINKTYPE_RAW,  # sit
    65534: LINKTYPE_RAW,  # NONE: tun, WireGuard
}
"""ARPHRD_ (linux/if_arp.h) -> LINKTYPE_; the raw ones have no link header."""


@dataclass(frozen=True, slots=True)
class Link:
    """One interface."""

    name: str
    index: int
    hardware: int
    """ARPHRD_ type (linux/if_arp.h)."""
    up: bool
    """Switched on, not necessarily with a carrier."""
    running: bool
    """On, and something is connected."""
    is_bridge: bool
    loopback: bool
    below: int = 0
    """Index of the interface that this one (a VLAN) lies on."""
    master: int = 0
    """Index of the bridge that this one is a port of."""

    @property
    def link_type(self) -> int:
        """LINKTYPE_ of its frames. Raises CaptureError for a kind that cannot be read."""
        try:
            return _LINK_TYPES[self.hardware]
        except KeyError:
            message = f"interface {self.name} is of a kind that cannot be captured (ARPHRD {self.hardware})"
            raise CaptureError(message) from None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to ask for frames to anyone, and why in words."""

    promiscuous: bool
    reason: str


@dataclass(frozen=True, slots=True)
class LocalNetworks:
    """What is local to an interface."""

    addresses: frozenset[bytes]
    """All of this box, on all interfaces, packed."""
    prefixes: tuple[str, ...]
    """On-link on the interface, on VLANs over it and on the bridge it is a port of; sorted, "192.168.1.0/24"."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All of the above for one interface, read at once."""

    link: Link
    promiscuous: Decision
    local: LocalNetworks


def choose_interface() -> str:
    """The first bridge (connected, else up, else any), else the interface of the default route, else InterfaceGone."""
    with connected() as netlink:
        bridges = [link for link in links_of(netlink) if link.is_bridge]
        if bridges:
            return min(bridges, key=lambda link: (not link.running, not link.up, link.index)).name
        for index in default_routes(netlink):
            return _named(netlink, index)
    raise InterfaceGone("no bridge and no default route here: name the interface to watch")


def find(name: str) -> Link:
    """Raises InterfaceGone."""
    with connected() as netlink:
        return _find(links_of(netlink), name)


def surroundings(name: str) -> Surroundings:
    """Raises InterfaceGone."""
    with connected() as netlink:
        links = links_of(netlink)
        link = _find(links, name)
        return Surroundings(link, _decide(netlink, link), _local(netlink, link, links))


def routes_for_clients(name: str) -> Decision:
    """Whether seeing the clients' frames takes promiscuous mode. Raises InterfaceGone.

    A box that routes for its clients receives their frames itself. A box that only bridges them towards
    another router forwards them below its own network stack.
    """
    return surroundings(name).promiscuous


def local_networks(name: str) -> LocalNetworks:
    """Raises InterfaceGone."""
    return surroundings(name).local


def _decide(netlink: IPRoute, link: Link) -> Decision:
    if link.link_type == LINKTYPE_RAW or link.loopback:
        return Decision(False, f"{link.name} has no other receivers")
    families = [family for family in ("ipv4", "ipv6") if _forwards(family, link.name)]
    if not families:
        return Decision(True, f"this box does not forward IP packets from {link.name}: its clients use another router")
    if not any(True for _ in addresses_of(netlink, link.index)):
        return Decision(True, f"{link.name} has no address, so its clients use another router")
    ways = default_routes(netlink)
    if not ways:
        return Decision(True, f"this box has no default route, so clients of {link.name} use another router")
    if all(way == link.index for way in ways):
        return Decision(True, f"the default route leaves by {link.name} itself, so its clients use another router")
    way = _named(netlink, next(way for way in ways if way != link.index))
    return Decision(False, f"this box routes for the clients of {link.name}: the default route leaves by {way}")


def _local(netlink: IPRoute, link: Link, links: list[Link]) -> LocalNetworks:
    """The addresses and prefixes, at most NETWORKS of each."""
    around = {link.index, link.master} | {other.index for other in links if other.below == link.index}
    own: set[bytes] = set()
    prefixes: set[str] = set()
    for index, address, peer, length in addresses_of(netlink):
        if len(own) < NETWORKS:
            own.add(ip_address(address).packed)
        if index in around:
            prefixes.add(str(ip_network(f"{peer}/{length}", strict=False)))
    for index in around - {0}:
        prefixes |= _on_link_routes(netlink, index)
    useful = (prefix for prefix in prefixes if not prefix.startswith("ff") and not prefix.endswith("/0"))
    return LocalNetworks(frozenset(own), tuple(sorted(useful)[:NETWORKS]))


def _on_link_routes(netlink: IPRoute, index: int) -> set[str]:
    """Prefixes that the interface reaches without a gateway."""
    found: set[str] = set()
    for family in (AF_INET, AF_INET6):
        for route in netlink.route("dump", family=family, oif=index, table=_MAIN_TABLE):
            target, via = route.get_attr("RTA_DST"), route.get_attr("RTA_GATEWAY") or route.get_attr("RTA_VIA")
            ours = route.get_attr("RTA_OIF") == index and route.get_attr("RTA_TABLE") == _MAIN_TABLE
            if target and ours and not via and route["type"] == _UNICAST and len(found) < NETWORKS:
                found.add(str(ip_network(f"{target}/{route['dst_len']}", strict=False)))
    return found


def default_routes(netlink: IPRoute) -> list[int]:
    """Interfaces of the default routes in the main table, the preferred first, IPv4 before IPv6."""
    found: list[tuple[int, int, int]] = []
    for family in (AF_INET, AF_INET6):
        for route in netlink.route("dump", family=family, table=_MAIN_TABLE):
            if route["dst_len"] or route.get_attr("RTA_TABLE") != _MAIN_TABLE or route["type"] != _UNICAST:
                continue
            hops = [route.get_attr("RTA_OIF")] + [hop["oif"] for hop in route.get_attr("RTA_MULTIPATH") or ()]
            metric = route.get_attr("RTA_PRIORITY") or 0
            found += [(family, metric, index) for index in hops if index]
    return [index for _, _, index in sorted(found)]


def addresses_of(netlink: IPRoute, index: int | None = None) -> Iterator[tuple[int, str, str, int]]:
    """(interface, own address, the address whose prefix is on-link: the peer's on a point-to-point link, length)."""
    for message in netlink.addr("dump"):
        peer = message.get_attr("IFA_ADDRESS")
        if peer and index in {None, message["index"]}:
            yield message["index"], message.get_attr("IFA_LOCAL") or peer, peer, message["prefixlen"]


def links_of(netlink: IPRoute) -> list[Link]:
    """All interfaces."""
    return [_link(message) for message in netlink.link("dump")]


def _link(message: Any) -> Link:
    up = bool(message["flags"] & _UP)
    # An interface in another namespace below this one has an index of that namespace.
    below = 0 if message.get_attr("IFLA_LINK_NETNSID") is not None else message.get_attr("IFLA_LINK") or 0
    return Link(
        name=message.get_attr("IFLA_IFNAME"),
        index=message["index"],
        hardware=message["ifi_type"],
        up=up,
        running=up and message.get_attr("IFLA_OPERSTATE") in {"UP", "UNKNOWN"},
        is_bridge=message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == "bridge",
        loopback=bool(message["flags"] & _LOOPBACK),
        below=below,
        master=message.get_attr("IFLA_MASTER") or 0,
    )


def _find(links: list[Link], name: str) -> Link:
    for link in links:
        if link.name == name:
            return link
    raise InterfaceGone(f"there is no interface {name}")


def _named(netlink: IPRoute, index: int) -> str:
    return next((link.name for link in links_of(netlink) if link.index == index), f"#{index}")


def _forwards(family: str, name: str) -> bool:
    """Whether the kernel forwards packets that come in by this interface."""
    try:
        return Path(f"/proc/sys/net/{family}/conf/{name}/forwarding").read_text("ascii").strip() not in {"", "0"}
    except OSError:  # no IPv6, or the interface has just gone
        return False


@contextmanager
def connected() -> Iterator[IPRoute]:
    """A connection; its errors become CaptureError."""
    try:
        with IPRoute(strict_check=True) as netlink:
            yield netlink
    except (NetlinkError, OSError) as error:
        raise CaptureError(f"cannot read the interfaces over netlink: {error}") from error
