"""Phones that publish their state to an MQTT broker: one plain topic each. Needs MQTT 5.

While the connection lives, clients that were heard on it get heartbeats, unless they send their own: what is known
expires after MISSED of them. What is published while the connection is broken is lost, so that a client is heard
again only with its next message, or with a retained one that tells its own time.
"""

# The event loop and the library's connection reach for these two on first use, when a sensor that was started as
# root may have given up the right to read its own installation.
import asyncio
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import logging
import re
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sensor.base.fields import BrokerName, ClientRef, Port
from sensor.base.text import printable
from sensor.base.times import SECOND
from sensor.base.tls import forgettable
from sensor.errors import ConfigError
from sensor.foreground.base import MAX_SKEW, Source, SourceFacts, believed
from sensor.foreground.payload import MAX_PAYLOAD, Told, told
from sensor.foreground.reconnect import Connection, ConnectionBroken
from sensor.model.foreground import Report

CONNECT_SECONDS = 20.0
"""From looking up the name to the answer to our subscriptions."""
ANSWER_SECONDS = 10.0
"""For one answer of the broker."""
KEEPALIVE = 15
"""Seconds; a connection that is silent for twice as long is broken."""
BEAT_SECONDS = 30.0
"""Between two heartbeats of a client while the connection lives."""
FIRST_OWN_BEAT = 900 * SECOND
"""ns that a client's own heartbeats are expected to be apart, until two of them have shown it."""
LOGIN_PAUSE = 300.0
"""Seconds until a refused login is tried again."""
MAX_PACKET = MAX_PAYLOAD + 1_024
"""Bytes; the broker is told to send no longer ones (MQTT 5, 3.1.2.11.4)."""
MAX_QUEUED = 1_000
"""Messages that wait to be looked at; further ones are dropped."""
MAX_SECRET = 1_024
"""Bytes of `password_file` that are read."""
LOGIN_REFUSED = frozenset({0x86, 0x87})
"""Reasons of the broker: bad user name or password, not authorized (MQTT 5, 3.2.2.2)."""


class Topic(str):
    """A topic of one client."""

    __slots__ = ()
    example = "phones/redmi/state"

    def __new__(cls, text: str) -> "Topic":
        """Without the wildcards + and #: one client, one topic."""
        if not 1 <= len(text.encode()) <= 512 or not text.isprintable() or re.search(r"[+#]|^\$share/", text):
            raise ValueError(f"expected a topic without + and #, as in {cls.example}")
        return super().__new__(cls, text)


@dataclass(frozen=True)
class PhoneSettings:
    """One [[foreground.mqtt.phone]]."""

    client: ClientRef
    topic: Topic


@dataclass(frozen=True)
class Settings:
    """Keys of [foreground.mqtt]."""

    host: BrokerName
    enabled: bool = True
    port: Port | None = None
    """None: 1883, with TLS 8883."""
    tls: bool = False
    ca_file: str = ""
    """Certificates (PEM) that vouch for the broker with TLS; empty: those of the system."""
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    phone: tuple[PhoneSettings, ...] = ()

    def __post_init__(self) -> None:
        """ValueError: keys that contradict each other, no phone, or a topic twice."""
        if self.password and self.password_file:
            raise ValueError("give one of password and password_file, not both")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("username: missing; a password needs one")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file: has no use without tls = true")
        topics = [phone.topic for phone in self.phone]
        if not topics:
            raise ValueError("needs at least one [[foreground.mqtt.phone]]")
        if twice := {topic for topic in topics if topics.count(topic) > 1}:
            raise ValueError(f'phone: the topic "{min(twice)}" is there more than once')


