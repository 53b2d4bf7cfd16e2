"""What the daemon opens for writing, as the interpreter itself tells: nothing but what is its own."""

import json
import os
import signal
import time
from pathlib import Path

from daemon import Hook, Sensor, until
from lab import Lab
from traffic import Internet, transfer

LISTENER = """
import json, os, sys

log = os.open(LOG, os.O_WRONLY | os.O_APPEND)

def hook(event, given):
    if event == "open" and isinstance(given[0], (str, bytes)) and given[2] is not None:
        if not given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            return
    elif event not in {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
                       "os.chmod", "os.chown", "sqlite3.connect", "subprocess.Popen", "os.system", "os.exec"}:
        return
    path = given[0]
    os.write(log, (json.dumps([event, os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)])
                   + "\\n").encode())

sys.addaudithook(hook)
"""


IMPORTS = """
import os, sys

log = os.open(LOG, os.O_WRONLY | os.O_APPEND)
parts = ("/sensor/", "/site-packages", "/lib/python")

def hook(event, given):
    if event == "import" or (event in ("open", "os.listdir") and any(part in str(given[0]) for part in parts)):
        os.write(log, f"{event} {given[0]}\\n".encode())

sys.addaudithook(hook)
"""


MUCH = """
local = ["198.51.100.0/24"]
[[client]]
mac = "02:00:00:00:00:01"
name = "TV"
[[watch]]
name = "a"
countries = ["CN"]
cidrs = ["192.0.2.0/24"]
domains = ["a.example"]
[foreground.schedule]
timezone = "Europe/Berlin"
[[foreground.schedule.quiet]]
clients = ["TV"]
from = "1:00"
to = "2:00"
[foreground.push]
[foreground.inferred]
[detect.new_destination]
[[sink]]
name = "s"
type = "slack"
url = "http://127.0.0.1:1/abcdefgh"
[[sink]]
name = "m"
type = "email"
host = "127.0.0.1"
from = "a@b.example"
to = ["a@b.example"]
"""


def listening(sensor: Sensor, listener: str) -> tuple[Path, tuple[str, ...]]:
    """The log of what the listener hears in the daemon, and what goes before its command line."""
    folder = sensor.config.parent / "listening"
    folder.mkdir()
    log = folder / "log"
    log.touch()
    log.chmod(0o666)
    (folder / "sitecustomize.py").write_text(f"LOG = {str(log)!r}\n{listener}")
    return log, ("env", f"PYTHONPATH={folder}", "PYTHONDONTWRITEBYTECODE=1")


def test_a_reload_imports_nothing(sensor: Sensor, lab: Lab) -> None:
    """The interpreter may lie where the user that the sensor became cannot read."""
    log, wrapper = listening(sensor, IMPORTS)
    sensor.launch(wrapper=wrapper)
    assert until(lambda: "running as" in sensor.log and "local: " in sensor.log, 20), sensor.log
    time.sleep(0.5)
    heard = log.read_text().splitlines()
    assert any("/chat/" in each and "slack" in each for each in heard), "the listener hears nothing"
    sensor.config.write_text(f'state_dir = "{sensor.state}"\n{MUCH}')
    os.kill(sensor.pid, signal.SIGHUP)
    assert until(lambda: "reload: taken" in sensor.log, 10), sensor.log
    sensor.config.write_text("[sinks]")
    os.kill(sensor.pid, signal.SIGHUP)
    assert until(lambda: "reload: refused" in sensor.log, 10), sensor.log
    assert log.read_text().splitlines()[len(heard) :] == []


def test_nothing_outside_the_state_folder(sensor: Sensor, lab: Lab, internet: Internet, hook: Hook) -> None:
    log, wrapper = listening(sensor, LISTENER)
    place = lab.new_address()
    config = f'[[watch]]\nname = "a"\ncidrs = ["{place}"]\n[[sink]]\nname = "hook"\ntype = "webhook"\n'
    sensor.launch(f'{config}url = "http://127.0.0.1:9000/hook"\n', wrapper=wrapper)
    assert until(lambda: "page on" in sensor.log, 20), sensor.log
    transfer(lab.c1, place, up=1_000)
    assert until(lambda: hook.about(place), 10)
    assert sensor.stop() == 0
    heard = [json.loads(line) for line in log.read_text().splitlines()]
    assert {event for event, _ in heard} >= {"open", "sqlite3.connect"}, "the listener hears nothing"
    own = (str(sensor.state), f"file:{sensor.state}", "/dev/null")
    assert [each for each in heard if not each[1].startswith(own) and not each[1].isdigit()] == []
    assert Path(sensor.state).is_dir()
