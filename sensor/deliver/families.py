"""Metric families under the prefix idlewire_, from plain numbers."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
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


def counter(name: str, about: str, labels: Sequence[str], amounts: Amounts) -> Metric:
    """The `_total` is added by the library."""
    family = CounterMetricFamily(f"idlewire_{name}", about, labels=labels)
    return _filled(family, f"idlewire_{name}_total", labels, amounts)


def gauge(name: str, about: str, labels: Sequence[str], amounts: Amounts) -> Metric:
    """The name as it is."""
    return _filled(GaugeMetricFamily(f"idlewire_{name}", about, labels=labels), f"idlewire_{name}", labels, amounts)


def _filled(family: Metric, name: str, labels: Sequence[str], amounts: Amounts) -> Metric:
    family.samples += [
        Sample(name, dict(zip(labels, map(_shown, values), strict=True)), amount) for values, amount in amounts.items()
    ]
    return family


@lru_cache(maxsize=4096)
def _shown(value: str) -> str:
    return printable(value, MAX_LABEL)
