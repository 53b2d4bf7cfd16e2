"""From facts to findings: nothing else is looked at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensor.base.times import SECOND
from sensor.capture.interface import Decision, Link
from sensor.capture.survey import Survey
from sensor.config import parse
from sensor.doctor.checks import CHECKS, examined
from sensor.doctor.facts import Facts, State, Waiting
from sensor.doctor.findings import Finding
from sensor.doctor.reach import Endpoint, Reached

NOW = 1_795_000_000 * SECOND
BRIDGE = Link("br0", 2, 1, True, True, True, False)
PORT = Link("wlan0", 3, 1, True, True, False, False, 0, 2)
BOX = Survey((Link("lo", 1, 772, True, True, False, True), BRIDGE, PORT), {}, ("eth0",), frozenset(), ())
SETTINGS = {
    "watch": [{"name": "a", "asns": [1]}],
    "sink": [{"name": "lab", "type": "webhook", "url": "http://127.0.0.1:9/x"}],
}
RUNNING = {"capture": {"interface": "br0", "interface_up": True, "frames": 9, "captured_ratio": 1.0}}


FLOWS = {"flowtables": [("f", True, ("br0", "eth0"))]}
REFUSED = {"reached": [Reached(Endpoint("sink lab", "h", 9), "refused")]}


def facts(**changes: Any) -> Facts:
    """Of a box on which all is well, but for `changes`."""
    well: dict[str, Any] = {
        "path": Path("/etc/idlewire/idlewire.toml"), "config": parse(SETTINGS), "now": NOW, "can_capture": True,
        "is_root": True, "box": BOX, "interface": "br0", "promiscuous": Decision(False, "this box routes"),
        "features": {"br0": {"rx-gro": True}}, "flowtables": [], "synchronised": True,
        "state": State(True, 10**9, False, 1000, False), "geo": ("IPinfo Lite", NOW - 86_400 * SECOND * 20),
        "outbox": Waiting(), "reached": [Reached(Endpoint("sink lab", "127.0.0.1", 9), None)], "status": RUNNING,
        "frames": 12, "reload_ok": True,
    }  # fmt: skip
    return Facts(**{**well, **changes})


def troubles(**changes: Any) -> list[tuple[str, str, str]]:
    return [(each.level, each.about, each.said) for each in examined(facts(**changes)) if each.level != "ok"]


def only(**changes: Any) -> Finding:
    """The one finding that the change makes; it says what to do."""
    [found] = [each for each in examined(facts(**changes)) if each.level != "ok"]
    return found


def links(*changed: Link) -> Survey:
    return replace(BOX, links=changed)


def test_where_all_is_well_it_says_what_was_looked_at() -> None:
    found = examined(facts())
    assert {each.level for each in found} == {"ok"}
    assert {each.about for each in found} == {
        "configuration", "rights", "interface", "promiscuous", "offload", "clock", "disk", "database", "outbox",
        "sink lab", "sensor",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("level", "about", "said", "changes"),
    [
        ("error", "configuration", "web.lisen: unknown key", {"problems": ["web.lisen: unknown key"]}),
        ("warning", "configuration", "the last reload was refused", {"reload_ok": False}),
        ("warning", "configuration", "no [[sink]]", {"config": parse({"watch": SETTINGS["watch"]})}),
        ("warning", "configuration", "neither a [[watch]]", {"config": parse({"sink": SETTINGS["sink"]})}),
        ("note", "rights", "the sensor that runs may", {"can_capture": False}),
        ("error", "interface", "cannot be read", {"box": None}),
        ("error", "interface", "there is no interface br7", {"interface": "br7"}),
        ("error", "interface", "no bridge and no default route", {"interface": None}),
        ("error", "interface", "br0 is down", {"box": links(replace(BRIDGE, up=False, running=False), PORT)}),
        ("warning", "interface", "nothing is connected", {"box": links(replace(BRIDGE, running=False), PORT)}),
        ("warning", "interface", "has no ports", {"box": links(BRIDGE)}),
        ("warning", "interface", "wlan0 is only a port of br0", {"interface": "wlan0"}),
        (
            "warning", "promiscuous", "is off, but",
            {"promiscuous": Decision(True, "it bridges"), "config": parse({**SETTINGS, "promiscuous": False})},
        ),
        (
            "warning", "promiscuous", "eth0 is no bridge",
            {
                "promiscuous": Decision(True, "it does not route"), "interface": "eth0",
                "box": links(Link("eth0", 2, 1, True, True, False, False)),
            },
        ),
        ("warning", "offload", "wlan0: hw-tc-offload is on", {"features": {"wlan0": {"hw-tc-offload": True}}}),
        ("warning", "offload", "rx-lro is on", {"features": {"br0": {"rx-lro": True}}}),
        ("warning", "offload", "flowtable f (hardware) takes flows of br0, eth0", FLOWS),
        ("note", "offload", "flowtables cannot be read", {"flowtables": None}),
        ("warning", "clock", "is not synchronised", {"synchronised": False}),
        ("note", "clock", "does not say", {"synchronised": None}),
        ("error", "disk", "cannot be looked at", {"state": None}),
        ("error", "disk", "read-only", {"state": State(True, 10**9, True, 9, False)}),
        ("error", "disk", "only 5.0 MB are free", {"state": State(True, 5 * 10**6, False, 9, False)}),
        ("error", "disk", "are free", {"state": State(True, 10**9, False, 0, False)}),
        ("warning", "disk", "only 90.0 MB are free", {"state": State(True, 90 * 10**6, False, 9, False)}),
        ("note", "disk", "is not there yet", {"state": State(False, 10**9, False, 9, False)}),
        ("note", "disk", "SD card", {"state": State(True, 10**9, False, 9, True)}),
        ("error", "database", "cannot be read", {"geo": "geo.databases: /x cannot be read"}),
        ("warning", "database", "200 days old", {"geo": ("IPinfo Lite", NOW - 200 * 86_400 * SECOND)}),
        ("note", "database", "when it was built", {"geo": None}),
        ("error", "outbox", "malformed", {"outbox": "outbox.db: malformed"}),
        ("warning", "outbox", "3 messages were given up, 2 wait", {"outbox": Waiting(2, 3)}),
        ("warning", "sink lab", "h:9 cannot be reached: refused", REFUSED),
        ("note", "sink lab", "cannot be told", {"reached": [Reached(Endpoint("sink lab", None, 0), None)]}),
        ("note", "sensor", "does not run", {"status": None, "outbox": None}),
        ("error", "sensor", "another program", {"status": None, "outbox": None, "listen": "another program uses it"}),
        ("warning", "sensor", "saw no frame just now", {"frames": 0}),
        ("error", "sensor", "waits for br0", {"status": {"capture": {"interface": "br0", "interface_up": False}}}),
        (
            "warning", "sensor", "lost 40.0 % of the frames",
            {"status": {"capture": {**RUNNING["capture"], "captured_ratio": 0.6}}},
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_and_what_to_do(level: str, about: str, said: str, changes: dict[str, Any]) -> None:
    found = only(**changes)
    assert (found.level, found.about) == (level, about)
    assert said in found.said
    assert found.remedy or level in ("note", "error")


def test_without_rights_and_without_a_sensor_nothing_can_be_seen() -> None:
    assert ("error", "rights", "may not capture (CAP_NET_RAW)") in troubles(can_capture=False, status=None, outbox=None)


def test_a_clock_that_was_never_set() -> None:
    assert ("error", "clock", "was never set: it is before 2026") in troubles(now=0, geo=None)


def test_every_check_is_asked_and_survives_facts_that_could_not_be_had() -> None:
    empty = Facts(Path("/x"))
    assert all(isinstance(each, Finding) for check in CHECKS for each in check(empty))
    assert examined(replace_status({}))
    assert examined(replace_status({"capture": {"captured_ratio": "x", "interface": "\x1b[31m"}}))


def replace_status(status: dict[str, Any]) -> Facts:
    return facts(status=status)
