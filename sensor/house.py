"""The pipeline with all that it asks, built from a configuration; and what others may see of it."""

import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sensor import __version__
from sensor.account import snapshot
from sensor.account.ledger import Limits
from sensor.account.locality import Local
from sensor.base.addresses import address_text, mac_text, parse_address
from sensor.base.fields import is_mac
from sensor.config import Config, read_allow_lists
from sensor.deliver.shapes import protocol_name
from sensor.deliver.snapshots import ClientForeground, Counters, SensorInfo, SourceState
from sensor.detect.allowance import Allowance, Allowances
from sensor.detect.base import Facts, owner_of
from sensor.detect.engine import Engine
from sensor.detect.learned import Learned
from sensor.detect.owners import Owners
from sensor.enrich.geo import GeoDatabase
from sensor.enrich.names import NameBook
from sensor.enrich.suffixes import PublicSuffixes
from sensor.enrich.vendors import Vendors
from sensor.foreground.base import Source, SourceFacts
from sensor.foreground.book import Expected, ForegroundBook
from sensor.foreground.fusion import fuse
from sensor.foreground.settings import ChosenSource
from sensor.foreground.standing import Standing
from sensor.model.activity import Activity, Contact
from sensor.model.alert import Alert, AlertClient
from sensor.model.client import Client
from sensor.model.destination import Destination
from sensor.model.foreground import Change, Report, State
from sensor.pipeline import Pipeline

MAX_PORTS = 8
"""Services of a contact that an alert names; beyond it says "more"."""

IDLE_DETECTORS = frozenset({"background_upload", "idle_drip", "unused_device", "upload_burst"})
"""Those that say that nobody used a client."""

_log = logging.getLogger(__name__)


