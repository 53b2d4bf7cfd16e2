"""What `backtest` says: the alerts that rules would have raised, per client and day."""

from collections import Counter
from collections.abc import Iterable

from sensor.base.text import printable
from sensor.base.times import rfc3339
from sensor.base.units import size_text
from sensor.deliver.report import Result
from sensor.deliver.shapes import Json, alert_object
from sensor.model.alert import Alert, Severity

MAX_KEPT = 10_000
"""Alerts of which the text is kept; all are counted."""

Row = tuple[str, str, str, Severity]
"""(day, client id, detector, severity)."""


class Tally:
    """Counts alerts as they fire."""

    def __init__(self) -> None:
        self.counts: Counter[Row] = Counter()
        self.kept: dict[str, Alert] = {}
        """Alert id -> its last state."""

    def add(self, alert: Alert) -> None:
        """One state of an alert."""
        if alert.state == "firing":
            self.counts[rfc3339(alert.started_at)[:10], alert.client.id, alert.detector, alert.severity] += 1
        if alert.id in self.kept or len(self.kept) < MAX_KEPT:
            self.kept[alert.id] = alert


def backtest_object(result: Result, tally: Tally) -> Json:
    """The object of `backtest --json`."""
    sent = {identity for identity, _ in result.state_sent}
    return {
        "days": [
            {"day": day, "client": client, "detector": detector, "severity": severity, "alerts": count}
            for (day, client, detector, severity), count in sorted(tally.counts.items())
        ],
        "sent_bytes": [{"client": identity, **_by_state(result, identity)} for identity in sorted(sent)],
        "alerts": [alert_object(alert, result.sensor) for alert in _by_time(tally.kept.values())],
    }


def backtest_table(result: Result, tally: Tally) -> str:
    """The same for a person."""
    total = sum(tally.counts.values())
    names = {client.id: client.name for client in result.clients}
    lines = [f"These rules would have raised {total:,} alert{'' if total == 1 else 's'}."]
    for (day, client, detector, severity), count in sorted(tally.counts.items()):
        lines.append(f"  {day}  {names.get(client) or client:24}  {detector:18}  {severity:8}  {count:,}")
    if tally.kept:
        lines += [
            "",
            *(f"  {rfc3339(each.started_at)[:19]}Z  {each.summary}" for each in _by_time(tally.kept.values())),
        ]
    blind = [line for client in result.clients if (line := _blind(result, client.id, client.name))]
    if blind:
        lines += ["", "Where nobody reported the phone's state, the rules about idle clients were blind:", *blind]
    return "\n".join(printable(line, 4096) for line in lines) + "\n"


def _blind(result: Result, identity: str, name: str | None) -> str | None:
    sent = _by_state(result, identity)
    if not sent["unknown"]:
        return None
    return f"  {name or identity}: {size_text(sent['unknown'])} of {size_text(sum(sent.values()))} sent"


def _by_state(result: Result, identity: str) -> dict[str, int]:
    sent = result.state_sent
    return {
        "foreground": sent.get((identity, "foreground"), 0),
        "background": sent.get((identity, "background"), 0),
        "unknown": sent.get((identity, "unknown"), 0),
    }


def _by_time(alerts: Iterable[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (alert.started_at, alert.id))
