"""Whether the configuration that runs is the one in the file."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from sensor.deliver.families import counter, gauge
from sensor.deliver.snapshots import Counters


def about_reloads(counters: Counters) -> Iterator[Metric]:
    """Nothing where the configuration cannot be read again."""
    if not counters.reloads:
        return
    yield gauge(
        "config_last_reload_successful",
        "1 where the configuration was taken when it was last read, 0 while an older one goes on.",
        (),
        {(): int(counters.reload_ok)},
    )
    yield gauge(
        "config_last_reload_success_timestamp_seconds",
        "When the configuration was last taken.",
        (),
        {(): counters.reloaded_at},
    )
    yield counter(
        "config_reloads",
        "Times that the configuration was read again (SIGHUP).",
        ("outcome",),
        {(outcome,): times for outcome, times in counters.reloads.items()},
    )
