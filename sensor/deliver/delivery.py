"""All that happens to a new alert: one log line, and a place in every outbox."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from sensor.deliver.log import log_alert
from sensor.deliver.outbox import Outbox
from sensor.deliver.shapes import alert_object
from sensor.deliver.snapshots import SensorInfo
from sensor.model.alert import Alert

log = logging.getLogger(__name__)


class Delivery:
    """All outboxes as one part of the daemon; `put` may be called from `start` on."""

    def __init__(self, sensor: Callable[[], SensorInfo], outboxes: Sequence[Outbox]) -> None:
        """`sensor` is asked once per alert, so that a new database shows."""
        self.outboxes = tuple(outboxes)
        self._sensor = sensor
        self._closing = asyncio.Event()

    def prepare(self) -> None:
        """Let the sinks read their secret files, while that is still allowed. ConfigError names the sink."""
        for outbox in self.outboxes:
            outbox.sink.prepare()

    def put(self, alert: Alert) -> None:
        """One state of one alert; never waits for a sink."""
        shape = alert_object(alert, self._sensor())
        log_alert(shape)
        for outbox in self.outboxes:
            outbox.put(shape)

    async def start(self) -> None:
        """Open the sinks; nothing is sent."""
        for outbox in self.outboxes:
            await outbox.sink.open()

    async def run(self) -> None:
        """Send until cancelled, or until `drain` is through."""
        async with asyncio.TaskGroup() as group:
            for outbox in self.outboxes:
                group.create_task(outbox.run())
            await self._closing.wait()

    async def drain(self) -> None:
        """Send what waits, all sinks at once and without waiting for retries; the caller sets the deadline."""
        self._closing.set()
        await asyncio.gather(*(outbox.drain() for outbox in self.outboxes))

    async def stop(self) -> None:
        """Close the sinks; one line for each that some alerts did not reach, whatever cut them off."""
        for outbox in self.outboxes:  # before any sink is closed: closing may be cut off, too
            if left := outbox.outcomes.unsent + outbox.waiting:
                log.warning("sink %s: %d alert%s not delivered", outbox.name, left, "" if left == 1 else "s")
        for outbox in self.outboxes:
            await outbox.sink.close()
