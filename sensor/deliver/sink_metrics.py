"""What became of messages, and what waits, as metrics."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from sensor.deliver.families import Amounts, counter, gauge
from sensor.deliver.journal import Journal
from sensor.deliver.outbox import Outbox


def about_sinks(outboxes: Sequence[Outbox], journal: Journal | None) -> Iterator[Metric]:
    """`journal`: theirs, where there is one."""
    ends: dict[tuple[str, ...], int] = {}
    retries: dict[tuple[str, ...], int] = {}
    renewals: dict[tuple[str, ...], int] = {}
    for outbox in outboxes:
        for outcome, count in outbox.outcomes.items():
            if outcome == "retried":
                retries[(outbox.name,)] = count
            elif outcome == "renewed":
                renewals[(outbox.name,)] = count
            else:
                ends[(outbox.name, outcome)] = count
    yield counter("notifications", "Messages by what became of them.", ("sink", "outcome"), ends)
    yield counter("notification_retries", "Attempts to deliver beyond the first.", ("sink",), retries)
    yield counter("notification_renewals", "Alerts that were said again because they go on.", ("sink",), renewals)
    waiting: Amounts = {(outbox.name,): outbox.waiting for outbox in outboxes}
    yield gauge("outbox_messages", "Messages that wait for a sink.", ("sink",), waiting)
    ages: Amounts = {(outbox.name,): round(outbox.oldest_seconds(), 3) for outbox in outboxes}
    yield gauge(
        "outbox_oldest_age_seconds", "For how long the oldest message has waited; 0: none waits.", ("sink",), ages
    )
    gone: Amounts = {(outbox.name,): int(outbox.gone is not None) for outbox in outboxes}
    yield gauge("sink_gone", "1 where nothing is sent any more until the sensor restarts.", ("sink",), gone)
    if journal is None:
        return
    dead: Amounts = {(outbox.name,): journal.dead.get(outbox.name, 0) for outbox in outboxes}
    yield gauge("outbox_dead_messages", "Messages that were given up and can be sent again by hand.", ("sink",), dead)
    yield gauge(
        "outbox_unstored_messages", "Messages in memory only; a restart loses them.", (), {(): journal.unstored}
    )
    yield counter("outbox_write_failures", "Writes that the disk refused.", (), {(): journal.failures})
    yield counter("outbox_repeated", "Messages that a sink had got or was to get already.", (), {(): journal.repeated})
