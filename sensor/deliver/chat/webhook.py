"""The ALERT object as it is, POSTed to a URL and signed where there is a secret (Standard Webhooks 1.0)."""

# asyncio and aiohttp reach for the two below on first use, when a sensor that was started as root
# may have given up the right to read its own installation.
import asyncio
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import aiohttp

from sensor.base.times import SECOND
from sensor.deliver.http import shown_place
from sensor.deliver.notice import Notice
from sensor.deliver.shapes import json_bytes
from sensor.deliver.signing import Secrets, read_secrets, signed
from sensor.deliver.sink import Sink, SinkGone, retry_after
from sensor.errors import ConfigError, DeliveryError

T = TypeVar("T")

TOTAL_SECONDS = 15.0
"""From looking up the name to the answer's headers."""
READ_SECONDS = 2.0
"""For the answer's body, which is thrown away."""
MAX_ANSWER = 65_536
"""Bytes of that body that are read."""
MAX_URL_FILE = 8_192
"""Bytes of `url_file` and `secret_file` that are read."""

RETRY = frozenset({408, 425, 429})
"""Client errors that pass: request timeout, too early, too many requests."""


@dataclass(frozen=True)
class Settings:
    """Keys of [[sink]] with type = "webhook": one of the first two, at most one of the last two."""

    url: str = field(default="", repr=False)
    """http or https; kept out of every log line, as its path is often the only secret."""
    url_file: str = ""
    """A file that holds the URL."""
    secret: str = field(default="", repr=False)
    """To sign with: whsec_ and base64 of 24 to 64 bytes; several, with blanks between, while one replaces another."""
    secret_file: str = ""
    """A file that holds it, or them."""

    def __post_init__(self) -> None:
        """ValueError: not one of url and url_file, both of the others, no URL, or no secret."""
        if self.secret and self.secret_file:
            raise ValueError("give one of secret and secret_file, not both")
        if self.secret:
            try:
                read_secrets(self.secret)
            except ValueError as error:
                raise ValueError(f"secret: {error}") from None
        if self.url and self.url_file:
            raise ValueError("give one of url and url_file, not both")
        if not self.url and not self.url_file:
            raise ValueError("needs url or url_file")
        if self.url:
            try:
                shown_place(self.url)
            except ValueError as error:
                raise ValueError(f"url: {error}") from None


class Webhook(Sink):
    """2xx: arrived. 408, 425, 429, 5xx, no connection or no answer: again. Anything else, redirects too: refused.

    All tries of one message carry the same `webhook-id`, so that the receiver can tell them
    (standardwebhooks.com); 410 means never again, as there. Programs read it: it gets each alert alone.
    """

    settings_type = Settings
    groups = False
    pause = 0.1
    """Seconds; nobody's limit: so that what has piled up does not arrive as a flood."""

    def __init__(self, name: str, settings: Settings, version: str, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock`: ns since 1970, for what is signed."""
        super().__init__(name, version)
        self._clock = clock
        self._secret_file = settings.secret_file
        self._secrets: Secrets = read_secrets(settings.secret) if settings.secret else ()
        self._file = settings.url_file
        self._url = settings.url
        self.place = shown_place(settings.url) if settings.url else settings.url_file
        """What may be shown of the URL."""
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Webhook({self.name!r}, {self.place!r})"

    def prepare(self) -> None:
        if self._file:
            self._url = self._read("url_file", self._file)
            self.place = self._checked("url_file", self._file, lambda: shown_place(self._url))
        if self._secret_file:
            content = self._read("secret_file", self._secret_file)
            self._secrets = self._checked("secret_file", self._secret_file, lambda: read_secrets(content))

    async def open(self) -> None:
        # No cookies, no proxy or netrc out of the environment, no connection kept that may have died meanwhile.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS),
            trust_env=False,
            auto_decompress=False,
        )

    async def send(self, notice: Notice, earlier: str | None) -> None:
        if self._session is None:
            raise DeliveryError(f"{self.place}: not open", retry=True)
        if not notice.alerts:
            raise DeliveryError("it tells of no alert", retry=False)
        body, identity = json_bytes(notice.alerts[0]), quote(notice.id, safe=":", errors="replace")
        headers = {
            "content-type": "application/json",
            "user-agent": f"idlewire/{self.version}",
            "webhook-id": identity,
        }
        if self._secrets:
            headers |= signed(self._secrets, identity, self._clock() // SECOND, body)
        try:
            response = await self._session.post(self._url, data=body, headers=headers, allow_redirects=False)
        except TimeoutError:
            raise DeliveryError(f"{self.place}: no answer within {TOTAL_SECONDS:g} s", retry=True) from None
        except aiohttp.InvalidURL as error:
            raise DeliveryError(f"{self.place}: {type(error).__name__}", retry=False) from None
        except (aiohttp.ClientError, OSError) as error:  # a bad certificate among them, which is a ValueError, too
            raise DeliveryError(f"{self.place}: {_reason(error)}", retry=True) from None
        except ValueError as error:  # the URL or its host name cannot be written as HTTP or DNS want it
            raise DeliveryError(f"{self.place}: {type(error).__name__}", retry=False) from None
        await _discard(response)
        self._judge(response.status, response.headers.get("Retry-After"))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _read(self, key: str, path: str) -> str:
        try:
            with Path(path).open("rb") as file:
                return file.read(MAX_URL_FILE).decode("utf-8", "replace").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a path"
            raise ConfigError(f"sink {self.name}: {key}: {path}: {why}") from None

    def _checked(self, key: str, path: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except ValueError as error:
            raise ConfigError(f"sink {self.name}: {key}: {path}: {error}") from None

    def _judge(self, status: int, wait: str | None) -> None:
        if 200 <= status < 300:
            return
        answer = f"{self.place}: answered {status}"
        if status == 410:
            raise SinkGone(answer)
        retry = status in RETRY or status >= 500
        raise DeliveryError(answer, retry=retry, retry_after=retry_after(wait) if retry else None)


PLUGIN = Webhook


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Let the far end finish a short body. The status is known: how the body ends changes nothing."""
    left = MAX_ANSWER
    with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        async with asyncio.timeout(READ_SECONDS):
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)
    response.close()


def _reason(error: BaseException) -> str:
    """The kind of failure; never the error's own text, which may hold the URL."""
    strerror = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {strerror}" if isinstance(strerror, str) else type(error).__name__
