"""The plug-ins of a package: a file's name is the name that the configuration uses."""

import importlib
import pkgutil
from contextlib import suppress
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sensor.base.settings import nearest
from sensor.errors import ConfigError


class Plugin(Protocol):
    """What the class in a plug-in file has."""

    settings_type: ClassVar[type[Any]]
    """A frozen dataclass: the keys that only this plug-in has."""


P = TypeVar("P", bound=Plugin)


class Registry(Generic[P]):
    """Finds the plug-ins of a package, the `PLUGIN` of each file; imports only those that are asked for.

    All are asked for while the configuration is read: after that the daemon imports nothing, and may
    have given up the right to read the files.
    """

    def __init__(self, package: str, noun: str) -> None:
        """`noun` is what users call such a plug-in."""
        self.noun = noun
        self._package = package
        self._names: list[str] | None = None

    def names(self) -> list[str]:
        """All plug-ins there are; found without importing them, and once: later the folder may be closed to us."""
        if self._names is None:
            package = importlib.import_module(self._package)
            found = pkgutil.iter_modules(package.__path__)
            self._names = sorted(each.name for each in found if each.name[0] != "_")
        return list(self._names)

    def every(self) -> list[type[P]]:
        """All that can be imported here, so that a configuration that is read later may name any of them."""
        classes = []
        for name in self.names():
            with suppress(Exception):  # whatever is wrong with one that nobody asked for
                classes.append(self.find(name))
        return classes

    def find(self, name: str) -> type[P]:
        """The plug-in's class. ConfigError where there is none of that name, or it cannot be imported here."""
        known = self.names()
        # Looked up, never joined to a path: the name is what someone typed.
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean '{near}'? " if near else ""
            raise ConfigError(f"no {self.noun} called {name!r}; {hint}known: {', '.join(known) or 'none'}")
        try:
            plugin: type[P] = importlib.import_module(f"{self._package}.{name}").PLUGIN
        except ImportError as error:
            raise ConfigError(f"{self.noun} {name!r} cannot be loaded: {error}") from error
        return plugin
