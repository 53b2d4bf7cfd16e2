"""The lab in containers: what is written is right, as far as that can be said without a container engine."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sensor import __version__
from sensor.config import load

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONTAINERFILE = (FOLDER / "Containerfile").read_text()


def test_who_takes_part() -> None:
    assert set(SERVICES) == {"idlewire", "prometheus", "alertmanager", "grafana"}
    assert set(COMPOSE) == {"name", "x-small", "services", "volumes"}


@pytest.mark.parametrize("name", SERVICES)
def test_images_have_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_what_it_needs_and_no_more(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_RAW"] if name == "idlewire" else [])
    # The right to capture comes from a file, which no-new-privileges would ignore; the sensor sets it itself.
    assert ("no-new-privileges:true" in service.get("security_opt", [])) == (name != "idlewire")
    assert not {"privileged", "devices", "pid", "ports"} & set(service)


def test_everything_listens_on_loopback_only() -> None:
    assert {service["network_mode"] for service in SERVICES.values()} == {"host"}
    for name in ("prometheus", "alertmanager"):
        [listens] = [word for word in SERVICES[name]["command"] if word.startswith("--web.listen-address=")]
        assert "=127.0.0.1:" in listens
    assert "--cluster.listen-address=" in SERVICES["alertmanager"]["command"]
    assert SERVICES["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert load(FOLDER / "idlewire.toml").web.listen.startswith("127.0.0.1:")


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source, target, *mode = volume.split(":")
            assert target.startswith("/")
            if source.startswith("."):
                assert (FOLDER / source).exists(), volume
                assert mode == ["ro"]
            else:
                assert source in COMPOSE["volumes"]


def test_dashboards_are_where_grafana_looks_for_them() -> None:
    [file] = (ROOT / "deploy" / "grafana" / "provisioning" / "dashboards").iterdir()
    [provider] = yaml.safe_load(file.read_text())["providers"]
    assert f"../grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_the_image_is_that_of_this_version() -> None:
    idlewire = SERVICES["idlewire"]
    assert idlewire["image"] == f"idlewire:{__version__}"
    assert (FOLDER / idlewire["build"]["context"]).resolve() == ROOT
    assert (ROOT / idlewire["build"]["dockerfile"]).read_text() == CONTAINERFILE


def test_the_image_is_built_of_what_is_locked_and_runs_as_nobody_special() -> None:
    lines = re.sub(r"\\\n", " ", CONTAINERFILE).splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(bases) == 2
    assert all(re.fullmatch(r"debian:\d+\.\d+-slim", base) for base in bases)
    installs = [line for line in lines if "pip install" in line]
    assert all("--require-hashes -r requirements.lock" in line or "--no-deps" in line for line in installs)
    assert len(installs) == 2
    [user] = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert int(user) > 0
    assert "setcap cap_net_raw+ep" in CONTAINERFILE
    assert not re.search(r"https?://|ADD ", CONTAINERFILE)
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), line


@pytest.mark.skipif(shutil.which("amtool") is None, reason="needs amtool (Debian package prometheus-alertmanager)")
def test_alertmanager_takes_its_settings() -> None:
    done = subprocess.run(
        ["amtool", "check-config", FOLDER / "alertmanager.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
