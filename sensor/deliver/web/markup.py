"""HTML out of values: every one passes `html.escape` on its way into the text, here and nowhere else."""

from collections.abc import Iterable
from html import escape

from aiohttp import web

from sensor.base.text import printable
from sensor.base.times import rfc3339

MAX_CELL = 200
"""Characters of one value."""

FORMS = {"Referrer-Policy": "same-origin"}
"""With "no-referrer" browsers send a form of our own with `Origin: null` (Fetch, "append a request Origin header")."""

NUMBERS = frozenset({"sent", "received", "sending"})
NUMBER = ' class="number"'


def text(value: object, limit: int = MAX_CELL) -> str:
    """The value, made plain and escaped."""
    return escape(printable(str(value), limit), quote=True)


def paragraph(value: object, kind: str = "", limit: int = 1_000) -> str:
    """One, of text."""
    return f'<p class="{kind}">{text(value, limit)}</p>' if kind else f"<p>{text(value, limit)}</p>"


def cell(value: object, kind: str = "") -> str:
    """One of a table."""
    return f'<td class="{kind}">{text(value)}</td>' if kind else f"<td>{text(value)}</td>"


def table(kind: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Heads as they are, rows of cells that are HTML already; `kind`: how the style sheet knows its columns."""
    row = "".join(f'<th scope="col"{NUMBER if name in NUMBERS else ""}>{text(name)}</th>' for name in heads)
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f'<table class="{kind}"><thead><tr>{row}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'


def head(refresh: int = 0) -> str:
    """Up to the heading of the page; `refresh`: seconds until it is loaded again, 0: never."""
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{again}"
        '<title>Idlewire</title><link rel="stylesheet" href="/static/style.css"></head>\n'
        '<body><header><h1><a href="/">Idlewire</a></h1></header>'
    )


def form(action: str, button: str, *fields: str) -> str:
    """One that posts; `fields` are HTML already, `action` is a path of ours."""
    return f'<form method="post" action="{text(action, 2_000)}">{"".join(fields)}<button>{text(button)}</button></form>'


def hidden(name: str, value: str) -> str:
    """A field that nobody sees."""
    return f'<input type="hidden" name="{text(name)}" value="{text(value)}">'


def password(name: str, label: str) -> str:
    """A field for a secret."""
    return (
        f'<label>{text(label)} <input type="password" name="{text(name)}" required autocomplete="current-password">'
        "</label> "
    )


def page(parts: Iterable[str], status: int = 200) -> web.Response:
    """A small page of its own, which may have forms."""
    whole = "\n".join([head(), *(part for part in parts if part), "</body></html>"])
    return web.Response(
        status=status,
        body=whole.encode("utf-8", "replace"),
        content_type="text/html",
        charset="utf-8",
        headers=FORMS,
    )


def moment(time: int) -> str:
    """`2026-11-24 15:00:00 UTC`."""
    return rfc3339(time)[:19].replace("T", " ") + " UTC"
