"""Findings as text and as JSON."""

import json

from sensor.doctor.findings import Finding
from sensor.doctor.report import as_json, as_text, code

WELL = Finding("ok", "clock", "is synchronised", "unused")
BAD = Finding("error", "interface", "br0 is down", "sudo ip link set br0 up")
SO_SO = Finding("warning", "sink \x1b[31m", "cannot be reached")


def test_as_text() -> None:
    assert as_text([WELL, BAD, SO_SO]).splitlines() == [
        "  ok   clock: is synchronised",
        "ERROR  interface: br0 is down",
        "       -> sudo ip link set br0 up",
        " WARN  sink \\u001b[31m: cannot be reached",
        "1 thing keeps it from working.",
    ]
    assert as_text([WELL]).splitlines()[-1] == "Nothing keeps it from working."
    assert as_text([SO_SO]).splitlines()[-1] == "Nothing keeps it from working; 1 warning."
    assert as_text([BAD, BAD]).splitlines()[-1] == "2 things keep it from working."


def test_as_json() -> None:
    found = json.loads(as_json([WELL, BAD]))
    assert found["works"] is False
    assert found["findings"][1] == {
        "level": "error", "about": "interface", "said": "br0 is down", "remedy": "sudo ip link set br0 up",
    }  # fmt: skip


def test_the_exit_code() -> None:
    assert (code([]), code([WELL, SO_SO]), code([WELL, BAD])) == (0, 0, 1)
