"""`idlewire selftest`: an upload that is known, through the sensor's real parts, to the sinks that are configured."""

import asyncio
import json
import shlex
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sensor import trial
from sensor.base.text import printable
from sensor.capture import privileges
from sensor.capture.live import LiveSettings
from sensor.config import Config, SinkSettings
from sensor.deliver.notice import Notice
from sensor.deliver.shapes import alert_object
from sensor.deliver.snapshots import SensorInfo
from sensor.errors import SensorError
from sensor.model.alert import Alert
from sensor.selftest.clients import CLIENTS
from sensor.selftest.network import SENSOR_END, wired
from sensor.selftest.steps import Report
from sensor.selftest.watching import Watching, housed

ENDED = "ended before all steps were tried; nothing of it is left"
"""After SIGTERM."""

_NO_ALERT = "mend what is above first: without an alert no sink can be tried (`idlewire notify-test NAME` can)"


def run(config: Config, names: Sequence[str], *, as_json: bool, say: Callable[[str], None], options: str = "") -> bool:
    """Whether all of it works; told line by line, or as one JSON object at the end.

    `names`: of the sinks to try; none: all. `options`: what another command needs to see the same settings.
    SensorError: it cannot even begin, or was ended.
    """
    privileges.can_make_networks()
    sinks = _chosen(config, names)
    report = Report((lambda _: None) if as_json else (lambda line: say(f"{line}\n")))
    watching = Watching(config, report)
    watching.prepare()
    settings = LiveSettings(SENSOR_END, "always", int(config.capture.ring), config.capture.poll.seconds)
    if not as_json:
        ends = " and ".join(client.destination for client in CLIENTS)
        say(f"Test clients upload to {ends}, in a network of their own that nothing leaves.\n")
    with _ended_in_order(), wired(settings) as wire, housed(config, watching.heard) as house:
        _until_ended(watching.run(wire, house))
        sensor = house.sensor()
    _until_ended(Deliveries(list(watching.alerts.values()), sensor, report, options).run(sinks))
    if as_json:
        say(json.dumps(report.shape(), indent=1) + "\n")
    else:
        say("\n".join(["", *report.conclusion()]) + "\n")
    return report.succeeded


def notices(alerts: Sequence[Alert], sensor: SensorInfo, *, together: bool, now: int) -> list[Notice]:
    """The messages for a sink; each, and each alert in it, says that it is a self-test."""
    plain = f"This is a self-test of the sensor {printable(sensor.name, 60)}: nothing has happened."
    told = [replace(alert, severity="info", summary=f"{plain} {alert.summary}") for alert in alerts]
    if together:
        return [_notice([plain, *(alert.summary for alert in alerts)], told, sensor, now)]
    return [_notice([alert.summary], [alert], sensor, now) for alert in told]


def _notice(lines: Sequence[str], alerts: Sequence[Alert], sensor: SensorInfo, now: int) -> Notice:
    identity = f"selftest-{now}-{alerts[0].id}"
    shapes = tuple(alert_object(alert, sensor) for alert in alerts)
    return Notice(identity, identity, "test", "firing", "info", now, "Idlewire: self-test", tuple(lines), shapes)


def _chosen(config: Config, names: Sequence[str]) -> list[SinkSettings]:
    return [trial.find(config, name) for name in dict.fromkeys(names)] if names else list(config.sink)


@dataclass(frozen=True)
class Deliveries:
    """The alerts on their way to sinks."""

    alerts: Sequence[Alert]
    sensor: SensorInfo
    report: Report
    options: str

    async def run(self, sinks: Sequence[SinkSettings]) -> None:
        """All at once, as their outboxes do."""
        if not sinks:
            self.report.left_out("sinks", "none in the settings: alerts go to the log and the page")
        async with asyncio.TaskGroup() as group:
            for sink in sinks:
                group.create_task(self._try(sink))

    async def _try(self, chosen: SinkSettings) -> None:
        step = f"sink {chosen.name}"
        if not self.alerts:
            self.report.failed(step, f"{chosen.type}: not tried, there is no alert", _NO_ALERT)
            return
        began = time.monotonic()
        try:
            sink = trial.ready(chosen)
            await trial.deliver(sink, *notices(self.alerts, self.sensor, together=sink.groups, now=time.time_ns()))
        except SensorError as error:
            why = str(error).removeprefix(f"{step}: ")
            alone = f"idlewire notify-test {shlex.quote(chosen.name)}{self.options}"
            advice = f"mend sink {chosen.name}, and try it alone: {alone}"
            self.report.failed(step, f"{chosen.type}: {why}", advice)
            return
        took = time.monotonic() - began
        self.report.done(step, f"{chosen.type}, delivered in {took:.2f} s", took)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM raises where no loop runs, so that what was begun is cleared away."""

    def end(*_: object) -> None:
        raise SensorError(ENDED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _until_ended(work: Coroutine[Any, Any, None]) -> None:
    """Runs it; SIGTERM ends it in order. SensorError: it did, or what the work raised."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await work

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        raise SensorError(ENDED) from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
