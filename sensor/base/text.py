"""Text that others chose, made safe to show on a terminal, in a log line, in JSON and on a page."""

import re


def printable(raw: bytes | str, limit: int = 255) -> str:
    """At most `limit` characters; whatever cannot be seen is escaped.

    Bytes: all but printable ASCII becomes \\xNN, and a backslash doubles, so that different bytes stay different.
    Text: control, bidirectional and other invisible characters become \\uNNNN; other letters stay.
    """
    if isinstance(raw, str) and len(raw) <= limit and _is_seen(raw):
        return raw
    if isinstance(raw, bytes):
        text = raw[:limit].decode("latin-1")
        if not (text.isascii() and text.isprintable() and "\\" not in text):
            text = "".join(_BYTE[octet] for octet in raw[:limit])
    else:
        text = raw[:limit]
        if not _is_seen(text):
            text = "".join(char if _is_seen(char) else _escaped(char) for char in text)
    return text[:limit]


_BYTE = [chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in range(256)]
_BYTE[ord("\\")] = "\\\\"


_BLANKS = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")
"""Letters, marks and symbols that nobody sees: fillers, and the empty Braille cell."""


def _is_seen(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _BLANKS.search(text) is None)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"
