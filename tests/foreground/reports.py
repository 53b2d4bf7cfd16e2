"""Reports made by hand, and any that hypothesis may come up with."""

from typing import Any

from hypothesis import strategies as st

from sensor.base.times import SECOND
from sensor.model.foreground import EVENTS, Event, Report

PHONE, TABLET = "60:38:e0:c5:35:a0", "64:09:80:00:00:02"
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND


def report(
    event: Event,
    at: float,
    *,
    received: float | None = None,
    source: str = "push",
    client: str = PHONE,
    app: str | None = None,
    sequence: int | None = None,
    interval: int | None = None,
    until: float | None = None,
    current: bool = False,
) -> Report:
    """`at`, `received`, `until`: seconds."""
    observed = round(at * SECOND)
    heard = observed if received is None else round(received * SECOND)
    end = None if until is None else round(until * SECOND)
    return Report(client, source, event, app, observed, heard, sequence, interval, end, current)


def any_reports(**fixed: Any) -> st.SearchStrategy[list[Report]]:
    """Reports in order of receipt, about anything that happened up to half a minute before or after that."""
    seconds = st.integers(0, 400).map(lambda value: value * 1000)
    parts: dict[str, st.SearchStrategy[Any]] = {
        "client": st.sampled_from([PHONE, TABLET]),
        "source": st.sampled_from(["push", "home_assistant", "adb", "manual", "inferred"]),
        "event": st.sampled_from(EVENTS),
        "app": st.sampled_from([None, "mail", "maps"]),
        "observed_at": st.integers(-30, 30),
        "received_at": st.one_of(seconds, st.integers(0, 200)),
        "sequence": st.one_of(st.none(), st.integers(0, 9), st.just(2**63 - 1)),
        "current": st.booleans(),
        "interval": st.one_of(st.none(), st.just(0), st.integers(1, 900).map(lambda value: value * SECOND)),
        "until": st.one_of(st.none(), st.integers(0, 500_000).map(lambda value: value * SECOND)),
    }
    parts |= {name: st.just(value) for name, value in fixed.items()}

    def timed(made: Report) -> Report:
        heard = made.received_at * SECOND
        return made._replace(received_at=heard, observed_at=max(0, heard + made.observed_at * SECOND))

    reports = st.lists(st.builds(Report, **parts).map(timed), max_size=25)
    return reports.map(lambda some: sorted(some, key=lambda each: each.received_at))
