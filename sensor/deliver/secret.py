"""A setting that must not be shown: written as KEY, or into a file that KEY_file names."""

from collections.abc import Callable
from pathlib import Path

from sensor.errors import ConfigError

MAX_SECRET = 8_192
"""Bytes of a file that are read."""


def one_of(key: str, value: str, file: str, *, needed: bool = True) -> None:
    """For `__post_init__`. ValueError: both KEY and KEY_file are given, or neither though one is needed."""
    if value and file:
        raise ValueError(f"give one of {key} and {key}_file, not both")
    if needed and not value and not file:
        raise ValueError(f"needs {key} or {key}_file")


def one_line(value: str) -> None:
    """ValueError, without the value: it is nothing that fits into a header or a URL."""
    if not value.isprintable() or not value.isascii() or " " in value:
        raise ValueError("expected one line without blanks")


def checked(key: str, value: str, check: Callable[[str], object] = one_line) -> None:
    """For `__post_init__`: ValueError "KEY: what is wrong" where there is a value that `check` refuses."""
    if value:
        try:
            check(value)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None


class Secret:
    """The value itself, once `prepare` has read it; it never shows in `repr`, `str` or `format`."""

    def __init__(self, key: str, value: str, file: str, check: Callable[[str], object] = one_line) -> None:
        """`check` raises ValueError, without the value, for what it cannot be."""
        self._key = key
        self._value = value
        self._file = file
        self._check = check

    def __repr__(self) -> str:
        return f"Secret({self._key!r})"

    def prepare(self, sink: str) -> None:
        """Read the file, if it is one. ConfigError names the sink, the key and the file."""
        self.read(f"sink {sink}: ")

    def read(self, owner: str) -> None:
        """As `prepare`, for other tables: `owner` is what stands before the key, as in "geo."."""
        if not self._file:
            return
        where = f"{owner}{self._key}_file: {self._file}"
        try:
            with Path(self._file).open("rb") as file:
                content = file.read(MAX_SECRET + 1)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{where}: {getattr(error, 'strerror', None) or 'not a path'}") from None
        if len(content) > MAX_SECRET:
            raise ConfigError(f"{where}: larger than {MAX_SECRET} bytes")
        value = content.decode("utf-8", "replace").strip()
        if not value:
            raise ConfigError(f"{where}: is empty")
        try:
            self._check(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
        self._value = value

    def reveal(self) -> str:
        """What goes to the service and nowhere else; empty where none was given."""
        return self._value
