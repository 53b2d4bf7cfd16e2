"""What the sensor counts over a live bridge equals tcpdump's capture at the client, to the byte."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Sensor, running, until
from lab import CLIENT_MACS, Lab
from recount import Count, Recorder, longest, recount
from traffic import Internet, datagrams, transfer

PHONE, TABLET = CLIENT_MACS["c1"], CLIENT_MACS["c2"]


@pytest.fixture(scope="module")
def counting(lab: Lab, internet: Internet, folder: Path) -> Iterator[Sensor]:
    with running(lab.box, folder) as sensor:
        yield sensor


def counts(sensor: Sensor, mac: str) -> dict[tuple[str, str], Count]:
    return {
        key: Count(row["sent_bytes"], row["received_bytes"], row["sent_packets"], row["received_packets"])
        for key, row in sensor.destinations(mac).items()
    }


def assert_equal(sensor: Sensor, mac: str, truth: dict[tuple[str, str], Count], *addresses: str) -> None:
    """The rows for these destinations, once they stand still, are the truth."""
    expected = {key: count for key, count in truth.items() if key[1] in addresses}
    assert len(expected) == len(addresses), f"the truth lacks a destination: {sorted(truth)}"

    def seen() -> dict[tuple[str, str], Count]:
        return {key: count for key, count in counts(sensor, mac).items() if key[1] in addresses}

    until(lambda: seen() == expected, 5)
    assert seen() == expected


def settle() -> None:
    """Let the last acknowledgements pass before tcpdump ends."""
    time.sleep(0.4)


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_tcp_with_segments_on_the_wire_and_super_frames_on_the_bridge(
    counting: Sensor, lab: Lab, tmp_path: Path, six: bool
) -> None:
    remote = lab.new_address(six=six)
    with Recorder(lab.c1, "c0", tmp_path / "client.pcap"), Recorder(lab.box, "br0", tmp_path / "bridge.pcap"):
        transfer(lab.c1, remote, up=20_000_000, down=20_000_000)
        settle()
    assert longest(tmp_path / "client.pcap") <= 1514
    assert longest(tmp_path / "bridge.pcap") > 1514, "nothing was merged: this test would prove nothing"
    assert_equal(counting, PHONE, recount(tmp_path / "client.pcap", PHONE), remote)


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_tls_and_udp(counting: Sensor, lab: Lab, tmp_path: Path, six: bool) -> None:
    secure, plain = lab.new_address(six=six), lab.new_address(six=six)
    with Recorder(lab.c1, "c0", tmp_path / "client.pcap"):
        transfer(lab.c1, secure, up=1_000_000, down=3_000_000, server_name="upload.example.net")
        datagrams(lab.c1, plain, up=1500, down=700)
        settle()
    truth = recount(tmp_path / "client.pcap", PHONE)
    assert_equal(counting, PHONE, truth, secure, plain)


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_tagged_traffic_counts_without_its_tags(counting: Sensor, lab: Lab, tmp_path: Path, six: bool) -> None:
    remote = lab.new_address(six=six)
    lab.through_vlan(remote)
    with Recorder(lab.c2, "c0", tmp_path / "client.pcap"):
        transfer(lab.c2, remote, up=1_000_000, down=1_000_000)
        settle()
    truth = recount(tmp_path / "client.pcap", TABLET)
    assert {here for here, there in truth if there == remote} <= {"192.168.20.12", "2a02:2f0:1:20::12"}
    assert_equal(counting, TABLET, truth, remote)


def test_both_clients_at_the_same_address_are_two_rows(counting: Sensor, lab: Lab, tmp_path: Path) -> None:
    remote = lab.new_address()
    with Recorder(lab.c1, "c0", tmp_path / "c1.pcap"), Recorder(lab.c2, "c0", tmp_path / "c2.pcap"):
        transfer(lab.c1, remote, up=300_000)
        transfer(lab.c2, remote, down=500_000)
        settle()
    assert_equal(counting, PHONE, recount(tmp_path / "c1.pcap", PHONE), remote)
    assert_equal(counting, TABLET, recount(tmp_path / "c2.pcap", TABLET), remote)


def test_the_clients_own_super_frames_count_as_the_segments_they_become(
    counting: Sensor, lab: Lab, tmp_path: Path
) -> None:
    """TSO and UDP segmentation on: the veth carries super-frames, a real wire would carry their segments."""
    four, six, cut = lab.new_address(), lab.new_address(six=True), lab.new_address()
    lab.offloads(segments_on_wire=False)
    try:
        with Recorder(lab.c1, "c0", tmp_path / "client.pcap"):
            transfer(lab.c1, four, up=5_000_000, down=5_000_000)
            transfer(lab.c1, six, up=5_000_000, down=5_000_000)
            datagrams(lab.c1, cut, up=100, segment=1200)
            settle()
    finally:
        lab.offloads(segments_on_wire=True)
    file = tmp_path / "client.pcap"
    assert longest(file) > 1514
    # Payload of a full segment: MTU 1500 - IP header - TCP header with timestamps (RFC 7323).
    truth = {key: count for key, count in recount(file, PHONE, 1500 - 20 - 32).items() if key[1] == four}
    truth |= {key: count for key, count in recount(file, PHONE, 1500 - 40 - 32).items() if key[1] == six}
    truth |= {key: count for key, count in recount(file, PHONE, 1200).items() if key[1] == cut}
    assert_equal(counting, PHONE, truth, four, six, cut)


def test_local_talk_is_no_destination(counting: Sensor, lab: Lab) -> None:
    """The router, also at its global address, the other client and multicast are not destinations."""
    for local in ("192.168.50.1", "2a02:2f0:1:1::1", "192.168.50.12", "2a02:2f0:1:1::12", "ff02::1"):
        with lab.c1.entered():
            datagrams_to(local)
    remote = lab.new_address()
    transfer(lab.c1, remote, up=1000)
    assert until(lambda: any(there == remote for _, there in counting.destinations(PHONE)), 5)
    assert all(there.startswith(("18.193.233.", "2a05:d014:1:")) for _, there in counting.destinations(PHONE))


def datagrams_to(address: str) -> None:
    """One datagram from this thread's namespace."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as opened:
        scope = socket.if_nametoindex("c0") if address.startswith("ff02") else 0
        opened.sendto(b"hello", (address, 4444, 0, scope) if ":" in address else (address, 4444))