class House:
    """Everything between capture and delivery. Implements `deliver.snapshots.Snapshots`."""

    def __init__(
        self,
        config: Config,
        on_alert: Callable[[Alert], None],
        local: Iterable[str] = (),
        *,
        clock: Callable[[], int] = lambda: 0,
        updates: bool = False,
    ) -> None:
        """`clock`: ns since 1970, for sources that hear of things as they happen; `updates`: of the IP database."""
        self.geo = GeoDatabase(config.geo.databases, state_dir=config.state_dir, updates=updates)
        self.vendors = Vendors()
        self.names = NameBook()
        self._called = config.client_names
        self.ids = {name: client for client, name in self._called.items()}
        """Configured name -> client's id."""
        self._clock = clock
        self._about = SourceFacts(
            self.report,
            clock,
            called=self.called,
            known=lambda client, now: self.foreground.at(client, now),  # noqa: PLW0108  # there is none yet
            ids=self.ids,
            whose=self.client_at,
            seen=lambda client: self.pipeline.ledger.by_id(client) is not None,
            withdraw=lambda client, source: self.foreground.withdraw(client, source, clock()),
            state_dir=config.state_dir,
        )
        self.sources = [self.source(each) for each in config.foreground.sources]
        self._expecting = _those_expecting(self.sources)
        self.rules = config.foreground.rules
        self.foreground = ForegroundBook(self.rules, self._expecting)
        self.learned = Learned()
        self._facts = facts = Facts(self._alert_client, config.watch, self.foreground, self.learned, self._ports)
        self._config = config
        self._allowances = Allowances(config.allow)
        self.shipped: list[Allowance] = []
        """What the lists of `allow_lists` allow."""
        self.suffixes = PublicSuffixes()
        owners = Owners(config.watch, self._allowances, lambda contact: owner_of(contact, self.suffixes.registrable))
        self.engine = Engine([each.plugin(each.settings, facts) for each in config.detect.detectors], owners)
        self.configured_local = (*map(str, config.local), *local)
        self.pipeline = Pipeline(
            places=self.geo,
            names=self.names,
            engine=self.engine,
            local=Local(self.configured_local),
            limits=Limits(
                config.account.max_clients,
                config.account.max_destinations,
                config.account.max_destinations_per_client,
            ),
            on_alert=self._alerted,
            states=self.foreground,
        )
        # As long as nobody reports, no rule about idle clients can say anything, and what is upload costs nothing.
        self.pipeline.follows_uploads = bool(self.sources)
        self.pipeline.lookers = _those_looking(self.sources)
        self._on_alert = on_alert
        self._truths: Counter[tuple[str, State]] = Counter()
        """(detector, what a phone's own counters say) -> alerts that are over."""
        self._vendor_of: dict[bytes, str | None] = {}
        self._name = config.name or socket.gethostname()

    def open(self) -> None:
        """Opens the databases and lists. DataError, ConfigError."""
        self.geo.open()
        self.vendors.open()
        self.shipped = read_allow_lists(self._config)
        self._allowances.ship(self.shipped)

    def close(self) -> None:
        """Closes them."""
        self.geo.close()

    def source(self, chosen: ChosenSource) -> Source:
        """Makes a source that reports to this house; nobody asks it before `change_source`."""
        return chosen.plugin(chosen.settings, self._about)

    def change_source(self, old: Source | None, new: Source | None) -> None:
        """One source instead of another, one more, or one less; what only the old one said is taken back."""
        now = self._clock() or self.now
        self.sources = [each for each in self.sources if each is not old] + ([new] if new is not None else [])
        if new is not None:
            self.pipeline.follows_uploads = True
        if old is not None and new is not None:
            new.counts.update(old.counts)
            new.verdicts.update(old.verdicts)
        self._expecting = _those_expecting(self.sources)
        self.pipeline.lookers = _those_looking(self.sources)
        self.foreground.retune(self.rules, self._expecting, now)
        if old is not None and new is None:
            self.foreground.withdraw_all(old.name, now)

    def retune(self, config: Config, shipped: Sequence[Allowance]) -> None:
        """Other settings hold from now on; what is known stays. `relearn` is to follow.

        Not its business: sources (`change_source`), and what needs a restart.
        """
        self._called.clear()
        self._called.update(config.client_names)
        self.ids.clear()
        self.ids.update({name: client for client, name in self._called.items()})
        self._name = config.name or socket.gethostname()
        self.configured_local = tuple(map(str, config.local))
        self.rules = config.foreground.rules
        self.foreground.retune(self.rules, self._expecting, self._clock() or self.now)
        self.shipped = list(shipped)
        self._allowances = Allowances(config.allow, shipped)
        self._facts = replace(self._facts, watches=config.watch)
        chosen = [(each.plugin, each.settings) for each in config.detect.detectors]
        for alert in self.engine.retune(chosen, self._facts, self._allowances):
            self._alerted(alert)

    def report(self, report: Report) -> bool:
        """A source of phone states says something; False where that told nothing new."""
        self.pipeline.follows_uploads = True
        return self.foreground.report(report)

    def called(self, client: str) -> str:
        """The name that its owner gave to a client; its id where there is none."""
        return self._called.get(client, client)

    def client_at(self, address: str) -> str | None:
        """The id of the client that the address belongs to, as far as its packets told."""
        wanted = parse_address(address)
        rows = [row for row in self.pipeline.ledger.clients.values() if wanted in row.addresses]
        last_seen = self.pipeline.ledger.client_totals.last_seen
        return max(rows, key=lambda row: int(last_seen[row.row])).id if rows else None

    @property
    def now(self) -> int:
        """Packet time, ns."""
        return self.pipeline.now

    def sensor(self) -> SensorInfo:
        """Who says all this, and by which data."""
        return SensorInfo(
            self._name, __version__, self.geo.name or None, self.geo.built_at, self.geo.attribution or None
        )

    def counters(self) -> Counters:
        """All counts of the pipeline; capture adds its own."""
        pipeline, ledger, now = self.pipeline, self.pipeline.ledger, self._clock() or self.now
        return Counters(
            frames=pipeline.counts.frames,
            dropped_frames=pipeline.counts.dropped,
            undecodable_frames=pipeline.headers.stats.undecodable,
            packets=pipeline.headers.stats.packets,
            messages=dict(pipeline.counts.messages),
            evicted={
                "clients": ledger.stats.evicted_clients + ledger.stats.refused_clients,
                "destinations": ledger.stats.evicted_contacts + ledger.stats.refused_contacts,
                "names": self.names.evicted,
                "flows": pipeline.flows.expired,
                "streams": pipeline.messages.streams.evicted,
                "owners": self.engine.evicted_owners,
                "habits": self.learned.evicted,
                "states": self.foreground.evicted,
            },
            events=self._events(),
            clients=len(ledger.clients) - 1,
            destinations=ledger.contacts.destinations,
            flows=pipeline.flows.count,
            alerts=dict(self.engine.counts),
            country_sent=snapshot.country_sent(ledger),
            state_sent=dict(pipeline.usage.sent),
            idle_sent=dict(pipeline.usage.idle),
            failures=dict(self.engine.failures),
            evaluations=dict(self.engine.evaluations),
            suppressed={
                **{(name, "room"): count for name, count in self.engine.suppressed.items()},
                **{(name, "allowed"): count for name, count in self.engine.allowed.items()},
            },
            reports={**self.foreground.outcomes, **{(name, "lost"): n for name, n in self.foreground.lost.items()}},
            source_events={(each.name, kind): n for each in self.sources for kind, n in each.counts.items()},
            verdicts={(each.name, *pair): n for each in self.sources for pair, n in each.verdicts.items()},
            alert_truths=dict(self._truths),
            standings=[(client, self._alone(said, now)) for client, said in self.foreground.standings()],
        )

    def clients(self) -> list[Client]:
        """All clients that were seen."""
        return snapshot.clients(self.pipeline.ledger, self.now, self._describe)

    def destinations(self, client: str | None) -> Sequence[Destination]:
        """Those of one client id, or of all; most bytes first."""
        return snapshot.Destinations(self.pipeline.ledger, self.now, client)

    def brief_destinations(self, client: str) -> list[Destination]:
        """Those of one client id, without rates and services."""
        return list(snapshot.Destinations(self.pipeline.ledger, self.now, client, brief=True))

    def alerts(self) -> list[Alert]:
        """Firing and lately resolved, by start."""
        return self.engine.alerts()

    def phone_states(self, client: str | None) -> list[ClientForeground]:
        """Whether a person uses one client, or each that there is."""
        now = self._clock() or self.now
        known = {row.id for row in self.pipeline.ledger.clients.values()} | set(self.foreground.clients())
        # Asking after a client that nobody knows must not make it known: that would push others out.
        asked = known - {"other"} if client is None else known & {client} - {"other"}
        said: dict[str, list[Standing]] = {}
        for whose, standing in self.foreground.standings():
            said.setdefault(whose, []).append(standing)
        return [self._foreground(identity, said.get(identity, []), now) for identity in asked]

    def timeline(self, client: str) -> list[Change]:
        """What was known of the client, oldest first."""
        return self.foreground.between(client, 0, self._clock() or self.now)

    def _alerted(self, alert: Alert) -> None:
        if alert.state == "resolved" and alert.detector in IDLE_DETECTORS:
            evidence = alert.evidence
            for source in self.sources:
                behind = source.counted(alert.client.id, evidence.first_seen, evidence.last_seen)
                if behind is not None:
                    self._truths[alert.detector, "background" if behind else "foreground"] += 1
        self._on_alert(alert)

    def _foreground(self, client: str, said: list[Standing], now: int) -> ClientForeground:
        expected = [standing for ask in self._expecting if (standing := ask(client, now)[0]) is not None]
        sources = tuple(self._alone(each, now) for each in (*said, *expected) if each.observed_at >= 0)
        return ClientForeground(client, self._called.get(client), now, self.foreground.peek(client, now), sources)

    def _alone(self, said: Standing, now: int) -> SourceState:
        """What one source is worth by itself: unknown once it is too old, or reports of it are missing."""
        return SourceState(said.source, fuse([said], now, self.rules).foreground.state, said.observed_at)

    def _events(self) -> dict[str, int]:
        messages, timeline = self.pipeline.messages, self.pipeline.timeline
        return {
            "clamped_time": timeline.clamped,
            "clock_step": timeline.steps,
            "bad_hello": messages.stats.bad_hellos,
            "cut_hello": messages.stats.cut_hellos,
            "lost_stream": messages.stats.lost_streams,
            "deep_tunnel": messages.stats.deep_tunnels,
            "beyond_frame": self.pipeline.headers.stats.beyond_frame,
            "geo_error": self.geo.errors,
            "geo_refused": self.geo.refused,
            "client_returned": self.foreground.returned,
            "detector_failure": sum(self.engine.failures.values()),
            "alert_suppressed": sum(self.engine.suppressed.values()),
        }

    def _describe(self, mac: bytes | None) -> tuple[str | None, str | None]:
        if mac is None:
            return None, None
        if mac not in self._vendor_of:
            if len(self._vendor_of) > 4 * self.pipeline.ledger.limits.clients:
                self._vendor_of.clear()
            self._vendor_of[mac] = self.vendors.vendor(mac)
        return self._vendor_of[mac], self._called.get(mac_text(mac))

    def _alert_client(self, identity: str) -> AlertClient:
        row = self.pipeline.ledger.by_id(identity)
        if row is None:
            # Evicted meanwhile: its id still says who it was.
            return AlertClient(identity, identity if is_mac(identity) else None, self._called.get(identity), None, ())
        vendor, name = self._describe(row.mac)
        addresses = tuple(address_text(address) for address in row.addresses)
        return AlertClient(identity, mac_text(row.mac) if row.mac else None, name, vendor, addresses)

    def _ports(self, contact: Contact) -> list[str]:
        found = snapshot.ports(self.pipeline.ledger, contact)
        named = [f"{protocol_name(protocol)}/{port}" for protocol, port in found[:MAX_PORTS]]
        return [*named, "more"] if len(found) > MAX_PORTS else named


def _those_expecting(sources: Iterable[Source]) -> list[Expected]:
    return [partial(_expected, each) for each in sources if type(each).expected is not Source.expected]


def _those_looking(sources: Iterable[Source]) -> list[Callable[[Activity, dict[int, str]], None]]:
    return [partial(_look, each) for each in sources if type(each).second is not Source.second]


def _expected(source: Source, client: str, now: int) -> tuple[Standing | None, int | None]:
    """What a source expects; nothing, and a count, where it fails: the others go on."""
    try:
        return source.expected(client, now)
    except Exception:  # noqa: BLE001  # one source must not blind the others, nor stop the sensor
        _crashed(source)
        return None, None


def _look(source: Source, activity: Activity, called: Mapping[int, str]) -> None:
    try:
        source.second(activity, called)
    except Exception:  # noqa: BLE001
        _crashed(source)


def _crashed(source: Source) -> None:
    source.counts["crashed"] = source.counts.get("crashed", 0) + 1
    if source.counts["crashed"] == 1:
        _log.exception("foreground source %s failed; the others go on, and so will it", source.name)
