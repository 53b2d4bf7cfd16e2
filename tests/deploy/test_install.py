"""Installed in a fresh Debian: from nothing to the first alert, renewed, and gone again without a trace.

Slow (a Debian is made, a package built): `make test-install`.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from daemon import HOOK_PORT, Hook, capabilities, until
from fresh import ROOT, Installed, Root
from lab import CLIENT_MACS, Lab
from traffic import Internet, transfer

pytestmark = pytest.mark.install

PHONE = CLIENT_MACS["c1"]
CAP_NET_RAW = 13
SETTINGS = "etc/idlewire/idlewire.toml"
WATCH = f"""
[[watch]]
name = "europe"
cidrs = ["18.193.233.0/24"]
[[sink]]
name = "lab"
type = "webhook"
url = "http://127.0.0.1:{HOOK_PORT}/hook"
"""
FORCE_OLD = ("--force-confdef", "--force-confold")


@pytest.fixture(scope="module")
def package(able: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this checkout, packed quickly."""
    quickly = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
    return made_by("build_deb.sh", tmp_path_factory.mktemp("package"), **quickly)


@pytest.fixture(scope="module")
def next_package(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a higher version and other default settings."""
    work = tmp_path_factory.mktemp("next")
    subprocess.run(["dpkg-deb", "-R", str(package), str(work / "tree")], check=True)
    control = work / "tree/DEBIAN/control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 1:"))
    settings = work / "tree" / SETTINGS
    settings.write_text(settings.read_text() + "# a later version\n")
    made = work / "next.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", str(work / "tree"), str(made)], check=True)
    return made


@pytest.fixture(scope="module")
def release(able: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last commit as a release, unpacked, with the wheels that a box without a network needs."""
    work = tmp_path_factory.mktemp("release")
    archive = made_by("build_release.sh", work)
    subprocess.run(["tar", "-C", str(work), "-xf", str(archive)], check=True)
    folder = work / archive.name.removesuffix(".tar.gz")
    words = [str(ROOT / ".venv/bin/python"), "-m", "pip", "download", "-q", "--require-hashes", "--only-binary=:all:"]
    lock = ["-r", str(ROOT / "requirements.lock"), "-d", str(folder / "wheels")]
    subprocess.run([*words, *lock], check=True, capture_output=True)
    return folder


def made_by(script: str, folder: Path, **environment: str) -> Path:
    """The one file that a script of deploy/ makes."""
    variables = {**os.environ, "DIST": str(folder), **environment}
    done = subprocess.run([str(ROOT / "deploy" / script)], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [made] = folder.iterdir()
    return made


def test_the_package_from_install_to_purge(
    root: Root, lab: Lab, internet: Internet, hook: Hook, package: Path, next_package: Path
) -> None:
    before = root.files()
    began = time.monotonic()
    bring(root, package, "idlewire.deb")
    root.must("dpkg", "-i", "/root/idlewire.deb")
    root.must("idlewire", "check-config")
    append(root, WATCH)
    kept = sees_traffic_and_alerts(root, lab, hook, "usr/lib/systemd/system/idlewire.service")
    print(f"from the package to the first alert: {time.monotonic() - began:.0f} s")

    bring(root, next_package, "idlewire.deb")
    root.must("dpkg", *FORCE_OLD, "-i", "/root/idlewire.deb")
    assert root.must("dpkg-query", "-W", "-f", "${Version}", "idlewire").startswith("1:")
    is_as_it_was(root, kept)
    kept = sees_traffic_and_alerts(root, lab, hook, "usr/lib/systemd/system/idlewire.service")

    root.must("dpkg", "-r", "idlewire")
    is_as_it_was(root, kept)
    assert not (root.path / "opt/idlewire").exists()
    root.must("dpkg", "-P", "idlewire")
    assert root.files() ^ before == set()


def test_the_script_from_install_to_purge(
    root: Root, lab: Lab, internet: Internet, hook: Hook, release: Path, package: Path
) -> None:
    before = root.files()
    began = time.monotonic()
    script = unpacked(root, release)
    said = root.must(script)
    assert "all files are those of SHA256SUMS" in said
    append(root, WATCH)
    kept = sees_traffic_and_alerts(root, lab, hook, "etc/systemd/system/idlewire.service")
    print(f"from the release to the first alert: {time.monotonic() - began:.0f} s")

    assert "not built again" in root.must(script, "install"), "a second run finds all done"
    is_as_it_was(root, kept)
    later(root, script)
    said = root.must(script, "upgrade")
    assert "idlewire 9.9.9 is in /opt/idlewire (before: 0." in said
    is_as_it_was(root, kept)
    kept = sees_traffic_and_alerts(root, lab, hook, "etc/systemd/system/idlewire.service")

    bring(root, package, "idlewire.deb")
    refused = root.run("dpkg", "-i", "/root/idlewire.deb")
    assert refused.returncode != 0
    assert "install.sh has put a sensor here" in refused.stdout
    root.run("dpkg", "--purge", "idlewire")
    is_as_it_was(root, kept)

    assert "are kept" in root.must(script, "uninstall")
    is_as_it_was(root, kept)
    assert not (root.path / "opt/idlewire").exists()
    root.must(script, "uninstall", "--purge")
    assert root.files() ^ before == set()
    assert root.run("id", "idlewire").returncode != 0


def test_what_the_script_refuses(root: Root, release: Path) -> None:
    """Each in one line that says what to do, and nothing is changed."""
    script = unpacked(root, release)
    before = root.files()
    anybody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "/tmp/deploy/install.sh")
    shutil.copytree(release / "deploy", root.path / "tmp/deploy")
    assert refuses(root, *anybody) == "install.sh: needs root: sudo /tmp/deploy/install.sh"
    shutil.rmtree(root.path / "tmp/deploy")
    assert "nothing is installed in /opt/idlewire" in refuses(root, script, "upgrade")
    assert "uninstall --purge" in refuses(root, script, "remove", code=2)

    file = root.path / "root/release/sensor/cli.py"
    good = file.read_text()
    file.write_text(good + "\n")
    assert "files are not those of the release (SHA256SUMS)" in refuses(root, script)
    file.write_text(good)

    [wheel] = (root.path / "root/release/wheels").glob("yarl-*.whl")
    good_wheel = wheel.read_bytes()
    wheel.write_bytes(good_wheel + b"x")
    assert "their hashes are wrong; nothing was changed here" in refuses(root, script)
    wheel.write_bytes(good_wheel)
    assert root.files() ^ before <= {line for line in root.files() if line.endswith(" opt/idlewire")}

    root.must(script)
    append(root, "colour = 3\n")
    running = root.must("idlewire", "--version")
    later(root, script)
    said = refuses(root, script, "upgrade")
    assert "does not take your settings (above); nothing was changed here" in said
    assert root.must("idlewire", "--version") == running


def sees_traffic_and_alerts(root: Root, lab: Lab, hook: Hook, unit: str) -> dict[str, str]:
    """Runs it as its unit says: rights, what it saw, an alert; what is to be kept by whatever comes next."""
    sensor = Installed(lab.box, root, unit)
    sensor.start()
    try:
        own = root.must("id", "-u", "idlewire").strip()
        for status in capabilities(sensor.pid):
            assert set(status["Uid"].split()) == {own}
            assert set(status["Gid"].split()) == {own}
            assert status["Groups"].split() in ([], [own])
            for kind in ("CapEff", "CapPrm", "CapBnd"):
                assert int(status[kind], 16) == 1 << CAP_NET_RAW, (status["Name"], kind)
            assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        address = lab.new_address()
        transfer(lab.c1, address, up=30_000)
        assert until(lambda: sent_to(sensor, address) > 30_000, 5), sensor.log
        assert until(lambda: hook.about(address), 5), sensor.log
        assert sensor.stop() == 0, sensor.log
    finally:
        sensor.kill()
    assert "Traceback" not in sensor.log
    state = root.path / "var/lib/idlewire"
    return {str(path.relative_to(root.path)): facts(root, path) for path in (root.path / SETTINGS, *state.iterdir())}


def sent_to(sensor: Installed, address: str) -> int:
    return sum(row["sent_bytes"] for (_, there), row in sensor.destinations(PHONE).items() if there == address)


def facts(root: Root, path: Path) -> str:
    """What must not change of a file."""
    return f"{root.owner('/' + str(path.relative_to(root.path)))} {hash(path.read_bytes())}"


def is_as_it_was(root: Root, kept: dict[str, str]) -> None:
    assert {name: facts(root, root.path / name) for name in kept} == kept
    assert root.owner("/etc/idlewire") == ("root", "idlewire", "750")
    assert root.owner("/var/lib/idlewire") == ("idlewire", "idlewire", "700")


def append(root: Root, settings: str) -> None:
    with (root.path / SETTINGS).open("a") as file:
        file.write(settings)


def bring(root: Root, file: Path, name: str) -> None:
    shutil.copyfile(file, root.path / "root" / name)


def unpacked(root: Root, release: Path) -> str:
    """Puts the release into the root; the script's path there."""
    shutil.copytree(release, root.path / "root/release")
    return "/root/release/deploy/install.sh"


def later(root: Root, script: str) -> None:
    """Makes of the release in the root a later one, as a checkout is: without a manifest."""
    folder = root.path / script[1:]
    about = folder.parents[1] / "sensor/__init__.py"
    version = next(line for line in about.read_text().splitlines() if line.startswith("__version__"))
    about.write_text(about.read_text().replace(version, '__version__ = "9.9.9"'))
    (folder.parents[1] / "SHA256SUMS").unlink()


def refuses(root: Root, *words: str, code: int = 1) -> str:
    """The last line of a command that must fail."""
    done = root.run(*words)
    assert done.returncode == code, done.stdout
    return done.stdout.strip().splitlines()[-1]
