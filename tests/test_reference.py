"""What is said of the settings, the plug-ins and the commands: it is what the code says."""

import argparse
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy import build_reference
from sensor import cli
from sensor.deliver.sink import SINKS
from sensor.detect.base import DETECTORS
from sensor.foreground.base import SOURCES

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def complaints(schema: dict[str, Any], value: Any, path: str = "") -> list[str]:
    """What a schema says against a value; as far as our own schema goes."""
    if "oneOf" in schema:
        fitting = [shape for shape in schema["oneOf"] if not complaints(shape, value, path)]
        named = [shape for shape in schema["oneOf"] if shape["properties"]["type"]["const"] == value.get("type")]
        return [] if len(fitting) == 1 else complaints(named[0], value, path) if named else [f"{path}: no such type"]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{path}: not {schema['const']}"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{path}: none of {schema['enum']}"]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    known = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if not any(type(value) is known[kind] for kind in kinds):
        return [f"{path}: not {kinds}"]
    found = []
    if isinstance(value, dict):
        found += [f"{path}.{key}: unknown" for key in value.keys() - schema["properties"].keys()]
        found += [f"{path}.{key}: missing" for key in set(schema.get("required", ())) - value.keys()]
        for key in value.keys() & schema["properties"].keys():
            found += complaints(schema["properties"][key], value[key], f"{path}.{key}")
    if isinstance(value, list):
        for each in value:
            found += complaints(schema["items"], each, f"{path}[]")
    return found


def test_what_is_committed_is_what_the_script_writes() -> None:
    """After a change of settings: python deploy/build_reference.py."""
    assert build_reference.SCHEMA.read_text() == build_reference.schema_text()
    assert build_reference.TABLE.read_text() == build_reference.table()


def example() -> dict[str, Any]:
    text = build_reference.EXAMPLE.read_text()
    return tomllib.loads(re.sub(r"^#(?=[a-z\[])", "", text, flags=re.MULTILINE))


def test_the_example_with_every_setting_is_valid() -> None:
    assert complaints(build_reference.schema(), example()) == []
    assert build_reference.EXAMPLE.read_text().startswith(f"#:schema ./{build_reference.SCHEMA.name}\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", None),
        ("promiscuous = true", None),
        ('promiscuous = "yes"', ".promiscuous: none of ['auto', True, False]"),
        ("[web]\nlisen = 1", ".web.lisen: unknown"),
        ("[capture]\npoll = 5", ".capture.poll: not ['string']"),
        ('[[client]]\nname = "a"', ".client[].mac: missing"),
        ('[[watch]]\nname = "a"\nasns = [1, "AS2"]', None),
        ("[detect.watchlst]", ".detect.watchlst: unknown"),
        ('[[sink]]\nname = "a"\ntype = "slack"\nurl = "x"', None),
        ('[[sink]]\nname = "a"\ntype = "slack"\ntoken = "x"', ".sink[].token: unknown"),
        ('[[sink]]\nname = "a"\ntype = "nope"', ".sink[]: no such type"),
    ],
)
def test_what_an_editor_marks(text: str, complaint: str | None) -> None:
    found = complaints(build_reference.schema(), tomllib.loads(text))
    assert found == ([] if complaint is None else [complaint])


def test_every_setting_has_a_description_where_one_is_written() -> None:
    schema = build_reference.schema()
    assert schema["properties"]["web"]["properties"]["listen"]["default"] == "127.0.0.1:8470"
    assert "Where to look" in schema["properties"]["interface"]["description"]
    assert "default" not in schema["properties"]["foreground"]["properties"]["home_assistant"]["properties"]["url"]


# The README.


def rows(text: str = README) -> set[str]:
    """What the tables' first columns name."""
    cells = [re.split(r"(?<!\\)\|", line)[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("registry", [DETECTORS, SOURCES, SINKS], ids=lambda registry: str(registry.noun))
def test_every_plug_in_is_in_a_table(registry: Any) -> None:
    assert set(registry.names()) <= rows()


def test_every_command_is_in_the_table_with_its_options() -> None:
    [commands] = [
        action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)
    ]  # fmt: skip
    written = [name for name in rows() if name.startswith("idlewire ")]
    assert {name.split()[1] for name in written} == {*commands.choices, "--version"}
    for name, parser in commands.choices.items():
        [line] = [each for each in written if each.split()[1] == name]
        options = {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}
        assert set(re.findall(r"--[a-z-]+", line)) <= options, f"{line}: there is no such option"
        assert parser.epilog, f"idlewire {name} --help shows no example"
        assert parser.epilog.startswith("examples:")


def test_every_path_of_the_api_is_in_the_table() -> None:
    found = {path for source in (ROOT / "sensor").rglob("*.py") for path in re.findall(
        r'"(/api/v1/[a-z_/]+)"', source.read_text()
    )}  # fmt: skip
    assert {path for path in found if path not in README} == set()


def test_every_file_that_the_documents_point_to_is_there() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_setting_that_the_readme_names_in_examples_is_one() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert len(blocks) > 4
    for block in blocks:
        found = [each for each in complaints(build_reference.schema(), tomllib.loads(block)) if "unknown" in each]
        assert found == [], block
