"""Metric families under the prefix idlewire_, from plain numbers."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

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
    for values, amount in amounts.items():
        family.add_metric([printable(value, MAX_LABEL) for value in values], amount)
    return family


def gauge(name: str, about: str, labels: Sequence[str], amounts: Amounts) -> Metric:
    """The name as it is."""
    family = GaugeMetricFamily(f"idlewire_{name}", about, labels=labels)
    for values, amount in amounts.items():
        family.add_metric([printable(value, MAX_LABEL) for value in values], amount)
    return family
