"""From a TOML table to a frozen dataclass, or to an error that names every wrong key.

A setting's type is its field's annotation: bool, int, str, Path, Literal, a dataclass (a table), tuple[X, ...]
(a list, or an array of tables), X | None, or a *spelled* type: any subclass of int or str that has an `example`
and whose constructor raises ValueError. It is called with text, or with what its `accepts` lists.
A field's key is its name without a trailing underscore (`for_` is "for"). A dataclass checks itself in
`__post_init__` by ValueError ("key: what is wrong", or about the whole table), or reads its own table in a class
method `from_settings(values, path)`.
Values of secret keys (`SECRETS`) never get into an error, nor does what looks like a secret in tables with such keys.
"""

import dataclasses
import difflib
import errno
import os
import re
import stat
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sensor.base.text import printable
from sensor.errors import ConfigError

T = TypeVar("T")
Table = Mapping[str, object]

SECRETS = frozenset({"url", "token", "secret", "password"})
"""Last words of keys whose values must not be shown: `url`, `api_token`; but `url_file` may."""

NO_SECRETS = frozenset({"public_url"})
"""Keys that only end like one."""

GUARDED = frozenset({"foreground", "geo", "sink"})
"""Tables in which secrets are set: one that was put under a wrong key must not be shown either."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,}", re.ASCII)
"""What looks like one: RFC 6750 section 2.1, of the length that tokens must have here."""

MAX_SHOWN = 60
"""Characters of a wrong value that an error repeats."""

MAX_FILE = 1_000_000
"""Bytes of a configuration file."""

MAX_DEPTH = 32
"""Tables and lists in each other, in it."""

_DOTTED = re.compile(rf"^(?:[^\n=#\"'.]*\.){{{MAX_DEPTH}}}", re.MULTILINE)
"""The beginning of a key that goes deeper."""


def read(path: Path) -> dict[str, object]:
    """The file's table; ConfigError of one line with file, line and column where it cannot be read or is no TOML."""
    try:
        raw = _content(path)
        if len(raw) > MAX_FILE:
            raise ConfigError(f"{path}: larger than {MAX_FILE} bytes")
        text = raw.decode("utf-8").removeprefix("\N{BYTE ORDER MARK}")
        # Dotted keys cost tomllib the square of their number.
        values = {} if _DOTTED.search(text) else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}: line {line}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {_place(str(error), text)}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    if _DOTTED.search(text) or _is_deep(values):
        raise ConfigError(f"{path}: nested too deeply")
    return values


