"""The words of a message that tells of several alerts."""

from collections.abc import Iterable, Sequence
from typing import Literal

from sensor.deliver.notice import Json, Notice, client_of
from sensor.model.alert import SEVERITIES

SHOWN = 10
"""Alerts that one message tells of in words; of the others it gives the number."""


def together(
    kind: Literal["group", "digest", "rest"], alerts: Sequence[Json], beyond: int, now: int, number: int
) -> Notice:
    """`beyond`: how many more there were, of which only that is known; `number` makes its id one of its own."""
    identity = f"{kind}.{now}.{number}"
    return Notice(
        id=identity,
        key=identity,
        kind=kind,
        state="firing" if beyond or any(alert["state"] == "firing" for alert in alerts) else "resolved",
        severity=max((alert["severity"] for alert in alerts), key=SEVERITIES.index, default="warning"),
        at=now,
        title=_title(kind, alerts, beyond),
        lines=tuple(_lines(alerts, beyond)),
        alerts=tuple(alerts[:SHOWN]),
    )


def _title(kind: str, alerts: Sequence[Json], beyond: int) -> str:
    count, clients = len(alerts) + beyond, len({client_of(alert) for alert in alerts})
    who = f"{'at least ' if beyond else ''}{clients:,} client{'' if clients == 1 else 's'}"
    what = f"{count:,} alert{'' if count == 1 else 's'} of {who}"
    if kind == "digest":
        return f"held back until now: {what}"
    return what.replace(" alert", " more alert", 1) if kind == "rest" else what


def _lines(alerts: Sequence[Json], beyond: int) -> Iterable[str]:
    worst_first = sorted(alerts, key=lambda alert: -SEVERITIES.index(alert["severity"]))
    for alert in worst_first[:SHOWN]:
        over = "over: " if alert["state"] == "resolved" else ""
        yield f"{over}{alert['summary']}"
    if (left := beyond + max(0, len(alerts) - SHOWN)) > 0:
        yield f"and {left:,} more"
