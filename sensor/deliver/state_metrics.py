"""Phone states as metrics: what was sent in which state, who says what, and since when."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from sensor.base.times import SECOND
from sensor.deliver.families import OTHER, by_label, counter, gauge
from sensor.deliver.snapshots import ClientForeground, Counters
from sensor.model.foreground import STATES

MAX_STANDINGS = 1_000
"""(client, source) pairs with series of their own; the others have none."""


def about_states(counters: Counters, known: Sequence[ClientForeground], own: set[str]) -> Iterator[Metric]:
    """`known`: what all sources together say; `own`: the clients that have series of their own."""
    sent: dict[tuple[str, ...], int] = {(client, state): 0 for client in own for state in STATES}
    for (client, state), nbytes in counters.state_sent.items():
        key = (client if client in own else OTHER, state)
        sent[key] = sent.get(key, 0) + nbytes
    yield counter(
        "client_state_sent_bytes",
        "IP bytes a client sent to destinations, by whether a person was using it; unknown: the idle rules are blind.",
        ("client", "state"),
        sent,
    )
    yield gauge(
        "client_state",
        "Whether a person uses the client, as the rules believe: 1 for that state.",
        ("client", "state"),
        {
            (row.client, state): int(state == row.foreground.state)
            for row in known
            if row.client in own
            for state in STATES
        },
    )
    shown = counters.standings[:MAX_STANDINGS]
    yield gauge(
        "client_foreground_state",
        "What a source says of a client: 1 for that state.",
        ("client", "source", "state"),
        {(client, said.source, state): int(state == said.state) for client, said in shown for state in STATES},
    )
    yield gauge(
        "client_foreground_timestamp_seconds",
        "When it last reported something.",
        ("client", "source"),
        {(client, said.source): said.observed_at / SECOND for client, said in shown},
    )
    yield counter("foreground_reports", "Reports of phone states.", ("source", "outcome"), by_label(counters.reports))
    yield counter(
        "foreground_source_events",
        "What became of a source's requests, polls and connections.",
        ("source", "kind"),
        by_label(counters.source_events),
    )
    yield counter(
        "foreground_verdicts",
        "What was said of a client's use, by what is known better: inferred states by those that others reported, the "
        "sensor's states by what a phone counted (adb). The measured precision.",
        ("source", "said", "known"),
        {tuple(key): times for key, times in counters.verdicts.items()},
    )
    yield counter(
        "alerts_truth",
        "Alerts about idle clients that are over, by what the phone's own counters say of that time.",
        ("detector", "known"),
        by_label(counters.alert_truths),
    )
