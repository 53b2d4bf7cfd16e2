"""[foreground] of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sensor.base.settings import build, collect
from sensor.base.units import Duration
from sensor.errors import ConfigError
from sensor.foreground.base import SOURCES, Source
from sensor.foreground.fusion import Rules


@dataclass(frozen=True, slots=True)
class ChosenSource:
    """A source of phone states that is on, with its settings; made as plugin(settings, facts)."""

    name: str
    plugin: type[Source] = field(repr=False)
    settings: Any = field(repr=False)

    @property
    def key(self) -> str:
        """Where its settings stand."""
        return f"foreground.{self.name}"


@dataclass(frozen=True, slots=True)
class ForegroundKeys:
    """The keys that are no table of a source."""

    max_age: Duration = Duration("12h")
    """A reported transition holds this long without a newer one."""
    grace: Duration = Duration("60s")
    """After a phone was put away, what it sends still counts as before for this long."""

    def __post_init__(self) -> None:
        """ValueError where no client could ever count as idle."""
        if self.max_age <= self.grace:
            raise ValueError("max_age: expected more than `grace`: else no client ever counts as idle")


@dataclass(frozen=True, slots=True)
class ForegroundSettings:
    """How long reports of phone states hold, and one table per source of them."""

    keys: ForegroundKeys = ForegroundKeys()
    sources: tuple[ChosenSource, ...] = ()
    """Those that are on: their table is there, and not `enabled = false`."""

    @property
    def rules(self) -> Rules:
        """For the fusion."""
        return Rules(self.keys.max_age, self.keys.grace)

    @classmethod
    def from_settings(cls, values: Mapping[str, object], path: str) -> "ForegroundSettings":
        """ConfigError as `settings.build`."""
        problems: list[str] = []
        known = SOURCES.names()
        tables = {key: value for key, value in values.items() if isinstance(value, dict) or key in known}
        plain = {key: value for key, value in values.items() if key not in tables}
        keys = collect(problems, lambda: build(ForegroundKeys, plain, path))
        chosen = [source for name in tables if (source := _source(name, tables[name], path, problems))]
        if problems or keys is None:
            raise ConfigError(*problems)
        return cls(keys, tuple(source for source in chosen if source.settings.enabled))


def _source(name: str, table: object, path: str, problems: list[str]) -> ChosenSource | None:
    if not isinstance(table, dict):
        problems.append(f"{path}.{name}: expected a table, [{path}.{name}]")
        return None
    try:
        plugin = SOURCES.find(name)
    except ConfigError as error:
        problems.append(f"{path}.{name}: {error}")
        return None
    settings = collect(problems, lambda: build(plugin.settings_type, table, f"{path}.{name}"))
    return None if settings is None else ChosenSource(name, plugin, settings)
