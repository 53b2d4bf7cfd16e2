"""Columns of packets, and the flow keys of some of them."""

import numpy as np
import pytest

from sensor.base.addresses import parse_address
from sensor.model.flow import FlowKey
from sensor.model.packets import DESTINATION_MAC, SOURCE_MAC, Packets

PHONE, ROUTER = bytes.fromhex("6038e0c535a0"), bytes.fromhex("02feed000001")
HOME, FAR = parse_address("192.168.1.9"), parse_address("42.62.48.10")
HOME_SIX, FAR_SIX = parse_address("fd00::9"), parse_address("2400:3200::1")

FOUR = FlowKey(PHONE, ROUTER, HOME, FAR, 6, 40_000, 443, 5, 3)
SIX = FlowKey(PHONE, ROUTER, HOME_SIX, FAR_SIX, 17, 50_000, 53, 0, 0)


def packed(key: FlowKey) -> tuple[list[int], list[int]]:
    """The words of a key, and its tail."""

    def number(data: bytes) -> int:
        return int.from_bytes(data, "little")

    def mac(address: bytes | None, port: int) -> int:
        return number((address or bytes(6)) + port.to_bytes(2, "big"))

    six = len(key.source) == 16
    macs = SOURCE_MAC * (key.source_mac is not None) + DESTINATION_MAC * (key.destination_mac is not None)
    facts = key.protocol | (6 if six else 4) << 8 | key.direction << 16 | macs << 24 | key.vlan << 32
    third = number(key.source[8:] if six else key.source + key.destination)
    tail = [key.source[:8], key.destination[:8], key.destination[8:]] if six else []
    words = [mac(key.source_mac, key.source_port), mac(key.destination_mac, key.destination_port), third, facts]
    return words, [number(part) for part in tail]


def packets(*keys: FlowKey) -> Packets:
    both = [packed(key) for key in keys]
    count, zeros = len(keys), np.zeros(len(keys), np.int64)
    tails = [tail for _, tail in both if tail]
    return Packets(
        time=zeros,
        words=np.array([words for words, _ in both], np.uint64).reshape(count, 4).T,
        six=np.array([row for row, (_, tail) in enumerate(both) if tail], np.int64),
        tail=np.array(tails, np.uint64).reshape(len(tails), 3).T,
        length=zeros,
        segments=zeros + 1,
        flags=zeros.astype(np.uint8),
        sequence=zeros.astype(np.uint32),
        payload=zeros,
        payload_length=zeros,
        message=zeros.astype(np.bool_),
        row=np.arange(count),
    )


@pytest.mark.parametrize("key", [FOUR, SIX])
def test_the_key_of_one_packet(key: FlowKey) -> None:
    assert packets(key).key(0) == key


def test_keys_come_in_the_order_asked_for() -> None:
    mixed = packets(FOUR, SIX, FOUR._replace(vlan=9), SIX._replace(direction=4))
    assert len(mixed) == 4
    assert mixed.keys(np.array([3, 0, 1])) == [SIX._replace(direction=4), FOUR, SIX]
    assert mixed.keys(np.empty(0, np.int64)) == []


def test_tails_are_those_of_the_ipv6_packets_asked_for() -> None:
    mixed = packets(FOUR, SIX, FOUR, SIX._replace(destination=HOME_SIX))
    at, tail = mixed.tails(np.array([2, 3, 0, 1]))
    assert at.tolist() == [1, 3]
    assert tail.T.tolist() == [mixed.tail[:, 1].tolist(), mixed.tail[:, 0].tolist()]


@pytest.mark.parametrize("keys", [(FOUR, FOUR), (SIX, SIX), ()])
def test_batches_of_one_family_or_none(keys: tuple[FlowKey, ...]) -> None:
    assert packets(*keys).keys(np.arange(len(keys))) == list(keys)
