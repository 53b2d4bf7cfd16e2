"""The daemon: the only place that builds and joins its parts."""

import asyncio
import dataclasses
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal

from sensor import __version__
from sensor.account.locality import Local
from sensor.base.absence import Absence
from sensor.base.addresses import mac_text
from sensor.base.fields import Listen
from sensor.base.notify_socket import NotifySocket
from sensor.capture import privileges
from sensor.capture.interface import LocalNetworks
from sensor.capture.live import LiveCapture, LiveSettings
from sensor.capture.neighbours import Neighbours
from sensor.changes import read_files
from sensor.config import Config, shipped_list
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.keeper import Keeper
from sensor.deliver.links import Links
from sensor.deliver.metrics import Metrics
from sensor.deliver.notice import Json
from sensor.deliver.outbox import Outbox
from sensor.deliver.routing import Router
from sensor.deliver.rulings import Rulings
from sensor.deliver.sink import SINKS
from sensor.deliver.snapshots import Counters
from sensor.deliver.wanted import Known
from sensor.deliver.web.acting import Acting
from sensor.deliver.web.admin import Admin
from sensor.deliver.web.api import Api
from sensor.deliver.web.intake import Intake
from sensor.deliver.web.pages import Pages
from sensor.deliver.web.resend import Resend
from sensor.deliver.web.ruled import Ruled
from sensor.deliver.web.sections import given_up, muted
from sensor.deliver.web.server import IntakeServer, WebServer
from sensor.deliver.web.waiting import Waiting
from sensor.detect.base import DETECTORS
from sensor.foreground.base import SOURCES, Source
from sensor.foreground.running import Runners
from sensor.house import House
from sensor.lifecycle import Part, run
from sensor.model.alert import Alert
from sensor.model.posted import Answer, Posted, refused
from sensor.reload import Parts, Reload
from sensor.store.outbox import OutboxStore
from sensor.store.state_file import StateFile

IDLE = 0.25
"""Seconds between two looks at the clock, so that seconds end and alerts resolve while nothing is captured."""

BEHIND = 100_000_000
"""ns, besides the time between two polls, that the clock is read late: for frames still in the ring."""

SAVE_EVERY = 14_400.0
"""Seconds between two writes of what was learned: with all tables full it is 4 MB, and all writes of a day 25 MB."""

GEO_EVERY = 3_600.0
"""Seconds between two looks for a newer IP database in the state folder."""

SHOWN_EVERY = 5.0
"""Most seconds between two looks at whether capture turns, and at what the service manager shows."""

_PROMISCUOUS: dict[object, Literal["auto", "always", "never"]] = {"auto": "auto", True: "always", False: "never"}

_log = logging.getLogger(__name__)


class Live(House):
    """The house with what live capture counts, and what this box knows of its neighbours."""

    capture: LiveCapture
    neighbours: Neighbours
    reload: Reload

    def client_at(self, address: str) -> str | None:
        """The id of the client that has the address: by the neighbour table, else by its packets."""
        mac = self.neighbours.mac(address)
        return super().client_at(address) if mac is None else mac_text(mac)

    def counters(self) -> Counters:
        """All counts."""
        seen = self.capture.statistics
        counters = super().counters()
        return dataclasses.replace(
            counters,
            events={
                **counters.events,
                "copy_skipped": seen.copies_skipped,
                "copy_mismatched": seen.copies_mismatched,
                "filter_narrowed": seen.narrowed,
            },
            interface=self.capture.name,
            interface_up=self.capture.local is not None and not self.capture.waiting,
            dropped_frames=seen.dropped,
            interface_waits=seen.waits,
            interface_reopens=seen.reopened,
            reloads=dict(self.reload.outcomes),
            reload_ok=self.reload.is_good,
            reloaded_at=self.reload.taken_at,
        )