def _content(path: Path) -> bytes:
    """Up to one byte more than MAX_FILE; OSError. Never waits for whoever writes into a pipe."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "not a regular file")
        return file.read(MAX_FILE + 1)


def _is_deep(values: Table) -> bool:
    """Whether tables and lists lie deeper in each other than MAX_DEPTH."""
    level: list[object] = [values]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
    return bool(level)


def build(kind: type[T], values: Table, path: str = "") -> T:
    """The dataclass `kind` from a table found at `path`; ConfigError with one line per problem."""
    problems: list[str] = []
    fields = {_key(field.name): field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            problems.append(_unknown(kind, key, path, fields))
            continue
        name = fields[key].name
        try:
            arguments[name] = _value(hints[name], value, _join(path, key), _default(fields[key]))
        except ConfigError as error:
            problems.extend(error.problems)
    for key, field in fields.items():
        if _is_missing(field, key, values):
            problems.append(f"{_join(path, key)}: missing{_for_example(key, hints[field.name])}")
    if not problems:
        try:
            return kind(**arguments)
        except ValueError as error:
            key, _, rest = str(error).partition(": ")
            problems.append(f"{_join(path, key)}: {rest}" if key in fields else f"{path}: {error}".removeprefix(": "))
    secrets = sorted(_secrets(values, path), key=len, reverse=True)
    raise ConfigError(*(_without(secrets, problem) for problem in problems))


def collect(problems: list[str], make: Callable[[], T]) -> T | None:
    """What `make` makes; None, and one more line per problem, where it raises ConfigError."""
    try:
        return make()
    except ConfigError as error:
        problems.extend(error.problems)
        return None


def nearest(word: str, known: Iterator[str] | list[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def may_be_secret(path: str, text: str) -> bool:
    """Whether a value found at `path` is better not shown."""
    return _is_secret(path) or (_is_guarded(path) and _TOKEN.search(text) is not None)


def _value(kind: Any, value: object, path: str, default: object = None) -> Any:
    origin = get_origin(kind)
    if origin is tuple:
        return _list(get_args(kind)[0], value, path)
    if origin is Literal:
        return _choice(get_args(kind), value, path)
    if origin in (Union, types.UnionType):
        [kind] = [one for one in get_args(kind) if one is not types.NoneType]
        return _value(kind, value, path, default)
    if dataclasses.is_dataclass(kind):
        return _table(kind, value, path)
    if hasattr(kind, "example"):
        return _spelled(kind, value, path, default)
    if kind is Path:
        return _path(value, path, default)
    if type(value) is not kind:
        raise _wrong(path, _wanted(kind, default), value)
    return value


def _table(kind: Any, value: object, path: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(path, "a table" if path[-1:] in ("]", ")") else f"a table, [{path}]", value)
    own = getattr(kind, "from_settings", None)
    return build(kind, value, path) if own is None else own(value, path)


def _list(kind: Any, value: object, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        is_table = dataclasses.is_dataclass(kind)
        if is_table and isinstance(value, dict):
            raise ConfigError(f"{path}: write [[{path}]], with double brackets")
        raise _wrong(path, f"an array of tables, [[{path}]]" if is_table else f"a list of {_plural(kind)}", value)
    problems: list[str] = []
    items = []
    for at, item in enumerate(value):
        try:
            items.append(_item(kind, item, path, at))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(*problems)
    return tuple(items)


def _item(kind: Any, item: object, path: str, at: int) -> Any:
    if not dataclasses.is_dataclass(kind):
        return _value(kind, item, path)
    name = item.get("name") if isinstance(item, dict) else None
    label = f' ("{printable(name, MAX_SHOWN)}")' if isinstance(name, str) else ""
    return _value(kind, item, f"{path}[{at}]{label}")


def _choice(choices: tuple[object, ...], value: object, path: str) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
        if isinstance(choice, bool) and value == str(choice).lower():
            return choice
    raise _wrong(path, f"one of {', '.join(_shown(choice) for choice in choices)}", value)


def _spelled(kind: Any, value: object, path: str, default: object) -> Any:
    if type(value) not in getattr(kind, "accepts", (str,)):
        example = default if isinstance(default, str) and default else kind.example
        raise _wrong(path, f"{'text' if isinstance(kind.example, str) else 'a number'} like {_shown(example)}", value)
    try:
        return kind(value)
    except ValueError as error:
        raise ConfigError(f"{path}: {'not a valid value' if _is_secret(path) else _said(kind, error)}") from error


def _said(kind: Any, error: ValueError) -> str:
    """What only says "is not" also says how it is written: `'China' is not a ...; write it like CN`."""
    text = str(error)
    is_bare = " is not " in text and " like " not in text and ";" not in text
    return f"{text}; write it like {kind.example}" if is_bare else text


def _for_example(key: str, kind: Any) -> str:
    example = getattr(kind, "example", None)
    return "" if example is None or _is_secret(key) else f"; for example {key} = {_shown(example)}"


def _path(value: object, path: str, default: object) -> Path:
    if not isinstance(value, str):
        raise _wrong(path, _wanted(str, str(default) if default else None), value)
    if not value or "\0" in value:
        raise ConfigError(f"{path}: expected a path, got {_shown(value)}")
    return Path(value)


def _wanted(kind: Any, default: object) -> str:
    if kind is str:
        return f"text like {_shown(default)}" if default else "text"
    return {bool: "true or false", int: "a whole number"}[kind]


def _plural(kind: Any) -> str:
    example = getattr(kind, "example", None)
    if example is not None:
        return f"values like {_shown(example)}"
    return "whole numbers" if kind is int else "texts"


def _wrong(path: str, wanted: str, value: object) -> ConfigError:
    return ConfigError(f"{path}: expected {wanted}" + ("" if _is_secret(path) else f", got {_shown(value)}"))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{printable(value, MAX_SHOWN)}"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return printable(str(value), MAX_SHOWN)


def _unknown(kind: Any, key: str, path: str, fields: Mapping[str, object]) -> str:
    shown = f"{_join(path, printable(key, MAX_SHOWN))}: unknown key; "
    deeper = [known for known in _keys(kind, path) if known.rpartition(".")[2] == key]
    if deeper:
        return f"{shown}did you mean '{deeper[0]}'?"
    near = nearest(key, list(fields))
    if near is not None:
        return f"{shown}did you mean '{_join(path, near)}'?"
    return f"{shown}known here: {', '.join(sorted(fields))}"


def _keys(kind: Any, path: str) -> Iterator[str]:
    """The full paths of all keys below a dataclass, without those in arrays of tables."""
    hints = _hints(kind)
    for field in dataclasses.fields(kind):
        here = _join(path, _key(field.name))
        yield here
        if dataclasses.is_dataclass(hints[field.name]) and not hasattr(hints[field.name], "from_settings"):
            yield from _keys(hints[field.name], here)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _key(name: str) -> str:
    return name.rstrip("_")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _default(field: dataclasses.Field[Any]) -> object:
    return None if field.default is dataclasses.MISSING else field.default


def _is_missing(field: dataclasses.Field[Any], key: str, values: Table) -> bool:
    no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return no_default and key not in values


def _is_secret(path: str) -> bool:
    key = path.rpartition(".")[2].partition("[")[0]
    return key.rpartition("_")[2].lower() in SECRETS and key not in NO_SECRETS


def _is_guarded(path: str) -> bool:
    return path.partition(".")[0].partition("[")[0] in GUARDED


def _secrets(value: object, path: str) -> Iterator[str]:
    """The forms of all secrets in a value, and of what may be one."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _secrets(each, _join(path, str(key)))
    elif isinstance(value, list):
        for each in value:
            yield from _secrets(each, path)
    elif isinstance(value, str | int | float) and len(text := str(value)) > 2 and may_be_secret(path, text):
        yield from {text, repr(text)[1:-1], printable(text), printable(text, MAX_SHOWN), *_TOKEN.findall(text)}


