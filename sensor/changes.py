"""What differs between the configuration that runs and another one, and whether the other one can be taken.

Reads files and may take its time: it is called in a thread. Whatever it raises or returns, nothing has changed yet.
"""

import dataclasses
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sensor import __version__
from sensor.config import Config, GeoSettings, SinkSettings, WebSettings, problems, read_allow_lists
from sensor.deliver.sink import Sink
from sensor.deliver.web.admin import Admin
from sensor.detect.allowance import Allowance
from sensor.errors import ConfigError
from sensor.foreground.settings import ChosenSource, ForegroundSettings

MAX_READ = 1_000_000
"""Bytes of a file that a setting names; what is behind them changes nothing."""

NEEDS_RESTART = (
    "interface", "promiscuous", "state_dir", "user", "capture", "web.listen", "web.hosts", "web.public_url",
    "web.link_age", "geo.databases", "account",
)  # fmt: skip
"""Keys that are only looked at when the sensor starts."""

Digests = dict[str, bytes | None]
"""File -> what was in it; None: we may not read it; b"": it is not there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done so that the other configuration runs."""

    config: Config
    """It, with what needs a restart as it is now."""
    sinks: dict[str, Sink]
    """Those that are new or changed, with their secrets read, by name."""
    sources: tuple[ChosenSource, ...]
    """Those that are new or changed."""
    gone: tuple[str, ...]
    """Sources that are no more."""
    allowances: Sequence[Allowance] | None
    """Of the lists; None: those that are known."""
    admin: Admin | None
    """None: the token is the same."""
    digests: Digests
    changed: list[str] = field(default_factory=list)
    """Keys, for the log."""
    restart: list[str] = field(default_factory=list)
    """Keys that need one."""
    kept: list[str] = field(default_factory=list)
    """Files that cannot be read any more; what was in them at the start goes on."""


def plan(old: Config, new: Config, known: Digests) -> Plan:
    """From the one to the other. ConfigError: one line per thing in the new one that cannot work; secrets not shown."""
    digests = read_files(new)
    stale = _Stale(known, digests)
    wanted = {source.name: source for source in new.foreground.sources}
    had = {source.name: source for source in old.foreground.sources}
    sinks = [each for each in new.sink if stale(each.settings, _of_name(old.sink, str(each.name)))]
    sources = tuple(each for each in wanted.values() if stale(each.settings, had.get(each.name)))
    lists = stale.files(new.allow_lists) or (new.allow_lists, new.client) != (old.allow_lists, old.client)
    admin = stale.files((new.web.token_file,)) or new.web.token != old.web.token
    admin = admin or new.web.token_file != old.web.token_file
    restart = [key for key in NEEDS_RESTART if _get(old, key) != _get(new, key)] + _listening(had, wanted)
    found = problems(_parts(new, sinks, sources, lists=lists, web=admin, restart=restart))
    if found:
        raise ConfigError(*found)
    gone = tuple(name for name in had if name not in wanted)
    return Plan(
        config=_with(old, new),
        sinks={str(each.name): _prepared(each) for each in sinks},
        sources=sources,
        gone=gone,
        allowances=read_allow_lists(new) if lists else None,
        admin=_admin(new.web) if admin else None,
        digests={name: known.get(name) if found is None else found for name, found in digests.items()},
        changed=[
            *(
                key.removesuffix(".keys")
                for key in _plain(new)
                if key not in NEEDS_RESTART and _get(old, key) != _get(new, key)
            ),
            *(["allow_lists"] if lists else []),
            *(["web.token"] if admin else []),
            *(f"foreground.{name}" for name in (*(each.name for each in sources), *gone)),
            *(f"sink {each.name}" for each in sinks),
            *(f"sink {each.name} (gone)" for each in old.sink if not _of_name(new.sink, str(each.name))),
        ],
        restart=restart,
        kept=[name for name, found in digests.items() if found is None and known.get(name) is not None],
    )


