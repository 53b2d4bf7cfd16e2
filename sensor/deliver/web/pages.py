"""The page: one table of clients and their destinations, made on the server, without a script."""

from collections.abc import Callable, Sequence
from urllib.parse import quote

from aiohttp import web

from sensor.base.units import size_text, span
from sensor.deliver.shapes import captured_ratio
from sensor.deliver.snapshots import ClientForeground, Counters, Snapshots
from sensor.deliver.sums import beside_rows
from sensor.deliver.web.api import client_id
from sensor.deliver.web.markup import cell, head, moment, table, text
from sensor.deliver.web.security import problem
from sensor.model.alert import Alert
from sensor.model.client import Client
from sensor.model.destination import Destination

MAX_ALERTS = 50
"""Alerts on the page, the latest."""
MAX_CLIENTS = 300
"""Clients on the page, those with the most bytes."""
MAX_ROWS, MIN_ROWS = 2_000, 5
"""Destinations of all clients on the page together, shared evenly; but of each at least so many."""
MAX_ROWS_EACH = 200
"""Destinations of one client on the page of all."""
REFRESH_SECONDS = 10


class Pages:
    """The handler of `/`; with `?client=ID` it shows that client alone, with more of its rows."""

    def __init__(self, snapshots: Snapshots, beside: Callable[[], str] = str) -> None:
        """`beside`: HTML about what is muted and what was not delivered."""
        self._snapshots = snapshots
        self._beside = beside

    async def overview(self, request: web.Request) -> web.Response:
        """The whole page, as HTML."""
        try:
            wanted = request.query.get("client")
            client = None if wanted is None else client_id(wanted)
        except ValueError as error:
            return problem(400, str(error))
        return web.Response(
            body=self.render(client).encode("utf-8", "replace"), content_type="text/html", charset="utf-8"
        )

    def render(self, client: str | None = None) -> str:
        """The text of the page, of one client or of all."""
        snapshots = self._snapshots
        sensor = snapshots.sensor()
        clients = [row for row in snapshots.clients() if client is None or row.id == client]
        parts = [
            head(REFRESH_SECONDS),
            _status(snapshots.counters(), len(clients), only=client is not None),
            _alerts([alert for alert in snapshots.alerts() if client is None or alert.client.id == client]),
            self._beside() if client is None else "",
            *_clients(clients, snapshots, MAX_ROWS if client is not None else None),
            "<footer>",
            f"<p>idlewire {text(sensor.version)} on {text(sensor.name)}</p>",
            f"<p>{text(sensor.attribution)}</p>" if sensor.attribution else "",
            '<p><a href="/api/v1/status">API</a> <a href="/metrics">metrics</a></p>',
            "</footer></body></html>",
        ]
        return "\n".join(part for part in parts if part)


def _status(counters: Counters, clients: int, *, only: bool) -> str:
    up = counters.interface_up and counters.interface is not None
    captured = [f"{counters.frames:,} frames"]
    if not only:
        captured.append(f"{clients:,} client{'' if clients == 1 else 's'}")
    any_traffic = counters.frames or counters.dropped_frames
    if any_traffic:
        captured.append(f"{captured_ratio(counters.frames, counters.dropped_frames):.2%} of the traffic seen")
    line = ", ".join(captured)
    if up:
        line = f"Watching {counters.interface}: {line}"
    else:
        waiting = f"Waiting for {counters.interface or 'an interface'}: nothing is captured"
        line = f"{waiting}; before: {line}" if any_traffic else waiting
    said = f"<p>{text(line)}</p>" if up else f'<p class="warning">{text(line)}</p>'
    return said + ('<p><a href="/">All clients</a></p>' if only else "")


