"""The state as Prometheus metrics: plain integers, read when scraped.

Names of clients are never a label of a counter: `idlewire_client_info` joins them. Destinations and domains
are never labels at all.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sensor.base.times import SECOND
from sensor.deliver.exposition import exposition
from sensor.deliver.families import OTHER, UNKNOWN, Amounts, by_label, counter, gauge
from sensor.deliver.journal import Journal
from sensor.deliver.outbox import Outbox
from sensor.deliver.process_metrics import about_process
from sensor.deliver.reload_metrics import about_reloads
from sensor.deliver.routing import Router
from sensor.deliver.sink_metrics import about_sinks
from sensor.deliver.snapshots import Counters, Snapshots
from sensor.deliver.state_metrics import about_states
from sensor.model.alert import SEVERITIES, Alert
from sensor.model.client import Client

MAX_CLIENT_SERIES = 256
"""Clients with series of their own; the others are summed as client="other"."""
MAX_COUNTRY_SERIES = 5_000
"""(client, country) pairs with a series; the others are summed as client="other", country="other"."""

Key = TypeVar("Key", bound=Hashable)


class SeriesCap(Generic[Key]):
    """Which keys have a series of their own: the first `cap`, for as long as they are there.

    One that came too late stays in the rest even when room appears: moving it out would make the counter of
    the rest fall, which Prometheus reads as a restart.
    """

    def __init__(self, cap: int) -> None:
        self.overflowed = 0
        """Keys that came too late, ever."""
        self._cap = cap
        self._own: set[Key] = set()
        self._rest: set[Key] = set()

    def own(self, present: Sequence[Key]) -> set[Key]:
        """Those of `present` that have one; the caller must not change the set."""
        here = set(present)
        self._own &= here
        self._rest &= here
        for key in present:
            if key in self._own or key in self._rest:
                continue
            if len(self._own) < self._cap:
                self._own.add(key)
            else:
                self._rest.add(key)
                self.overflowed += 1
        return self._own


class Metrics(Collector):
    """Everything under the prefix idlewire_, and the usual process_ metrics."""

    def __init__(
        self,
        snapshots: Snapshots,
        outboxes: Sequence[Outbox],
        detectors: Iterable[str],
        journal: Journal | None = None,
        router: Router | None = None,
    ) -> None:
        """`detectors`: the known names; their alert counters exist from the start, at 0."""
        self._snapshots = snapshots
        self._outboxes = tuple(outboxes)
        self._journal = journal
        self._router = router
        self._detectors = tuple(detectors)
        self._clients: SeriesCap[str] = SeriesCap(MAX_CLIENT_SERIES)
        self._countries: SeriesCap[tuple[str, str]] = SeriesCap(MAX_COUNTRY_SERIES)
        self._process: ProcessCollector | None = None

    def retune(self, outboxes: Sequence[Outbox], detectors: Iterable[str]) -> None:
        """Other sinks and detectors from now on."""
        self._outboxes, self._detectors = tuple(outboxes), tuple(detectors)

    def render(self) -> bytes:
        """All families of this moment as text."""
        if self._process is None:
            self._process = ProcessCollector(registry=None)
        return exposition(chain(self.collect(), self._process.collect()))

    def collect(self) -> Iterator[Metric]:
        """One pass over the snapshots."""
        counters = self._snapshots.counters()
        clients, alerts = self._snapshots.clients(), self._snapshots.alerts()
        own = self._clients.own([client.id for client in clients if client.id != OTHER])
        yield from self._about_sensor()
        yield from about_reloads(counters)
        yield from _about_capture(counters)
        yield from _about_tables(counters)
        yield from _about_clients(clients, own)
        yield from self._about_countries(counters, own)
        yield from self._about_alerts(counters, alerts)
        yield _about_clients_alerts(alerts, own)
        yield from about_states(counters, self._snapshots.phone_states(None), own)
        yield from about_sinks(self._outboxes, self._journal)
        if self._router is not None:
            yield counter(
                "notifications_suppressed",
                "States of alerts that people were not told at their time.",
                ("reason",),
                {(reason,): times for reason, times in self._router.suppressed.items()},
            )
        yield counter(
            "label_overflow",
            "Label sets that had no room for a series of their own and are summed as other.",
            ("label",),
            {("client",): self._clients.overflowed, ("country",): self._countries.overflowed},
        )
        yield from about_process()

    def _about_sensor(self) -> Iterator[Metric]:
        sensor = self._snapshots.sensor()
        yield gauge("build_info", "The running version; always 1.", ("version",), {(sensor.version,): 1})
        built: Amounts = {}
        if sensor.geo_database is not None and sensor.geo_built_at is not None:
            built = {(sensor.geo_database,): sensor.geo_built_at / SECOND}
        yield gauge("geo_database_build_timestamp_seconds", "When the IP database was built.", ("database",), built)

    def _about_countries(self, counters: Counters, own: set[str]) -> Iterator[Metric]:
        sums, idle = _by_country(counters.country_sent, own), _by_country(counters.idle_sent, own)
        kept = self._countries.own(list(sums))
        labels = ("client", "country")
        yield counter(
            "client_country_sent_bytes",
            "IP bytes a client sent to destinations, by their country.",
            labels,
            _capped(sums, kept),
        )
        yield counter(
            "client_background_sent_bytes",
            "IP bytes a client sent to destinations while nobody was using it, by their country.",
            labels,
            _capped(idle, kept),
        )

    def _about_alerts(self, counters: Counters, alerts: Sequence[Alert]) -> Iterator[Metric]:
        labels = ("detector", "severity")
        begun: dict[tuple[str, ...], int] = {(name, level): 0 for name in self._detectors for level in SEVERITIES}
        firing = dict(begun)
        begun.update((key, count) for key, count in counters.alerts.items())
        for alert in alerts:
            if alert.state == "firing":
                key = (alert.detector, alert.severity)
                firing[key] = firing.get(key, 0) + 1
        yield counter("alerts", "Alerts that began to fire.", labels, begun)
        yield counter(
            "alerts_suppressed",
            "Alerts that were not made: someone allowed it, or too many were open.",
            ("detector", "reason"),
            by_label(counters.suppressed),
        )
        yield counter(
            "detector_evaluations",
            "Seconds of traffic that a detector has judged.",
            ("detector",),
            {(name,): count for name, count in counters.evaluations.items()},
        )
        yield counter(
            "detector_failures",
            "Times that a detector failed; it went on. The detector owners: what rules about idle clients share.",
            ("detector",),
            {(name,): count for name, count in counters.failures.items()},
        )
        yield gauge("alerts_firing", "Alerts that fire now.", labels, firing)


def _by_country(sent: Mapping[tuple[str, str | None], int], own: set[str]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for (client, country), nbytes in sent.items():
        pair = (client if client in own else OTHER, country or UNKNOWN)
        sums[pair] = sums.get(pair, 0) + nbytes
    return sums


def _capped(sums: Mapping[tuple[str, str], int], kept: set[tuple[str, str]]) -> Amounts:
    amounts: dict[tuple[str, ...], int] = {}
    for pair, nbytes in sums.items():
        key = pair if pair in kept else (OTHER, OTHER)
        amounts[key] = amounts.get(key, 0) + nbytes
    return amounts


def _about_clients_alerts(alerts: Iterable[Alert], own: set[str]) -> Metric:
    firing: dict[tuple[str, ...], int] = {(client,): 0 for client in own}
    for alert in alerts:
        if alert.state == "firing":
            key = (alert.client.id if alert.client.id in own else OTHER,)
            firing[key] = firing.get(key, 0) + 1
    return gauge("client_alerts_firing", "Alerts about a client that fire now.", ("client",), firing)


def _about_capture(counters: Counters) -> Iterator[Metric]:
    yield counter("capture_frames", "Frames handed over by capture.", (), {(): counters.frames})
    yield counter("capture_dropped_frames", "Frames the kernel had no room for.", (), {(): counters.dropped_frames})
    yield counter(
        "capture_undecodable_frames",
        "Frames that hold no IP packet or a damaged one.",
        (),
        {(): counters.undecodable_frames},
    )
    yield counter("packets", "IP packets counted.", (), {(): counters.packets})
    yield counter(
        "messages",
        "Messages read: DNS answers, TLS hellos.",
        ("kind",),
        {(kind,): count for kind, count in counters.messages.items()},
    )
    watching: Amounts = {} if counters.interface is None else {(counters.interface,): 1}
    yield gauge("capture_interface_info", "The interface, there or waited for; always 1.", ("interface",), watching)
    yield gauge(
        "capture_interface_up",
        "1 while frames can be captured, 0 while the interface is missing or down.",
        (),
        {(): int(counters.interface_up)},
    )
    yield counter("capture_interface_waits", "How often the interface was missing.", (), {(): counters.interface_waits})
    yield counter(
        "capture_interface_reopens", "How often the interface came back.", (), {(): counters.interface_reopens}
    )


def _about_tables(counters: Counters) -> Iterator[Metric]:
    yield counter(
        "evicted_rows",
        "Rows evicted from a full table, and flows refused one; their bytes are kept in a row for the rest.",
        ("table",),
        {(table,): count for table, count in counters.evicted.items()},
    )
    held: Amounts = {
        ("clients",): counters.clients,
        ("destinations",): counters.destinations,
        ("flows",): counters.flows,
    }
    yield gauge("table_rows", "Rows held now.", ("table",), held)
    yield counter(
        "events",
        "What was given up, doubted or left out on the way, by kind; none of it loses bytes.",
        ("event",),
        {(event,): count for event, count in counters.events.items()},
    )


def _about_clients(clients: Sequence[Client], own: set[str]) -> Iterator[Metric]:
    sent: dict[tuple[str, ...], int] = {}
    received: dict[tuple[str, ...], int] = {}
    info: dict[tuple[str, ...], int] = {}
    seen: dict[tuple[str, ...], float] = {}
    for client in clients:
        key = (client.id if client.id in own else OTHER,)
        sent[key] = sent.get(key, 0) + client.totals.sent_bytes
        received[key] = received.get(key, 0) + client.totals.received_bytes
        seen[key] = max(seen.get(key, 0), client.totals.last_seen / SECOND)
        if client.id in own:
            info[(client.id, client.mac or "", client.name or "", client.vendor or "")] = 1
        else:
            info[(OTHER, "", "", "")] = 1
    yield counter("client_sent_bytes", "IP bytes a client sent, to anywhere.", ("client",), sent)
    yield counter("client_received_bytes", "IP bytes a client received, from anywhere.", ("client",), received)
    yield gauge("client_info", "Names of a client; always 1.", ("client", "mac", "name", "vendor"), info)
    yield gauge(
        "client_last_seen_timestamp_seconds", "When a client last sent or received; 0: never.", ("client",), seen
    )
