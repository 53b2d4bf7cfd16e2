"""Alerts as retained messages at an MQTT broker, and one binary sensor for Home Assistant. Needs MQTT 5.

`<base>/alert/<fingerprint>` holds the ALERT object while it fires. `<base>/sensor/<name>/firing` is ON while any does,
and `<base>/sensor/<name>/last` holds the last one; `<discovery>/binary_sensor/.../config` tells Home Assistant.
"""

# The event loop and the library's connection reach for these two on first use, when a sensor that was started as
# root may have given up the right to read its own installation.
import asyncio
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import json
import logging
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import aiomqtt

from sensor.base.fields import BrokerName, Port
from sensor.base.text import printable
from sensor.base.tls import forgettable
from sensor.deliver.http import reason, tls_context
from sensor.deliver.notice import Json, Notice
from sensor.deliver.secret import Secret, one_of
from sensor.deliver.shapes import json_bytes
from sensor.deliver.sink import Sink
from sensor.errors import DeliveryError

TOTAL_SECONDS = 15.0
"""For one message, from looking up the broker's name on."""
ANSWER_SECONDS = 5.0
"""For one answer of the broker."""
KEEPALIVE = 15
"""Seconds; what the library could not close it drops after that."""
QUIET_SECONDS = 0.5
"""Without a retained message after which there is none left."""
MAX_ACTIVE = 1_000
"""Alerts whose end is waited for before the binary sensor goes off; further ones do not count."""
MAX_PAYLOAD = 131_072
"""Bytes: the least that a common broker takes (AWS IoT Core quotas: 128 KB; mosquitto and EMQX take more)."""
REFUSED = frozenset({0x86, 0x87})
"""Reasons of the broker: bad user name or password, not authorized (MQTT 5, 3.2.2.2 and 3.4.2.1)."""


class Base(str):
    """The beginning of topics."""

    __slots__ = ()
    example = "idlewire"

    def __new__(cls, written: str) -> "Base":
        """Without wildcards, and not in the broker's own `$` topics."""
        base = written.strip().strip("/")
        if len(base.encode()) > 200 or not base.isprintable() or re.search(r"[+#]|^\$", base):
            raise ValueError(f"expected the beginning of a topic without + and #, as in {cls.example}")
        return super().__new__(cls, base)


DEFAULT_BASE, DEFAULT_DISCOVERY = Base("idlewire"), Base("homeassistant")


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "mqtt"."""

    host: BrokerName
    port: Port | None = None
    """None: 1883, with TLS 8883."""
    tls: bool = False
    ca_file: str = ""
    """Certificates (PEM) that vouch for the broker with TLS; empty: those of the system."""
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    base: Base = DEFAULT_BASE
    discovery: Base = DEFAULT_DISCOVERY
    """Home Assistant's discovery prefix; empty: nothing is told to it."""

    def __post_init__(self) -> None:
        """ValueError: keys that contradict each other."""
        one_of("password", self.password, self.password_file, needed=False)
        if (self.password or self.password_file) and not self.username:
            raise ValueError("username: missing; a password needs one")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file: has no use without tls = true")
        if not self.base:
            raise ValueError("base: must not be empty")


class Mqtt(Sink):
    """One connection per message: alerts are rare, and what died unnoticed is no connection to send them by."""

    settings_type = Settings
    groups = False
    pause = 0.05
    """Brokers have no limit."""

    def __init__(self, name: str, settings: Settings, version: str) -> None:
        super().__init__(name, version)
        self._settings = settings
        self._password = Secret("password", settings.password, settings.password_file, lambda _: None)
        self._tls: ssl.SSLContext | None = None
        self._active: set[str] | None = None
        """Fingerprints of what this sensor says is firing; None: the broker was not yet asked."""
        self._place = f"mqtt{'s' if settings.tls else ''}://{settings.host}"

    def __repr__(self) -> str:
        return f"Mqtt({self.name!r}, {self._place!r})"

    def prepare(self) -> None:
        self._password.prepare(self.name)
        if self._settings.tls:
            self._tls = forgettable(tls_context(self._settings.ca_file, self.name))

    async def send(self, notice: Notice, earlier: str | None) -> str | None:
        try:
            async with asyncio.timeout(TOTAL_SECONDS), self._client() as client:
                for alert in notice.alerts:
                    if notice.kind == "test":
                        await client.tell(f"{self._settings.base}/test", json_bytes(alert), retain=False)
                    else:
                        await self._tell(client, alert)
        except TimeoutError:
            raise DeliveryError(f"{self._place}: no answer within {TOTAL_SECONDS:g} s", retry=True) from None
        except aiomqtt.MqttError as error:
            raise DeliveryError(f"{self._place}: {_why(error)}", retry=_number(error) not in REFUSED) from None
        except (OSError, ValueError) as error:
            raise DeliveryError(f"{self._place}: {reason(error)}", retry=isinstance(error, OSError)) from None
        return None

    async def _tell(self, client: "_Client", alert: Json) -> None:
        base, sensor = self._settings.base, alert["sensor"]["name"]
        if self._active is None:
            self._active = await client.retained(f"{base}/alert/", sensor)
        payload, mark = json_bytes(alert), _topic_part(alert["fingerprint"])
        if len(payload) > MAX_PAYLOAD:
            raise DeliveryError(f"{self._place}: the alert is larger than {MAX_PAYLOAD} bytes", retry=False)
        fires = alert["state"] == "firing"
        await client.tell(f"{base}/alert/{mark}", payload if fires else b"")
        if not fires:
            self._active.discard(mark)
        elif len(self._active) < MAX_ACTIVE:
            self._active.add(mark)
        own = f"{base}/sensor/{_topic_part(sensor)}"
        await client.tell(f"{own}/last", payload)
        await client.tell(f"{own}/firing", b"ON" if self._active else b"OFF")
        if self._settings.discovery:
            topic, config = discovery(self._settings.discovery, own, sensor, self.version)
            await client.tell(topic, json_bytes(config))

    def _client(self) -> "_Client":
        settings = self._settings
        return _Client(
            str(settings.host),
            int(settings.port or (8883 if settings.tls else 1883)),
            username=settings.username or None,
            password=self._password.reveal() or None,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            timeout=ANSWER_SECONDS,
            keepalive=KEEPALIVE,
            tls_context=self._tls,
            max_queued_incoming_messages=2 * MAX_ACTIVE,
            logger=_SILENT,
        )


