"""The sensor's real parts, from the captured end of the wire to the alerts, and how long each step takes."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sensor.account.locality import Local
from sensor.app import BEHIND, IDLE
from sensor.base.fields import ClientRef, Label, Mac, Network
from sensor.base.times import SECOND
from sensor.base.units import Duration, size_text
from sensor.config import ChosenDetector, ClientName, ClientSettings, Config
from sensor.detect.rules import background_upload
from sensor.detect.watch import Watch
from sensor.foreground.settings import ForegroundSettings
from sensor.house import House
from sensor.model.alert import Alert
from sensor.model.foreground import Report as PhoneReport
from sensor.model.frames import FrameBatch
from sensor.selftest.clients import CLIENTS, Packets, Uploader
from sensor.selftest.network import Wire
from sensor.selftest.steps import Report

DETECTORS = ("watchlist", "background_upload")
"""Those that the upload sets off, in the order in which they do."""

FOR = Duration("3s")
"""What `background_upload` waits for here, instead of a minute."""
MIN_BYTES = background_upload.Settings().min_bytes
"""... and at most this much."""

ROUND, SEGMENTS = 0.2, 16
"""Seconds between two rounds of the upload, and segments that each client sends in one: 112 KB a second."""

FIRST_SECONDS, ALERT_SECONDS = 5.0, 15.0
"""For the first packet, and for all alerts."""

_BUSY = "this machine is too busy, or [capture] ring is too small: try again, or make it larger"
_DEAF = "look for the reason in the log of `idlewire run`, and report it with the kernel's version (uname -r)"


def tried(config: Config, state_dir: Path) -> Config:
    """The user's configuration with the test clients and what watches them; nothing that outlives the test."""
    watches = (
        Watch(Label(each.name), cidrs=(Network(each.destination),), severity="info", clients=(ClientRef(each.id),))
        for each in CLIENTS
    )
    return replace(
        config,
        state_dir=state_dir,
        client=(*config.client, *(ClientSettings(Mac(each.id), ClientName(each.name)) for each in CLIENTS)),
        watch=(*config.watch, *watches),
        detect=replace(config.detect, detectors=tuple(map(_shortened, config.detect.detectors))),
        # What others report is about their phones. The settings that reports are judged by stay.
        foreground=ForegroundSettings(config.foreground.keys),
    )


@contextmanager
def housed(config: Config, on_alert: Callable[[Alert], None]) -> Iterator[House]:
    """The pipeline of `tried`, open. The IP database is unpacked for it: the daemon's state folder is not touched."""
    with TemporaryDirectory(prefix="idlewire-") as folder:
        house = House(tried(config, Path(folder)), on_alert, clock=time.time_ns)
        house.open()
    try:
        yield house
    finally:
        house.close()