def _alerts(alerts: Sequence[Alert]) -> str:
    if not alerts:
        return "<h2>Alerts</h2><p>None.</p>"
    latest = sorted(alerts, key=lambda alert: (alert.state != "firing", -alert.updated_at, alert.id))
    rows = [
        (
            cell(moment(alert.updated_at)),
            cell(alert.state),
            cell(alert.severity, alert.severity),
            cell(alert.client.name or alert.client.id),
            cell(alert.summary),
        )
        for alert in latest[:MAX_ALERTS]
    ]
    more = f"<p>and {len(alerts) - MAX_ALERTS:,} more</p>" if len(alerts) > MAX_ALERTS else ""
    return "<h2>Alerts</h2>" + table("alerts", ("updated", "state", "severity", "client", "what"), rows) + more


def _clients(clients: Sequence[Client], snapshots: Snapshots, limit: int | None) -> list[str]:
    if not clients:
        return ["<h2>Clients</h2><p>None seen yet.</p>"]
    busiest = sorted(clients, key=lambda client: (-_moved(client), client.id))
    each = limit or min(MAX_ROWS_EACH, max(MIN_ROWS, MAX_ROWS // len(busiest)))
    states = {known.client: known for known in snapshots.phone_states(None)}
    parts = [
        _client(client, states.get(client.id), snapshots.destinations(client.id), each)
        for client in busiest[:MAX_CLIENTS]
    ]
    if len(busiest) > MAX_CLIENTS:
        parts.append(f"<p>and {len(busiest) - MAX_CLIENTS:,} more clients</p>")
    return parts


def _client(client: Client, known: ClientForeground | None, destinations: Sequence[Destination], limit: int) -> str:
    about = ", ".join(part for part in (client.vendor, *client.addresses[:4]) if part)
    line = (
        f"sent {size_text(client.totals.sent_bytes)} ({_rate(client.rates.sent_1m)}), "
        f"received {size_text(client.totals.received_bytes)} ({_rate(client.rates.received_1m)}){beside_rows(client)}"
    )
    title = f"{client.name} ({client.id})" if client.name else client.id
    parts = [
        f'<h2><a href="/?client={quote(client.id, safe="", errors="replace")}">{text(title)}</a></h2>',
        f"<p>{text(about)}</p>" if about else "",
        f"<p>{text(line)}</p>",
        f"<p>{text(_use(known))}</p>" if known is not None else "",
    ]
    if destinations:
        parts.append(table("destinations", HEADS, (_cells(row) for row in destinations[:limit])))
    if len(destinations) > limit:
        parts.append(f"<p>and {len(destinations) - limit:,} more destinations</p>")
    return "\n".join(part for part in parts if part)


def _use(known: ClientForeground) -> str:
    """`in background: its screen was off (push, 12 min ago)`."""
    state = known.foreground
    if state.source is None:
        heard = "what was reported is too old, or some of it is missing" if known.sources else "nobody reports it"
        if state.because is not None:
            heard = f"{state.because}, and nothing was reported since"
        return f"use unknown: {heard}, so the rules about idle clients are blind"
    age = state.age(known.at) or 0
    if state.state == "unknown":
        return f"use unknown yet: {state.source} told {span(age)} ago that it was put away, and the grace time runs"
    why = f" ({state.app})" if state.app else f": {state.because}" if state.because else ""
    against = f", contradicted by {', '.join(state.contradicted_by)}" if state.contradicted_by else ""
    return f"in {state.state}{why}, says {state.source} {span(age)} ago{against}"


HEADS = ("name", "address", "country", "owner", "sent", "received", "sending", "last seen")


def _cells(row: Destination) -> tuple[str, ...]:
    name = f"{row.names[0].name} ({row.names[0].source})" if row.names else "unknown"
    return (
        cell(name),
        cell(row.address),
        cell(row.place.country or "unknown"),
        cell(row.place.owner or "unknown"),
        cell(size_text(row.totals.sent_bytes), "number"),
        cell(size_text(row.totals.received_bytes), "number"),
        cell(_rate(row.rates.sent_1m), "number"),
        cell(moment(row.totals.last_seen)),
    )


def _moved(row: Client) -> int:
    return row.totals.sent_bytes + row.totals.received_bytes


def _rate(bytes_per_second: float) -> str:
    return f"{size_text(round(bytes_per_second))}/s"
