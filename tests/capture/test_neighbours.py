"""The kernel's neighbour tables, of a box between real clients."""

import asyncio
import json
import subprocess
from typing import Any

import pytest

from sensor.capture import neighbours
from sensor.capture.neighbours import Neighbours, read_neighbours
from sensor.errors import CaptureError

MAC = bytes.fromhex("6038e0c535a0")


def test_clients_that_talked_are_there(world: Any) -> None:
    show = subprocess.run(
        ["ip", "-n", world.name("c1"), "-j", "link", "show", "e0"], check=True, capture_output=True, text=True
    )
    [link] = json.loads(show.stdout)
    with world.socket("c1") as talk:
        talk.sendto(b"x", ("10.77.0.1", 9))
    world.ip("ap", "neigh replace 10.77.0.99 lladdr 02:00:00:00:00:99 dev br0 nud failed")
    with world.inside("ap"):
        table = read_neighbours()
    assert table[bytes([10, 77, 0, 11])].hex(":") == link["address"]
    assert bytes([10, 77, 0, 99]) not in table, "nobody answered there"
    assert not any(found[0] & 1 or not any(found) for found in table.values())


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[dict[bytes, bytes] | CaptureError]:
    """What the kernel says, reading by reading; the last again and again."""
    answers: list[dict[bytes, bytes] | CaptureError] = [{}]

    def read() -> dict[bytes, bytes]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, CaptureError):
            raise answer
        return answer

    monkeypatch.setattr(neighbours, "read_neighbours", read)
    return answers


async def test_it_is_read_for_who_is_not_known_and_then_kept(readings: list[Any]) -> None:
    readings[:] = [{bytes([192, 0, 2, 7]): MAC}, {}]
    table = Neighbours()
    assert table.mac("192.0.2.7") is None
    await asyncio.gather(*(table.look("192.0.2.7") for _ in range(10)))
    assert table.mac("192.0.2.7") == MAC
    assert len(readings) == 1, "it was read once"


async def test_strangers_do_not_make_it_read_all_the_time(readings: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    readings[:] = [{}] * 100
    table = Neighbours()
    for at in range(100):
        await table.look(f"192.0.2.{at}")
    assert len(readings) == 99
    monkeypatch.setattr(neighbours, "PAUSE", 0.0)
    await table.look("192.0.2.7")
    assert len(readings) == 98


async def test_what_is_old_is_read_anew(readings: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    readings[:] = [{bytes([192, 0, 2, 7]): MAC}, {}]
    monkeypatch.setattr(neighbours, "FRESH", 0.0)
    table = Neighbours()
    await table.look("192.0.2.7")
    await table.look("192.0.2.7")
    assert table.mac("192.0.2.7") is None


async def test_netlink_that_fails_is_counted_and_said_once(
    readings: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    readings[:] = [CaptureError("cannot read the neighbour table over netlink: busy")]
    monkeypatch.setattr(neighbours, "PAUSE", 0.0)
    table = Neighbours()
    for _ in range(3):
        await table.look("192.0.2.7")
    assert (table.failures, len(caplog.records)) == (3, 1)


def test_what_is_no_address_has_no_mac() -> None:
    assert Neighbours().mac("nonsense") is None


def test_this_machine_can_be_asked() -> None:
    assert all(len(mac) == 6 and len(address) in (4, 16) for address, mac in read_neighbours().items())
