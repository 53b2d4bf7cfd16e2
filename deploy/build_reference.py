"""Makes what is said of the settings elsewhere out of config/idlewire.toml and the settings' own types; no network.

    python deploy/build_reference.py [--check]

Writes config/idlewire.schema.json (for editors) and docs/settings.md. What a key means is written once: in the comment
above it in config/idlewire.toml. `--check` writes nothing and exits with 1 where a file is not what would be written.
"""

import argparse
import dataclasses
import json
import re
import sys
import tomllib
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sensor import config  # noqa: E402
from sensor.base import settings  # noqa: E402
from sensor.config import Config, DetectSettings, SinkSettings  # noqa: E402
from sensor.deliver.sink import SINKS  # noqa: E402
from sensor.detect.base import DETECTORS  # noqa: E402
from sensor.errors import ConfigError  # noqa: E402
from sensor.foreground.base import SOURCES  # noqa: E402
from sensor.foreground.settings import ForegroundKeys, ForegroundSettings  # noqa: E402

EXAMPLE, SCHEMA, TABLE = (
    ROOT / "config" / "idlewire.toml",
    ROOT / "config" / "idlewire.schema.json",
    ROOT / "docs" / "settings.md",
)
Json = dict[str, Any]


def main() -> int:
    """Writes, or compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where something would change")
    check = parser.parse_args().check
    stale = []
    for path, text in ((SCHEMA, schema_text()), (TABLE, table())):
        if not path.exists() or path.read_text() != text:
            stale.append(str(path.relative_to(ROOT)))
            if not check:
                path.write_text(text)
    what = "is not what would be written" if check else "written"
    sys.stdout.write("".join(f"{name}: {what}\n" for name in stale) or "fine\n")
    return int(check and bool(stale))


def schema_text() -> str:
    """The schema, as it lies in the repository."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> Json:
    """JSON schema (2020-12) of the configuration."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Idlewire's configuration",
        **_object(Config, ""),
    }


def table() -> str:
    """docs/settings.md."""
    lines = [
        "# Every setting",
        "",
        "Made by `deploy/build_reference.py` from `config/idlewire.toml`. Durations: `50ms` `90s` `10m` `12h` `1d`",
        "`1h30m`; sizes: `20KB` (20,000 bytes) `8MiB` or a number of bytes. Where an example stands instead of a",
        "default it says *e.g.*",
        "",
        "`idlewire check-config` names every mistake. What changes without a restart: all but "
        + ", ".join(f"`{key}`" for key in _restart())
        + ".",
    ]
    kinds = _kinds()
    for place, keys in _documented().items():
        lines += ["", f"## {place or 'At the top of the file'}", "", "| key | default | what |", "|---|---|---|"]
        for key, (value, words) in keys.items():
            kind = config._SinkKeys if place.startswith("[[sink]]") and key in config._SINK_KEYS else kinds[place]
            shown = f"`{value}`" if _is_default(kind, key, value) else f"*e.g.* `{value}`"
            cells = (f"`{key}`", shown, words or _plain_words(key))
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _plain_words(key: str) -> str:
    """For keys that need no comment where they stand."""
    if key.endswith("_file") and key != "ca_file":
        return "A file that holds it, instead."
    return {
        "enabled": "`false` switches it off.",
        "ca_file": "Certificates in PEM format instead of the system's.",
    }.get(key, "")


def _restart() -> tuple[str, ...]:
    from sensor.changes import NEEDS_RESTART

    return (*NEEDS_RESTART, "foreground.push.listen")


def _is_default(kind: Any, key: str, value: str) -> bool:
    """Whether what stands in the example is what holds without it."""
    field = next((each for each in dataclasses.fields(kind) if each.name.rstrip("_") == key), None)
    if field is None or field.default is dataclasses.MISSING:
        return False
    try:
        return bool(settings._value(get_type_hints(kind)[field.name], _value(value), key) == field.default)
    except ConfigError:
        return False


def _kinds() -> dict[str, Any]:
    """Table as written -> its settings' type."""
    hints = get_type_hints(Config)
    found: dict[str, Any] = {"": Config, "[foreground]": ForegroundKeys}
    found |= {
        f"[{name}]": kind for name, kind in hints.items() if dataclasses.is_dataclass(kind) and name != "foreground"
    }
    found |= {f"[[{name}]]": get_args(kind)[0] for name, kind in hints.items() if get_origin(kind) is tuple}
    found |= {f"[detect.{name}]": DETECTORS.find(name).settings_type for name in DETECTORS.names()}
    for name in SOURCES.names():
        kind = found[f"[foreground.{name}]"] = SOURCES.find(name).settings_type
        for key, hint in get_type_hints(kind).items():
            if get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]):
                found[f"[[foreground.{name}.{key}]]"] = get_args(hint)[0]
    return found | {_of_sink(name): SINKS.find(name).settings_type for name in SINKS.names()}


