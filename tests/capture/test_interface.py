"""Reading interfaces, routes and addresses over netlink."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from sensor.capture import interface
from sensor.capture.packet_socket import InterfaceGone
from sensor.capture.ring import LINKTYPE_ETHERNET, LINKTYPE_RAW
from sensor.errors import CaptureError


def test_the_bridge_is_chosen(world: Any) -> None:
    with world.inside("ap"):
        assert interface.choose_interface() == "br0"


def test_a_connected_bridge_comes_before_an_idle_one(world: Any) -> None:
    world.ip("c2", "link add idle0 type bridge")
    world.ip("c2", "link add used0 type bridge")
    with world.inside("c2"):
        assert interface.choose_interface() == "idle0", "none is up: the first"
        world.ip("c2", "link set used0 up")
        assert interface.choose_interface() == "used0"
    world.ip("c2", "link del idle0")
    world.ip("c2", "link del used0")


def test_without_a_bridge_it_is_the_interface_of_the_default_route(world: Any) -> None:
    with world.inside("c1"):
        assert interface.choose_interface() == "e0"


def test_without_either_there_is_nothing_to_watch(world: Any) -> None:
    with world.inside("w"), pytest.raises(InterfaceGone, match="name the interface"):
        interface.choose_interface()


def test_facts_of_a_link(world: Any) -> None:
    with world.inside("ap"):
        bridge, port, loopback = (interface.find(name) for name in ("br0", "p1", "lo"))
        assert (bridge.is_bridge, bridge.up, bridge.link_type) == (True, True, LINKTYPE_ETHERNET)
        assert (port.is_bridge, port.master, port.below) == (False, bridge.index, 0)
        assert (loopback.loopback, loopback.link_type) == (True, LINKTYPE_ETHERNET)
        with pytest.raises(InterfaceGone, match="no interface nothing0"):
            interface.find("nothing0")


def test_link_types() -> None:
    def link(hardware: int) -> interface.Link:
        return interface.Link("x0", 1, hardware, up=True, running=True, is_bridge=False, loopback=False)

    assert [link(hardware).link_type for hardware in (1, 772, 65534, 519, 512)] == [1, 1, *[LINKTYPE_RAW] * 3]
    with pytest.raises(CaptureError, match=r"x0 .* 802"):
        link(802).link_type  # noqa: B018 - a Wi-Fi monitor


def test_a_box_that_routes_needs_no_promiscuous_mode(world: Any) -> None:
    with world.inside("ap"):
        decision = interface.routes_for_clients("br0")
    assert not decision.promiscuous
    assert decision.reason == "this box routes for the clients of br0: the default route leaves by wan"


def test_a_box_that_only_bridges_needs_it(world: Any) -> None:
    with world.inside("ap"):
        world.forward(False)
        assert interface.routes_for_clients("br0").promiscuous
        assert "does not forward" in interface.routes_for_clients("br0").reason
        world.forward(True)
        world.ip("ap", "route del default")
        assert "no default route" in interface.routes_for_clients("br0").reason
        world.ip("ap", "route add default via 10.77.0.254")
        assert "br0 itself" in interface.routes_for_clients("br0").reason
        world.ip("ap", "route del default")
        world.ip("ap", "route add default via 42.62.48.10")
        world.ip("ap", "addr del 10.77.0.1/24 dev br0")
        assert "no address" in interface.routes_for_clients("br0").reason
        world.ip("ap", "addr add 10.77.0.1/24 dev br0")
        assert not interface.routes_for_clients("br0").promiscuous


def test_what_is_local(world: Any) -> None:
    with world.inside("ap"):
        Path("/proc/sys/net/ipv6/conf/br0/disable_ipv6").write_text("0")
        world.ip("ap", "addr add fd77::1/64 dev br0 nodad")
        world.ip("ap", "route add 10.80.0.0/16 dev br0")
        world.ip("ap", "route add 10.81.0.0/16 via 10.77.0.11")
        world.ip("ap", "route add blackhole 10.82.0.0/16")
        try:
            of_bridge, of_port, of_wan = (interface.local_networks(name) for name in ("br0", "p1", "wan"))
        finally:
            world.ip("ap", "route del 10.80.0.0/16 dev br0")
            world.ip("ap", "route del 10.81.0.0/16")
            world.ip("ap", "route del blackhole 10.82.0.0/16")
            Path("/proc/sys/net/ipv6/conf/br0/disable_ipv6").write_text("1")
    own = {str(ip_address(address)) for address in of_bridge.addresses}
    assert {"10.77.0.1", "42.62.48.1", "fd77::1", "127.0.0.1"} <= own
    assert of_bridge.prefixes == ("10.77.0.0/24", "10.80.0.0/16", "fd77::/64", "fe80::/64")
    assert of_port.prefixes == of_bridge.prefixes, "a port shares what is local with its bridge"
    assert of_wan.prefixes == ("42.62.48.0/24",)


def test_the_peer_of_a_point_to_point_link_is_local_and_our_end_is_ours(world: Any) -> None:
    world.ip("c2", "link add t0 type veth peer name t1")
    world.ip("c2", "addr add 10.83.0.1 peer 10.83.0.2/32 dev t0")
    world.ip("c2", "link set t0 up")
    with world.inside("c2"):
        local = interface.local_networks("t0")
    world.ip("c2", "link del t0")
    assert local.prefixes == ("10.83.0.2/32",)
    assert bytes([10, 83, 0, 1]) in local.addresses
    assert bytes([10, 83, 0, 2]) not in local.addresses
