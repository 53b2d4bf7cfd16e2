"""Live capture: one interface that may come late, go and come back."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, fields
from typing import Literal

from sensor.capture import interface as netlink
from sensor.capture.interface import LocalNetworks, Surroundings
from sensor.capture.packet_socket import InterfaceGone
from sensor.capture.ring import Ring, RingStatistics
from sensor.capture.watch import Changes
from sensor.errors import CaptureError
from sensor.model.frames import FrameBatch

RETRY = 1.0
"""Seconds between looks for an interface that is not there."""

SETTLE = 2.0
"""Least seconds between two readings of addresses and routes: changes come in bursts."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What to capture and how."""

    interface: str = "auto"
    """A name, or "auto": see `interface.choose_interface`."""
    promiscuous: Literal["auto", "always", "never"] = "auto"
    """auto: where the clients' frames cannot be seen without."""
    ring: int = 8 << 20
    """Bytes of the kernel's ring; 256 a frame."""
    interval: float = 0.1
    """Seconds between two looks into the ring."""


@dataclass(slots=True)
class LiveStatistics(RingStatistics):
    """Over all times the interface was there."""

    waits: int = 0
    """Times the interface was found missing or down."""
    reopened: int = 0
    """Times it came back."""


class LiveCapture:
    """Batches of frames of one interface, for ever.

    Order: `try_open` while still privileged (the ring then gets a larger queue), then `batches` and
    `networks` in two tasks of one loop, `close` at the end. The same name is waited for once it is known.
    """

    def __init__(self, settings: LiveSettings) -> None:
        self.settings = settings
        self.name: str | None = None if settings.interface == "auto" else settings.interface
        """The interface; None: not chosen yet."""
        self.local: LocalNetworks | None = None
        """What is local, as last read; None before the interface was first there."""
        self.waiting = False
        """The interface is missing or down."""
        self.turns = 0
        """Looks into the ring, or for an interface that is missing: stands still where capture is stuck."""
        self._ring: Ring | None = None
        self._promiscuous: bool | None = None
        self._past = LiveStatistics()
        self._opened = asyncio.Event()
        self._opened_before = False
        self._said = ""

    @property
    def statistics(self) -> LiveStatistics:
        """All numbers up to now, summed over all rings."""
        total = LiveStatistics(waits=self._past.waits, reopened=self._past.reopened)
        for part in (self._past, *([self._ring.statistics] if self._ring else [])):
            for each in fields(RingStatistics):
                setattr(total, each.name, getattr(total, each.name) + getattr(part, each.name))
        return total

    def try_open(self) -> bool:
        """Open the ring if the interface is there; outside a loop. Raises CaptureError for what waiting cannot mend."""
        if self._ring is None:
            try:
                self._start(self._look())
            except InterfaceGone as error:
                self._wait(error)
        return self._ring is not None

    async def batches(self) -> AsyncIterator[FrameBatch]:
        """Each batch is valid until the next one is asked for. Raises CaptureError for what waiting cannot mend."""
        while True:
            ring = await self._opened_ring()
            try:
                batch = ring.poll()
            except InterfaceGone as error:
                self._end()
                self._wait(error)
                continue
            if batch is not None:
                yield batch
            self.turns += 1
            await asyncio.sleep(0 if ring.more else self.settings.interval)

    def rest(self) -> Iterator[FrameBatch]:
        """What the ring still holds when the capture ends, at most one turn of the ring."""
        left = self._ring.slots if self._ring else 0
        while self._ring is not None and left > 0:
            try:
                batch = self._ring.poll()
            except InterfaceGone:
                return
            if batch is None:
                return
            left -= len(batch)
            yield batch

    async def networks(self) -> AsyncIterator[LocalNetworks]:
        """What is local, at first and whenever it has changed; also keeps the promiscuous mode right."""
        known: LocalNetworks | None = None
        with Changes() as changes:
            while True:
                await self._opened.wait()
                changes.event.clear()
                try:
                    self._apply(await asyncio.to_thread(netlink.surroundings, self.name or ""))
                except CaptureError as error:  # gone, or netlink was busy: read again
                    _log.debug("addresses and routes not read: %s", error)
                    changes.event.set()
                if self.local is not None and self.local != known:
                    known = self.local
                    yield known
                await asyncio.sleep(SETTLE)
                await changes.event.wait()

    def close(self) -> None:
        """End the capture; the numbers stay."""
        self._end()

    async def _opened_ring(self) -> Ring:
        while self._ring is None:
            try:
                self._start(await asyncio.to_thread(self._look))
            except InterfaceGone as error:
                self._wait(error)
                self.turns += 1
                await asyncio.sleep(RETRY)
        return self._ring

    def _look(self) -> Surroundings:
        """Facts about the interface; blocks. Raises InterfaceGone where it cannot be captured from now."""
        if self.name is not None:
            try:
                socket.if_nametoindex(self.name)
            except OSError:
                raise InterfaceGone(f"there is no interface {self.name}") from None
        around = netlink.surroundings(self.name or netlink.choose_interface())
        if not around.link.up:
            raise InterfaceGone(f"interface {around.link.name} is down")
        return around

    def _start(self, around: Surroundings) -> None:
        link = around.link
        ring = Ring(link.name, link.link_type, size=self.settings.ring, loopback=link.loopback)
        ring.open()
        self._ring, self.name, self._promiscuous = ring, link.name, False
        try:
            self._apply(around)
        except InterfaceGone:
            self._end()
            raise
        if self.waiting and self._opened_before:
            self._past.reopened += 1
        self.waiting, self._opened_before = False, True
        self._opened.set()
        _log.info("capturing on %s, ring of %d frames", link.name, ring.slots)

    def _apply(self, around: Surroundings) -> None:
        """Take over what has been read anew. Raises InterfaceGone."""
        self.local = around.local
        decision = around.promiscuous
        wanted = decision.promiscuous if self.settings.promiscuous == "auto" else self.settings.promiscuous == "always"
        if self._ring is None:
            return
        self._say(wanted, decision.reason if self.settings.promiscuous == "auto" else "as configured")
        if wanted == self._promiscuous:
            return
        self._ring.set_promiscuous(wanted)
        self._promiscuous = wanted

    def _say(self, promiscuous: bool, reason: str) -> None:
        """The choice and its reason into the log, once until one of them changes."""
        line = f"promiscuous mode {'on' if promiscuous else 'off'}: {reason}"
        if line != self._said:
            self._said = line
            _log.info("%s", line)

    def _end(self) -> None:
        """Close the ring and keep its numbers."""
        if self._ring is None:
            return
        self._ring.close()
        self._past = self.statistics
        self._ring = None
        self._opened.clear()

    def _wait(self, error: InterfaceGone) -> None:
        """Say once that the interface is missing."""
        if not self.waiting:
            self.waiting = True
            self._past.waits += 1
            _log.warning("waiting for the interface: %s", error)
