"""What alerts, how often, and whether the messages about it arrive."""

from deploy.grafana.dashboard import Line, dashboard
from deploy.grafana.panels import (
    ORANGE,
    RED,
    SEVERITIES,
    Column,
    Json,
    Target,
    link_to_client,
    link_to_page,
    number,
    over_time,
    ranking,
    table,
)
from deploy.grafana.query import PER_CLIENT, in_range, named, or_zero, rate, series


def build() -> Json:
    """The dashboard."""
    return dashboard(
        "idlewire-alerts",
        "Idlewire: alerts",
        "What alerts, how often, and whether the messages about it arrive. Their text is on the sensor's page.",
        [
            Line(4, _numbers()),
            Line(8, _history(), "Alerts"),
            Line(8, [_about(), *_detectors()]),
            Line(8, _known(), "What was not said"),
            Line(8, _messages(), "Messages"),
            Line(8, _waiting()),
        ],
    )


def _numbers() -> list[Json]:
    return [
        *(_firing(severity, color) for severity, color in SEVERITIES.items()),
        number(
            "Began",
            "Alerts that began to fire in the time shown.",
            "none",
            Target(or_zero(f"round({in_range('alerts_total')})")),
        ),
        number(
            "Messages that wait",
            "For all sinks together.",
            "none",
            Target(or_zero(f"sum({series('outbox_messages')})")),
            steps=((None, "green"), (10, ORANGE)),
        ),
        number(
            "Messages given up",
            "They can be sent again (POST /api/v1/outbox/replay) for 30 days.",
            "none",
            Target(or_zero(f"sum({series('outbox_dead_messages')})")),
            steps=((None, "green"), (1, RED)),
        ),
    ]


def _firing(severity: str, color: str) -> Json:
    firing = series("alerts_firing", f'severity="{severity}"')
    return number(
        f"Firing: {severity}",
        f"Alerts of severity {severity} that fire now.",
        "none",
        Target(f"sum({firing})"),
        steps=((None, "green"), (1, color)),
    )


def _history() -> list[Json]:
    return [
        over_time(
            "Firing, by severity",
            "Alerts that fire at each moment.",
            "none",
            Target(f"sum by (severity) ({series('alerts_firing')})", "{{severity}}"),
            stacked=True,
            colors=SEVERITIES,
        ),
        over_time(
            "Began, by detector",
            "Alerts per second that began to fire.",
            "ops",
            Target(rate("alerts_total", "detector"), "{{detector}}"),
            stacked=True,
            bars=True,
        ),
    ]


def _about() -> Json:
    firing = f"sum by ({PER_CLIENT}) ({series('client_alerts_firing')})"
    return table(
        "Clients that alerts are about",
        "How many fire about which client now; the sensor's page has their text.",
        "none",
        Column("who", links=(link_to_client("__data.fields.client"),)),
        Column("alerts firing", named(firing), "none"),
        Column("client", links=(link_to_page("__data.fields.instance", "__data.fields.client"),)),
        Column("instance", links=(link_to_page("__data.fields.instance"),)),
        sort="alerts firing",
    )


def _detectors() -> list[Json]:
    began = f"round({in_range('alerts_total', 'detector, severity')})"
    return [
        ranking(
            "Began, by detector and severity",
            "Alerts in the time shown.",
            "none",
            Target(began, "{{detector}}, {{severity}}"),
            color=ORANGE,
        ),
    ]


def _known() -> list[Json]:
    return [
        over_time(
            "Not made, by reason",
            "Alerts per second that were not made. allowed: an [[allow]] covers them; room: too many were open.",
            "ops",
            Target(rate("alerts_suppressed_total", "detector, reason"), "{{detector}}: {{reason}}"),
        ),
        over_time(
            "Not told at once, by reason",
            "States of alerts per second that people were not told at their time (grouped, cooldown, cap per hour).",
            "ops",
            Target(rate("notifications_suppressed_total", "reason"), "{{reason}}"),
        ),
        ranking(
            "What phones counted themselves",
            "Alerts about idle clients that are over, by what the phone's own counters say of that time (adb with "
            "truth). foreground: the alert was wrong.",
            "none",
            Target(f"round({in_range('alerts_truth_total', 'detector, known')})", "{{detector}}: {{known}}"),
        ),
    ]


def _messages() -> list[Json]:
    return [
        over_time(
            "Messages, by what became of them",
            "Per second and sink. delivered is fine; all others are lost to that sink.",
            "ops",
            Target(rate("notifications_total", "sink, outcome"), "{{sink}}: {{outcome}}"),
            stacked=True,
        ),
        over_time(
            "Attempts beyond the first",
            "Per second and sink: it did not answer, or said no for now.",
            "ops",
            Target(rate("notification_retries_total", "sink"), "{{sink}}"),
        ),
    ]


def _waiting() -> list[Json]:
    return [
        over_time(
            "Waiting",
            "Messages in the outbox, by sink.",
            "none",
            Target(f"sum by (sink) ({series('outbox_messages')})", "{{sink}}"),
        ),
        over_time(
            "Age of the oldest",
            "For how long the oldest message has waited, by sink.",
            "s",
            Target(f"max by (sink) ({series('outbox_oldest_age_seconds')})", "{{sink}}"),
        ),
        over_time(
            "Not on the disk",
            "Messages that are in memory only: the disk refuses them, and a restart would lose them.",
            "none",
            Target(f"sum by (instance) ({series('outbox_unstored_messages')})", "{{instance}}"),
        ),
    ]
