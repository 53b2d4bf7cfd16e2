"""Metric families as the text that Prometheus scrapes (exposition format 0.0.4).

The library's writer checks each label name of each sample again and takes half of the time of a scrape; these names
are our own constants.
"""

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

from prometheus_client.core import Metric

from sensor.deliver.families import Family, shown

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(families: Iterable[Metric]) -> bytes:
    """Counters and gauges, in their order; all samples of a family must have the same label names."""
    return "".join(f"{line}\n" for family in families for line in _lines(family)).encode()


def _lines(family: Metric) -> Iterator[str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    help_text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {family.type}"
    if isinstance(family, Family):
        yield from _rows(family, name)
        return
    for _, labels, value, *_ in family.samples:
        text = ",".join([f'{label}="{_escaped(labels[label])}"' for label in sorted(labels)])
        yield f"{name}{{{text}}} {_number(value)}" if text else f"{name} {_number(value)}"


def _rows(family: Family, name: str) -> Iterator[str]:
    if not family.labels:
        for amount in family.amounts.values():
            yield f"{name} {_number(amount)}"
        return
    order = sorted(range(len(family.labels)), key=family.labels.__getitem__)
    labels = ",".join([f'{family.labels[at]}="%s"' for at in order])
    form = f"{name}{{{labels}}} %s"
    for values, amount in family.amounts.items():
        yield form % (*[_written(values[at]) for at in order], _number(amount))


@lru_cache(maxsize=4096)
def _written(value: str) -> str:
    return _escaped(shown(value))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))  # numpy's own numbers and bool write their type
    return "NaN" if math.isnan(value) else f"{value:+}".replace("inf", "Inf")
