"""How sinks speak HTTP: one request that cannot hang, follow, flood or tell; answers become errors of `Sink.send`."""

# asyncio and aiohttp reach for the two below on first use, when a sensor that was started as root
# may have given up the right to read its own installation.
import asyncio
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import json
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

import aiohttp

from sensor.base.text import printable
from sensor.deliver.secret import Secret, checked, one_of
from sensor.deliver.shapes import json_bytes
from sensor.deliver.sink import Sink, SinkGone, retry_after
from sensor.errors import ConfigError, DeliveryError

TOTAL_SECONDS = 15.0
"""From looking up the name to the answer's headers."""
READ_SECONDS = 2.0
"""For the answer's body."""
MAX_ANSWER = 65_536
"""Bytes of that body that are read."""
MAX_SAID = 120
"""Characters of the far end's own words that an error repeats."""
MIN_HIDDEN = 5
"""Characters: shorter pieces of a URL or header are words of the service, and no secrets."""

RETRY = frozenset({408, 425, 429})
"""Client errors that pass: request timeout, too early, too many requests (RFC 9110, RFC 8470, RFC 6585)."""

_DIVIDERS = re.compile(r"[/: ]+")
_HARMLESS = frozenset({"https", "Bearer", "Basic", "messages", "rooms", "services"})
_NO_URL = "the URL must begin with http:// or https:// and a host"
_NO_PORT = "the port of the URL must be a number from 1 to 65535"
_BLANKS = "the URL has a blank or an unprintable character in it"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: any status."""

    place: str
    """Scheme and host that were asked."""
    status: int
    wait: float | None
    """Seconds out of the Retry-After header."""
    body: bytes = b""
    """At most `MAX_ANSWER` bytes, and only what came in time."""
    hidden: frozenset[str] = field(default=frozenset(), repr=False)
    """Pieces of the request that no error may repeat."""

    @property
    def arrived(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body's first line."""
        return self.body[:MAX_SAID].decode("utf-8", "replace").partition("\n")[0].strip()

    def json(self) -> dict[str, Any]:
        """The object in the body; empty where there is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def judge(self, *, wait: float | None = None, said: object = None) -> None:
        """2xx passes. 408, 425, 429, 5xx: try again. 410: SinkGone. Anything else, redirects too: refused.

        `wait`: seconds, where the body says more than the header; `said`: the far end's reason.
        """
        if self.arrived:
            return
        text = f"{self.place}: answered {self.status}{self._said(said)}"
        if self.status == 410:
            raise SinkGone(text)
        retry = self.status in RETRY or self.status >= 500
        raise DeliveryError(text, retry=retry, retry_after=(self.wait if wait is None else wait) if retry else None)

    def _said(self, said: object) -> str:
        if not isinstance(said, str) or not said or any(piece in said for piece in self.hidden):
            return ""
        return f" ({printable(said, MAX_SAID)})"


class Http:
    """A client for one sink: no redirects, proxies, netrc, cookies, compression or kept connections."""

    def __init__(self, version: str, ca_file: str = "", secrets: Sequence[Secret] = ()) -> None:
        """`version`: the sensor's; `ca_file`: certificates (PEM) that vouch for the far end instead of the system's.

        `secrets`: what no error repeats, besides whatever is in URLs and headers.
        """
        self._version = version
        self._secrets = secrets
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None

    def prepare(self, sink: str) -> None:
        """Read `ca_file`. ConfigError names the sink."""
        if self._ca_file:
            self._tls = tls_context(self._ca_file, sink)

    async def open(self) -> None:
        """Get ready; nothing is sent."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, ssl=True if self._tls is None else self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS),
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(self, method: str, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Any answer, unjudged. DeliveryError: there was none; it tells scheme and host, and no more of the URL."""
        place = shown_place(url)
        if self._session is None:
            raise DeliveryError(f"{place}: not open", retry=True)
        own = {"user-agent": f"idlewire/{self._version}", "accept-encoding": "identity"}
        try:
            response = await self._session.request(
                method, url, data=body, headers={**own, **(headers or {})}, allow_redirects=False
            )
        except TimeoutError:
            raise DeliveryError(f"{place}: no answer within {TOTAL_SECONDS:g} s", retry=True) from None
        except aiohttp.ClientConnectorCertificateError as error:  # a ValueError, too; clocks and certificates change
            raise DeliveryError(f"{place}: {reason(error)}", retry=True) from None
        except ValueError as error:  # the URL, its host name or a header cannot be written as HTTP or DNS want it
            raise DeliveryError(f"{place}: {type(error).__name__}", retry=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryError(f"{place}: {reason(error)}", retry=True) from None
        wait = retry_after(response.headers.get("Retry-After"))
        return Answer(place, response.status, wait, await _body(response), self._hidden(url, headers or {}))

    def _hidden(self, url: str, headers: Mapping[str, str]) -> frozenset[str]:
        """Whatever of the request may be a secret: the pieces of the URL behind its host, and of headers' values."""
        parts = urlsplit(url)
        sent = [parts.username, parts.password, parts.path, *(secret.reveal() for secret in self._secrets)]
        sent += [pair.partition("=")[2] or pair for pair in parts.query.split("&")]
        sent += [value for key, value in headers.items() if key.lower() != "content-type"]
        pieces = {piece for text in sent for piece in _DIVIDERS.split(text or "")}
        return frozenset(piece for piece in pieces if len(piece) >= MIN_HIDDEN) - _HARMLESS

    async def send_json(
        self, url: str, value: object, headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> Answer:
        """The value as JSON; the answer unjudged."""
        return await self.request(
            method, url, json_bytes(value), {"content-type": "application/json", **(headers or {})}
        )


@dataclass(frozen=True)
class UrlSettings:
    """Keys of a [[sink]] whose address holds its secret."""

    url: str = field(default="", repr=False)
    """https, as the service gave it; whoever has it may post."""
    url_file: str = ""
    """A file that holds the URL; one of the two."""
    ca_file: str = ""
    """Certificates (PEM) that vouch for the server instead of the system's."""

    def __post_init__(self) -> None:
        """ValueError: not exactly one of the two, or no URL."""
        one_of("url", self.url, self.url_file)
        checked("url", self.url, shown_place)


class HttpSink(Sink):
    """Base of the sinks that speak HTTP."""

    def __init__(self, name: str, version: str, ca_file: str, *secrets: Secret) -> None:
        """`secrets`: what `prepare` has to read."""
        super().__init__(name, version)
        self.http = Http(version, ca_file, secrets)
        self._secrets = secrets

    def prepare(self) -> None:
        for secret in self._secrets:
            secret.prepare(self.name)
        self.http.prepare(self.name)

    async def open(self) -> None:
        await self.http.open()

    async def close(self) -> None:
        await self.http.close()


class UrlSink(HttpSink):
    """Base of those that post JSON to one secret URL."""

    settings_type = UrlSettings

    def __init__(self, name: str, settings: UrlSettings, version: str) -> None:
        self._url = Secret("url", settings.url, settings.url_file, shown_place)
        super().__init__(name, version, settings.ca_file, self._url)

    async def post(self, value: object, query: str = "") -> Answer:
        """The value as JSON, judged; `query` is added to the URL's own."""
        url = self._url.reveal()
        answer = await self.http.send_json(f"{url}{'&' if '?' in url else '?'}{query}" if query else url, value)
        answer.judge(said=answer.text)
        return answer


def server_url(url: str) -> None:
    """ValueError: not only scheme, host, port and a path, of a server whose address is no secret."""
    shown_place(url)
    parts = urlsplit(url)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("expected only scheme, host, port and path, as in https://chat.example.com")


def shown_place(url: str) -> str:
    """Scheme and host of a URL, which is what may be shown of it. ValueError, without the URL: it is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise ValueError(_NO_URL) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(_NO_URL)
    if not url.isprintable() or " " in url:
        raise ValueError(_BLANKS)
    port = _port(parts)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}/…"


def tls_context(ca_file: str, sink: str) -> ssl.SSLContext:
    """That trusts the certificates in `ca_file`, or in the system's where it is empty. ConfigError: no such file."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as error:
        pem = isinstance(error, ssl.SSLError | ValueError)
        why = "no certificates in PEM format" if pem else getattr(error, "strerror", None)
        raise ConfigError(f"sink {sink}: ca_file: {ca_file}: {why}") from None


def reason(error: BaseException) -> str:
    """The kind of failure; never the error's own text, which may hold the URL."""
    strerror = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {strerror}" if isinstance(strerror, str) else type(error).__name__


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise ValueError(_NO_PORT) from None
    if port == 0:
        raise ValueError(_NO_PORT)
    return port


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """As much as comes in time. The status is known: how the body ends changes nothing."""
    body = bytearray()
    with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        async with asyncio.timeout(READ_SECONDS):
            while len(body) < MAX_ANSWER and (chunk := await response.content.read(MAX_ANSWER - len(body))):
                body += chunk
    response.close()
    return bytes(body)
