"""A real store, a scripted sink and a clock that moves when somebody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.notice import Kind, Notice
from sensor.deliver.outbox import Outbox
from sensor.deliver.sink import Sink
from sensor.deliver.snapshots import SensorInfo
from sensor.errors import DeliveryError
from sensor.store.outbox import OutboxStore

WALL = 1_790_000_000_000_000_000


def notice(
    key: str = "a", state: Any = "firing", severity: Any = "warning", kind: Kind = "alert", **changes: Any
) -> Notice:
    values = {"id": f"{key}.{state}", "title": "watchlist", "lines": ("x",), "alerts": ({"id": key, "state": state},)}
    return Notice(**{"key": key, "kind": kind, "state": state, "severity": severity, "at": WALL, **values, **changes})


def down(retry_after: float | None = None) -> DeliveryError:
    return DeliveryError("down", retry=True, retry_after=retry_after)


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scripted(Sink):
    """Raises what the script says, one entry per call (or for ever, if it is one); then succeeds."""

    pause = 0.0

    def __init__(self, *script: Exception | None, name: str = "lab", groups: bool = True) -> None:
        super().__init__(name, "0")
        self.groups = groups  # type: ignore[misc]
        self.script = list(script)
        self.always: Exception | None = None
        self.broken_keys: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.got: list[str] = []
        self.earlier: list[str | None] = []
        self.closed = False

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        self.calls.append(notice.id)
        failure = self.script.pop(0) if self.script else self.broken_keys.get(notice.key, self.always)
        if failure is not None:
            raise failure
        self.got.append(notice.id)
        self.earlier.append(earlier)
        return f"ref-{notice.id}"

    async def close(self) -> None:
        self.closed = True


class Timed(Outbox):
    """Its pauses take no real time; they move the clock."""

    _clock: Clock

    def __init__(self, sink: Sink, journal: Journal, *arguments: Any, **named: Any) -> None:
        named |= {"clock": journal._clock, "wall": lambda: WALL, "jitter": lambda: 1.0}
        super().__init__(sink, journal, *arguments, **named)
        self.pauses: list[float] = []

    async def _sleep(self, seconds: float | None) -> None:
        if seconds is None or self._closing:
            await super()._sleep(None if seconds is None else 0)
            return
        self.pauses.append(seconds)
        self._clock.now += seconds
        await asyncio.sleep(0)


def built(
    path: Path, *sinks: Sink, clock: Clock | None = None, kind: type[Outbox] = Timed, min_severity: Any = "info"
) -> Delivery:
    clock = clock or Clock()
    journal = Journal(OutboxStore(path, clock), clock)
    named: dict[str, Any] = {} if kind is Timed else {"clock": clock}
    outboxes = [kind(sink, journal, min_severity, **named) for sink in sinks]
    return Delivery(lambda: SensorInfo("box", "0"), outboxes, journal, clock=lambda: WALL)


@asynccontextmanager
async def running(delivery: Delivery, *, drain: bool = True) -> AsyncIterator[Delivery]:
    """From `start` to `stop`; `drain` False: as if it were killed, as far as a test can."""
    await delivery.start()
    await delivery.begin()
    task = asyncio.ensure_future(delivery.run())
    try:
        yield delivery
        if drain:
            async with asyncio.timeout(20):
                await delivery.drain()
                await task
    finally:
        task.cancel()
        await asyncio.wait({task})
        await delivery.stop()
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)
