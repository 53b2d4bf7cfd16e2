"""Text that others chose, made safe to show on a terminal, in a log line, in JSON and on a page."""


def printable(raw: bytes | str, limit: int = 255) -> str:
    """At most `limit` characters; whatever cannot be seen is escaped.

    Bytes: all but printable ASCII becomes \\xNN, and a backslash doubles, so that different bytes stay different.
    Text: control, bidirectional and other invisible characters become \\uNNNN; other letters stay.
    """
    if isinstance(raw, str) and len(raw) <= limit and raw.isprintable():
        return raw
    if isinstance(raw, bytes):
        text = raw[:limit].decode("latin-1")
        if not (text.isascii() and text.isprintable() and "\\" not in text):
            text = "".join(_BYTE[octet] for octet in raw[:limit])
    else:
        text = raw[:limit]
        if not text.isprintable():
            text = "".join(char if char.isprintable() else _escaped(char) for char in text)
    return text[:limit]


_BYTE = [chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in range(256)]
_BYTE[ord("\\")] = "\\\\"


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"
