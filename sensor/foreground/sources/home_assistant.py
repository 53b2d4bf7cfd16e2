"""Phones as Home Assistant knows them, over its WebSocket API; any user's long-lived token does, none of an admin.

States are subscribed to with `subscribe_entities`; what they mean is in `foreground/companion.py`. While the
connection answers pings every client gets heartbeats: once it is broken, what was known expires with MISSED of them.
"""

# asyncio and aiohttp reach for the two below on first use, when a sensor that was started as root
# may have given up the right to read its own installation.
import asyncio
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import aiohttp

from sensor.base.fields import ClientRef
from sensor.base.ratelimit import RateLimit
from sensor.base.times import SECOND
from sensor.errors import ConfigError
from sensor.foreground.base import Source, SourceFacts
from sensor.foreground.companion import ROLES, Phone, Role
from sensor.foreground.entities import EntityState, messages, states
from sensor.foreground.reconnect import Connection, ConnectionBroken

CONNECT_SECONDS = 15.0
"""From looking up the name to the answer to our token, and from there to the answer to our subscription."""
PING_SECONDS, PONG_SECONDS = 30.0, 10.0
"""A ping after so long without one, and how long its answer may take."""
TOKEN_PAUSE = 600.0
"""Seconds until a refused token is tried again: Home Assistant may ban addresses that fail often."""
REFRESH_SECONDS = 10.0
"""How long `refresh` waits for a newer state."""
SETTLE_SECONDS = 0.3
"""Within which the rest of such a reading comes."""
REFRESH_PAUSE = 60 * SECOND
"""ns between two requests to one phone: each wakes it."""
MAX_MESSAGE = 1 << 20
"""Bytes of one frame from Home Assistant."""
MAX_MESSAGES, CHUNK = 1_000, 50
"""Messages of one frame that are looked at, and how many of them before others get their turn."""
MAX_TOKEN = 8_192
"""Bytes of `token_file` that are read."""

SUBSCRIPTION = 1
"""The id of our subscription; later commands count on from it."""
_UPDATE = {"message": "command_update_sensors", "data": {"ttl": 0, "priority": "high"}}
_CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)
_REFUSED = "the token was refused: create a new long-lived access token in Home Assistant"


class EntityId(str):
    """An entity of Home Assistant."""

    __slots__ = ()
    example = "binary_sensor.pixel_interactive"

    def __new__(cls, text: str) -> "EntityId":
        """As Home Assistant takes it: domain.object_id, in lower case."""
        if not re.fullmatch(r"[a-z0-9_]{1,64}\.[a-z0-9_]{1,190}", text.strip(), re.ASCII):
            raise ValueError(f"expected the id of an entity, as in {cls.example}")
        return super().__new__(cls, text.strip())


class NotifyService(str):
    """A service of the domain notify."""

    __slots__ = ()
    example = "mobile_app_pixel"

    def __new__(cls, text: str) -> "NotifyService":
        """With or without `notify.` in front."""
        name = text.strip().removeprefix("notify.")
        if not re.fullmatch(r"[a-z0-9_]{1,190}", name, re.ASCII):
            raise ValueError(f"expected the name of a notify service, as in {cls.example}")
        return super().__new__(cls, name)


@dataclass(frozen=True)
class PhoneSettings:
    """One [[foreground.home_assistant.phone]]."""

    client: ClientRef
    interactive: EntityId
    """Whether its screen is on."""
    locked: EntityId | None = None
    app: EntityId | None = None
    """The app last used."""
    charging: EntityId | None = None
    notify: NotifyService | None = None
    """Through which a fresh reading is asked for just before an alert."""


@dataclass(frozen=True)
class Settings:
    """Keys of [foreground.home_assistant]."""

    url: str = field(repr=False)
    """As in the browser: http(s)://host:port."""
    enabled: bool = True
    token: str = field(default="", repr=False)
    token_file: str = ""
    phone: tuple[PhoneSettings, ...] = ()

    def __post_init__(self) -> None:
        """ValueError: no URL, not exactly one of token and token_file, no phone, or a client twice."""
        try:
            websocket_url(self.url)
        except ValueError as error:
            raise ValueError(f"url: {error}") from None
        if bool(self.token) == bool(self.token_file):
            raise ValueError("give one of token and token_file" + (", not both" if self.token else ""))
        if self.token and not _is_token(self.token):
            raise ValueError("token: expected one word, without blanks")
        clients = [phone.client for phone in self.phone]
        if not clients:
            raise ValueError("needs at least one [[foreground.home_assistant.phone]]")
        if twice := {client for client in clients if clients.count(client) > 1}:
            raise ValueError(f'phone: the client "{min(twice)}" is there more than once')