class Watching:
    """One upload by each client, watched."""

    def __init__(self, config: Config, report: Report) -> None:
        self.alerts: dict[tuple[str, str], Alert] = {}
        """(detector, client's id) -> the alert that fired."""
        self._config = config
        self._report = report
        self._on = [name for name in DETECTORS if name in {each.name for each in config.detect.detectors}]
        self._began = self._arrived = 0.0
        """When the upload began; when, after that, the last batch came."""
        self._seen: set[str] = set()
        self._packets: dict[str, Packets] = {}

    def prepare(self) -> None:
        """What takes time and is no step of the sensor's. SensorError: scapy is not there."""
        self._packets = {client.id: Packets(client) for client in CLIENTS}

    def heard(self, alert: Alert) -> None:
        """What the house says."""
        client = next((each for each in CLIENTS if each.id == alert.client.id), None)
        key = (alert.detector, alert.client.id)
        if client is None or alert.detector not in DETECTORS or alert.state != "firing" or key in self.alerts:
            return
        self._came(client)
        self.alerts[key] = alert
        took = time.monotonic() - self._began
        self._report.done("alert", f"{client.family}: {alert.detector} after {took:.1f} s", took)

    async def run(self, wire: Wire, house: House) -> None:
        """Sends, watches, and ends when all alerts are there or too late."""
        for name in DETECTORS:
            if name not in self._on:
                self._report.left_out("alert", f"{name} is off in the settings")
        house.pipeline.relocate(Local(house.configured_local, frozenset()))
        for client in CLIENTS:
            self._put_away(client, house)
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(self._capture(wire, house)), group.create_task(self._tick(house))]
            await self._upload(wire)
            await asyncio.sleep(2 * self._config.capture.poll.seconds)
            for each in work:
                each.cancel()
        for batch in wire.capture.rest():
            self._feed(house, batch)
        house.pipeline.finish()
        self._conclude(wire, house)

    def _put_away(self, client: Uploader, house: House) -> None:
        """Its screen has been off for longer than `grace`."""
        at = time.time_ns() - self._config.foreground.keys.grace - SECOND
        house.report(PhoneReport(client.id, "push", "screen_off", None, at, at))

    async def _upload(self, wire: Wire) -> None:
        for client in CLIENTS:
            wire.send(self._packets[client.id].opening())
        while not self._enough():
            for client in CLIENTS:
                wire.send(self._packets[client.id].upload(SEGMENTS))
            await asyncio.sleep(ROUND)

    def _enough(self) -> bool:
        took = time.monotonic() - self._began
        if len(self._seen) < len(CLIENTS):
            return took > FIRST_SECONDS
        return took > ALERT_SECONDS or len(self.alerts) == len(self._on) * len(CLIENTS)

    async def _capture(self, wire: Wire, house: House) -> None:
        async for batch in wire.capture.batches():
            self._feed(house, batch)

    def _feed(self, house: House, batch: FrameBatch) -> None:
        self._arrived = time.monotonic() - self._began
        house.pipeline.feed(batch)
        for client in CLIENTS:
            if house.pipeline.ledger.by_id(client.id) is not None:
                self._came(client)

    def _came(self, client: Uploader) -> None:
        """Its first packet was in the batch that is looked at."""
        if client.id not in self._seen:
            self._seen.add(client.id)
            took = self._arrived
            self._report.done("captured", f"{client.family}: first packet seen after {took:.2f} s", took)

    async def _tick(self, house: House) -> None:
        while True:
            house.pipeline.advance(time.time_ns() - BEHIND - self._config.capture.poll)
            await asyncio.sleep(IDLE)

    def _conclude(self, wire: Wire, house: House) -> None:
        """What did not come, and whether all was counted."""
        totals = {each.id: each.totals.sent_bytes for each in house.clients()}
        for client in CLIENTS:
            if client.id not in self._seen:
                self._report.failed("captured", f"{client.family}: nothing seen in {FIRST_SECONDS:g} s", _DEAF)
                continue
            self._missing(client)
            sent, counted = self._packets[client.id].sent_bytes, totals.get(client.id, 0)
            if sent == counted:
                self._report.done("counted", f"{client.family}: {size_text(sent)} sent by the test client")
            else:
                lost = f"{counted} of {sent} bytes, {wire.capture.statistics.dropped} packets dropped"
                self._report.failed("counted", f"{client.family}: {lost}", _BUSY)

    def _missing(self, client: Uploader) -> None:
        for name in self._on:
            if (name, client.id) not in self.alerts:
                advice = f"see [detect.{name}] and [[allow]]: something in them keeps {name} from firing"
                self._report.failed("alert", f"{client.family}: no {name} in {ALERT_SECONDS:g} s", advice)


def _shortened(chosen: ChosenDetector) -> ChosenDetector:
    """With an upload of FOR and at most MIN_BYTES, so that nobody has to wait for what the user set."""
    if chosen.name != "background_upload":
        return chosen
    settings = chosen.settings
    return replace(
        chosen,
        settings=replace(settings, for_=min(settings.for_, FOR), min_bytes=min(settings.min_bytes, MIN_BYTES)),
    )
