"""`idlewire notify-test`: one message straight through one sink, without a daemon, an outbox or a second try."""

import asyncio
import socket
import time

from sensor import __version__
from sensor.base.settings import nearest
from sensor.base.text import printable
from sensor.config import Config, SinkSettings
from sensor.deliver.notice import Notice
from sensor.deliver.shapes import alert_object
from sensor.deliver.sink import Sink
from sensor.deliver.snapshots import SensorInfo
from sensor.errors import ConfigError, DeliveryError, SensorError
from sensor.model.alert import Alert, AlertClient, AlertDestination, Evidence
from sensor.model.destination import Place

SECONDS = 25.0
"""For all of it: a sink has 20 s for a message."""


def send(config: Config, name: str, now: int) -> str:
    """One line that says how long it took. SensorError: there is no such sink, or the message did not arrive."""
    chosen = find(config, name)
    sink = ready(chosen)
    began = time.monotonic()
    asyncio.run(deliver(sink, notice(config.name or socket.gethostname(), now)))
    return f"{chosen.name} ({chosen.type}): delivered in {time.monotonic() - began:.2f} s"


def notice(sensor: str, now: int) -> Notice:
    """The message, with an alert about a client and a destination that do not exist (RFC 5737)."""
    summary = f"This is a test from the sensor {printable(sensor, 60)}: alerts will arrive here. Nothing has happened."
    alert = Alert(
        id=f"test-{now}",
        fingerprint="test",
        detector="notify_test",
        severity="info",
        state="firing",
        started_at=now,
        updated_at=now,
        resolved_at=None,
        client=AlertClient("test", None, "test client", None, ("192.0.2.1",)),
        destination=AlertDestination("198.51.100.1", None, None, Place(None, None, None)),
        summary=summary,
        rule="test",
        evidence=Evidence(0, 0, now, now),
    )
    shape = alert_object(alert, SensorInfo(sensor, __version__))
    return Notice(alert.id, alert.id, "test", "firing", "info", now, "Idlewire: test", (summary,), (shape,))


def find(config: Config, name: str) -> SinkSettings:
    """The sink of that name. ConfigError: there is none."""
    known = [str(sink.name) for sink in config.sink]
    for sink in config.sink:
        if sink.name == name:
            return sink
    if not known:
        raise ConfigError("no sink is configured: add a [[sink]] to the settings, or name their file with --config")
    near = nearest(name, known)
    hint = f"did you mean '{near}'? " if near else ""
    raise ConfigError(f"no sink called '{printable(name, 60)}'; {hint}known: {', '.join(known)}")


def ready(chosen: SinkSettings) -> Sink:
    """The sink with its secrets read. ConfigError: they cannot be read."""
    sink = chosen.plugin(str(chosen.name), chosen.settings, __version__)
    sink.prepare()
    return sink


async def deliver(sink: Sink, *messages: Notice) -> None:
    """One after the other, in SECONDS; never by way of an outbox. SensorError: one did not arrive."""
    try:
        async with asyncio.timeout(SECONDS):
            try:
                await sink.open()
                for message in messages:
                    await sink.send(message, None)
            finally:
                await sink.close()
    except TimeoutError:
        raise DeliveryError(f"sink {sink.name}: no answer within {SECONDS:g} s", retry=True) from None
    except DeliveryError as error:
        wait = error.retry_after
        later = f"; it asks to wait {wait:.0f} s" if wait is not None and wait > 0 else ""
        raise DeliveryError(f"sink {sink.name}: {error}{later}", retry=error.retry, retry_after=wait) from None
    except Exception as error:  # noqa: BLE001  # a sink that breaks shall say so in one line
        # The text of an unforeseen error may hold a secret.
        raise SensorError(f"sink {sink.name}: failed: {type(error).__name__}") from None
