"""A client that contacts a watched place: the alert is at a real web server within 2 seconds, once."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon import HOOK_PORT, Hook, Sensor, running, until
from lab import CLIENT_MACS, Lab
from traffic import Internet, resolve, transfer

LIMIT = 2.0
"""Seconds from the first packet to the webhook (DESIGN.md section 6)."""

SINK = f"""
[[sink]]
name = "lab"
type = "webhook"
url = "http://127.0.0.1:{HOOK_PORT}/hook"
"""

CONFIG = f"""
[[watch]]
name = "china"
countries = ["CN"]
severity = "critical"
[[watch]]
name = "block"
cidrs = ["52.29.9.0/24", "2a05:d014:9::/48"]
[[watch]]
name = "vendor"
domains = ["xiaomi.example"]
[[watch]]
name = "only the tablet"
cidrs = ["52.29.10.0/24"]
clients = ["{CLIENT_MACS["c2"]}"]
{SINK}
"""


@pytest.fixture(scope="module")
def receiver(lab: Lab) -> Iterator[Hook]:
    server = Hook(lab.box)
    server.open()
    yield server
    server.close()


@pytest.fixture(scope="module")
def alerting(lab: Lab, internet: Internet, receiver: Hook, folder: Path) -> Iterator[Sensor]:
    with running(lab.box, folder, CONFIG) as sensor:
        yield sensor


def alert_about(hook: Hook, address: str, began: float, client: str = "c1") -> dict[str, Any]:
    """The one alert about an address: in time, and alone also 2 s later."""
    until(lambda: hook.about(address), 3 * LIMIT)
    found = hook.about(address)
    assert found, f"no alert about {address}; received: {[alert for _, alert in hook.received]}"
    assert found[0][0] - began <= LIMIT
    time.sleep(1.5)
    assert len({alert["id"] for _, alert in hook.about(address)}) == 1
    assert len(hook.about(address)) == 1
    alert = found[0][1]
    assert alert["client"]["mac"] == CLIENT_MACS[client]
    assert alert["detector"] == "watchlist"
    return alert


@pytest.mark.parametrize("address", ["42.62.48.10", "2400:3200::1"], ids=["IPv4", "IPv6"])
def test_a_watched_country(alerting: Sensor, lab: Lab, receiver: Hook, address: str) -> None:
    lab.add_address(address)
    began = time.monotonic()
    transfer(lab.c1, address, up=5000)
    alert = alert_about(receiver, address, began)
    assert alert["severity"] == "critical"
    assert alert["destination"]["country"] == "CN"
    assert address in alert["summary"] or alert["destination"]["name"] or alert["destination"]["owner"]
    assert alert["evidence"]["sent_bytes"] > 0
    assert [found["id"] for found in alerting.get("/api/v1/alerts")["alerts"]].count(alert["id"]) == 1


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_a_watched_block(alerting: Sensor, lab: Lab, receiver: Hook, six: bool) -> None:
    address = lab.new_address(six=six, block="2a05:d014:9:" if six else "52.29.9")
    began = time.monotonic()
    transfer(lab.c2 if six else lab.c1, address, up=5000)
    alert_about(receiver, address, began, "c2" if six else "c1")


@pytest.mark.parametrize("source", ["dns", "tls"])
def test_a_watched_domain(alerting: Sensor, lab: Lab, internet: Internet, receiver: Hook, source: str) -> None:
    client, address = (lab.c1, lab.new_address(block="52.29.11")) if source == "dns" else (lab.c2, lab.new_address())
    name = f"{source}.api.xiaomi.example"
    if source == "dns":
        lab.add_address("1.1.1.1")
        internet.serve_names("1.1.1.1", {name: [address]})
        assert resolve(client, "1.1.1.1", name) == [address]
    began = time.monotonic()
    transfer(client, address, up=5000, server_name=name if source == "tls" else None)
    alert = alert_about(receiver, address, began, "c1" if source == "dns" else "c2")
    assert alert["destination"]["name"] == name
    assert alert["destination"]["name_source"] == source


def test_what_is_not_watched_raises_nothing(alerting: Sensor, lab: Lab, receiver: Hook) -> None:
    """A neighbour of the watched block, a name that only ends alike, another client's watch."""
    neighbour, alike, others = lab.new_address(block="52.29.8"), lab.new_address(), lab.new_address(block="52.29.10")
    transfer(lab.c1, neighbour, up=5000)
    transfer(lab.c1, alike, up=5000, server_name="notxiaomi.example")
    transfer(lab.c1, others, up=5000)
    time.sleep(LIMIT)
    assert not [address for address in (neighbour, alike, others) if receiver.about(address)]
