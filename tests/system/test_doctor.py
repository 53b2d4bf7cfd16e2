"""`idlewire doctor` and `idlewire setup` in a box with a bridge, clients and a sensor that runs."""

import json
import subprocess
import sys
from typing import Any

from daemon import ROOT, Hook, Sensor, until
from lab import CLIENT_MACS, Lab
from traffic import Internet, load, transfer


def command(sensor: Sensor, *words: str) -> subprocess.CompletedProcess[str]:
    line = sensor.namespace.command(sys.executable, "-m", "sensor", *words)
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def examined(sensor: Sensor) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    done = command(sensor, "doctor", "--config", str(sensor.config), "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    about: dict[str, list[tuple[str, str]]] = {}
    for each in found["findings"]:
        about.setdefault(each["about"], []).append((each["level"], each["said"]))
    return done.returncode, about


def test_a_sensor_that_works(sensor: Sensor, lab: Lab, internet: Internet, hook: Hook) -> None:
    sensor.start('[[sink]]\nname = "hook"\ntype = "webhook"\nurl = "http://127.0.0.1:9000/hook"')
    with load(lab.c1, lab.new_address()):
        code, about = examined(sensor)
    assert code == 0, about
    assert ("ok", "br0 is a bridge of p1, p2") in about["interface"]
    assert about["promiscuous"][0][1].startswith("not needed: this box routes for the clients of br0")
    assert about["sink hook"] == [("ok", "127.0.0.1:9000 takes connections")]
    [(level, said)] = about["sensor"]
    assert level == "ok"
    assert said.startswith("runs on br0 and saw ")
    assert hook.received == [], "nothing was sent"


def test_what_is_down(sensor: Sensor, lab: Lab) -> None:
    sink = '[[sink]]\nname = "x"\ntype = "webhook"\nurl = "http://127.0.0.1:9000/"'
    sensor.config.write_text(f'state_dir = "{sensor.state}"\ninterface = "br0"\n{sink}')
    lab.box.ip("link set br0 down")
    try:
        code, about = examined(sensor)
    finally:
        lab.remove_bridge()
        lab.build_bridge()
    assert code == 1
    assert ("error", "br0 is down") in about["interface"]
    assert about["sink x"] == [("warning", "127.0.0.1:9000 cannot be reached: Connection refused")]
    assert about["sensor"] == [("note", "does not run")]


def test_from_setup_to_the_first_alert(sensor: Sensor, lab: Lab, internet: Internet, hook: Hook) -> None:
    """What a new user does."""
    place = lab.new_address()
    transfer(lab.c1, place, up=1_000)
    folder = sensor.config.parent
    done = command(
        sensor, "setup", "--yes", "--config", str(sensor.config), "--interface", "br0", "--owner", "Amazon",
        "--client", f"{CLIENT_MACS['c1']}=Redmi Note", "--sink", "webhook", "--set", "url=http://127.0.0.1:9000/hook",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "bridge of p1, p2, up" in done.stdout
    assert CLIENT_MACS["c1"] in done.stdout
    assert (folder / "webhook.url").read_text() == "http://127.0.0.1:9000/hook\n"
    written = sensor.config.read_text()
    assert command(sensor, "check-config", str(sensor.config)).returncode == 0
    sensor.start(written)
    transfer(lab.c1, place, up=1_000)
    [alert] = until(lambda: [each for _, each in hook.about(place)], 5)
    assert (alert["client"]["name"], alert["reason"]["rule"]) == ("Redmi Note", "watched")
