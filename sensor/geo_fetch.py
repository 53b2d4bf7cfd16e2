"""Fetches one database file by https: bounded in size and time, unpacked as it comes, and silent about the URL."""

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import aiohttp
from yarl import URL

from sensor.base.tls import forgettable
from sensor.deliver.http import reason, shown_place
from sensor.errors import DataError

MAX_DOWNLOAD = 200_000_000
"""Bytes that are received; IPinfo Lite has 26 MB, DB-IP City Lite 60 MB packed."""

MAX_UNPACKED = 400_000_000
"""Bytes that are written."""

MAX_REDIRECTS = 5

TOTAL_SECONDS = 600.0
"""For all of it."""

SILENT_SECONDS = 30.0
"""Without a byte; a slow line is slow all the time."""

MAX_TAG = 256
"""Characters of what a server calls this version of the file."""

_CHUNK = 65_536
_UNPACKED_CHUNK = 1 << 20
_CLOSING = 0.1
_GZIP = b"\x1f\x8b"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file came."""

    received: int
    """Bytes."""
    etag: str
    modified: str
    """What to ask with next time (RFC 9110: ETag, Last-Modified); empty where the server says nothing."""


async def fetch(url: str, out: BinaryIO, known: Mapping[str, str]) -> Fetched | None:
    """Writes the file to `out`, unpacked where it is gzip; None: it is what is `known` (its etag or modified).

    DataError names scheme and host, never more of the URL, and says what is wrong.
    """
    hop = _Hop(url)
    try:
        async with asyncio.timeout(TOTAL_SECONDS), _session() as session:
            return await _follow(session, hop, out, _conditions(known))
    except aiohttp.ServerTimeoutError:
        raise DataError(f"{hop.place}: nothing came for {SILENT_SECONDS:g} s") from None
    except TimeoutError:
        raise DataError(f"{hop.place}: not done within {TOTAL_SECONDS:g} s") from None
    except aiohttp.ClientConnectorCertificateError:
        raise DataError(f"{hop.place}: its certificate cannot be trusted") from None
    except aiohttp.ClientPayloadError:
        raise DataError(f"{hop.place}: the file ended early") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise DataError(f"{hop.place}: {reason(error)}") from None
    finally:
        # Connections that were cut off close in the loop's next turns, and the loop may end with this.
        await asyncio.sleep(_CLOSING)


class _Hop:
    """The URL that is asked now."""

    def __init__(self, url: str) -> None:
        self.url = URL(url)
        self.place = shown_place(url)

    def redirect(self, location: str) -> None:
        """DataError: to nowhere, or to what is not https."""
        try:
            found = self.url.join(URL(location, encoded=True))
            place = shown_place(str(found))
        except ValueError:
            raise DataError(f"{self.place}: redirects to nowhere") from None
        if found.scheme != "https":
            raise DataError(f"{self.place}: redirects to {found.scheme}://: only https is followed")
        self.url, self.place = found, place


async def _follow(
    session: aiohttp.ClientSession, hop: _Hop, out: BinaryIO, headers: Mapping[str, str]
) -> Fetched | None:
    for _ in range(MAX_REDIRECTS + 1):
        async with session.get(hop.url, headers=headers, allow_redirects=False) as response:
            if response.status in _REDIRECTS:
                hop.redirect(response.headers.get("Location", ""))
                continue
            if response.status == 304 and len(headers) > 1:
                return None
            if response.status != 200:
                raise DataError(f"{hop.place}: answered {response.status}{_hint(response.status)}")
            transport = response.connection.transport if response.connection is not None else None
            try:
                return await _take(response, hop.place, out)
            except BaseException:
                # To end TLS politely would wait for who may be why we go.
                if transport is not None:
                    transport.abort()
                raise
    raise DataError(f"{hop.place}: more than {MAX_REDIRECTS} redirects")


async def _take(response: aiohttp.ClientResponse, place: str, out: BinaryIO) -> Fetched:
    if (response.content_length or 0) > MAX_DOWNLOAD:
        raise DataError(f"{place}: the file is larger than {MAX_DOWNLOAD} bytes")
    received, unpacking = 0, Unpacking(out, place)
    async for chunk in response.content.iter_chunked(_CHUNK):
        received += len(chunk)
        if received > MAX_DOWNLOAD:
            raise DataError(f"{place}: the file is larger than {MAX_DOWNLOAD} bytes")
        unpacking.feed(chunk)
    unpacking.finish()
    return Fetched(received, _tag(response, "ETag"), _tag(response, "Last-Modified"))


class Unpacking:
    """Writes what it is fed, unpacked where it begins as gzip (RFC 1952) does; never more than MAX_UNPACKED bytes."""

    def __init__(self, out: BinaryIO, place: str) -> None:
        """`place`: where it comes from, for errors."""
        self._out = out
        self._place = place
        self._start = b""
        self._plain: bool | None = None
        self._member = zlib.decompressobj(31)
        self._written = 0

    def feed(self, chunk: bytes) -> None:
        """DataError: too much, no gzip, or no room on the disk."""
        if self._plain is None:
            chunk = self._start = self._start + chunk
            if len(chunk) < 2:
                return
            self._plain = not chunk.startswith(_GZIP)
        if self._plain:
            self._write(chunk)
            return
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(31)
            try:
                unpacked = self._member.decompress(chunk, _UNPACKED_CHUNK)
            except zlib.error:
                raise DataError(f"{self._place}: the file is damaged: no gzip") from None
            self._write(unpacked)
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def finish(self) -> None:
        """DataError: something is missing at the end."""
        if self._plain is None:
            raise DataError(f"{self._place}: the file is empty")
        if not self._plain and not self._member.eof:
            raise DataError(f"{self._place}: the file ended early")

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        if self._written > MAX_UNPACKED:
            raise DataError(f"{self._place}: the file unpacks to more than {MAX_UNPACKED} bytes")
        try:
            self._out.write(data)
        except OSError as error:
            raise DataError(f"{self._place}: the file cannot be written: {error.strerror or error}") from None


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, ssl=forgettable(ssl.create_default_context())),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=SILENT_SECONDS, sock_read=SILENT_SECONDS),
        trust_env=False,
        auto_decompress=False,
    )


def _conditions(known: Mapping[str, str]) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if known.get("etag"):
        headers["If-None-Match"] = known["etag"]
    elif known.get("modified"):
        headers["If-Modified-Since"] = known["modified"]
    return headers


def _tag(response: aiohttp.ClientResponse, name: str) -> str:
    value = response.headers.get(name, "")
    return value if len(value) <= MAX_TAG and value.isascii() and value.isprintable() else ""


def _hint(status: int) -> str:
    if status in (401, 403):
        return ": is the token in the URL right?"
    if status == 404:
        return ": there is no such file (any more, or yet)"
    return ": too many downloads, try again tomorrow" if status == 429 else ""
