"""Links in messages: what each would do is in it, signed, with an end; following one shows a page and changes nothing.

A token is base64url of `JSON array, MAC`: HMAC-SHA256 (RFC 2104), cut to 128 bits (RFC 4868), with a key that lies in
the state folder. Whoever has the key's file can make links; without the file (delete it) all old ones are void.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sensor.base.domains import fold
from sensor.base.times import SECOND
from sensor.deliver.notice import Json, Link, Notice, client_of
from sensor.deliver.wanted import MUTED, acknowledgement
from sensor.model.ruling import Key, Ruling

KEY_BYTES, MAC_BYTES = 32, 16

MAX_TOKEN = 600
"""Characters that are looked at."""

MAX_OWNER, MAX_NAME = 60, 80
"""Characters of an owner or a name in a token, so that its URL fits everywhere (Pushover: 512). A part of an owner's
name matches the whole; a longer name is not offered."""

VERSION = 1

Offered = Literal["mute", "allow", "acknowledge"]

LABELS: dict[Offered, str] = {
    "acknowledge": "Acknowledge", "mute": "Mute for a week", "allow": "Allow for ever",
}  # fmt: skip

NOT_OURS = "not one of ours"

log = logging.getLogger(__name__)


class Expired(ValueError):
    """It is one of ours, but too old."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a link would do."""

    action: Offered
    key: Key
    alert: str
    """The fingerprint of the alert of which the message told, which outlives a restart; empty: of a group."""
    expires: int
    """s since 1970."""


class Links:
    """Puts links into messages, and reads what comes back of them."""

    def __init__(
        self, public_url: str, age: int, key_file: Path, registrable: Callable[[str], str | None] = str
    ) -> None:
        """`public_url`: where people reach the page, without a last slash; empty: no links. `age`: ns.

        `registrable`: a host name's registrable domain; None: it is a public suffix, or no host name.
        """
        self._url = public_url
        self._age = age
        self._file = key_file
        self._registrable = registrable
        self._key: bytes | None = None

    def prepare(self) -> None:
        """Read the key, or make it once. Where the disk refuses, links last until the sensor ends."""
        if self._url:
            self._key = _read_key(self._file) or _new_key(self._file)

    def on(self, notice: Notice, people: bool) -> Notice:
        """The message with its links. Programs keep what they get, so they get none that acts."""
        if not self._url or self._key is None or notice.kind == "test" or not notice.alerts:
            return notice
        links = []
        if people:
            expires = (notice.at + self._age) // SECOND
            links = [
                Link(label, f"{self._url}/act/{self.sign(offer)}") for label, offer in self._offers(notice, expires)
            ]
        if not links:
            clients = {client_of(alert) for alert in notice.alerts}
            query = f"?client={quote(clients.pop(), safe='')}" if len(clients) == 1 else ""
            links = [Link("Show", f"{self._url}/{query}")]
        return replace(notice, links=(*notice.links, *links))

    def sign(self, offer: Offer) -> str:
        """The token of an offer."""
        key = offer.key
        values = [VERSION, offer.action, offer.alert, offer.expires, key.detector, key.client, key.owner, key.domain]
        body = json.dumps([*values, key.address], separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
        if self._key is None:
            raise RuntimeError("prepare comes first")
        return base64.urlsafe_b64encode(body + _mac(self._key, body)).decode().rstrip("=")

    def read(self, token: str, now: int) -> Offer:
        """What a link offers. ValueError: not one of ours, whatever is wrong with it. Expired."""
        if self._key is None:
            raise ValueError(NOT_OURS)
        raw = _decoded(token)
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(self._key, body)):
            raise ValueError(NOT_OURS)
        _, action, alert, expires, detector, client, owner, domain, address = json.loads(body)
        if now >= expires * SECOND:
            raise Expired("too old")
        return Offer(action, Key(detector, client, owner, domain, address), alert, expires)

    def _offers(self, notice: Notice, expires: int) -> list[tuple[str, Offer]]:
        """About one alert: that one and its like. About several of one client: that client."""
        if notice.kind == "alert" and len(notice.alerts) == 1:
            alert, key = notice.alerts[0], self._key_of(notice.alerts[0])
            actions: list[Offered] = ["acknowledge"] if notice.state == "firing" else []
            if not alert["reason"]["measured"].get("others"):  # nothing tells those owners from all the others
                actions += ["mute", "allow"]
            return [(LABELS[action], Offer(action, key, alert["fingerprint"], expires)) for action in actions]
        clients = {client_of(alert) for alert in notice.alerts}
        if notice.kind != "group" or len(clients) > 1:
            return []
        return [("Mute this client for a week", Offer("mute", Key(client=clients.pop()), "", expires))]

    def _key_of(self, alert: Json) -> Key:
        """Detector, client, and whose the far end is; where nobody knows that, its name or its address.

        Clients choose names: one that stands for all of `com`, or for everything, is not offered.
        """
        detector, client, far = alert["detector"], client_of(alert), alert["destination"]
        if far is None:
            return Key(detector, client)
        if owner := (far["owner"] or "").strip()[:MAX_OWNER].strip():
            return Key(detector, client, owner=owner)
        name = fold(far["name"] or "")
        if 0 < len(name) <= MAX_NAME and self._registrable(name) is not None:
            return Key(detector, client, domain=name)
        return Key(detector, client, address=far["address"])


def ruling_of(offer: Offer, token: str, alert: Json | None, now: int) -> Ruling:
    """What the link does: the same ruling whenever it is followed. LookupError: the alert is over."""
    identity = ruling_id(token)
    if offer.action == "acknowledge":
        if alert is None:
            raise LookupError(offer.alert)
        return acknowledgement(alert, "", "link", now, identity)
    until = None if offer.action == "allow" else now + MUTED
    return Ruling(identity, offer.action, now, until, "link", key=offer.key)


def ruling_id(token: str) -> str:
    """Of what a valid token does."""
    return hashlib.sha256(_decoded(token)).hexdigest()[:12]


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"idlewire link\0" + body, "sha256")[:MAC_BYTES]


def _decoded(token: str) -> bytes:
    """ValueError: not as we write them. Only one text stands for the same bytes."""
    if not MAC_BYTES < len(token) <= MAX_TOKEN:
        raise ValueError(NOT_OURS)
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(NOT_OURS) from None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
        raise ValueError(NOT_OURS)
    return raw


def _read_key(path: Path) -> bytes | None:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s cannot be read: %s; links in messages act only until the sensor ends", path, error.strerror)
        return secrets.token_bytes(KEY_BYTES)
    return key if len(key) == KEY_BYTES else None


def _new_key(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    fresh = path.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        log.warning("%s cannot be written: %s; links in messages act only until the sensor ends", path, error.strerror)
    return key