class Mqtt(Source):
    """Reports what is published under each phone's topic."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: SourceFacts) -> None:
        super().__init__(settings, facts)
        self.counts = dict.fromkeys(("messages", "garbage", "retained", "dropped", "login_refused"), 0)
        self._settings = settings
        self._password = settings.password
        self._tls: ssl.SSLContext | None = None
        self._connection = Connection(self.name, self.counts)
        self._clients = {str(phone.client): _Client() for phone in settings.phone}
        self._topics = {str(phone.topic): str(phone.client) for phone in settings.phone}

    def prepare(self) -> None:
        if self._settings.tls:
            try:
                self._tls = forgettable(ssl.create_default_context(cafile=self._settings.ca_file or None))
            except OSError as error:
                why = "no certificates in PEM format" if isinstance(error, ssl.SSLError) else error.strerror
                raise ConfigError(f"foreground.{self.name}: ca_file: {self._settings.ca_file}: {why}") from None
        if self._settings.password_file:
            try:
                with Path(self._settings.password_file).open("rb") as file:
                    self._password = file.read(MAX_SECRET).decode("utf-8").strip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "not UTF-8 text"
                raise ConfigError(
                    f"foreground.{self.name}: password_file: {self._settings.password_file}: {why}"
                ) from None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.keep(self._attempt))
            group.create_task(self._vouch())

    async def _attempt(self) -> None:
        """One connection, from name lookup to its end."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS) as connecting, self._client() as client:
                # On a clean session the broker sends the retained message of each topic.
                answers = await client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._topics])
                if not _granted(answers):
                    raise ConnectionBroken("the broker refused the subscription to a topic", LOGIN_PAUSE)
                connecting.reschedule(None)
                self._connection.up()
                async for message in client.messages:
                    self._take(message)
        except aiomqtt.MqttError as error:
            if _number(getattr(error, "rc", None)) in LOGIN_REFUSED:
                self.counts["login_refused"] += 1
                raise ConnectionBroken("the broker refused the user name or the password", LOGIN_PAUSE) from None
            raise ConnectionBroken(printable(str(error), 80)) from None
        finally:
            for client_state in self._clients.values():
                client_state.heard = False

    def _client(self) -> aiomqtt.Client:
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_PACKET
        return aiomqtt.Client(
            str(settings.host),
            int(settings.port or (8883 if settings.tls else 1883)),
            username=settings.username or None,
            password=self._password or None,
            identifier=client_id(),
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            properties=properties,
            timeout=ANSWER_SECONDS,
            keepalive=KEEPALIVE,
            tls_context=self._tls,
            queue_type=_bounded(self.counts),
            logger=_SILENT,
        )

    async def _vouch(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for client, state in self._clients.items():
                if self._connection.is_up and state.heard and state.own_interval is None:
                    self._report(client, Told("heartbeat"), self.facts.clock(), self.facts.clock())

    def _take(self, message: aiomqtt.Message) -> None:
        client = self._topics.get(str(message.topic))
        if client is None:
            return
        said = told(message.payload) if isinstance(message.payload, bytes) else None
        self.counts["messages" if said is not None else "garbage"] += 1
        if said is None:
            return
        now = self.facts.clock()
        if message.retain:
            self._take_retained(client, said, now)
            return
        state = self._clients[client]
        state.heard = True
        if said.event == "heartbeat":
            state.beat(now)
        self._report(client, said, min(now, believed(said.time, now)), now)

    def _take_retained(self, client: str, said: Told, now: int) -> None:
        """A message from before we subscribed: of unknown age, unless it tells its time."""
        state = self._clients[client]
        if said.event == "heartbeat" or said.time is None or not state.told_at <= said.time <= now + MAX_SKEW:
            self.counts["retained"] += 1
            return
        state.heard = True
        self._report(client, said, min(now, said.time), now, current=said.event != "charging")

    def _report(self, client: str, said: Told, at: int, now: int, *, current: bool = False) -> None:
        state = self._clients[client]
        if said.event != "heartbeat":
            state.told_at = max(state.told_at, at)
        interval = state.own_interval or int(BEAT_SECONDS * SECOND)
        self.facts.report(
            Report(client, self.name, said.event, said.app, at, now, said.sequence, interval, current=current)
        )


PLUGIN = Mqtt

_SILENT = logging.getLogger(f"{__name__}.library")
"""For the library, whose lines anyone who may publish could provoke; what matters is counted, or raised."""
_SILENT.setLevel(logging.CRITICAL + 1)


class _Client:
    """What is known of one client's topic."""

    def __init__(self) -> None:
        self.heard = False
        """On this connection."""
        self.told_at = 0
        """ns of its last transition."""
        self.own_interval: int | None = None
        """ns between the heartbeats that it sends itself."""
        self._beat: int | None = None
        self._gaps: deque[int] = deque(maxlen=5)

    def beat(self, now: int) -> None:
        """It sent a heartbeat."""
        if self._beat is not None and now > self._beat:
            self._gaps.append(now - self._beat)
        self._beat = now
        self.own_interval = sorted(self._gaps)[len(self._gaps) // 2] if self._gaps else FIRST_OWN_BEAT


def client_id() -> str:
    """By which the broker knows this sensor: always the same, at most 23 characters (MQTT 5, 3.1.3.1)."""
    return ("idlewire" + re.sub(r"[^0-9A-Za-z]", "", socket.gethostname()))[:23]


def _granted(answers: Sequence[Any]) -> bool:
    """MQTT 5, 3.9.3: reasons from 0x80 on are refusals."""
    return all(_number(answer) < 0x80 for answer in answers)


def _number(reason: Any) -> int:
    number = getattr(reason, "value", reason)
    return number if isinstance(number, int) else 0


def _bounded(counts: dict[str, int]) -> "type[asyncio.Queue[aiomqtt.Message]]":
    class Bounded(asyncio.Queue[aiomqtt.Message]):
        def __init__(self, maxsize: int = 0) -> None:
            super().__init__(maxsize or MAX_QUEUED)

        def put_nowait(self, item: aiomqtt.Message) -> None:
            if self.full():
                counts["dropped"] += 1
            else:
                super().put_nowait(item)

    return Bounded
