"""The man page and the completions: everything that the command has is in there, and programs that read them can."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELLS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


def described(kind: str) -> str:
    words = [sys.executable, str(ROOT / "deploy/describe_command.py"), kind]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def commands() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "sensor", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^    ([a-z-]+)(?: |$)", done.stdout, re.MULTILINE))


def test_the_man_page_has_every_command() -> None:
    assert set(re.findall(r"^\.SS idlewire (\S+)", described("man").replace("\\-", "-"), re.MULTILINE)) == commands()


@pytest.mark.skipif(shutil.which("man") is None, reason="needs the package man-db")
def test_the_man_page_is_well_formed(tmp_path: Path) -> None:
    page = tmp_path / "idlewire.1"
    page.write_text(described("man"))
    words = ["man", "--warnings", "--local-file", str(page)]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    )
    assert done.stderr == ""
    assert "--interface NAME" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completions_have_every_command_and_are_read_by_their_shell(shell: str, tmp_path: Path) -> None:
    text = described(shell)
    assert all(name in text for name in commands())
    if shutil.which(shell) is None:
        pytest.skip(f"needs the package {shell}")
    file = tmp_path / "completion"
    file.write_text(text)
    done = subprocess.run([*SHELLS[shell], str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_commands_and_flags() -> None:
    ask = (
        f"{described('bash')}\n"
        "COMP_WORDS=(idlewire ba); COMP_CWORD=1; _idlewire; echo ${COMPREPLY[@]}\n"
        "COMP_WORDS=(idlewire run --i); COMP_CWORD=2; _idlewire; echo ${COMPREPLY[@]}\n"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["backtest", "--interface"]
