"""What the doctor looks at, read once. Nothing is sent to anybody but to the daemon on this box."""

import ctypes
import errno
import http.client
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from sensor import config
from sensor.capture import privileges
from sensor.capture.interface import Decision, choose_interface, surroundings
from sensor.capture.survey import Survey, survey
from sensor.config import Config
from sensor.doctor.reach import Reached, endpoints, reach
from sensor.enrich.geo import GeoDatabase
from sensor.enrich.updated import FILE, examined
from sensor.errors import DataError, SensorError

T = TypeVar("T")

DAEMON_SECONDS, TOOL_SECONDS = 3.0, 5.0
"""For an answer of the daemon, and for a command of the system."""

LOOK_SECONDS = 1.5
"""Between two looks at the daemon's count of frames."""

STA_UNSYNC = 0x0040
"""linux/timex.h."""


@dataclass(slots=True)
class Facts:
    """None: it could not be told."""

    path: Path
    """Of the configuration."""
    problems: list[str] = field(default_factory=list)
    """Of the configuration, one line each."""
    config: Config = field(default_factory=Config)
    now: int = 0
    """ns since 1970."""
    can_capture: bool = False
    is_root: bool = False
    box: Survey | None = None
    interface: str | None = None
    """What would be watched; None: there is nothing."""
    promiscuous: Decision | None = None
    features: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Interface -> feature of ethtool -> whether it is on."""
    flowtables: list[tuple[str, bool, tuple[str, ...]]] | None = None
    """(name, whether in hardware, interfaces)."""
    synchronised: bool | None = None
    state: "State | None" = None
    geo: tuple[str, int] | str | None = None
    """(name, ns when it was built), or what is wrong."""
    outbox: "Waiting | str | None" = None
    reached: list[Reached] = field(default_factory=list)
    listen: str | None = None
    """Why the page's address cannot be had."""
    status: dict[str, Any] | None = None
    """What the daemon says; None: none runs."""
    frames: int | None = None
    """That it saw within LOOK_SECONDS."""
    reload_ok: bool | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The state folder, or where it would be."""

    exists: bool
    free: int
    """Bytes that anybody may write."""
    read_only: bool
    inodes: int
    on_card: bool
    """On flash that wears out (mmcblk)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is in the outbox."""

    waiting: int = 0
    dead: int = 0


def gather(path: Path | None, *, network: bool = True) -> Facts:
    """All of them; `network`: also whether sinks and sources can be reached."""
    facts = Facts(path or config.DEFAULT_PATH, now=time.time_ns(), is_root=os.geteuid() == 0)
    try:
        facts.config = config.load(path)
        facts.problems = config.problems(facts.config)
    except SensorError as error:
        facts.problems = str(error).splitlines()
    with suppress(SensorError):
        privileges.can_capture()
        facts.can_capture = True
    _look_at_network(facts)
    facts.flowtables = _flowtables()
    facts.synchronised = _synchronised()
    facts.state = _state(facts.config.state_dir)
    facts.geo = _geo(facts.config)
    _ask_daemon(facts)
    if facts.status is None:
        facts.listen = _cannot_listen(str(facts.config.web.listen))
        facts.outbox = _outbox(facts.config.state_dir / "outbox.db")
    facts.reached = [reach(each) for each in endpoints(facts.config)] if network else []
    return facts


def _look_at_network(facts: Facts) -> None:
    facts.box = _tried(survey)
    wanted = str(facts.config.interface)
    facts.interface = _tried(choose_interface) if wanted == "auto" else wanted
    if facts.box is None or facts.interface is None:
        return
    name = facts.interface
    decided = _tried(lambda: surroundings(name))
    facts.promiscuous = decided.promiscuous if decided is not None else None
    link = next((each for each in facts.box.links if each.name == name), None)
    ports = [each.name for each in facts.box.ports(link)] if link is not None else []
    facts.features = {each: _features(each) for each in (name, *ports)}


def _tried(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except SensorError:
        return None


def _features(name: str) -> dict[str, bool]:
    """Nothing where the driver does not tell."""
    from pyroute2.ethtool.ioctl import IoctlEthtool

    try:
        with closing(IoctlEthtool(name)) as card:
            found = card.get_features()
            return {str(key): bool(found.is_active(key)) for key in found.keys()}  # noqa: SIM118  # it is no mapping
    except Exception:  # noqa: BLE001  # drivers and kernels differ in what they refuse, and the library in how it says so
        return {}


def _flowtables() -> list[tuple[str, bool, tuple[str, ...]]] | None:
    tool = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if tool is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # no shell, no words of others
            [tool, "-j", "list", "flowtables"], capture_output=True, timeout=TOOL_SECONDS, check=True
        )
        entries = json.loads(done.stdout)["nftables"]
        found = [entry["flowtable"] for entry in entries if "flowtable" in entry]
        return [(str(each.get("name")), "offload" in _flags(each), _devices(each)) for each in found]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return None


def _flags(entry: dict[str, Any]) -> str:
    return str(entry.get("flags", ""))


def _devices(entry: dict[str, Any]) -> tuple[str, ...]:
    devices = entry.get("dev", ())
    return (devices,) if isinstance(devices, str) else tuple(map(str, devices))


def _synchronised() -> bool | None:
    """By the kernel, which NTP clients tell (adjtimex(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(512)
    if libc.adjtimex(buffer) < 0:
        return None
    # struct timex: modes (int, padded to long), offset, freq, maxerror, esterror (long each), status (int).
    word = ctypes.sizeof(ctypes.c_long)
    return not int.from_bytes(buffer.raw[5 * word : 5 * word + 4], "little") & STA_UNSYNC


def _state(folder: Path) -> State | None:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        room = os.statvfs(there)
    except OSError:
        return None
    return State(
        folder.is_dir(), room.f_bavail * room.f_frsize, bool(room.f_flag & os.ST_RDONLY), room.f_favail, _on_card(there)
    )


def _on_card(path: Path) -> bool:
    device = path.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    return "mmcblk" in str(block.resolve()) if block.exists() else False


def _geo(settings: Config) -> tuple[str, int] | str | None:
    """The built-in one is looked at as the sensor unpacked it, or unpacked elsewhere: nothing is left behind."""
    unpacked = sorted(settings.state_dir.glob("*.mmdb"))[:1] if os.access(settings.state_dir, os.R_OK) else []
    with TemporaryDirectory(prefix="idlewire-doctor-") as folder:
        found = _built(GeoDatabase(settings.geo.databases or unpacked, state_dir=Path(folder)))
    if settings.geo.databases or not isinstance(found, tuple):
        return found
    try:
        fetched = examined(settings.state_dir / FILE).source
    except DataError:
        return found
    fetched.close()
    return max(found, (fetched.name, fetched.built_at), key=lambda each: each[1])


def _built(database: GeoDatabase) -> tuple[str, int] | str | None:
    try:
        database.open()
        built = database.built_at
        return None if built is None else (str(database.name), built)
    except (SensorError, OSError) as error:
        return str(error)
    finally:
        database.close()


def _outbox(path: Path) -> "Waiting | str | None":
    """Only while no daemon runs. Nothing is made beside the file: what root makes there the sensor could not write."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as opened:
            states = dict(opened.execute("SELECT state, COUNT(*) FROM letter GROUP BY state").fetchall())
    except sqlite3.Error as error:
        # What was not taken over from the log yet is not seen.
        return None if path.with_name(f"{path.name}-wal").exists() else f"{path}: {error}"
    return Waiting(int(states.get("waiting", 0)), int(states.get("dead", 0)))


def _cannot_listen(listen: str) -> str | None:
    host, _, port = listen.rpartition(":")
    try:
        kind, *_, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
    except OSError as error:
        return "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
    return None


def _ask_daemon(facts: Facts) -> None:
    host, _, port = str(facts.config.web.listen).rpartition(":")
    place = ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]")), int(port))
    facts.status = _get(place, "/api/v1/status")
    if facts.status is None:
        return
    before = _frames(facts.status)
    time.sleep(LOOK_SECONDS)
    after = _frames(_get(place, "/api/v1/status") or {})
    facts.frames = after - before if before is not None and after is not None else None
    waiting = _get(place, "/api/v1/outbox")
    if waiting is not None:
        rows = [row for row in waiting.get("sinks", ()) if isinstance(row, dict)]
        facts.outbox = Waiting(sum(row.get("waiting", 0) for row in rows), sum(row.get("dead", 0) for row in rows))
    with suppress(OSError, http.client.HTTPException, ValueError):
        text = _fetch(place, "/metrics").decode("utf-8", "replace")
        line = next((each for each in text.splitlines() if each.startswith("idlewire_config_last_reload_succ")), None)
        facts.reload_ok = line is None or not line.endswith(" 0.0")


def _frames(status: dict[str, Any]) -> int | None:
    capture = status.get("capture")
    found = capture.get("frames") if isinstance(capture, dict) else None
    return found if isinstance(found, int) else None


def _get(place: tuple[str, int], path: str) -> dict[str, Any] | None:
    with suppress(OSError, http.client.HTTPException, ValueError):
        value = json.loads(_fetch(place, path))
        return value if isinstance(value, dict) else None
    return None


def _fetch(place: tuple[str, int], path: str) -> bytes:
    with closing(http.client.HTTPConnection(*place, timeout=DAEMON_SECONDS)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(path)
        return response.read(4_000_000)
