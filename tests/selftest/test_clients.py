"""Whose the test packets are, where they go, and what the sensor's own decoder makes of them."""

import os
import subprocess
import sys

import pytest

from sensor.account.locality import Local, Locality
from sensor.base.addresses import address_text, is_global, parse_address
from sensor.config import parse
from sensor.decode.headers import HeaderDecoder
from sensor.house import House
from sensor.selftest.clients import CLIENTS, SEGMENT, Packets
from tests.decode.batches import batch_of
from tests.frames import batches

both = pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.family)


@both
def test_the_destination_is_one_and_the_client_is_a_client(client):
    assert is_global(parse_address(client.destination))
    assert not is_global(parse_address(client.address))
    assert not is_global(parse_address(client.router))


@both
def test_the_destination_is_nobodys(client, tmp_path):
    house = House(parse({"state_dir": str(tmp_path)}), print)
    house.open()
    try:
        place = house.geo.lookup(parse_address(client.destination))
        assert (place.country, place.asn, place.owner) == (None, None, None)
        assert house.vendors.vendor(client.mac) == "private address"
    finally:
        house.close()


@both
def test_the_packets_are_what_they_say(client):
    packets = Packets(client)
    frames = [*packets.opening(), *packets.upload(3)]
    decoded = HeaderDecoder().decode(batch_of(frames))
    assert len(decoded.length) == len(frames)
    ends = Locality(Local())
    keys = decoded.keys(range(len(frames)))
    sent = [int(length) for key, length in zip(keys, decoded.length, strict=True) if key.source_mac == client.mac]
    assert sum(sent) == packets.sent_bytes
    assert {address_text(ends.ends(key, 0).client) for key in keys[1:]} == {client.address}
    assert decoded.payload_length[-3:].tolist() == [SEGMENT] * 3
    assert (decoded.sequence[-2:] - decoded.sequence[-3:-1]).tolist() == [SEGMENT] * 2


@both
def test_it_learns_a_name_that_is_nobodys(client):
    packets = Packets(client)
    house = House(parse({}), print)
    for each in batches([(at, frame) for at, frame in enumerate(packets.opening() + packets.upload(1))]):
        house.pipeline.feed(each)
    house.pipeline.finish()
    [far] = house.destinations(client.id)
    assert [name.name for name in far.names] == [client.domain]
    assert client.domain.endswith(".invalid")


def test_checksums_are_right():
    from scapy.layers.l2 import Ether

    for client in CLIENTS:
        for frame in Packets(client).opening():
            packet = Ether(frame)
            for layer in packet.layers():
                if "chksum" in packet[layer].fields:
                    told = packet[layer].chksum
                    packet[layer].chksum = None
                    assert Ether(bytes(packet))[layer].chksum == told


def test_loading_scapy_leaves_nothing(tmp_path):
    code = (
        "from sensor.selftest.clients import *; Packets(CLIENTS[0]); import os; print('XDG_CACHE_HOME' in os.environ)"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    assert list(tmp_path.iterdir()) == []
