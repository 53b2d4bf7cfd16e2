"""Phones that push their state from their own namespace, known by the address they send from."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon import ROOT, Sensor, running, until
from lab import CLIENT_MACS, LAN4, LAN6, Lab, Namespace
from traffic import Internet, transfer

from sensor.base.addresses import mac_text, parse_address
from sensor.capture.neighbours import read_neighbours

PHONE, TABLET = CLIENT_MACS["c1"], CLIENT_MACS["c2"]
GATEWAY, PORT = f"{LAN4}.1", 8471
TOKEN = "a-token-for-whoever"


@pytest.fixture(scope="module")
def pushed(lab: Lab, internet: Internet, folder: Path) -> Iterator[Sensor]:
    token = folder / "push.token"
    token.write_text(TOKEN)
    token.chmod(0o600)  # only root may read it: the sensor does so before it becomes somebody else
    config = f"""
[foreground]
grace = "0s"
[foreground.push]
listen = "{GATEWAY}:{PORT}"
[[foreground.push.phone]]
token_file = "{token}"
[foreground.manual]
token_file = "{token}"
"""
    with running(lab.box, folder, config) as sensor:
        for client in (lab.c1, lab.c2):
            transfer(client, lab.new_address(), up=1000)
        yield sensor


def push(
    lab: Lab, client: Namespace, body: dict[str, Any], path: str = "/api/v1/foreground", *, token: str = TOKEN
) -> int:
    """One POST from the client to the box's LAN address."""
    connection = http.client.HTTPConnection(GATEWAY, PORT, timeout=10)
    with closing(connection):
        with client.entered():
            connection.connect()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        return connection.getresponse().status


def state(sensor: Sensor, mac: str) -> str:
    rows = sensor.get(f"/api/v1/foreground?client={mac}")["clients"]
    return str(rows[0]["state"]) if rows else "not there"


def test_each_phone_speaks_for_itself(pushed: Sensor, lab: Lab) -> None:
    assert push(lab, lab.c1, {"event": "screen_off"}) == 200
    assert push(lab, lab.c2, {"event": "app_opened", "app": "com.foo"}) == 200
    assert until(lambda: state(pushed, PHONE) == "background", 5)
    assert state(pushed, TABLET) == "foreground"


def test_and_for_nobody_else(pushed: Sensor, lab: Lab) -> None:
    assert push(lab, lab.c2, {"event": "screen_on", "client": PHONE}) == 403
    assert state(pushed, PHONE) == "background"


def test_the_owners_word_comes_by_the_command_and_is_kept(pushed: Sensor, lab: Lab) -> None:
    words = (sys.executable, "-m", "sensor", "idle", TABLET, "--for", "2h", "--config", str(pushed.config))
    done = subprocess.run(lab.box.command(*words), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{TABLET}: counts as not in use until ")
    assert state(pushed, TABLET) == "background"
    kept = pushed.state / "manual.json"
    assert until(lambda: kept.exists() and TABLET in kept.read_text(), 5)


def test_the_lan_sees_nothing_but_that_path(pushed: Sensor, lab: Lab) -> None:
    assert push(lab, lab.c1, {}, "/api/v1/clients") == 404
    assert "Traceback" not in pushed.log


@pytest.mark.parametrize("address", [f"{LAN4}.11", f"{LAN6}:11"])
def test_the_box_knows_its_neighbours_by_both_protocols(pushed: Sensor, lab: Lab, address: str) -> None:
    transfer(lab.c1, lab.new_address(six=":" in address), up=1000)
    with lab.box.entered():
        assert mac_text(read_neighbours()[parse_address(address)]) == PHONE
