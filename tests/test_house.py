"""The house rules that a machine can hold us to."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "sensor").rglob("*.py"))

WITHOUT_TEST = {"sensor/__main__.py"}
"""Two lines that hand over to the command line."""

NOT_MIRRORED = ("system", "hostile", "bench", "fuzz")
"""Folders of tests that belong to the whole house."""


def tested(source: Path) -> Path:
    inside = source.relative_to(ROOT / "sensor")
    return ROOT / "tests" / inside.parent / f"test_{inside.name}"


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_every_source_file_has_its_test_file(source: Path) -> None:
    only_nouns = not any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source.read_text())))
    if source.name == "__init__.py" or relative(source) in WITHOUT_TEST or only_nouns:
        return
    assert tested(source).exists(), f"{relative(source)} has no {relative(tested(source))}"


def test_every_test_file_has_its_source_file() -> None:
    sources = {tested(source) for source in SOURCES}
    stray = [
        relative(path)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.relative_to(ROOT / "tests").parts[0] not in NOT_MIRRORED
        and path not in sources
        and path.name not in {"test_house.py", "test_captures.py"}
    ]
    assert stray == []


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_files_stay_small_and_say_what_they_are(source: Path) -> None:
    text = source.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), f"{relative(source)} has no docstring"


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_public_functions_and_classes_have_a_contract(source: Path) -> None:
    missing = [
        node.name
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not any(isinstance(mark, ast.Name) and mark.id in {"overload", "override"} for mark in node.decorator_list)
    ]
    assert missing == [], f"{relative(source)}: no docstring"


def test_imports_only_go_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_locks_name_no_index_host() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert not re.search(r"https?://|--index|--find-links", lock.read_text())


def test_median_file_stays_near_a_hundred_lines() -> None:
    lengths = sorted(len(source.read_text().splitlines()) for source in SOURCES if source.name != "__init__.py")
    assert lengths[len(lengths) // 2] <= 150
