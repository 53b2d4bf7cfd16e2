"""Promiscuous only when needed: a box that routes sees its clients without it, a box that only bridges does not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Sensor, running, until
from lab import CLIENT_MACS, Lab
from recount import Count, Recorder, longest, recount
from traffic import Internet, transfer


@pytest.fixture(scope="module")
def bridging(bridging_lab: Lab, far_internet: Internet, folder: Path) -> Iterator[Sensor]:
    with running(bridging_lab.box, folder) as sensor:
        yield sensor


def promiscuity(lab: Lab) -> int:
    return int(lab.box.show("link show br0")[0]["promiscuity"])


def test_a_routing_box_stays_off(sensor: Sensor, lab: Lab, internet: Internet) -> None:
    sensor.start()
    transfer(lab.c1, lab.new_address(), up=1000)
    assert promiscuity(lab) == 0
    assert "promiscuous" in sensor.log.lower(), "the log says what was found out"


def test_a_bridging_box_turns_it_on(bridging: Sensor, bridging_lab: Lab) -> None:
    assert promiscuity(bridging_lab) >= 1
    assert "promiscuous" in bridging.log.lower()


@pytest.mark.parametrize("way", ["IPv4", "IPv6", "VLAN"])
def test_a_bridging_box_counts_what_it_forwards(bridging: Sensor, bridging_lab: Lab, tmp_path: Path, way: str) -> None:
    name = "c2" if way == "VLAN" else "c1"
    client = bridging_lab.c2 if way == "VLAN" else bridging_lab.c1
    remote = bridging_lab.new_address(six=way == "IPv6")
    if way == "VLAN":
        bridging_lab.through_vlan(remote)
    size = 500_000 if way == "VLAN" else 10_000_000
    file = tmp_path / "client.pcap"
    with Recorder(client, "c0", file):
        transfer(client, remote, up=size, down=size)
        time.sleep(0.4)
    assert longest(file) <= 1518
    truth = {key: count for key, count in recount(file, CLIENT_MACS[name]).items() if key[1] == remote}

    def seen() -> dict[tuple[str, str], Count]:
        return {
            key: Count(row["sent_bytes"], row["received_bytes"], row["sent_packets"], row["received_packets"])
            for key, row in bridging.destinations(CLIENT_MACS[name]).items()
            if key[1] == remote
        }

    until(lambda: seen() == truth, 5)
    assert seen() == truth


def test_what_clients_say_to_each_other_is_no_destination(bridging: Sensor, bridging_lab: Lab) -> None:
    for mac in CLIENT_MACS.values():
        assert all(there.startswith(("18.193.233.", "2a05:d014:1:")) for _, there in bridging.destinations(mac))
