"""What posts to a source have in common: who may send, how often, and how a body is read."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl

from sensor.base import tokens
from sensor.base.bounded import BoundedDict
from sensor.base.ratelimit import RateLimit
from sensor.base.times import SECOND
from sensor.model.posted import MAX_BODY, Answer, Posted, refused

BURST, INTERVAL = 60, SECOND
"""Posts with one token: so many at once, then one per interval (ns)."""

WRONG_BURST = 10
"""Posts without a known token from one sender: so many at once, then one per INTERVAL."""

MAX_SENDERS = 256
"""Senders of wrong tokens that are remembered; the one longest unused goes."""

MAX_FIELDS = 16
"""Values of one form."""

OUTCOMES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    413: "too_large",
    415: "unsupported",
    422: "unknown_sender",
    429: "limited",
}
"""Status of a refusal -> what it is counted as."""

JSON, FORM = "application/json", "application/x-www-form-urlencoded"

Body = dict[str, Any]


class Refusal(Exception):
    """A post is not taken; holds the answer."""

    def __init__(self, status: int, why: str, retry_after: int | None = None) -> None:
        super().__init__(why)
        self.answer: Answer = refused(status, why, retry_after)


class Gate:
    """Lets posts with known tokens through, each so often."""

    def __init__(self, digests: Sequence[bytes]) -> None:
        """`digests`: of the tokens, see `tokens.digest`."""
        self._digests = tuple(digests)
        self._limits = [RateLimit(INTERVAL, BURST) for _ in digests]
        self._wrong: BoundedDict[bytes, RateLimit] = BoundedDict(MAX_SENDERS)

    def which(self, posted: Posted) -> int | None:
        """The number of the token; None for a stranger."""
        return tokens.which(posted.authorization, self._digests)

    def enter(self, posted: Posted, now: int) -> int:
        """The number of the token. Refusal: 401, 429.

        Whoever has a token is let through, however many wrong ones came from the same address.
        """
        number = self.which(posted)
        if number is None:
            self._wrong_token(posted.sender, now)
            raise Refusal(401, "a known token is missing; send the header Authorization: Bearer TOKEN")
        if not self._limits[number].allow(now):
            raise _too_many()
        return number

    def _wrong_token(self, sender: str, now: int) -> None:
        key = _neighbourhood(sender)
        limit = self._wrong.get(key)
        if limit is None:
            limit = RateLimit(INTERVAL, WRONG_BURST)
            self._wrong.put(key, limit)
        if not limit.allow(now):
            raise _too_many()


def read_body(posted: Posted, known: Sequence[str]) -> Body:
    """The keys of a JSON object or a form. Refusal: 400 (with the key that is wrong), 413, 415.

    Empty values of a form count as left out, and so does null.
    """
    if len(posted.body) > MAX_BODY:
        raise Refusal(413, f"at most {MAX_BODY} bytes are taken")
    kind = posted.content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        body = _json(posted.body)
    elif kind == FORM:
        body = _form(posted.body)
    else:
        raise Refusal(415, f"expected the content type {JSON} or {FORM}")
    for key in body:
        if key == "token":
            raise Refusal(400, "token: belongs into the header Authorization: Bearer TOKEN")
        if key not in known:
            shown = f"{key}: " if re.fullmatch(r"[A-Za-z0-9_]{1,40}", key) else ""
            raise Refusal(400, f"{shown}unknown key; known: {', '.join(known)}")
    return body


def text(body: Mapping[str, Any], key: str, most: int) -> str | None:
    """A text of at most `most` characters; None where it was left out. Refusal: 400."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most:
        raise Refusal(400, f"{key}: expected text of at most {most} characters")
    return value.strip() or None


def number(body: Mapping[str, Any], key: str, least: float, most: float) -> int | float | None:
    """A number, also where it was written as text; None where it was left out. Refusal: 400."""
    value = body.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    found = _numeric(value.strip()) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= most:
        raise Refusal(400, f"{key}: expected a number from {least:g} to {most:g}")
    return found


def _numeric(value: str) -> int | float | None:
    if re.fullmatch(r"[0-9]{1,19}", value, re.ASCII):
        return int(value)
    return float(value) if re.fullmatch(r"[0-9]{1,19}\.[0-9]{1,19}", value, re.ASCII) else None


def _json(raw: bytes) -> Body:
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Refusal(400, 'body: expected a JSON object such as {"event": "screen_on"}') from None
    if not isinstance(value, dict):
        raise Refusal(400, 'body: expected a JSON object such as {"event": "screen_on"}')
    return {key: each for key, each in value.items() if each is not None}


def _form(raw: bytes) -> Body:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        return {key: each for key, each in _once(pairs).items() if each}
    except ValueError:
        raise Refusal(400, "body: expected a form such as event=screen_on") from None


def _once(pairs: Sequence[tuple[str, Any]]) -> Body:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(_: str) -> float:
    raise ValueError("no number")


def _too_many() -> Refusal:
    return Refusal(429, "too many posts", math.ceil(INTERVAL / SECOND))


def _neighbourhood(sender: str) -> bytes:
    """Of IPv6 senders the /64: one client has as many addresses in it as it likes."""
    try:
        address = ip_address(sender.partition("%")[0])
    except ValueError:
        return sender[:64].encode("utf-8", "replace")
    return address.packed if address.version == 4 else ip_network((int(address), 64), strict=False)[0].packed
