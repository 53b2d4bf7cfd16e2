"""The registrable domain of a host name, by the Public Suffix List (publicsuffix.org)."""

from functools import lru_cache

from publicsuffixlist import PublicSuffixList

MAX_REMEMBERED = 4_096
"""Answers that are kept."""


class PublicSuffixes:
    """The list that comes with the library; read on first use, which most sensors never have."""

    def __init__(self) -> None:
        self._list: PublicSuffixList | None = None
        self._remembered = lru_cache(MAX_REMEMBERED)(self._ask)

    def open(self) -> None:
        """Reads the list, where that is due before files cannot be read any more."""
        if self._list is None:
            self._list = PublicSuffixList()

    def registrable(self, name: str) -> str | None:
        """`xiaomi.com` of `api.account.xiaomi.com`; None for a suffix itself, and for what is no host name."""
        return self._remembered(name.lower().rstrip("."))

    def _ask(self, name: str) -> str | None:
        self.open()
        if self._list is None or not name:
            return None
        found: str | None = self._list.privatesuffix(name)
        return found
