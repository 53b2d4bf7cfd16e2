"""The words of a notice for sinks: one line each, nothing invisible, nothing that a client makes a link or a ping of.

What is in the lines was partly chosen by whoever is watched. A sink escapes its service's markup after this.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sensor.base.text import printable
from sensor.base.units import NS_PER_SECOND, size_text, span
from sensor.deliver.homographs import DOTS, honest
from sensor.deliver.notice import Json, Notice

MAX_LINE = 1_000
"""Characters of one line before a sink's own limit."""
MAX_VALUE = 120
"""Characters of one fact's value."""
MAX_MARKS = 2
"""Combining marks in a row; further ones only smear over neighbouring lines."""
ELLIPSIS = "…"

COLOURS = {"info": 0x3B82F6, "warning": 0xF59E0B, "critical": 0xDC2626}
OVER = 0x16A34A
"""The colour of what is over."""

Measure = Callable[[str], int]
Escape = Callable[[str], str]

_LINK = re.compile(
    rf"://|@|\w[{DOTS}](?=[^\W\d_])|(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.])"
    r"|(?<!\w)(?:mailto|tel|sms|javascript|data|file|geo|xmpp|magnet|matrix|bitcoin|skype|intent):(?=\S)",
    re.IGNORECASE,
)
_WORD = re.compile(r"(\s+)")
_EDGE = re.compile(r"""^([("'<\[{]*)(.*?)([)"'>\]},.;:!?]*)$""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fact:
    """What was measured: `Sent`, `1.2 KB`."""

    label: str
    value: str


def heading(notice: Notice) -> str:
    """`Warning: watchlist`, `Resolved: watchlist`; the title alone where it is about no alert's state."""
    title = plain(notice.title)
    if notice.kind not in ("alert", "group"):
        return title
    if notice.state == "resolved":
        return f"Resolved: {title.removeprefix('over: ')}"
    return f"{notice.severity.capitalize()}: {title}"


def lines(notice: Notice) -> list[str]:
    """What happened, made plain; no empty ones."""
    return [line for line in map(plain, notice.lines) if line]


def facts(notice: Notice) -> list[Fact]:
    """What was measured, for the notice of one alert; none for the others, nor about what is not known."""
    if notice.kind != "alert" or len(notice.alerts) != 1:
        return []
    alert = notice.alerts[0]
    evidence, far = _table(alert, "evidence"), _table(alert, "destination")
    found = [
        ("Sent", _size(evidence.get("sent_bytes"))),
        ("Received", _size(evidence.get("received_bytes"))),
        ("To", _text(far.get("name")) or _text(far.get("address"))),
        ("Owner", _text(far.get("owner"))),
        ("Country", _text(far.get("country"))),
        ("Phone", _phone(_table(evidence, "foreground"))),
        ("Seen", _seen(_table(evidence, "coverage"))),
    ]
    return [Fact(label, plain(value, MAX_VALUE)) for label, value in found if value]


def colour(notice: Notice) -> int:
    """0xRRGGBB of its severity, or of what is over."""
    return OVER if notice.state == "resolved" else COLOURS[notice.severity]


def plain(text: str, limit: int = MAX_LINE) -> str:
    """One line of at most `limit` characters: control, bidirectional and invisible characters as \\uNNNN.

    So are letters that only pretend to be Latin ones; names of hosts show as in DNS.
    """
    shown = printable(" ".join(text[: 2 * limit].split()), 2 * limit)
    if not shown.isascii():
        shown = honest(_few_marks(shown))
    return cut(shown, limit)


def is_link(word: str) -> bool:
    """Whether some client would make a link, a preview or a ping of it: domains, addresses, URLs, @names."""
    return _LINK.search(word) is not None


def pieces(line: str) -> Iterator[tuple[str, bool]]:
    """The line in order as (text, whether it is a link's look-alike), for services that have code to show it as.

    Look-alikes hold no blank and no backtick.
    """
    for word in _WORD.split(line):
        if not is_link(word):
            if word:
                yield word, False
            continue
        before, core, after = _EDGE.fullmatch(word).groups()  # type: ignore[union-attr]  # it takes any text
        yield from ((piece, is_name) for piece, is_name in ((before, False), (core.replace("`", "'"), True)) if piece)
        if after:
            yield after, False


def marked(line: str, code: Escape, escape: Escape = str) -> str:
    """The line escaped, with each look-alike of a link as the service's code: `code` gets it raw."""
    return "".join(code(piece) if is_name else escape(piece) for piece, is_name in pieces(line))


def html(text: str) -> str:
    """Escaped for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def html_line(line: str) -> str:
    """Escaped for HTML, with look-alikes of links in <code>."""
    return marked(line, lambda name: f"<code>{html(name)}</code>", html)


def defang(line: str) -> str:
    """The same with look-alikes of links broken: `xiaomi[.]com`, `http[:]//`, `[@]all`; for services without code."""
    return "".join(_broken(piece) if is_name else piece for piece, is_name in pieces(line))


def cut(text: str, limit: int, measure: Measure = len) -> str:
    """The beginning that measures at most `limit`, with an ellipsis where something is missing."""
    if measure(text) <= limit:
        return text
    room = limit - measure(ELLIPSIS)
    if room < 0:
        return ""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle]) <= room else (low, middle - 1)
    return text[:low] + ELLIPSIS


def fit(texts: Iterable[str], limit: int, escape: Escape = str, measure: Measure = len) -> str:
    """Escaped lines, as many as measure `limit` together; the last is cut before it is escaped: no escape is torn."""
    whole = ""
    for text in texts:
        before = f"{whole}\n" if whole else ""
        line = cut(text, limit - measure(before), lambda part: measure(escape(part)))
        if text and not line:
            break
        whole = before + escape(line)
        if line != text:
            break
    return whole


def utf8(text: str) -> int:
    """Bytes of it in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def utf16(text: str) -> int:
    """UTF-16 code units, by which some services count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _broken(word: str) -> str:
    word = re.sub(rf"(?<=\w)[{DOTS}](?=\w)", "[.]", word).replace("@", "[@]")
    return re.sub(r":(?=\S)", "[:]", word, count=1)


def _few_marks(text: str) -> str:
    kept, row = [], 0
    for char in text:
        row = row + 1 if unicodedata.combining(char) else 0
        if row <= MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _table(values: Json, key: str) -> Json:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _size(value: object) -> str:
    return size_text(value) if isinstance(value, int) else ""


def _phone(known: Json) -> str:
    """`background (push, 11 min ago)`, `unknown`."""
    state, source, age = _text(known.get("state")), _text(known.get("source")), known.get("age_seconds")
    ago = f"{span(int(age * NS_PER_SECOND))} ago" if isinstance(age, int | float) else ""
    beside = ", ".join(each for each in (source, ago) if each)
    return f"{state} ({beside})" if state and beside else state


def _seen(coverage: Json) -> str:
    """Which part of the traffic was looked at, where it was not all."""
    ratio = coverage.get("captured_ratio")
    if not isinstance(ratio, int | float) or ratio >= 0.9995:
        return ""
    return f"{100 * ratio:.1f} % of the frames"
