"""The unit, looked at by systemd's own tools; it is run in test_install.py."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from executor import read_unit

from sensor.capture.privileges import DEFAULT_USERS

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd/idlewire.service"
EXPOSURE = 1.8
"""At most, on systemd's scale from 0 (safe) to 10."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the package systemd")


def analyze(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """Verified as if the program and its man page were there."""
    lines = UNIT.read_text().replace("/opt/idlewire/venv/bin/idlewire", "/bin/true").splitlines()
    unit = tmp_path / "idlewire.service"
    unit.write_text("\n".join(line for line in lines if not line.startswith("Documentation=")))
    assert "idlewire.service" not in analyze("verify", str(unit))


@needs_systemd
def test_its_exposure_is_low() -> None:
    said = analyze("security", "--offline=true", str(UNIT))
    level = re.search(r"Overall exposure level for idlewire.service: ([\d.]+)", said)
    assert level is not None, said
    assert float(level[1]) <= EXPOSURE, said


def test_it_has_the_one_right_and_the_user_that_root_would_become() -> None:
    unit = read_unit(UNIT)
    assert unit["AmbientCapabilities"] == unit["CapabilityBoundingSet"] == ["CAP_NET_RAW"]
    assert unit["User"] == [DEFAULT_USERS[0]]


def test_the_watchdog_and_the_notifications_belong_together() -> None:
    unit = read_unit(UNIT)
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert int(unit["WatchdogSec"][0]) >= 10, "capture looks for a missing interface once a second"


def test_what_forwards_can_be_read() -> None:
    """Whether this box routes decides about promiscuous mode, and stands in /proc/sys."""
    assert "ProcSubset" not in read_unit(UNIT)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs the package shellcheck")
def test_the_scripts_are_clean() -> None:
    scripts = [*(ROOT / "deploy").glob("*.sh"), *(ROOT / "deploy/debian").glob("p*")]
    assert len(scripts) >= 7
    done = subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