def read_files(config: Config) -> Digests:
    """What is in the files that the settings of parts name that can change without a restart."""
    settings = [each.settings for each in config.sink] + [each.settings for each in config.foreground.sources]
    names = {name for each in settings for name in _files(each)} | {config.web.token_file, *config.allow_lists}
    return {name: _digest(name) for name in sorted(names - {"", "builtin"})}


class _Stale:
    """Whether a part must be made anew."""

    def __init__(self, known: Digests, digests: Digests) -> None:
        self._known, self._digests = known, digests

    def __call__(self, settings: Any, old: "SinkSettings | ChosenSource | None") -> bool:
        return old is None or old.settings != settings or self.files(_files(settings))

    def files(self, names: Sequence[str]) -> bool:
        """Whether one of them says something new. What cannot be read any more was read at the start."""
        changed = (
            self._digests.get(name) != self._known.get(name)
            for name in names
            if self._digests.get(name) is not None or self._known.get(name) is None
        )
        return any(changed)


def _digest(name: str) -> bytes | None:
    """None where we may not look; b"" where it is not there: whoever needs it says so. Never waits for a pipe."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise ConfigError(f"{name}: not a regular file")
            return hashlib.sha256(file.read(MAX_READ)).digest()
    except PermissionError:
        return None
    except (OSError, ValueError):
        return b""


def _files(settings: Any) -> list[str]:
    return list(_file_keys(settings))


def _file_keys(value: Any) -> Iterator[str]:
    if isinstance(value, tuple):
        for each in value:
            yield from _file_keys(each)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            inner = getattr(value, each.name)
            if each.name.endswith("_file") and isinstance(inner, str | Path) and str(inner):
                yield str(inner)
            yield from _file_keys(inner)


def _parts(
    new: Config, sinks: list[SinkSettings], sources: tuple[ChosenSource, ...], *, lists: bool, web: bool,
    restart: list[str],
) -> Config:  # fmt: skip
    """Only what is new, as far as it reads files: what was taken before need not be readable any more."""
    return replace(
        new,
        sink=tuple(sinks),
        foreground=ForegroundSettings(new.foreground.keys, sources),
        allow_lists=new.allow_lists if lists else (),
        web=new.web if web else WebSettings(),
        geo=GeoSettings(new.geo.databases if "geo.databases" in restart else ()),
        user=new.user if "user" in restart else "auto",
    )


def _prepared(chosen: SinkSettings) -> Sink:
    sink = chosen.plugin(str(chosen.name), chosen.settings, __version__)
    sink.prepare()
    return sink


def _admin(web: WebSettings) -> Admin:
    admin = Admin(web.token, web.token_file, lambda: 0)
    admin.prepare()
    return admin


def _of_name(sinks: Sequence[SinkSettings], name: str) -> SinkSettings | None:
    return next((each for each in sinks if each.name == name), None)


def _listening(had: dict[str, ChosenSource], wanted: dict[str, ChosenSource]) -> list[str]:
    """A further server of a source is opened at the start only."""
    names = [*had, *(name for name in wanted if name not in had)]
    return [
        f"foreground.{name}.listen"
        for name in names
        if _listen(had.get(name)) != _listen(wanted.get(name))
    ]  # fmt: skip


def _listen(source: ChosenSource | None) -> str:
    return getattr(source.settings, "listen", "") if source is not None else ""


def _plain(config: Config) -> list[str]:
    """Keys at the top that are no business of a part."""
    parts = {"web", "geo", "sink", "foreground", "allow_lists", *NEEDS_RESTART}
    return [each.name for each in dataclasses.fields(config) if each.name not in parts] + ["foreground.keys"]


def _get(config: Config, key: str) -> object:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _with(old: Config, new: Config) -> Config:
    """The new one with what needs a restart as it is."""
    kept: dict[str, dict[str, Any]] = {"": {}}
    for key in NEEDS_RESTART:
        table, _, name = key.rpartition(".")
        kept.setdefault(table, {})[name] = _get(old, key)
    tables = {table: replace(getattr(new, table), **keys) for table, keys in kept.items() if table}
    return replace(new, **kept[""], **tables)
