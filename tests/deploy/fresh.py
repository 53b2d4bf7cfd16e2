"""A fresh Debian in a folder: commands inside, what files it has, and the sensor as its unit runs it."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from daemon import Sensor
from lab import Namespace, shell

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PACKAGES = {"debootstrap": "debootstrap", "systemd-analyze": "systemd", "dpkg-deb": "dpkg", "git": "git"}
CHANGING = ("var/lib/dpkg/", "var/log/", "var/cache/", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "root/")
"""What dpkg and useradd keep books in, and where the tests put what is to be installed."""


def missing_for_install() -> str | None:
    """Why no root can be made, or None."""
    lacking = sorted({package for command, package in PACKAGES.items() if shutil.which(command) is None})
    return f"needs the packages {', '.join(lacking)}" if lacking else None


def debian() -> Path:
    """Debian's smallest system with Python, as the release that runs here: made once and kept in build/."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "bookworm")
    made = BUILD / f"debian-{codename}-{architecture()}"
    if not made.exists():
        new = made.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        BUILD.mkdir(exist_ok=True)
        words = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv", codename, str(new)]
        subprocess.run(words, check=True, capture_output=True)
        new.rename(made)
    return made


@contextlib.contextmanager
def fresh() -> Iterator["Root"]:
    """That system, to be written to: what is written lies in memory and goes again."""
    work = Path(tempfile.mkdtemp(prefix="idlewire-root-"))
    shell(f"mount -t tmpfs tmpfs {work}")
    try:
        for name in ("upper", "work", "root"):
            (work / name).mkdir()
        layers = f"lowerdir={debian()},upperdir={work}/upper,workdir={work}/work"
        shell(f"mount -t overlay overlay -o {layers} {work}/root")
        try:
            yield Root(work / "root")
        finally:
            shell(f"umount --lazy {work}/root")
    finally:
        shell(f"umount --lazy {work}")
        work.rmdir()


def architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


class Root:
    """The folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as root, without anything of this machine's environment; both outputs in one."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", "HOME": "/root"}
        return subprocess.run(
            ["chroot", str(self.path), *words],
            env={**environment, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def must(self, *words: str) -> str:
        """What a command printed that has to go well."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def owner(self, path: str) -> tuple[str, str, str]:
        """(user, group, mode) as the root names them."""
        user, group, mode = self.must("stat", "-c", "%U %G %a", path).split()
        return user, group, mode

    def files(self) -> set[str]:
        """All there is but books that change anyway, with kind and mode."""
        return {line for line in self._listing() if not line.split(" ", 2)[2].startswith(CHANGING)}

    def _listing(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = Path(folder, name)
                facts = path.lstat()
                size = facts.st_size if path.is_file() and not path.is_symlink() else 0
                yield f"{facts.st_mode:o} {size} {path.relative_to(self.path)}"


class Installed(Sensor):
    """The sensor of the root, run as its unit says (executor.py)."""

    def __init__(self, namespace: Namespace, root: Root, unit: str) -> None:
        super().__init__(namespace, root.path / "root")
        self.root, self.unit = root, unit

    def launch(self, config: str = "", *, interface: str = "", wrapper: tuple[str, ...] = ()) -> None:
        """Settings are those of the root; `wrapper` is environment for it."""
        assert not config
        assert not interface
        words = (sys.executable, str(Path(__file__).with_name("executor.py")), str(self.root.path))
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.namespace.command(*words, str(self.root.path / self.unit), *wrapper), stdout=log, stderr=log
            )

    def start(self, config: str = "", *, interface: str = "") -> float:
        """As the other one, but with more patience: what is installed lies in memory that others use, too."""
        began = time.monotonic()
        self.launch(config, interface=interface)
        self.await_page(began + 60)
        return time.monotonic() - began
