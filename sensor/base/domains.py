"""Domain names: one spelling for each, and whether one lies under another."""

import codecs
import string
from collections.abc import Iterable

MAX_NAME = 253
"""Characters of a domain name without its last dot (RFC 1035 section 2.3.4, less length bytes)."""

# Loaded here: their first use would import them, perhaps after the right to read the interpreter's files was dropped.
_CODECS = [codecs.lookup(codec) for codec in ("idna", "punycode")]
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LABEL = frozenset(string.ascii_lowercase + string.digits + "-_")


def fold(name: str) -> str:
    """The form in which *observed* names are compared: ASCII letters small (RFC 4343), one last dot off.

    Other letters stay: `str.lower` makes a plain k of the Kelvin sign, and so one name of two.
    """
    return name.translate(_LOWER).removesuffix(".")


def normalize(name: str) -> str:
    """The form on the wire of a name that *a user wrote*: folded, letters beyond ASCII as punycode (RFC 3490).

    ValueError says what is wrong with it: empty or overlong labels, characters that no host name has, wildcards.
    """
    if "*" in name:
        raise ValueError(f"{name!r}: write a domain without *, it stands for everything under it")
    try:
        plain = fold(name if name.isascii() else name.encode("idna").decode("ascii"))
    except UnicodeError as error:
        raise ValueError(f"{name!r} is not a domain name: {error}") from error
    labels = plain.split(".")
    if len(plain) > MAX_NAME or not all(0 < len(label) < 64 and _LABEL.issuperset(label) for label in labels):
        raise ValueError(f"{name!r} is not a domain name")
    return plain


class SuffixSet:
    """A set of domains, each standing for itself and everything under it, in whole labels."""

    def __init__(self, domains: Iterable[str]) -> None:
        """ValueError as `normalize`."""
        self._domains = frozenset(map(normalize, domains))
        self._depth = max((domain.count(".") + 1 for domain in self._domains), default=0)

    def __len__(self) -> int:
        return len(self._domains)

    def match(self, name: str) -> str | None:
        """The longest domain that `name` equals or lies under; None if there is none. Any text may be asked."""
        # Only as many labels as the longest domain has are looked at: a hostile name cannot make it slow.
        labels = fold(name).rsplit(".", self._depth)
        for start in range(max(0, len(labels) - self._depth), len(labels)):
            domain = ".".join(labels[start:])
            if domain in self._domains:
                return domain
        return None
