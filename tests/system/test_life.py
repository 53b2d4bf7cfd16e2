"""Starting, waiting, losing the interface, ending: what an operator relies on."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemon import ROOT, START_LIMIT, Sensor, capabilities, until
from lab import CLIENT_MACS, Lab
from traffic import Internet, load, transfer

PHONE = CLIENT_MACS["c1"]
CAP_NET_RAW = 13


def sent_to(sensor: Sensor, address: str) -> int:
    """Bytes that the phone sent to an address, as the API says."""
    return sum(row["sent_bytes"] for (_, there), row in sensor.destinations(PHONE).items() if there == address)


def complaint(sensor: Sensor) -> list[str]:
    """The lines that a start that failed has printed."""
    return [line for line in sensor.log.splitlines() if line.strip()]


def test_the_page_answers_in_time(sensor: Sensor) -> None:
    assert sensor.start() <= START_LIMIT


def test_it_gives_up_every_right_but_the_one_to_capture(sensor: Sensor) -> None:
    sensor.start()
    threads = capabilities(sensor.pid)
    for status in threads:
        assert "0" not in status["Uid"].split(), status["Name"]
        assert "0" not in status["Gid"].split(), status["Name"]
        assert "0" not in status["Groups"].split(), status["Name"]
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status[kind], 16) & ~(1 << CAP_NET_RAW) == 0, (status["Name"], kind, status[kind])
    assert any(int(status["CapEff"], 16) for status in threads), "without CAP_NET_RAW a new interface cannot be opened"


def test_it_starts_from_a_folder_that_only_root_may_enter(sensor: Sensor, lab: Lab, internet: Internet) -> None:
    """`state_dir` below a home folder: made before the rights are given up, or refused in one line."""
    sensor.state.parent.chmod(0o700)
    sensor.start()
    address = lab.new_address()
    transfer(lab.c1, address, up=1000)
    assert until(lambda: sent_to(sensor, address) > 1000, 5)
    assert "Traceback" not in sensor.log


def test_sigterm_under_load_ends_cleanly(sensor: Sensor, lab: Lab, internet: Internet) -> None:
    sensor.start()
    with load(lab.c1, lab.new_address()):
        time.sleep(1)
        began = time.monotonic()
        assert sensor.stop() == 0
        assert time.monotonic() - began <= 5
    assert "Traceback" not in sensor.log


def test_an_interface_that_is_removed_and_comes_back_under_load(sensor: Sensor, lab: Lab, internet: Internet) -> None:
    sensor.start()
    address = lab.new_address()
    with load(lab.c1, address, chunk=50_000):
        assert until(lambda: sent_to(sensor, address) > 50_000, 5)
        lab.remove_bridge()
        time.sleep(1.5)
        before = sent_to(sensor, address)
        assert before, "what was counted stays"
        lab.build_bridge()
        lab.offloads(segments_on_wire=True)
        assert until(lambda: sent_to(sensor, address) > before + 50_000, 10), sensor.log
    assert sensor.process is not None
    assert sensor.process.poll() is None
    assert "Traceback" not in sensor.log
    assert sensor.stop() == 0


def test_it_waits_for_an_interface_that_is_not_there_yet(sensor: Sensor, lab: Lab) -> None:
    sensor.start(interface="late0")
    time.sleep(1)
    assert len([line for line in sensor.log.splitlines() if "late0" in line and "wait" in line.lower()]) == 1, (
        sensor.log
    )
    lab.box.ip("link add late0 type veth peer name late1", "link set late1 up", "link set late0 up")
    try:

        def sees_frames() -> bool:
            with lab.box.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as opened:
                opened.bind(("late1", 0))
                opened.send(b"\xff" * 6 + bytes.fromhex("020000000005") + b"\x88\xb5" + bytes(46))
            return sensor.metric("idlewire_capture_frames_total") > 0

        assert until(sees_frames, 10), sensor.log
    finally:
        lab.box.ip("link del late0")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ('interfaces = "br0"', "interface"),
        ('[[watch]]\nname = "x"\ncountries = ["China"]', "countries"),
        ('[[watch]]\nname = "x"\ncidrs = ["1.2.3.4/40"]', "cidrs"),
        ('[[sink]]\nname = "x"\ntype = "../webhook"\nurl = "http://127.0.0.1/"', "type"),
        ('[web]\nlisten = "nowhere"', "listen"),
    ],
)
def test_a_bad_configuration_is_one_line_that_names_the_key(sensor: Sensor, config: str, key: str) -> None:
    sensor.launch(config)
    assert sensor.process is not None
    assert sensor.process.wait(10) == 1
    assert len(complaint(sensor)) == 1, sensor.log
    assert key in sensor.log


def test_without_the_capability_it_says_so_in_one_line(sensor: Sensor) -> None:
    sensor.launch(wrapper=("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"))
    assert sensor.process is not None
    assert sensor.process.wait(10) == 1
    assert len(complaint(sensor)) == 1, sensor.log
    assert "CAP_NET_RAW" in sensor.log


def test_an_ordinary_user_is_told_what_is_missing(sensor: Sensor) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    probe = subprocess.run(
        [*nobody, sys.executable, "-c", "import numpy, sensor"], cwd=ROOT, capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip("the interpreter or the checkout lies where another user cannot read it (try /opt or /srv)")
    sensor.state.mkdir(mode=0o777)
    os.chown(sensor.state, 65534, 65534)
    sensor.launch(wrapper=nobody)
    assert sensor.process is not None
    assert sensor.process.wait(10) == 1
    assert len(complaint(sensor)) == 1, sensor.log
    assert "CAP_NET_RAW" in sensor.log


def test_a_second_sensor_says_that_the_port_is_taken(sensor: Sensor, lab: Lab, tmp_path: Path) -> None:
    sensor.start()
    second = Sensor(lab.box, tmp_path)
    tmp_path.chmod(0o755)
    second.launch()
    try:
        assert second.process is not None
        assert second.process.wait(10) == 1
        assert "8470" in complaint(second)[-1], second.log
        assert "Traceback" not in second.log
    finally:
        second.kill()
        shutil.rmtree(tmp_path, ignore_errors=True)
