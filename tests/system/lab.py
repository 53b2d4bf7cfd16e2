"""A small internet in network namespaces: two clients, the box the sensor runs on, a router, and public addresses.

Routing box (`Lab.routing()`):    c1, c2 -- br0 [box: forwards, masquerades] wan -- net
Bridging box (`Lab.bridging()`):  c1, c2 -- br0 [box: only bridges] p0 -- lan [router: forwards, masquerades] wan -- net

Nothing in here can reach the machine's own networks: the namespaces are joined to each other only.
"""

import contextlib
import ctypes
import ipaddress
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PREFIX = "iwlab"
"""Every namespace is called PREFIX-PID-NAME, PID being the process that made it."""

PACKAGES = {
    "ip": "iproute2", "nft": "nftables", "tcpdump": "tcpdump", "dnsmasq": "dnsmasq-base", "ethtool": "ethtool",
    "openssl": "openssl", "setpriv": "util-linux",
}  # fmt: skip
"""Commands that the lab runs, and the Debian packages that hold them."""

CLIENT_MACS = {"c1": "64:09:80:00:00:01", "c2": "3c:5a:b4:00:00:02"}
"""A Xiaomi and a Google block of the IEEE registry."""

BOX_MAC = "02:00:00:00:00:01"
LAN4, LAN6 = "192.168.50", "2a02:2f0:1:1:"
VLAN, VLAN4, VLAN6 = 20, "192.168.20", "2a02:2f0:1:20:"
"""The clients' IPv6 prefixes are global ones, as providers give out: only "on-link" makes them local."""

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def missing() -> str | None:
    """Why no lab can be built here, or None."""
    lacking = sorted({package for command, package in PACKAGES.items() if shutil.which(command) is None})
    if lacking:
        return f"needs the packages {', '.join(lacking)} (apt-get install {' '.join(lacking)})"
    if os.geteuid() != 0:
        return "needs root: network namespaces"
    if subprocess.run(["ip", "netns", "list"], capture_output=True, check=False).returncode:
        return "needs a kernel with network namespaces"
    return None


