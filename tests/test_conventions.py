"""The house rules that a machine can hold us to."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "sensor").rglob("*.py"))

WITHOUT_TEST = {"sensor/__main__.py"}
"""Two lines that hand over to the command line."""

NOT_MIRRORED = ("system", "hostile", "bench", "fuzz", "scenarios", "deploy")
"""Folders of tests that belong to the whole house."""


NOT_OF_ONE_FILE = {"test_conventions.py", "test_captures.py", "test_headers_truth.py"}
"""Tests of the whole house that stand among the others."""


def mirror(source: Path) -> Path:
    """The test file of a source file."""
    inside = source.relative_to(ROOT / "sensor")
    return ROOT / "tests" / inside.parent / f"test_{inside.name}"


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


Contract = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: Sequence[ast.stmt], inside: tuple[ast.ClassDef, ...] = ()) -> Iterator[tuple[str, Contract]]:
    """What others may use, by its full name: nothing inside functions or private classes, and no overloads.

    A method that a base class of this house promises already keeps that contract, and is left out, too.
    """
    for node in body:
        if isinstance(node, ast.If):
            yield from public(node.body, inside)
        if not isinstance(node, Contract) or node.name.startswith("_") or is_overload(node):
            continue
        if not (inside and is_promised(inside[-1], node.name)):
            yield ".".join(each.name for each in (*inside, node)), node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, (*inside, node))


def is_overload(node: Contract) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def is_promised(owner: ast.ClassDef, method: str) -> bool:
    bases = {base.id for base in owner.bases if isinstance(base, ast.Name)}
    return any(method in promises().get(base, ()) for base in bases)


@cache
def promises() -> dict[str, set[str]]:
    """Class of this house -> its methods that say what they do."""
    classes = [node for source in SOURCES for node in ast.walk(ast.parse(source.read_text()))]
    return {
        node.name: {each.name for each in node.body if isinstance(each, Contract) and ast.get_docstring(each)}
        for node in classes
        if isinstance(node, ast.ClassDef)
    }


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_every_source_file_has_its_test_file(source: Path) -> None:
    only_nouns = not any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(source.read_text())))
    if source.name == "__init__.py" or relative(source) in WITHOUT_TEST or only_nouns:
        return
    assert mirror(source).exists(), f"{relative(source)} has no {relative(mirror(source))}"


def test_every_test_file_has_its_source_file() -> None:
    sources = {mirror(source) for source in SOURCES}
    stray = [
        relative(path)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.relative_to(ROOT / "tests").parts[0] not in NOT_MIRRORED
        and path not in sources
        and path.name not in NOT_OF_ONE_FILE
    ]
    assert stray == []


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_files_stay_small_and_say_what_they_are(source: Path) -> None:
    text = source.read_text()
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), f"{relative(source)} has no docstring"


@pytest.mark.parametrize("source", SOURCES, ids=relative)
def test_public_functions_and_classes_have_a_contract(source: Path) -> None:
    found = public(ast.parse(source.read_text()).body)
    missing = [f"{name} (line {node.lineno})" for name, node in found if not ast.get_docstring(node)]
    assert missing == [], f"{relative(source)}: no docstring"


def test_what_must_have_a_contract() -> None:
    text = """
def shown():
    def inner(): ...
class Shown(Detector):
    def method(self): ...
    def _method(self): ...
    def tick(self, now): ...
class _Hidden:
    def method(self): ...
if True:
    @overload
    async def conditional(): ...
    async def conditional(): ...
"""
    assert [name for name, _ in public(ast.parse(text).body)] == ["shown", "Shown", "Shown.method", "conditional"]


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
