"""The daemon: the only place that builds and joins its parts."""

import asyncio
import dataclasses
import logging
import os
import signal
import time
from collections.abc import Sequence
from functools import partial
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
from sensor.config import Config
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.metrics import Metrics
from sensor.deliver.outbox import Outbox
from sensor.deliver.routing import Router
from sensor.deliver.snapshots import Counters
from sensor.deliver.web.admin import Admin
from sensor.deliver.web.intake import Intake
from sensor.deliver.web.server import IntakeServer, WebServer
from sensor.deliver.web.waiting import Waiting
from sensor.foreground.base import Source
from sensor.foreground.running import keep_running
from sensor.house import House
from sensor.lifecycle import Part, run
from sensor.model.alert import Alert
from sensor.model.posted import Answer, Posted
from sensor.store.outbox import OutboxStore
from sensor.store.state_file import StateFile

IDLE = 0.25
"""Seconds between two looks at the clock, so that seconds end and alerts resolve while nothing is captured."""

BEHIND = 100_000_000
"""ns, besides the time between two polls, that the clock is read late: for frames still in the ring."""

SAVE_EVERY = 14_400.0
"""Seconds between two writes of what was learned: with all tables full it is 4 MB, and all writes of a day 25 MB."""

SHOWN_EVERY = 5.0
"""Most seconds between two looks at whether capture turns, and at what the service manager shows."""

_PROMISCUOUS: dict[object, Literal["auto", "always", "never"]] = {"auto": "auto", True: "always", False: "never"}

_log = logging.getLogger(__name__)


class Live(House):
    """The house with what live capture counts, and what this box knows of its neighbours."""

    capture: LiveCapture
    neighbours: Neighbours

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
        )


class App:
    """One sensor on one interface, from configuration to clean exit."""

    def __init__(self, config: Config) -> None:
        """Builds everything and starts nothing."""
        self.config = config
        self.house = Live(config, self._deliver, clock=time.time_ns)
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
        self.delivery = Delivery(self.house.sensor, outboxes, journal, router=Router(config.notify))
        self.admin = Admin(config.web.token, config.web.token_file, time.time_ns)
        metrics = Metrics(
            self.house, outboxes, [each.name for each in config.detect.detectors], journal, self.delivery.router
        )
        intakes = {source.path: self._intake(source) for source in self.house.sources if source.path is not None}
        waiting = Waiting(self.delivery, self.admin)
        self.web = WebServer(config.web.listen, config.web.hosts, self.house, metrics, intakes, waiting)
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
        self.notify = NotifySocket(os.environ, os.getpid())
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
        warning = privileges.prepare_state(self.config.state_dir, self._user)
        if warning:
            _log.warning("%s", warning)
        self.house.open()
        if self.house.sources:
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
        await run(
            [
                Part("delivery", self.delivery.start, self.delivery.run, self.delivery.drain, self.delivery.stop),
                Part("web", self.web.start, stop=self.web.stop),
                *(Part("posts", server.start, stop=server.stop) for server in self.also),
                Part("privileges", self._drop),
                Part("learned", self._remember, self._keep_learned, stop=self._save_learned),
                *(
                    Part(f"foreground.{source.name}", run=partial(keep_running, source))
                    for source in self.house.sources
                ),
                Part("refresh", run=self._refresh),
                Part("clock", run=self._tick),
                Part("networks", run=self._follow_networks),
                Part("outbox", self.delivery.begin),
                Part("reminders", run=self.delivery.remind),
                Part("capture", run=self._capture, stop=self._end_capture),
                Part("notify", self._ready, self._feed_watchdog, drain=self._stopping),
            ],
            self._stop,
        )

    def _deliver(self, alert: Alert) -> None:
        self.delivery.tell(alert)

    async def _drop(self) -> None:
        privileges.preload()
        became = privileges.drop(self._user)
        if became:
            _log.info("running as %s with CAP_NET_RAW only", became)

    async def _refresh(self) -> None:
        """Asks sources about clients while something builds up, so that a rule judges by a fresh state."""
        asked: dict[str, asyncio.Task[None]] = {}
        sources = [each for each in self.house.sources if type(each).refresh is not Source.refresh]
        async with asyncio.TaskGroup() as group:
            while True:
                asked = {client: task for client, task in asked.items() if not task.done()}
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

    def _take_over(self, local: LocalNetworks) -> None:
        if local == self._local:
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

    def _intake(self, source: Source) -> Intake:
        async def take(posted: Posted) -> Answer:
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


def run_daemon(config: Config) -> None:
    """Runs one sensor until it is told to stop. SensorError."""
    app = App(config)
    app.prepare()
    try:
        asyncio.run(app.run())
    finally:
        app.house.close()
