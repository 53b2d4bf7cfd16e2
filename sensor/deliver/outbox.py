"""One sink's bounded queue of alerts and the worker that empties it; a dead or broken sink stays its own problem."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from sensor.deliver.sink import Sink, SinkGone
from sensor.errors import DeliveryError
from sensor.model.alert import SEVERITIES, Severity

MAX_QUEUED = 1_000
"""Alerts that wait for one sink; beyond it the oldest of the lowest severity goes."""
SEND_SECONDS = 30.0
"""A sink that takes longer than this over one alert is interrupted, as if it had failed."""
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 300.0
"""The pause doubles from the first to the last."""
MIN_RETRY_AFTER, MAX_RETRY_AFTER = 1.0, 3_600.0
"""What a far end may ask for is held between these."""
GIVE_UP_SECONDS = 86_400.0
"""An alert that could not be delivered for so long is let go at the next failure."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcomes:
    """What became of the alerts of one outbox; they only grow."""

    delivered: int = 0
    refused: int = 0
    """The sink said that trying again cannot help, or broke."""
    expired: int = 0
    """Given up after `GIVE_UP_SECONDS`."""
    dropped: int = 0
    """No room in the queue, or the sink is gone for good."""
    unsent: int = 0
    """Still waiting when the sensor stopped."""
    retried: int = 0
    """Attempts beyond the first; not an end."""

    def items(self) -> list[tuple[str, int]]:
        """(outcome, count), in a fixed order."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


@dataclass(slots=True)
class _Waiting:
    alert: dict[str, Any]
    since: float
    """By the monotonic clock."""


class Outbox:
    """Delivers in the order of `put`, one at a time; all calls on one event loop."""

    def __init__(
        self,
        sink: Sink,
        min_severity: Severity = "info",
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`clock`: monotonic seconds; `jitter`: 0 .. 1, spreads retries so that a fleet does not knock in step."""
        self.sink = sink
        self.outcomes = Outcomes()
        self._floor = SEVERITIES.index(min_severity)
        self._clock = clock
        self._jitter = jitter
        self._queue: dict[tuple[str, str], _Waiting] = {}
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._finished = asyncio.Event()
        self._in_hand = 0
        self._running = False
        self._gone = False
        self._failing = False

    @property
    def name(self) -> str:
        """The sink's name."""
        return self.sink.name

    @property
    def waiting(self) -> int:
        """Alerts that are not settled: the queue, and the one being sent or tried again."""
        return len(self._queue) + self._in_hand

    def put(self, alert: dict[str, Any]) -> None:
        """Queue one ALERT if it is severe enough; never blocks, never raises.

        One that waits in the same state already is replaced, in its place.
        """
        if SEVERITIES.index(alert["severity"]) < self._floor:
            return
        if self._gone:
            self.outcomes.dropped += 1
            return
        key = (alert["id"], alert["state"])
        older = self._queue.get(key)
        self._queue[key] = _Waiting(alert, older.since if older else self._clock())
        if len(self._queue) > MAX_QUEUED:
            self._make_room()
        self._wake.set()

    async def run(self) -> None:
        """Send until `drain`; ends by itself only then, or when the sink is gone for good."""
        self._running = True
        try:
            while (waiting := await self._next()) is not None:
                self._in_hand = 1
                await self._deliver(waiting)
                self._in_hand = 0
        finally:
            self.outcomes.unsent += self.waiting
            self._queue.clear()
            self._in_hand = 0
            self._finished.set()

    async def drain(self) -> None:
        """Send what waits, without waiting for retries; the caller sets the deadline, and cancels `run` after it."""
        self._closing.set()
        self._wake.set()
        if self._running:
            await self._finished.wait()

    def _make_room(self) -> None:
        for severity in SEVERITIES:
            for key, waiting in self._queue.items():
                if waiting.alert["severity"] == severity:
                    del self._queue[key]
                    self.outcomes.dropped += 1
                    return

    async def _next(self) -> _Waiting | None:
        while not self._queue:
            if self._closing.is_set() or self._gone:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._queue.pop(next(iter(self._queue)))

    async def _deliver(self, waiting: _Waiting) -> None:
        """Until it arrived or there is no hope; then its outcome is counted."""
        pause = FIRST_RETRY_SECONDS
        while (failure := await self._attempt(waiting.alert)) is not None:
            if self._clock() - waiting.since >= GIVE_UP_SECONDS:
                self.outcomes.expired += 1
                return
            if self._closing.is_set():
                self.outcomes.unsent += 1 + len(self._queue)
                self._queue.clear()
                return
            wanted = failure.retry_after
            if wanted is None:
                await self._pause(pause * (0.5 + self._jitter() / 2))
            else:
                await self._pause(min(max(wanted, MIN_RETRY_AFTER), MAX_RETRY_AFTER))
            pause = min(pause * 2, LAST_RETRY_SECONDS)
            self.outcomes.retried += 1

    async def _attempt(self, alert: dict[str, Any]) -> DeliveryError | None:
        """Send once: None when this alert is settled, else why it should be tried again."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.sink.send(alert)
        except SinkGone as error:
            self._give_up_sink(error)
        except DeliveryError as error:
            self._failed(str(error))
            if error.retry:
                return error
            self.outcomes.refused += 1
        except TimeoutError:
            self._failed("no answer")
            return DeliveryError("no answer", retry=True)
        except Exception as error:  # noqa: BLE001  # a broken plug-in may cost its alerts, never the sensor
            # Only the type: the text of an unknown error may hold the sink's URL, which is a secret.
            self._failed(f"broken: {type(error).__name__}")
            self.outcomes.refused += 1
        else:
            self._arrived()
        return None

    def _arrived(self) -> None:
        self.outcomes.delivered += 1
        if self._failing:
            self._failing = False
            log.info("sink %s: delivers again", self.name)

    def _failed(self, why: str) -> None:
        """One line when it begins to fail, not one per attempt."""
        log.log(logging.DEBUG if self._failing else logging.WARNING, "sink %s: not delivered: %s", self.name, why)
        self._failing = True

    def _give_up_sink(self, error: SinkGone) -> None:
        log.error("sink %s: gone for good, nothing is sent there until the sensor restarts: %s", self.name, error)
        self._gone = True
        self.outcomes.dropped += 1 + len(self._queue)
        self._queue.clear()

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond the begin of `drain`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
