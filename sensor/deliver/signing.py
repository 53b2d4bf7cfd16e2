"""Signatures of HTTP bodies as in Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256, several keys at a time."""

import base64
import binascii
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
MIN_KEY, MAX_KEY = 24, 64
"""Bytes of a key, as the specification says."""
MAX_KEYS = 4
"""While one key replaces another, both sign."""

Secrets = Sequence[bytes]


def read_secrets(text: str) -> Secrets:
    """The keys in a text, with blanks or line ends between. ValueError, without the text: there is none, or no key."""
    words = text.split()
    if not 1 <= len(words) <= MAX_KEYS:
        raise ValueError(f"expected 1 to {MAX_KEYS} secrets")
    return tuple(_key(word) for word in words)


def signed(secrets: Secrets, identity: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The two headers beside `webhook-id`; `timestamp` in seconds since 1970."""
    content = b".".join((identity.encode(), str(timestamp).encode(), body))
    marks = (base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in secrets)
    return {"webhook-timestamp": str(timestamp), "webhook-signature": " ".join(f"v1,{mark}" for mark in marks)}


def _key(word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (word.startswith(PREFIX) and MIN_KEY <= len(key) <= MAX_KEY):
        raise ValueError(
            f"expected {PREFIX} and base64 of {MIN_KEY} to {MAX_KEY} bytes; "
            f'make one with: echo "{PREFIX}$(openssl rand -base64 32)"'
        )
    return key
