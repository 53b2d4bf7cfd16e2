"""Life cycle, as the hostile catalogue has it: changing interfaces, a large store, nothing at all."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from daemon import START_LIMIT, Sensor, until
from lab import CLIENT_MACS, Lab, Namespace
from traffic import Internet, datagrams, transfer

from sensor.deliver.outbox import MAX_WAITING
from sensor.store.outbox import MAX_DEAD, MAX_DELIVERED, VERSION, OutboxStore

PHONE = CLIENT_MACS["c1"]
BACK = 5.0
"""Seconds until the sensor sees traffic again once it can."""

_numbers = count()


def sees(sensor: Sensor, lab: Lab, seconds: float = BACK) -> bool:
    """Whether traffic to an address that is new is counted within so long."""
    address = lab.new_address()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        datagrams(lab.c1, address, up=500)
        if until(lambda: any(there == address for _, there in sensor.destinations(PHONE)), 0.3):
            return True
    return False


def losses(sensor: Sensor) -> dict[str, float]:
    """What was recorded of the interface: times it was away, times it came back."""
    return {name: sensor.metric(f"idlewire_capture_interface_{name}_total") for name in ("waits", "reopens")}


def switch_off_and_on(box: Namespace) -> None:
    box.ip("link set br0 down")
    time.sleep(0.5)
    box.ip("link set br0 up")


def lose_a_port(box: Namespace) -> None:
    box.ip("link set p2 nomaster")
    time.sleep(0.5)
    box.ip("link set p2 master br0")


def change_the_size(box: Namespace) -> None:
    box.ip("link set br0 mtu 1280")
    time.sleep(0.5)
    box.ip("link set br0 mtu 1500")


def rename(box: Namespace) -> None:
    box.ip("link set br0 down", "link set br0 name br1", "link set br1 up")
    time.sleep(0.5)
    box.ip("link set br1 down", "link set br1 name br0", "link set br0 up")


@pytest.mark.parametrize(
    ("change", "recorded"),
    [(switch_off_and_on, True), (lose_a_port, False), (change_the_size, False), (rename, True)],
)
def test_an_interface_that_changes_is_watched_again(
    sensor: Sensor, lab: Lab, internet: Internet, change: Callable[[Namespace], None], recorded: bool
) -> None:
    """What makes a gap is recorded as one; what makes none is not."""
    sensor.start()
    assert sees(sensor, lab)
    change(lab.box)
    lab.box.ip(*(f"addr replace {address} dev br0" for address in ("192.168.50.1/24", "2a02:2f0:1:1::1/64 nodad")))
    assert sees(sensor, lab), sensor.log
    assert losses(sensor) == ({"waits": 1, "reopens": 1} if recorded else {"waits": 0, "reopens": 0})
    assert "Traceback" not in sensor.log


@pytest.fixture
def full_store(sensor: Sensor) -> Iterator[Path]:
    """All letters that the outbox keeps, with large messages: 256 MB; not in the kernel's cache."""
    sensor.state.mkdir(mode=0o777)
    path = sensor.state / "outbox.db"
    store = OutboxStore(path, time.monotonic)
    store.open()
    store.close()
    states = ["delivered"] * MAX_DELIVERED + ["dead"] * MAX_DEAD + ["waiting"] * MAX_WAITING
    body = '{"summary": "' + "x" * 16_000 + '"}'
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(
            "INSERT INTO notice VALUES (?, ?, ?, 'warning', 'watchlist', 5, ?)",
            ((number, f"a{number}.firing", f"a{number}", body) for number in range(len(states))),
        )
        connection.executemany(
            "INSERT INTO letter VALUES (?, ?, 'lab', ?, 1, NULL, NULL, 0)",
            ((number, number, state) for number, state in enumerate(states)),
        )
    connection.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert path.stat().st_size > 250_000_000
    yield path
    path.unlink()


def test_a_full_store_does_not_hold_up_the_start(
    sensor: Sensor, lab: Lab, internet: Internet, full_store: Path
) -> None:
    sink = '[[sink]]\nname = "lab"\ntype = "webhook"\nurl = "http://127.0.0.1:1/nobody"\n'
    state, sensor.state = sensor.state, sensor.state.with_name("empty")
    usual = sensor.start(sink)
    assert sensor.stop() == 0
    sensor.log_file.unlink()
    sensor.state = state
    assert sensor.start(sink) <= max(START_LIMIT, 2 * usual), "machines that test are busy"
    assert sensor.log.index("capturing on br0") < sensor.log.index("page on"), "capture before page"
    assert until(lambda: sensor.metric("idlewire_outbox_messages") == MAX_WAITING, 10), sensor.log
    address = lab.new_address()
    transfer(lab.c1, address, up=1000)
    assert until(lambda: any(there == address for _, there in sensor.destinations(PHONE)), 5)
    assert sensor.stop() == 0


def test_with_no_network_at_all_it_runs_and_says_what_is_missing(sensor: Sensor, able: None) -> None:
    """A namespace with nothing but lo, the sensor left to find its interface, nothing in its state folder."""
    alone = Namespace(f"iwlab-{os.getpid()}-alone{next(_numbers)}")
    alone.create()
    sensor.namespace = alone
    try:
        sensor.start(interface="auto")
        said = "waiting for the interface: no bridge and no default route here: name the interface to watch"
        assert sensor.log.count(said) == 1
        assert sensor.metric("idlewire_capture_interface_up") == 0
        assert sensor.get("/api/v1/clients") == {"clients": []}
        alone.ip("link add br0 type bridge", "link set br0 up")
        assert until(lambda: sensor.metric("idlewire_capture_interface_up"), BACK), sensor.log
        assert sensor.stop() == 0
        assert "Traceback" not in sensor.log
    finally:
        sensor.kill()
        alone.ip("link del br0")
        os.system(f"ip netns del {alone.name}")


def test_databases_and_lists_that_are_not_there_are_named(sensor: Sensor, lab: Lab) -> None:
    sensor.launch('[geo]\ndatabases = ["/nowhere/geo.mmdb"]\n')
    assert sensor.process is not None
    assert sensor.process.wait(10) == 1
    [line] = [line for line in sensor.log.splitlines() if line]
    assert "/nowhere/geo.mmdb" in line
