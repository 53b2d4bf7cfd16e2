"""Metric families under the prefix idlewire_, from plain numbers."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from sensor.base.text import printable

OTHER, UNKNOWN = "other", "unknown"

MAX_LABEL = 128
"""Characters of a label value."""

Pair = TypeVar("Pair", bound=tuple[str, str])
Amounts = Mapping[tuple[str, ...], int | float]
"""Label values -> amount."""


def by_label(amounts: Mapping[Pair, int]) -> Amounts:
    """Pairs as label values."""
    return {tuple(key): amount for key, amount in amounts.items()}


class Family(Metric):
    """Counts by label values. Its samples are made only for those who ask; the text of a scrape needs none."""

    def __init__(self, name: str, about: str, kind: str, labels: Sequence[str], amounts: Amounts) -> None:
        super().__init__(f"idlewire_{name}", about, kind)
        self.labels = tuple(labels)
        self.amounts = amounts

    @property
    def sample_name(self) -> str:
        """As it stands in a scrape."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    @property
    def samples(self) -> list[Sample]:
        """One per label set."""
        return [
            Sample(self.sample_name, dict(zip(self.labels, map(shown, values), strict=True)), amount)
            for values, amount in self.amounts.items()
        ]

    @samples.setter
    def samples(self, _: list[Sample]) -> None:
        """The base class begins with none."""


def counter(name: str, about: str, labels: Sequence[str], amounts: Amounts) -> Metric:
    """`_total` is added to its samples' name."""
    return Family(name, about, "counter", labels, amounts)


def gauge(name: str, about: str, labels: Sequence[str], amounts: Amounts) -> Metric:
    """The name as it is."""
    return Family(name, about, "gauge", labels, amounts)


@lru_cache(maxsize=4096)
def shown(value: str) -> str:
    """A label value that others may have chosen."""
    return printable(value, MAX_LABEL)