def remove_leftovers() -> None:
    """Remove the namespaces of labs whose process is gone."""
    listing = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        name = line.split()[0] if line.split() else ""
        parts = name.split("-")
        if parts[0] == PREFIX and len(parts) > 2 and not os.path.exists(f"/proc/{parts[1]}"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def shell(command: str) -> str:
    """Run one command line; what it printed, or CalledProcessError with what it complained of."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Namespace:
    """One network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create(self) -> None:
        shell(f"ip netns add {self.name}")
        self.ip("link set lo up")

    def ip(self, *commands: str) -> None:
        """Run `ip` commands in the namespace, in one process."""
        done = subprocess.run(
            ["ip", "-n", self.name, "-batch", "-"],
            input="\n".join(commands),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"ip -n {self.name}: {done.stderr.strip()}")

    def show(self, command: str) -> list[dict]:  # type: ignore[type-arg]
        """What `ip -j -d COMMAND` prints."""
        return json.loads(shell(f"ip -n {self.name} -j -d -s {command}") or "[]")

    def run(self, command: str) -> str:
        return shell(f"ip netns exec {self.name} {command}")

    def command(self, *words: str) -> list[str]:
        """The words that run a program inside; `ip netns exec` keeps the process id."""
        return ["ip", "netns", "exec", self.name, *words]

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is inside until the block ends: sockets made here stay here, children too."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _setns(there)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(there)
            os.close(home)


def _setns(handle: int) -> None:
    if _libc.setns(handle, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Lab:
    """The namespaces and how they are joined."""

    def __init__(self, *, bridging: bool) -> None:
        self.is_bridging = bridging
        self._tag = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self.c1, self.c2, self.box, self.net = (self._namespace(name) for name in ("c1", "c2", "box", "net"))
        self.router = self._namespace("rt") if bridging else self.box
        self._hosts = itertools.count(10)
        self._vlan_ends: list[str] = []
        self._relay: subprocess.Popen[str] | None = None

    @classmethod
    def routing(cls) -> "Lab":
        """The box forwards and masquerades for its clients."""
        return cls(bridging=False)

    @classmethod
    def bridging(cls) -> "Lab":
        """The box only bridges towards another router."""
        return cls(bridging=True)

    def __enter__(self) -> "Lab":
        remove_leftovers()
        try:
            self._build()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    @property
    def namespaces(self) -> list[Namespace]:
        return list(dict.fromkeys([self.c1, self.c2, self.box, self.router, self.net]))

    def remove(self) -> None:
        self._stop_relay()
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace.name], capture_output=True, check=False)

    def new_address(self, *, six: bool = False, block: str | None = None) -> str:
        """A public address that nobody has talked to yet, served in `net`."""
        number = next(self._hosts)
        address = f"{block or ('2a05:d014:1:' if six else '18.193.233')}{':' if six else '.'}{number}"
        self.add_address(address)
        return address

    def add_address(self, address: str) -> None:
        """Give `net` a public address."""
        if ":" in address:
            self.net.ip(f"addr add {address}/128 dev lo nodad")
        else:
            self.net.ip(f"addr add {address}/32 dev lo")

    def through_vlan(self, address: str) -> None:
        """Client 2 reaches this address over its VLAN."""
        family, gateway = ("-6", f"{VLAN6}:1") if ":" in address else ("-4", f"{VLAN4}.1")
        shell(f"ip -n {self.c2.name} {family} route add {address} via {gateway} dev c0.{VLAN}")

    def offloads(self, *, segments_on_wire: bool) -> None:
        """Whether the clients' wires carry real segments; the box merges them (GRO) in any case.

        With real segments a capture at the client is the truth: nothing on its side merges or splits.
        """
        wire = "off" if segments_on_wire else "on"
        for client, port in ((self.c1, "p1"), (self.c2, "p2")):
            client.run(f"ethtool -K c0 tso {wire} gso {wire} gro off tx-udp-segmentation {wire}")
            self.box.run(f"ethtool -K {port} tso {wire} gso {wire} gro on tx-udp-segmentation {wire}")
        self.net.run(f"ethtool -K w0 tso {wire} gso {wire}")
        self.router.run("ethtool -K wan gro on")

    def build_bridge(self) -> None:
        """br0 with its ports and addresses."""
        ports = ["p1", "p2", *(["p0"] if self.is_bridging else [])]
        self.box.ip(
            f"link add br0 address {BOX_MAC} type bridge mcast_snooping 0 forward_delay 0 stp_state 0",
            *(f"link set {port} master br0 up" for port in ports),
            "link set br0 up",
        )
        if self.is_bridging:
            self.box.ip(
                f"addr add {LAN4}.2/24 dev br0",
                f"addr add {LAN6}:2/64 dev br0 nodad",
                f"route add default via {LAN4}.1",
            )
        else:
            self._serve_lan(self.box, "br0")

    def remove_bridge(self) -> None:
        """The VLAN goes with it and does not come back with `build_bridge`."""
        self._stop_relay()
        self.box.ip("link del br0")

    def _namespace(self, name: str) -> Namespace:
        return Namespace(f"{self._tag}-{name}")

    def _build(self) -> None:
        for namespace in self.namespaces:
            namespace.create()
            namespace.run("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
        self._wire(self.net, "w0", self.router, "wan")
        for client, port in ((self.c1, "p1"), (self.c2, "p2")):
            self._wire(client, "c0", self.box, port)
        if self.is_bridging:
            self._wire(self.router, "lan", self.box, "p0")
        self.build_bridge()
        if self.is_bridging:
            self._serve_lan(self.router, "lan")
        self._clients()
        self._vlan(self.router, "lan" if self.is_bridging else "br0", 1)
        self._uplink()
        self._start_relay()
        self.offloads(segments_on_wire=True)

    def _wire(self, here: Namespace, name: str, there: Namespace, other: str) -> None:
        here.ip(f"link add {name} type veth peer name {other} netns {there.name}")
        here.ip(f"link set {name} up")
        there.ip(f"link set {other} up")

    def _serve_lan(self, namespace: Namespace, interface: str) -> None:
        namespace.ip(
            f"addr add {LAN4}.1/24 dev {interface}",
            f"addr add {LAN6}:1/64 dev {interface} nodad",
        )

    def _clients(self) -> None:
        for number, (name, client) in enumerate((("c1", self.c1), ("c2", self.c2)), start=11):
            client.ip(
                f"link set c0 address {CLIENT_MACS[name]}",
                f"addr add {LAN4}.{number}/24 dev c0",
                f"addr add {LAN6}:{number}/64 dev c0 nodad",
                f"route add default via {LAN4}.1",
                f"route add default via {LAN6}:1",
            )
        self._vlan(self.c2, "c0", 12)

    def _vlan(self, namespace: Namespace, wire: str, host: int) -> None:
        """WIRE.20 with its addresses: the kernel's kind, or where it has none a veth whose far end a relay tags."""
        name, inner = f"{wire}.{VLAN}", f"{wire}.{VLAN}-in"
        try:
            namespace.ip(f"link add link {wire} name {name} type vlan id {VLAN}")
        except RuntimeError:
            mac = namespace.show(f"link show {wire}")[0]["address"]
            namespace.ip(f"link add {name} address {mac} type veth peer name {inner}", f"link set {inner} up")
            namespace.run(f"ethtool -K {name} tx off tso off gso off")
            self._vlan_ends.append(f"{namespace.name}:{wire}:{inner}")
        namespace.ip(
            f"link set {name} up",
            f"addr add {VLAN4}.{host}/24 dev {name}",
            f"addr add {VLAN6}:{host}/64 dev {name} nodad",
        )

    def _start_relay(self) -> None:
        if self._vlan_ends:
            program = str(Path(__file__).with_name("vlan_relay.py"))
            self._relay = subprocess.Popen(
                [sys.executable, program, str(VLAN), *self._vlan_ends], stdout=subprocess.PIPE, text=True
            )
            assert self._relay.stdout is not None
            if self._relay.stdout.readline().strip() != "ready":
                raise RuntimeError("the VLAN relay did not start")

    def _stop_relay(self) -> None:
        if self._relay is not None:
            self._relay.kill()
            self._relay.communicate()
            self._relay = None

    def _uplink(self) -> None:
        self.router.ip("addr add 198.51.100.1/30 dev wan", "addr add 2a02:2f0:ffff::1/64 dev wan nodad")
        self.net.ip("addr add 198.51.100.2/30 dev w0", "addr add 2a02:2f0:ffff::2/64 dev w0 nodad")
        self.router.ip("route add default via 198.51.100.2", "route add default via 2a02:2f0:ffff::2")
        self.net.ip("route add 2a02:2f0:1::/48 via 2a02:2f0:ffff::1")
        self.router.run(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
            "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"
        )
        rules = """
            add table ip nat
            add chain ip nat post { type nat hook postrouting priority 100 ; }
            add rule ip nat post oifname "wan" masquerade
        """
        subprocess.run(self.router.command("nft", "-f", "-"), input=rules, text=True, check=True)


def is_six(address: str) -> bool:
    return ipaddress.ip_address(address).version == 6