class HomeAssistant(Source):
    """Reports what the entities of each phone say, from when they say so."""

    settings_type = Settings

    def __init__(self, settings: Settings, facts: SourceFacts) -> None:
        super().__init__(settings, facts)
        kinds = ("messages", "skipped", "garbage", "token_refused", "refreshes", "refreshes_refused")
        self.counts = dict.fromkeys(kinds, 0)
        self._settings = settings
        self._url = websocket_url(settings.url)
        self._token = settings.token
        self._connection = Connection(self.name, self.counts)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._id = SUBSCRIPTION
        self._phones = {str(phone.client): _Watched(phone, self.name) for phone in settings.phone}
        self._roles: dict[str, list[tuple[Role, _Watched]]] = {}
        """Entity -> for whom it says what."""
        for watched in self._phones.values():
            for role in ROLES:
                if entity := getattr(watched.settings, role):
                    self._roles.setdefault(str(entity), []).append((role, watched))

    def prepare(self) -> None:
        if self._settings.token_file:
            try:
                self._token = read_token(Path(self._settings.token_file))
            except ValueError as error:
                raise ConfigError(f"foreground.{self.name}: token_file: {self._settings.token_file}: {error}") from None

    async def run(self) -> None:
        await self._connection.keep(self._attempt)

    async def refresh(self, client: str) -> None:
        watched = self._phones.get(client)
        if watched is None or watched.settings.notify is None:
            return
        if not watched.waiting:
            if self._socket is None or not watched.limit.allow(self.facts.clock()):
                return
            self._id += 1
            watched.asked = self._id
            self.counts["refreshes"] += 1
        with watched.hearing() as heard:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    if len(watched.waiting) == 1 and self._socket is not None:
                        await self._call(self._socket, watched)
                    await heard.wait()
                # What one reading changed comes in several messages.
                await asyncio.sleep(SETTLE_SECONDS)
            except (TimeoutError, aiohttp.ClientError, OSError):
                return

    async def _call(self, socket: aiohttp.ClientWebSocketResponse, watched: "_Watched") -> None:
        await socket.send_json(
            {
                "id": watched.asked,
                "type": "call_service",
                "domain": "notify",
                "service": watched.settings.notify,
                "service_data": _UPDATE,
            }
        )

    async def _attempt(self) -> None:
        """One connection, from name lookup to its end."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        # No cookies, no proxy or netrc out of the environment.
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, trace_configs=[tracing]
        ) as session:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    socket = await session.ws_connect(self._url, max_msg_size=MAX_MESSAGE, timeout=_CLOSING)
                    await self._enter(socket)
                self._socket = socket
                await self._listen(socket)
            except aiohttp.WSServerHandshakeError as error:
                raise ConnectionBroken(f"the URL answered {error.status} instead of a WebSocket") from None
            finally:
                self._socket = None
                for watched in self._phones.values():
                    watched.phone.disconnected()
                    watched.wake()

    async def _enter(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Authenticates and subscribes."""
        while True:
            for message in await self._receive(socket):
                match message.get("type"):
                    case "auth_required":
                        await socket.send_json({"type": "auth", "access_token": self._token})
                    case "auth_invalid":
                        await self._refused()
                    case "auth_ok":
                        self._id = SUBSCRIPTION
                        await socket.send_json(
                            {"id": self._id, "type": "subscribe_entities", "entity_ids": sorted(self._roles)}
                        )
                        return

    async def _refused(self) -> NoReturn:
        self.counts["token_refused"] += 1
        if self._settings.token_file:
            # It may have been mended meanwhile; where the sensor may not read it any more, the old one stays.
            with suppress(ValueError):
                self._token = await asyncio.to_thread(read_token, Path(self._settings.token_file))
        raise ConnectionBroken(_REFUSED, TOKEN_PAUSE)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Until it breaks."""
        loop = asyncio.get_running_loop()
        ping, due = 0, loop.time() + PING_SECONDS
        subscribed_by = loop.time() + CONNECT_SECONDS
        while True:
            if not self._connection.is_up and loop.time() >= subscribed_by:
                raise ConnectionBroken("no answer to the subscription")
            try:
                async with asyncio.timeout_at(due if self._connection.is_up else min(due, subscribed_by)):
                    received = await self._receive(socket)
            except TimeoutError:
                if loop.time() < due:
                    continue
                if ping:
                    raise ConnectionBroken("no answer to a ping") from None
                self._id += 1
                ping, due = self._id, loop.time() + PONG_SECONDS
                await socket.send_json({"id": ping, "type": "ping"})
                continue
            for at, message in enumerate(received):
                if ping and message.get("type") == "pong" and message.get("id") == ping:
                    ping, due = 0, loop.time() + PING_SECONDS
                    self._beat()
                else:
                    self._take(message)
                if at % CHUNK == CHUNK - 1:
                    await asyncio.sleep(0)
            # A frame that is there already is received without waiting.
            await asyncio.sleep(0)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
        """The messages of the next frame. ConnectionBroken."""
        frame = await socket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT:
            found = messages(frame.data)
            self.counts["messages"] += len(found)
            self.counts["garbage"] += not found
            self.counts["skipped"] += max(len(found) - MAX_MESSAGES, 0)
            return found[:MAX_MESSAGES]
        if frame.type is aiohttp.WSMsgType.BINARY:
            self.counts["garbage"] += 1
            return []
        if frame.type is aiohttp.WSMsgType.ERROR:
            raise ConnectionBroken("a frame that is none, or too long")
        raise ConnectionBroken("closed by Home Assistant")

    def _take(self, message: dict[str, Any]) -> None:
        kind, number = message.get("type"), message.get("id")
        if kind == "event" and number == SUBSCRIPTION:
            found = states(message.get("event"), self._roles)
            told = [(role, watched, each) for each in found for role, watched in self._roles[each.entity]]
            for role, watched, each in sorted(told, key=lambda one: ROLES.index(one[0])):
                self._tell(role, watched, each)
            for watched in dict.fromkeys(watched for _, watched, each in told if each.state is not None):
                self._tell_again(watched)
        elif kind == "result" and number == SUBSCRIPTION:
            if message.get("success") is not True:
                raise ConnectionBroken("the subscription was refused")
            if not self._connection.is_up:
                self._connection.up()
        elif kind == "result" and message.get("success") is False:
            for watched in self._phones.values():
                if number == watched.asked:
                    self.counts["refreshes_refused"] += 1
                    watched.wake()

    def _tell(self, role: Role, watched: "_Watched", state: EntityState) -> None:
        for report in watched.phone.told(role, state.state, state.changed, self.facts.clock()):
            self.facts.report(report)
        watched.wake()

    def _tell_again(self, watched: "_Watched") -> None:
        """Where nothing is known any more: a phone that says anything would have said what changed, too."""
        now = self.facts.clock()
        if self.facts.known(watched.phone.client, now).source is None:
            for report in watched.phone.again(now):
                self.facts.report(report)

    def _beat(self) -> None:
        for watched in self._phones.values():
            if (beat := watched.phone.heartbeat(self.facts.clock())) is not None:
                self.facts.report(beat)


PLUGIN = HomeAssistant


class _Watched:
    """One phone, and who waits for news of it."""

    def __init__(self, settings: PhoneSettings, source: str) -> None:
        self.settings = settings
        self.phone = Phone(str(settings.client), source, int((PING_SECONDS + PONG_SECONDS) * SECOND))
        self.limit = RateLimit(REFRESH_PAUSE)
        self.asked = 0
        """The id of the last request for news."""
        self.waiting: list[asyncio.Event] = []

    @contextmanager
    def hearing(self) -> Iterator[asyncio.Event]:
        """An event that is set with the next news."""
        heard = asyncio.Event()
        self.waiting.append(heard)
        try:
            yield heard
        finally:
            self.waiting.remove(heard)

    def wake(self) -> None:
        for heard in self.waiting:
            heard.set()


def websocket_url(url: str) -> str:
    """Where Home Assistant's WebSocket API is. ValueError, without the URL: it is no address of a server."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the host or the port cannot be read") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("must begin with http:// or https:// and a host, as in http://homeassistant.local:8123")
    if parts.query or parts.fragment or "@" in parts.netloc or not url.isprintable() or " " in url.strip():
        raise ValueError("only scheme, host, port and path may be in it")
    return f"{parts.scheme.replace('http', 'ws')}://{parts.netloc}{parts.path.rstrip('/')}/api/websocket"


def read_token(path: Path) -> str:
    """The token in a file. ValueError saying why there is none, without it."""
    try:
        with path.open("rb") as file:
            token = file.read(MAX_TOKEN).decode("ascii", "replace").strip()
    except OSError as error:
        raise ValueError(error.strerror) from None
    if not _is_token(token):
        raise ValueError("expected one word, the token, and nothing else")
    return token


def _is_token(text: str) -> bool:
    return re.fullmatch(r"[\x21-\x7e]+", text) is not None


async def _refuse_redirect(*_: object) -> None:
    # The token is for the host that was configured.
    raise ConnectionBroken("the URL redirects elsewhere: give the address it redirects to")
