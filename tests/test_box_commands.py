"""`idlewire setup` and `idlewire doctor`, as they are typed."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sensor import cli
from sensor.config import load
from tests.far_database import TOKEN, serving, world


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What stands on stdin."""
    typed = io.StringIO()
    monkeypatch.setattr("sys.stdin", typed)
    return typed


def test_setup_asks_nothing_with_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lab.toml"
    words = ["setup", "--yes", "--config", str(path), "--country", "CN", "--client", "02:00:00:00:00:01=TV", "--manual"]
    assert cli.main([*words, "--sink", "ntfy", "--set", "topic=abc", "--set", "server=http://127.0.0.1:1"]) == 0
    made = load(path)
    assert (made.watch[0].countries, made.sink[0].type, made.client[0].name) == (("CN",), "ntfy", "TV")
    said = capsys.readouterr().out
    assert said.startswith("Found on this box:")
    assert f"sudo idlewire notify-test ntfy --config {path}" in said
    assert "abc" not in said
    assert cli.main(["check-config", str(path)]) == 0


def test_setup_asks_first_whether_it_may_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lab.toml"
    path.write_text("mine")
    assert cli.main(["setup", "--config", str(path)]) == 1
    assert (
        capsys.readouterr().err
        == f"{path} is there already: --force writes a new one and keeps the old one beside it\n"
    )


def test_setup_without_an_answer(
    tmp_path: Path, answers: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    answers.write("\nCN\n")
    answers.seek(0)
    assert cli.main(["setup", "--config", str(tmp_path / "lab.toml")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("setup: nobody answers any more, and nothing was written: use --yes")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--set", "topic"], "--set: expected KEY=VALUE, got topic"),
        (["--client", "9=x"], "client: '9' is not a MAC address like 60:38:e0:c5:35:a0"),
        (["--country", "China"], "watch[0] (\"watched\").countries: 'China' is not an ISO 3166-1"),
        (["--sink", "slak"], "no sink type called 'slak'; did you mean 'slack'?"),
        (["--sink", "slack"], "slack: needs url or url_file"),
        (["--sink", "slack", "--set", "url=x"], "slack.url: "),
        (["--push", "Nobody"], 'foreground.push.phone[0].client: "'),
    ],
)  # fmt: skip
def test_setup_with_a_wrong_flag(
    tmp_path: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["setup", "--yes", "--config", str(tmp_path / "lab.toml"), *words]) == 1
    [found] = capsys.readouterr().err.splitlines()
    assert found.startswith(line)
    assert list(tmp_path.iterdir()) == []


def test_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.doctor.facts._geo", lambda _: None)
    path = tmp_path / "lab.toml"
    path.write_text(f'state_dir = "{tmp_path}"\n[web]\nlisten = "127.0.0.1:0"\n[[sink]]\nname = "a"\ntype = "ntfy"\n'
                    'topic = "t"\nserver = "http://127.0.0.1:1"')  # fmt: skip
    code = cli.main(["doctor", "--config", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == int(not found["works"])
    assert ("sink a", "127.0.0.1:1 cannot be reached: Connection refused") in {
        (each["about"], each["said"]) for each in found["findings"]
    }
    cli.main(["doctor", "--config", str(path), "--offline"])
    assert "sink a" not in capsys.readouterr().out
    assert cli.main(["doctor", "--config", str(path), "--offline", "--send"]) == 1
    assert "ERROR  sink a: sink a: " in capsys.readouterr().out


def test_doctor_and_a_file_with_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.doctor.facts._geo", lambda _: None)
    (tmp_path / "lab.toml").write_text("interfaces = 1")
    assert cli.main(["doctor", "--config", str(tmp_path / "lab.toml"), "--offline"]) == 1
    assert "interfaces: unknown key; did you mean 'interface'?" in capsys.readouterr().out


def geo_update(path: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    """As it is typed, in a process of its own, since root gives up its rights."""
    command = [sys.executable, "-m", "sensor", "geo", "update", "--config", str(path), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert TOKEN not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_geo_update_as_it_is_typed(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text("")
    code, _, said = geo_update(path)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("geo.update_url: not set, so nothing is fetched. Set it")
    with serving(tmp_path) as far:
        far.body = world(int(time.time()))
        (tmp_path / "url").write_text(far.url())
        settings = f'state_dir = "{tmp_path}/state"\nuser = "root"\n[geo]\nupdate_url_file = "{tmp_path}/url"\n'
        path.write_text(settings)
        code, shown, said = geo_update(path, "--json", SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        assert (code, said) == (0, "")
        assert json.loads(shown)["outcome"] == "updated"
        code, shown, said = geo_update(path)
        assert (code, shown) == (1, "")
        assert said == f"https://127.0.0.1:{far.port}/…: its certificate cannot be trusted\n"
