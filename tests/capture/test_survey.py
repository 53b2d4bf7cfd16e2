"""What there is to watch: on this machine, and in a namespace with a bridge and clients."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sensor.capture.interface import Link
from sensor.capture.survey import Seen, Survey, survey

NAME = f"iwsurvey{os.getpid()}"


def test_this_machine_has_a_loopback_interface() -> None:
    found = survey()
    assert [link.name for link in found.links if link.loopback] == ["lo"]
    assert "lo" not in found.wireless


def test_ports_of_a_bridge() -> None:
    bridge, port, other = (Link(name, at, 1, True, True, at == 1, False, 0, at - 1) for at, name in enumerate("abc", 1))
    assert Survey((bridge, port, other), {}, (), frozenset(), ()).ports(bridge) == [port]


@pytest.fixture
def bridged() -> Iterator[None]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2: network namespaces")
    for line in (
        f"netns add {NAME}",
        f"-n {NAME} link add br0 type bridge",
        f"-n {NAME} link add p1 type veth peer name c1 address 64:09:80:00:00:01",
        f"-n {NAME} link set p1 master br0 up",
        f"-n {NAME} link set br0 up",
        f"-n {NAME} addr add 192.168.77.1/24 dev br0",
        f"-n {NAME} neigh add 192.168.77.9 lladdr 64:09:80:00:00:01 dev br0 nud reachable",
        f"-n {NAME} neigh add 192.168.77.10 lladdr 01:00:5e:00:00:01 dev br0 nud reachable",
    ):
        subprocess.run(["ip", *line.split()], check=True)
    yield
    subprocess.run(["ip", "netns", "del", NAME], check=True)


@pytest.mark.usefixtures("bridged")
def test_a_bridge_and_its_client() -> None:
    script = "from sensor.capture.survey import survey; print(survey())"
    done = subprocess.run(
        ["ip", "netns", "exec", NAME, sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found: Survey = eval(done.stdout, {"Survey": Survey, "Link": Link, "Seen": Seen})
    [bridge] = [link for link in found.links if link.is_bridge]
    assert [port.name for port in found.ports(bridge)] == ["p1"]
    assert "192.168.77.1/24" in found.addresses["br0"]
    assert [(each.mac, each.addresses) for each in found.clients] == [("64:09:80:00:00:01", ("192.168.77.9",))]
