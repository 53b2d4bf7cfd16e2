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
UPDATE = ROOT / "systemd/idlewire-geo-update.service"
EXPOSURE = 1.8
"""At most, on systemd's scale from 0 (safe) to 10."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the package systemd")


def analyze(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@needs_systemd
@pytest.mark.parametrize("name", ["idlewire.service", "idlewire-geo-update.timer"])
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    """Verified as if the program and its man page were there; a timer with its service."""
    for each in UNIT.parent.glob("idlewire*.[st]*e*"):
        lines = each.read_text().replace("/opt/idlewire/venv/bin/idlewire", "/bin/true").splitlines()
        (tmp_path / each.name).write_text("\n".join(line for line in lines if not line.startswith("Documentation=")))
    assert "idlewire" not in analyze("verify", str(tmp_path / name))


@needs_systemd
@pytest.mark.parametrize("unit", [UNIT, UPDATE])
def test_its_exposure_is_low(unit: Path) -> None:
    said = analyze("security", "--offline=true", str(unit))
    level = re.search(rf"Overall exposure level for {unit.name}: ([\d.]+)", said)
    assert level is not None, said
    print(f"{unit.name}: {level[1]} of 10")
    assert float(level[1]) <= EXPOSURE, said


def test_who_fetches_has_no_right_at_all_and_else_the_same_sandbox() -> None:
    unit, update = read_unit(UNIT), read_unit(UPDATE)
    assert update["CapabilityBoundingSet"] == [""]
    assert "AmbientCapabilities" not in update
    own = {"AmbientCapabilities", "CapabilityBoundingSet", "RestrictAddressFamilies"}
    guards = {
        key for key in unit if key.startswith(("Protect", "Private", "Restrict", "System", "State", "User", "Group"))
    }
    assert {key: update[key] for key in guards - own} == {key: unit[key] for key in guards - own}
    assert "AF_PACKET" not in update["RestrictAddressFamilies"][0]


def test_the_timer_asks_once_a_week_and_is_not_enabled_by_itself() -> None:
    timer = read_unit(UPDATE.with_suffix(".timer"))
    assert (timer["OnCalendar"], timer["Persistent"]) == (["weekly"], ["yes"])
    for script in ("install.sh", "debian/postinst"):
        enabling = [line for line in (ROOT / "deploy" / script).read_text().splitlines() if " enable " in line]
        assert enabling
        assert not any("geo-update" in line for line in enabling)


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
