"""A mapping with a cap that counts what it evicts."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(Generic[K, V]):
    """Keeps at most `cap` entries; the one longest unused goes first."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.evicted = 0
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, which counts as a use; None where there is none."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> tuple[K, V] | None:
        """Sets a value; returns what had to go for it."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) <= self.cap:
            return None
        self.evicted += 1
        return self._entries.popitem(last=False)

    def pop(self, key: K) -> V | None:
        """Takes an entry out; that is no eviction."""
        return self._entries.pop(key, None)

    def peek(self, key: K) -> V | None:
        """The value, without counting as a use."""
        return self._entries.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def values(self) -> Iterator[V]:
        """Longest unused first."""
        return iter(self._entries.values())

    def items(self) -> Iterator[tuple[K, V]]:
        """Longest unused first."""
        return iter(self._entries.items())