class App:
    """One sensor on one interface, from configuration to clean exit."""

    def __init__(self, config: Config, reread: Callable[[], Config] | None = None) -> None:
        """Builds everything and starts nothing. `reread`: the configuration as it is now in its file."""
        self.config = config
        self.house = Live(config, self._deliver, clock=time.time_ns, updates=True)
        self.neighbours = self.house.neighbours = Neighbours()
        self.capture = self.house.capture = LiveCapture(
            LiveSettings(
                str(config.interface),
                _PROMISCUOUS[config.promiscuous],
                int(config.capture.ring),
                config.capture.poll.seconds,
            )
        )
        journal = Journal(OutboxStore(config.state_dir / "outbox.db", time.monotonic))
        outboxes = [
            Outbox(each.plugin(str(each.name), each.settings, __version__), journal, each.min_severity)
            for each in config.sink
        ]
        self.rulings = Rulings()
        self.keeper = Keeper(self.rulings, StateFile(config.state_dir / "mutes.json"))
        self.links = Links(
            config.web.public_url,
            config.web.link_age,
            config.state_dir / "links.key",
            self.house.suffixes.registrable,
        )
        router = Router(config.notify, muted=self.rulings.reason, paused=self.rulings.paused, gone=self._gone)
        self.delivery = Delivery(self.house.sensor, outboxes, journal, router=router, linked=self.links.on)
        self.admin = Admin(config.web.token, config.web.token_file, time.time_ns)
        metrics = Metrics(
            self.house, outboxes, [each.name for each in config.detect.detectors], journal, self.delivery.router
        )
        # Of every source that there can be: a reload may switch it on.
        intakes = {each.path: self._intake(each.name) for each in SOURCES.every() if each.path is not None}
        known = Known(DETECTORS.names(), self.house.ids, self.house.client_at)
        self.web = WebServer(
            config.web.listen,
            config.web.names,
            self.house,
            metrics,
            intakes,
            [
                Waiting(self.delivery, self.admin),
                Resend(self.delivery, self.admin),
                Ruled(self.keeper, self.admin, self.house, known, time.time_ns),
                Acting(self.links, self.keeper, self.house, time.time_ns, self.house.called),
            ],
            api=Api(self.house, lambda alert: self.rulings.why(alert, time.time_ns())),
            pages=Pages(self.house, self._beside_alerts),
            public=config.web.public_url,
        )
        self.also = [
            IntakeServer(
                f"foreground.{source.name}.listen",
                Listen(source.listen),
                config.web.hosts,
                source.path,
                intakes[source.path],
            )
            for source in self.house.sources
            if source.path is not None and source.listen
        ]
        """Servers of single sources."""
        self._runners = Runners()
        parts = Parts(
            self.house, self.delivery, journal, metrics, self.admin, self._runners, lambda: self._take_over(anew=True)
        )
        self.reload = self.house.reload = Reload(config, parts, reread or (lambda: config))
        self.notify = NotifySocket(os.environ, os.getpid())
        self.reload.announce = lambda begins: self.notify.reloading() if begins else self.notify.ready()
        self._learned = StateFile(config.state_dir / "learned.json")
        self._absence = Absence()
        self._stop = asyncio.Event()
        self._local: LocalNetworks | None = None

    @property
    def _user(self) -> str | None:
        """Whom to become; None: an unprivileged one."""
        return None if self.config.user == "auto" else self.config.user

    def prepare(self) -> None:
        """What must be done before privileges are dropped and the loop runs. SensorError."""
        privileges.can_capture()
        self.reload.started(read_files(self.config))
        warning = privileges.prepare_state(self.config.state_dir, self._user)
        if warning:
            _log.warning("%s", warning)
        self.house.open()
        if self.house.sources or self.config.web.public_url:
            self.house.suffixes.open()
        self.delivery.prepare()
        self.admin.prepare()
        for source in self.house.sources:
            source.prepare()
        self.capture.try_open()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. SensorError when a part fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.request)
        await run(
            [
                Part("delivery", self.delivery.start, self.delivery.run, self.delivery.drain, self.delivery.stop),
                Part("web", self.web.start, stop=self.web.stop),
                *(Part("posts", server.start, stop=server.stop) for server in self.also),
                Part("privileges", self._drop),
                Part("rulings", self._recall, self.keeper.run, stop=self.keeper.close),
                Part("learned", self._remember, self._keep_learned, stop=self._save_learned),
                Part("foreground", run=lambda: self._runners.run(self.house.sources)),
                Part("refresh", run=self._refresh),
                Part("clock", run=self._tick),
                Part("networks", run=self._follow_networks),
                Part("geo", run=self._follow_geo),
                Part("outbox", self.delivery.begin),
                Part("reload", run=self.reload.run),
                Part("reminders", run=self.delivery.remind),
                Part("capture", run=self._capture, stop=self._end_capture),
                Part("notify", self._ready, self._feed_watchdog, drain=self._stopping),
            ],
            self._stop,
        )

    def _beside_alerts(self) -> str:
        return muted(self.rulings, time.time_ns(), self.house.called) + given_up(self.delivery.journal.dead)

    def _deliver(self, alert: Alert) -> None:
        self.delivery.tell(alert)
        if alert.state == "resolved":
            self.keeper.over(alert.fingerprint, time.time_ns())

    def _gone(self, alert: Json, now: int) -> None:
        self.keeper.over(alert["fingerprint"], now)

    async def _recall(self) -> None:
        self.keeper.restore(time.time_ns())
        self.links.prepare()

    async def _drop(self) -> None:
        privileges.preload()
        for registry in (DETECTORS, SOURCES, SINKS):
            registry.every()
        shipped_list()
        became = privileges.drop(self._user)
        if became:
            _log.info("running as %s with CAP_NET_RAW only", became)

    async def _refresh(self) -> None:
        """Asks sources about clients while something builds up, so that a rule judges by a fresh state."""
        asked: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                asked = {client: task for client, task in asked.items() if not task.done()}
                sources = [each for each in self.house.sources if type(each).refresh is not Source.refresh]
                for client in self.house.engine.take_suspects():
                    if sources and client not in asked:
                        asked[client] = group.create_task(_refresh_all(sources, client))
                await asyncio.sleep(IDLE)

    async def _remember(self) -> None:
        values = self._learned.read()
        if values is None:
            return
        try:
            self.house.learned.load(values)
        except ValueError as error:
            self._learned.refuse(str(error))

    async def _keep_learned(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            await asyncio.to_thread(self._learned.write, self.house.learned.dump())

    async def _save_learned(self) -> None:
        self._learned.write(self.house.learned.dump())

    def _take_over(self, local: LocalNetworks | None = None, *, anew: bool = False) -> None:
        local = local or self._local
        if local is None or (local == self._local and not anew):
            return
        self._local = local
        prefixes = (*self.house.configured_local, *local.prefixes)
        self.house.pipeline.relocate(Local(prefixes, frozenset(local.addresses)))
        _log.info("local: %s", ", ".join(prefixes) or "private addresses only")

    async def _capture(self) -> None:
        pipeline = self.house.pipeline
        if self.capture.local is not None:
            # What waits in the ring was sent before the first answer of `networks`.
            self._take_over(self.capture.local)
        async for batch in self.capture.batches():
            pipeline.counts.dropped = self.capture.statistics.dropped
            pipeline.feed(batch)

    def _intake(self, name: str) -> Intake:
        async def take(posted: Posted) -> Answer:
            source = next((each for each in self.house.sources if each.name == name), None)
            if source is None:
                return refused(404, f"there is no [foreground.{name}] in the settings")
            if source.needs_sender(posted):
                await self.neighbours.look(posted.sender)
            return source.accept(posted, time.time_ns())

        return take

    def _notice_absence(self) -> None:
        """Reports may have been lost while this machine was suspended, and ages mean nothing when its clock was set."""
        now = time.time_ns()
        if self._absence.look(now, time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.monotonic_ns()):
            self.house.foreground.interrupted(now)
            _log.info("this machine was suspended, or its clock was set: phone states start anew")

    async def _tick(self) -> None:
        while True:
            self._notice_absence()
            self.house.pipeline.advance(time.time_ns() - BEHIND - self.config.capture.poll)
            await asyncio.sleep(IDLE)

    async def _follow_networks(self) -> None:
        async for local in self.capture.networks():
            self._take_over(local)

    async def _follow_geo(self) -> None:
        geo = self.house.geo
        while True:
            await asyncio.sleep(GEO_EVERY)
            fresh = await asyncio.to_thread(geo.look)
            if fresh is not None:
                geo.adopt(fresh)
                _log.info("IP database: %s", geo.name)

    async def _ready(self) -> None:
        self._show()
        self.notify.ready()

    async def _feed_watchdog(self) -> None:
        """Feeds the watchdog as long as capture turns: a loop that is stuck, or frames that none takes, end it."""
        limit = self.notify.watchdog_seconds
        pause = SHOWN_EVERY if limit is None else min(SHOWN_EVERY, limit / 4)
        turns = -1
        while True:
            if self.capture.turns != turns:
                turns = self.capture.turns
                if limit is not None:
                    self.notify.watchdog()
            self._show()
            await asyncio.sleep(pause)

    async def _stopping(self) -> None:
        self.notify.stopping()

    def _show(self) -> None:
        name, clients = self.capture.name or "an interface", len(self.house.pipeline.ledger.clients) - 1
        if self.capture.local is None or self.capture.waiting:
            self.notify.status(f"waiting for {name}")
        else:
            self.notify.status(f"watching {name}, {clients} clients so far")

    async def _end_capture(self) -> None:
        for batch in self.capture.rest():
            self.house.pipeline.feed(batch)
        self.house.pipeline.finish()
        self.capture.close()


async def _refresh_all(sources: Sequence[Source], client: str) -> None:
    outcomes = await asyncio.gather(*(source.refresh(client) for source in sources), return_exceptions=True)
    for source, outcome in zip(sources, outcomes, strict=True):
        if isinstance(outcome, Exception):
            source.counts["crashed"] = source.counts.get("crashed", 0) + 1
            _log.debug("foreground source %s could not refresh %s: %r", source.name, client, outcome)


def run_daemon(config: Config, reread: Callable[[], Config] | None = None) -> None:
    """Runs one sensor until it is told to stop; on SIGHUP its configuration is what `reread` says. SensorError."""
    app = App(config, reread)
    signal.signal(signal.SIGHUP, lambda *_: app.reload.request())  # until the loop has it: by default it ends us
    app.prepare()
    try:
        asyncio.run(app.run())
    finally:
        app.house.close()