def _without(secrets: list[str], problem: str) -> str:
    """A check of its own may have put a secret into its text."""
    where, colon, rest = problem.partition(": ")
    # First those that it cut short.
    rest = _TOKEN.sub(lambda found: "..." if any(found[0] in secret for secret in secrets) else found[0], rest)
    for secret in secrets:
        rest = rest.replace(secret, "...")
        # Where it stands is only told by a secret where a table's name is one.
        where = where.replace(f'("{secret}")', '("...")')
    return f"{where}{colon}{rest}"


def _place(message: str, text: str) -> str:
    """`line 3, column 5: invalid value` out of tomllib's text, whose end has no numbers."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if found is None:
        return printable(message)
    what, line, column = found.groups()
    if line is None:
        lines = text.splitlines() or [""]
        line, column = str(len(lines)), str(len(lines[-1]) + 1)
    return f"line {line}, column {column}: {_plainly(what[:1].lower() + printable(what[1:]))}"


def _plainly(what: str) -> str:
    """tomllib's words for the commonest mistakes (no quotes, the same line twice) say little to who made them."""
    if what == "invalid value":
        return 'invalid value; text needs quotes, as in interface = "br0"'
    if what.startswith("expected newline or end of document after"):
        return f'{what}; text needs quotes, as in poll = "100ms"'
    if what.startswith(("cannot overwrite a value", "cannot declare")):
        return "this key or table stands twice: put its keys where it stands first"
    return what