def test_metrics_say_the_same_as_the_rows(counting: Sensor, lab: Lab) -> None:
    remote = lab.new_address()
    transfer(lab.c1, remote, up=1_000_000)
    assert until(lambda: any(there == remote for _, there in counting.destinations(PHONE)), 5)
    time.sleep(1)
    metrics = counting.metrics()
    sent = sum(row["sent_bytes"] for row in counting.destinations(PHONE).values())
    assert metrics[f'idlewire_client_sent_bytes_total{{client="{PHONE}"}}'] >= sent
    assert counting.metric("idlewire_capture_frames_total") > 0
    assert counting.metric("idlewire_capture_dropped_frames_total") == 0
    assert any(key.startswith("idlewire_build_info{") for key in metrics)


def test_every_frame_was_seen_once(counting: Sensor, lab: Lab) -> None:
    """The frames counted are those that went through the bridge interface: its own counters agree."""

    def through() -> int:
        counters = lab.box.show("link show br0")[0]["stats64"]
        return int(counters["rx"]["packets"] + counters["tx"]["packets"])

    def frames() -> int:
        return int(counting.metric("idlewire_capture_frames_total"))

    time.sleep(0.5)
    bridge, seen = through(), frames()
    transfer(lab.c1, lab.new_address(), up=5_000_000, down=5_000_000)
    time.sleep(1)
    assert abs((frames() - seen) - (through() - bridge)) <= 5  # neighbour discovery between the two readings