def _of_sink(name: str) -> str:
    return f'[[sink]] of type "{name}"'


def _documented() -> dict[str, dict[str, tuple[str, str]]]:
    """Table as written ("" at the top; a sink's with its type) -> key -> (value, what it means)."""
    found: dict[str, dict[str, tuple[str, str]]] = {"": {}}
    place, words = "", list[str]()
    for line in EXAMPLE.read_text().splitlines():
        header = re.fullmatch(r"#?(\[\[?[a-z_.]+\]\]?)", line)
        setting = re.fullmatch(r"#?([a-z_]+) = (.+)", line)
        if header:
            place, words = header[1], []
            found.setdefault(place, {})
        elif setting:
            key, value = setting[1], setting[2]
            if key == "type" and place.startswith("[[sink]]"):
                place, pending = _of_sink(_value(value)), found.pop(place)
                found[place] = pending
            found[place][key] = value, " ".join(words)
            words = []
        elif line.startswith("# "):
            words.append(line[2:])
        else:
            words = []
    return {place: keys for place, keys in found.items() if keys}


def _object(kind: Any, path: str, place: str = "") -> Json:
    """A table; `path`: dotted, `place`: as in `_documented` where that differs."""
    hints = get_type_hints(kind)
    documented = _documented().get(place or (f"[{path}]" if path else ""), {})
    properties, required = {}, []
    for field in dataclasses.fields(kind):
        key = field.name.rstrip("_")
        here = f"{path}.{key}" if path else key
        made = _type(hints[field.name], here)
        value, words = documented.get(key, ("", ""))
        if words:
            made["description"] = words
        if value and _is_default(kind, key, value):
            made["default"] = _value(value)
        properties[key] = made
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(key)
    found: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": required} if required else {})


def _value(text: str) -> Any:
    return tomllib.loads(f"x = {text}")["x"]


def _type(kind: Any, path: str) -> Json:
    origin = get_origin(kind)
    if origin is tuple:
        inner = get_args(kind)[0]
        if dataclasses.is_dataclass(inner):
            return {
                "type": "array",
                "items": _sinks() if inner is SinkSettings else _object(inner, path, f"[[{path}]]"),
            }
        return {"type": "array", "items": _type(inner, path)}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin in (Union, types.UnionType):
        return _type(next(each for each in get_args(kind) if each is not types.NoneType), path)
    if kind is DetectSettings:
        return _named(DETECTORS, path)
    if kind is ForegroundSettings:
        made, keys = _named(SOURCES, path), _object(ForegroundKeys, path)
        return made | {"properties": keys["properties"] | made["properties"]}
    if dataclasses.is_dataclass(kind):
        return _object(kind, path)
    if hasattr(kind, "example"):
        names = {str: "string", int: "integer"}
        accepted = [names[each] for each in getattr(kind, "accepts", (str,))]
        return {"type": accepted[0] if len(accepted) == 1 else accepted, "examples": [kind.example]}
    return {"type": {bool: "boolean", int: "integer", str: "string", Path: "string"}[kind]}


def _named(registry: Any, path: str) -> Json:
    """One table per plug-in."""
    tables = {name: _object(registry.find(name).settings_type, f"{path}.{name}") for name in registry.names()}
    return {"type": "object", "properties": tables, "additionalProperties": False}


def _sinks() -> Json:
    """One shape per type."""
    common = _object(config._SinkKeys, "sink", _of_sink("webhook"))
    shapes = []
    for name in SINKS.names():
        own = _object(SINKS.find(name).settings_type, "sink", _of_sink(name))
        properties = common["properties"] | {"type": {"const": name}} | own["properties"]
        shapes.append(
            own | {"title": name, "properties": properties, "required": ["name", "type", *own.get("required", [])]}
        )
    return {"oneOf": shapes}


if __name__ == "__main__":
    sys.exit(main())
