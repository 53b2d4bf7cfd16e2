"""What the daemon opens for writing, as the interpreter itself tells: nothing but what is its own."""

import json
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


def test_nothing_outside_the_state_folder(sensor: Sensor, lab: Lab, internet: Internet, hook: Hook) -> None:
    folder = sensor.config.parent / "listening"
    folder.mkdir()
    log = folder / "log"
    log.touch()
    log.chmod(0o666)
    (folder / "sitecustomize.py").write_text(f"LOG = {str(log)!r}\n{LISTENER}")
    place = lab.new_address()
    config = f'[[watch]]\nname = "a"\ncidrs = ["{place}"]\n[[sink]]\nname = "hook"\ntype = "webhook"\n'
    sensor.launch(
        f'{config}url = "http://127.0.0.1:9000/hook"\n',
        wrapper=("env", f"PYTHONPATH={folder}", "PYTHONDONTWRITEBYTECODE=1"),
    )
    assert until(lambda: "page on" in sensor.log, 20), sensor.log
    transfer(lab.c1, place, up=1_000)
    assert until(lambda: hook.about(place), 10)
    assert sensor.stop() == 0
    heard = [json.loads(line) for line in log.read_text().splitlines()]
    assert {event for event, _ in heard} >= {"open", "sqlite3.connect"}, "the listener hears nothing"
    own = (str(sensor.state), f"file:{sensor.state}", "/dev/null")
    assert [each for each in heard if not each[1].startswith(own) and not each[1].isdigit()] == []
    assert Path(sensor.state).is_dir()
