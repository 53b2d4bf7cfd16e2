"""Parts of the page that only show: what is muted, and how many messages were given up."""

from collections.abc import Callable, Mapping

from sensor.deliver.rulings import Rulings
from sensor.deliver.wanted import described
from sensor.deliver.web.markup import cell, moment, paragraph, table, text

MAX_ROWS = 50
"""Rulings on the page, the latest."""

HEADS = ("what", "until", "said by", "note", "id", "alerts")


def muted(rulings: Rulings, now: int, called: Callable[[str], str] = str) -> str:
    """The rulings that hold; empty where there are none. `called`: a client's name by its id."""
    active = rulings.active(now)[::-1]
    if not active:
        return ""
    rows = [
        (
            cell(ruling.action),
            cell("for ever" if ruling.until is None else moment(ruling.until)),
            cell(ruling.who),
            cell(ruling.note),
            cell(ruling.id),
            cell(described(ruling, called)),
        )
        for ruling in active[:MAX_ROWS]
    ]
    more = f"<p>and {len(active) - MAX_ROWS:,} more</p>" if len(active) > MAX_ROWS else ""
    how = paragraph("idlewire unmute ID takes one back; idlewire mutes --all shows those that are over, too.")
    return "<h2>Muted</h2>" + table("muted", HEADS, rows) + more + how


def given_up(dead: Mapping[str, int]) -> str:
    """How many messages no sink took; empty where there are none. `dead`: sink -> number."""
    count = sum(dead.values())
    if not count:
        return ""
    plural = "message was" if count == 1 else "messages were"
    return f'<p class="warning">{count:,} {text(plural)} given up: <a href="/outbox">look, and send again</a></p>'
