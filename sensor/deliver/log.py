"""The sink that is always there: one log line per state of an alert."""

import logging
from typing import Any

from sensor.base.text import printable

MAX_LINE = 1_000
"""Characters of one line."""

LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}

log = logging.getLogger(__name__)


def alert_line(alert: dict[str, Any]) -> str:
    """`alert warning watchlist firing: SUMMARY (client ID)`, one line whatever the summary holds."""
    client = alert["client"]
    whom = client["mac"] or ", ".join(client["addresses"][:1]) or "unknown"
    line = f"alert {alert['severity']} {alert['detector']} {alert['state']}: {alert['summary']} (client {whom})"
    return printable(line, MAX_LINE)


def log_alert(alert: dict[str, Any]) -> None:
    """Firing at the level of its severity, resolved as information."""
    level = LEVELS[alert["severity"]] if alert["state"] == "firing" else logging.INFO
    log.log(level, "%s", alert_line(alert))
