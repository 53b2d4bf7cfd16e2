"""Who may change something over HTTP: whoever has the token of [web]."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sensor.base import tokens
from sensor.base.ratelimit import RateLimit
from sensor.base.times import SECOND
from sensor.model.posted import MAX_BODY, Answer, Posted, refused

BURST, INTERVAL = 60, SECOND
"""Posts with the token, and posts without: so many at once, then one per interval (ns)."""


class Admin:
    """The token, and how often it may be used or guessed."""

    def __init__(self, token: str, token_file: str, clock: Callable[[], int]) -> None:
        """One of the two at most; `clock`: ns."""
        self._given = (token, token_file)
        self._clock = clock
        self._digest: bytes | None = None
        self._right, self._wrong = RateLimit(INTERVAL, BURST), RateLimit(INTERVAL, BURST)

    def prepare(self) -> None:
        """Read the token, while that is still allowed. ConfigError names the key."""
        if any(self._given):
            self._digest = tokens.digest(tokens.read(*self._given, "web"))
        self._given = ("", "")

    @property
    def has_token(self) -> bool:
        """Whether anybody may."""
        return self._digest is not None

    def adopt(self, other: "Admin") -> None:
        """The other's token holds from now on."""
        self._digest = other._digest

    def refusal(self, posted: Posted) -> Answer | None:
        """Why this post is not taken: 401, 403, 429; None where it is."""
        if self._digest is None:
            return refused(403, "needs token or token_file in the settings of [web]")
        right = tokens.which(posted.authorization, [self._digest]) is not None
        if not (self._right if right else self._wrong).allow(self._clock()):
            return refused(429, "too many posts", math.ceil(INTERVAL / SECOND))
        return None if right else refused(401, "the token is missing; send the header Authorization: Bearer TOKEN")


def read_object(posted: Posted, known: Sequence[str]) -> Mapping[str, Any] | Answer:
    """The JSON object of a body, or why it is none: 400, 413, 415."""
    if len(posted.body) > MAX_BODY:
        return refused(413, f"at most {MAX_BODY} bytes are taken")
    if posted.content_type.partition(";")[0].strip().lower() != "application/json":
        return refused(415, "expected the content type application/json")
    try:
        value = json.loads(posted.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return refused(400, "body: expected a JSON object")
    if not value.keys() <= set(known):
        return refused(400, f"unknown key; known: {', '.join(known)}")
    return value
