"""Floods through the command line: bounded memory, every byte accounted for, and a healthy client who does not notice.

The numbers (M1 ...) are those of the project's catalogue of hostile cases.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.bench.imix import mix
from tests.hostile.attacks import (
    ATTACKER,
    HEALTHY,
    ROUTER,
    START,
    Frame,
    Run,
    four,
    healthy,
    ip_bytes,
    numbered,
    read,
    replay,
    rows,
    six,
    spread,
    syn,
    write,
)

MEMORY = 150
"""MB, the budget of DESIGN.md section 6."""

FLOOD = 100_000
"""Frames per second of packet time."""

LAN = bytes([192, 168, 50, 200])


def many_destinations(count: int = 200_000) -> list[Frame]:
    """M1: one client, connection attempts to as many addresses, also in the watched block."""
    destination = numbered(count, b"\x2d", 4) + np.array([0, 9, 0, 0], np.uint8)
    return spread(four(ATTACKER, LAN, destination, syn(count)), 5, FLOOD)


def many_clients(count: int = 100_000) -> list[Frame]:
    """M2: every frame from another MAC and another address."""
    macs = numbered(count, b"\x02\x66\x00", 6)
    sources = numbered(count, b"\x0a", 4)
    return spread(four(macs, sources, bytes([45, 8, 8, 8]), syn(count)), 5, FLOOD)


def many_names(count: int = 200_000) -> list[Frame]:
    """M4: DNS says of as many names that they do not exist, and of a tenth where they are."""
    frames = []
    for number in range(count):
        exists = number % 10 == 0
        name = b"\x08%08x\x07example\x03net\x00" % number
        message = struct.pack("!HHHHHH", 1, 0x8180 if exists else 0x8183, 1, int(exists), 0, 0) + name + b"\0\1\0\1"
        if exists:
            message += b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4" + struct.pack("!I", 0x2D000000 + number)
        datagram = struct.pack("!HHHH", 53, 5000, 8 + len(message), 0) + message
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0x4000, 64, 17, 0) + b"\x08\x08\x08\x08" + LAN
        frames.append(ATTACKER + ROUTER + b"\x08\x00" + header + datagram)
    return spread(frames, 5, 20_000)


def both_families(count: int = 100_000) -> list[Frame]:
    """M1 over IPv6, from as many addresses of one client (M9) to as many destinations."""
    source = numbered(count, bytes.fromhex("2a0202f000010001"), 16)
    destination = numbered(count, bytes.fromhex("2a05d0140001"), 16)
    return spread(six(source, destination, syn(count)), 5, FLOOD)


FLOODS = [many_destinations, many_clients, many_names, both_families]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Frame], Run]:
    """The healthy client alone."""
    folder = tmp_path_factory.mktemp("calm")
    frames = healthy(folder)
    write(folder / "calm.pcap", frames)
    return frames, replay(folder / "calm.pcap")


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_a_flood_is_counted_bounded_and_hurts_nobody_else(
    calm: tuple[list[Frame], Run], flood: Callable[[], list[Frame]], tmp_path: Path
) -> None:
    quiet, alone = calm
    attack = flood()
    count = write(tmp_path / "flood.pcap", quiet, attack)
    run = replay(tmp_path / "flood.pcap")
    assert run.report["capture"]["frames"] == count
    assert run.report["capture"]["undecodable_frames"] == 0
    assert run.counted == ip_bytes(quiet) + ip_bytes(attack)
    assert run.client(HEALTHY) == alone.client(HEALTHY)
    assert len(run.report["clients"]) <= 1100
    assert sum(len(client["destinations"]) for client in run.report["clients"]) <= 50_000
    assert len(run.report["alerts"]) <= 1
    assert run.megabytes <= MEMORY
    print(f"{flood.__name__}: {1e6 * run.cpu / count:.1f} us per frame, {run.megabytes:.0f} MB")


def test_a_large_house_fits(tmp_path: Path) -> None:
    """M13: 250 clients and 20,000 flows at once."""
    made = mix(tmp_path, packets=150_000, flows=20_000, clients=250)
    run = replay(made.file)
    assert run.report["capture"]["frames"] == made.packets
    assert run.counted == made.sent_bytes + made.received_bytes
    assert len([client for client in run.report["clients"] if client["mac"]]) == 250
    assert len(run.report["names_seen"]) == made.names
    assert run.megabytes <= MEMORY
    print(f"250 clients, 20,000 flows: {run.megabytes:.0f} MB")


def test_frames_from_1970_and_2106_move_no_clock(calm: tuple[list[Frame], Run], tmp_path: Path) -> None:
    """T4: they are counted, but they neither expire every flow nor make the sensor walk through a century."""
    quiet, alone = calm
    odd = four(ATTACKER, LAN, bytes([45, 9, 9, 9]), syn(2))
    middle = len(quiet) // 2
    frames = [*quiet[:middle], (0, odd[0]), ((2**32 - 1) * 1_000_000, odd[1]), *quiet[middle:]]
    with (tmp_path / "odd.pcap").open("wb") as out:
        write(tmp_path / "order.pcap", quiet)
        out.write((tmp_path / "order.pcap").read_bytes()[:24])
        for time, data in frames:
            out.write(struct.pack("<IIII", time // 1_000_000, time % 1_000_000, len(data), len(data)) + data)
    run = replay(tmp_path / "odd.pcap", timeout=20)
    assert run.report["capture"]["frames"] == len(frames)
    assert run.client(HEALTHY) == alone.client(HEALTHY)
    assert run.client(ATTACKER.hex(":"))["sent_bytes"] == 80
    assert run.cpu <= 2 * alone.cpu + 1


def test_super_frames_whose_length_field_is_zero(tmp_path: Path) -> None:
    """D18: where the length does not fit (BIG TCP) or was not filled in (TSO), the frame's own length counts."""
    size = 30_000
    version4 = bytearray(four(ATTACKER, LAN, bytes([45, 8, 8, 8]), np.tile(np.zeros(size - 20, np.uint8), (1, 1)))[0])
    version4[34:54] = syn(1).tobytes()
    filled = bytes(version4)
    version4[16:18] = b"\0\0"
    version6 = bytearray(
        six(bytes.fromhex("2a0202f0000100010000000000000066"), bytes.fromhex("2a05d014" + "00" * 11 + "01"),
            np.zeros((1, size - 40), np.uint8))[0]
    )  # fmt: skip
    version6[54:74] = syn(1).tobytes()
    version6[18:20] = b"\0\0"
    count = write(tmp_path / "large.pcap", spread([filled, bytes(version4), bytes(version6)], 0, 10))
    run = replay(tmp_path / "large.pcap")
    assert run.report["capture"]["frames"] == count
    assert run.client(ATTACKER.hex(":"))["sent_bytes"] == 3 * size


def test_the_frames_that_were_made_are_what_they_claim(tmp_path: Path) -> None:
    """A test of the tests: what is written can be read back, in order."""
    write(tmp_path / "a.pcap", spread(rows(np.zeros((3, 60), np.uint8)), 1, 10))
    assert [time - START for time, _ in read(tmp_path / "a.pcap")] == [1_000_000, 1_100_000, 1_200_000]
