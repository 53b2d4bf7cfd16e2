"""Dropping root's privileges but the one that capturing takes."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sensor.capture import privileges
from sensor.errors import CaptureError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop its privileges")

DROPPED = """
import asyncio, os, sys, traceback
import aiohttp, pyroute2, numpy
from sensor.capture import privileges
from sensor.capture.live import LiveCapture, LiveSettings

privileges.can_capture()
capture = LiveCapture(LiveSettings(interface="br0", interval=0.01))
assert capture.try_open()
privileges.preload()
print("user", privileges.drop("nobody"))
before = set(sys.modules)

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Groups", "Uid"):
    print(name, status[name].strip())
capture.close()

async def main():
    frames = 0
    async def serve(request):
        return web.Response(status=418, text="418")
    from aiohttp import web
    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://localhost:{port}/") as answer:
            print("http", answer.status, (await answer.text())[:3])
    "b\\u00fccher.example".encode("idna")
    aiohttp.typedefs.URL("http://b\\u00fccher.example/")
    async def watch():
        async for batch in capture.batches():
            return
    async def local():
        async for networks in capture.networks():
            print("prefixes", *networks.prefixes)
            return
    await asyncio.wait_for(local_and_ring(watch, local), 5)
    await runner.cleanup()

async def local_and_ring(watch, local):
    task = asyncio.ensure_future(watch())
    await local()
    task.cancel()
    capture.close()

asyncio.run(main())
try:
    {}["key"]
except KeyError:
    traceback.format_exc()
late = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
print("late", sorted(name for name, file in late.items() if file))
"""


@needs_root
def test_after_the_drop_everything_still_works(world: Any) -> None:
    with world.inside("ap"):
        ran = subprocess.run(
            [sys.executable, "-X", "dev", "-c", DROPPED],
            cwd=Path(privileges.__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    said = dict(line.partition(" ")[::2] for line in ran.stdout.splitlines())
    assert ran.returncode == 0, ran.stderr
    assert said["user"] == "nobody"
    net_raw = f"{1 << privileges.NET_RAW:016x}"
    assert {said["CapPrm"], said["CapEff"], said["CapBnd"]} == {net_raw}
    assert {said["CapInh"], said["CapAmb"]} == {"0" * 16}
    assert (said["NoNewPrivs"], said["Groups"]) == ("1", "")
    assert set(said["Uid"].split()) == {str(pwd.getpwnam("nobody").pw_uid)}
    assert said["http"] == "418 418"
    assert "10.77.0.0/24" in said["prefixes"].split()
    assert said["late"] == "[]", "modules imported after the drop: add them to PRELOADED"


@needs_root
def test_an_unknown_user_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"^user: there is no user nobody-here"):
        privileges.prepare_state(tmp_path / "state", "nobody-here")


@needs_root
def test_a_state_folder_that_cannot_be_is_named_by_its_key() -> None:
    with pytest.raises(CaptureError, match=r"^state_dir: cannot prepare the folder /proc/x: "):
        privileges.prepare_state(Path("/proc/x"), "nobody")


@needs_root
def test_the_state_folder_belongs_to_the_user(tmp_path: Path) -> None:
    base = Path("/tmp") / f"idwcap{os.getpid()}"
    state = base / "deep" / "state"
    state.mkdir(parents=True)
    (state / "old").touch()
    (state / "link").symlink_to("/etc/passwd")
    try:
        assert privileges.prepare_state(state, "nobody") is None
        user = pwd.getpwnam("nobody").pw_uid
        assert [each.stat().st_uid for each in (state, state / "old")] == [user, user]
        assert Path("/etc/passwd").stat().st_uid == 0, "links are not followed"
        (base / "deep").chmod(0o700)
        warning = privileges.prepare_state(state, "nobody")
        assert warning is not None
        assert str(base / "deep") in warning
        assert stat.S_IMODE((base / "deep").stat().st_mode) == 0o700, "it is said, not changed"
    finally:
        subprocess.run(["rm", "-r", str(base)], check=True)


def test_missing_capability_is_said_in_one_line() -> None:
    code = "import os; os.setuid(65534) if os.geteuid() == 0 else None\nprivileges.can_capture()"
    ran = subprocess.run(
        [sys.executable, "-c", f"from sensor.capture import privileges\nimport sensor.errors\n{code}"],
        cwd=Path(privileges.__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("sensor.errors.CaptureError: capturing needs the capability CAP_NET_RAW")
    assert "setcap" not in last, "on an interpreter it would be a capability for every script"


def test_preload_names_what_is_not_there() -> None:
    assert "sensor.no_such_module" in privileges.preload(["sensor.no_such_module"])


CONFINED = """
import ctypes, os, platform, struct, sys
from sensor.capture import privileges

allowed = 1 << privileges.NET_RAW | int(sys.argv[1])
privileges._libc.prctl(privileges._PR_SET_KEEPCAPS, 1, 0, 0, 0)
os.setgid(65534)
os.setuid(65534)
sets = privileges._Sets(effective0=allowed, permitted0=allowed)
header = privileges._Header(privileges._CAPABILITY_VERSION_3, 0)
assert privileges._libc.capset(ctypes.byref(header), ctypes.byref(sets)) == 0
privileges._libc.prctl(privileges._PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
# Load the call's number; is it capset: EPERM, else go on.
capset = {"x86_64": 126, "aarch64": 91}[platform.machine()]
program = b"".join(struct.pack("HBBI", *each) for each in (
    (0x20, 0, 0, 0), (0x15, 0, 1, capset), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)))
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))
assert privileges._libc.prctl(22, 2, ctypes.byref(Program(4, program)), 0, 0) == 0
print(privileges.drop())
"""


@needs_root
@pytest.mark.parametrize(
    ("more", "said"), [(0, "None"), (1 << 12, "cannot give up capabilities: Operation not permitted")]
)
def test_where_a_sandbox_forbids_to_give_up_what_is_not_there(more: int, said: str) -> None:
    """As under systemd: there with CAP_NET_RAW alone all is well; with CAP_NET_ADMIN, too, it is not."""
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(more)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert said in done.stdout + done.stderr
    assert done.returncode == (0 if more == 0 else 1)
