"""Bearer tokens (RFC 6750): read out of settings or files, compared in constant time, kept as digests."""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from sensor.errors import ConfigError

MIN_TOKEN, MAX_TOKEN = 16, 256
"""Characters of a token."""

MAX_HEADER = 512
"""Characters of an Authorization header that are looked at."""

EXAMPLE = "replace-this-by-your-own"

MAKE_ONE = "make one with: openssl rand -hex 16"


def check(token: str, token_file: str) -> None:
    """ValueError "key: what is wrong" unless there is exactly one of the two; never with the token in it."""
    if token and token_file:
        raise ValueError("give one of token and token_file, not both")
    if token and (wrong := _wrong(token)):
        raise ValueError(f"token: {wrong}")


def read(token: str, token_file: str, key: str) -> str:
    """The token itself. ConfigError naming the key: the file cannot be read, or holds none."""
    if not token_file:
        return token
    try:
        with Path(token_file).open("rb") as file:
            content = file.read(4 * MAX_TOKEN)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a path"
        raise ConfigError(f"{key}.token_file: {token_file}: {why}") from None
    found = content.decode("utf-8", "replace").strip()
    if wrong := _wrong(found):
        raise ConfigError(f"{key}.token_file: {token_file}: {wrong}")
    return found


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def which(authorization: str | None, digests: Sequence[bytes]) -> int | None:
    """The number of the token that an Authorization header carries; None: no or another token.

    All are compared, whichever it is: how long that takes tells nothing.
    """
    scheme, _, token = (authorization or "")[:MAX_HEADER].partition(" ")
    if scheme.lower() != "bearer":
        return None
    shown, found = digest(token.strip()), None
    for number, known in enumerate(digests):
        if hmac.compare_digest(shown, known):
            found = number
    return found


def _wrong(token: str) -> str | None:
    if token == EXAMPLE:
        return f"that is the example of the documentation, which everybody knows; {MAKE_ONE}"
    if not MIN_TOKEN <= len(token) <= MAX_TOKEN:
        return f"expected a token of {MIN_TOKEN} to {MAX_TOKEN} characters; {MAKE_ONE}"
    if not (token.isascii() and token.isprintable() and " " not in token):
        return f"expected a token of letters and digits, without blanks; {MAKE_ONE}"
    return None
