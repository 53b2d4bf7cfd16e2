"""W8: what is observed is never asked for: no name is resolved, no address is connected to."""

import json
import struct
import subprocess
import sys
from pathlib import Path

from tests.hostile.cases import CASES

WATCHED = """
import sys

WORDS = ("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.getnameinfo", "socket.sendto",
         "subprocess.Popen", "os.system", "urllib.Request")

def hook(event, arguments):
    if event.startswith(WORDS):
        print("asked:", event, arguments, file=sys.stderr)
        sys.stderr.flush()

sys.addaudithook(hook)
from sensor.cli import main

sys.exit(main(sys.argv[1:]))
"""


def test_no_name_is_resolved_and_nothing_is_connected_to(tmp_path: Path) -> None:
    frames = [frame for case in CASES for frame in case()]
    records = b"".join(
        struct.pack("<IIII", 1_790_000_000 + at // 100, at % 100, len(frame), len(frame)) + frame
        for at, frame in enumerate(frames)
    )
    capture = tmp_path / "hostile.pcap"
    capture.write_bytes(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1) + records)
    config = tmp_path / "lab.toml"
    config.write_text('[[watch]]\nname = "all"\ncountries = ["CN", "US"]\ncidrs = ["0.0.0.0/1", "128.0.0.0/1"]\n')
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "replay", "--json", "--config", str(config), str(capture)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "asked:" not in done.stderr
    seen = json.loads(done.stdout)
    assert seen["capture"]["frames"] == len(frames)
    assert seen["names_seen"], "there was something to ask for"
    assert seen["alerts"]


def test_the_watch_would_see_it() -> None:
    """A test that cannot fail shows nothing."""
    asks = WATCHED.partition("from sensor")[0] + "import socket; socket.getaddrinfo('127.0.0.1', 1)"
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, timeout=60, check=False)
    assert "asked: socket.getaddrinfo" in done.stderr
