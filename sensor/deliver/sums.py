"""A client's sums in words, as the page and the table of `replay` write them."""

from sensor.base.units import size_text
from sensor.model.client import Client, Totals


def beside_rows(client: Client) -> str:
    """What of its bytes is in no destination's row, so that rows and sums add up: "; of that ...", or nothing."""
    parts = (("local", client.local), ("other (no room for a row)", client.other))
    return "".join(f"; of that {name}: {said}" for name, totals in parts if (said := _moved(totals)))


def _moved(totals: Totals) -> str:
    """Both directions without the one that is zero."""
    ways = (("sent", totals.sent_bytes), ("received", totals.received_bytes))
    return ", ".join(f"{way} {size_text(count)}" for way, count in ways if count)