PLUGIN = Mqtt


def discovery(prefix: str, own: str, sensor: str, version: str) -> tuple[str, Json]:
    """Topic and payload by which Home Assistant learns of the binary sensor (integrations/binary_sensor.mqtt)."""
    node = re.sub(r"[^A-Za-z0-9_-]", "_", _topic_part(sensor))
    name = printable(sensor, 60)
    return f"{prefix}/binary_sensor/idlewire_{node}/config", {
        "name": "Alert firing",
        "unique_id": f"idlewire_{node}_firing",
        "device_class": "problem",
        "state_topic": f"{own}/firing",
        "json_attributes_topic": f"{own}/last",
        "qos": 1,
        "device": {"identifiers": [f"idlewire_{node}"], "name": f"Idlewire {name}", "sw_version": version},
        "origin": {"name": "Idlewire", "sw_version": version},
    }


_SILENT = logging.getLogger(f"{__name__}.library")
"""For the library, whose lines a broker could provoke; what matters is raised."""
_SILENT.setLevel(logging.CRITICAL + 1)


class _Client(aiomqtt.Client):
    """Also looks at how the broker answered, which the library does not."""

    _refusal: int | None = None

    async def __aenter__(self) -> Self:
        """The library leaves the socket of a connection that was not answered to the broker's silence."""
        try:
            return await super().__aenter__()
        except BaseException:
            self._connected = asyncio.Future()  # the library asks the cancelled one why there is no connection
            with suppress(Exception):
                self._client.disconnect()
                self._client.loop_write()
            raise

    async def tell(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        """At least once. MqttError: it did not arrive, or the broker refused it."""
        await self.publish(topic, payload, qos=1, retain=retain)
        if self._refusal is not None:
            raise aiomqtt.MqttCodeError(self._refusal)

    async def retained(self, beginning: str, sensor: str) -> set[str]:
        """Which alerts of the sensor are retained: what an earlier run of it said and did not end."""
        found: set[str] = set()
        await self.subscribe(f"{beginning}+", qos=0)
        messages = aiter(self.messages)
        try:
            while len(found) < MAX_ACTIVE:
                async with asyncio.timeout(QUIET_SECONDS):
                    message = await anext(messages)
                if message.retain and _sensor_of(message.payload) == sensor:
                    found.add(str(message.topic).removeprefix(beginning))
        except TimeoutError:
            pass
        await self.unsubscribe(f"{beginning}+")
        return found

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        number = getattr(reason_code, "value", 0)
        if isinstance(number, int) and number >= 0x80:  # MQTT 5, 3.4.2.1
            self._refusal = number
        super()._on_publish(client, userdata, mid, reason_code, properties)


def _sensor_of(payload: Any) -> str | None:
    """Whose alert it is; None: of nobody who writes as we do."""
    if not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD:
        return None
    try:
        name = json.loads(payload)["sensor"]["name"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def _topic_part(written: str) -> str:
    """One level of a topic."""
    return re.sub(r"[^A-Za-z0-9._:@-]", "_", written)[:100] or "_"


def _number(error: aiomqtt.MqttError) -> int | None:
    code = getattr(error, "rc", None)
    number = getattr(code, "value", code)
    return number if isinstance(number, int) else None


def _why(error: aiomqtt.MqttError) -> str:
    if _number(error) in REFUSED:
        return "the broker refused the user name, the password or the topic"
    return printable(str(error), 80)
