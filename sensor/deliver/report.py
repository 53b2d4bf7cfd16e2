"""What `replay` says at the end: one JSON object, or a table to read."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sensor.base.text import printable
from sensor.base.times import rfc3339
from sensor.base.units import size_text
from sensor.deliver.shapes import Json, alert_object, client_row
from sensor.deliver.snapshots import SensorInfo
from sensor.deliver.sums import beside_rows
from sensor.model.alert import SEVERITIES, Alert
from sensor.model.client import Client
from sensor.model.destination import Destination
from sensor.model.foreground import State

MAX_ROWS = 40
"""Destinations of one client in the table; the JSON holds all."""
MAX_FILES = 4
"""Names of capture files in the table."""
MIN_WIDTH = 72
"""Narrower terminals get lines that they have to wrap."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was read."""

    files: tuple[str, ...]
    frames: int
    undecodable_frames: int
    first: int | None
    """ns of the earliest frame; None: there was none."""
    last: int | None
    warnings: tuple[str, ...] = ()
    """What was odd about the files, such as a last record that is cut."""


@dataclass(frozen=True, slots=True)
class Result:
    """All that a replay found."""

    replayed: Replayed
    clients: Sequence[Client]
    destinations: Mapping[str, Sequence[Destination]]
    """By client id."""
    names_seen: Iterable[str]
    """Server names out of TLS client hellos."""
    alerts: Sequence[Alert]
    sensor: SensorInfo
    state_sent: Mapping[tuple[str, State], int] = field(default_factory=dict)
    """(client id, phone state) -> bytes sent to destinations."""


def replay_object(result: Result) -> Json:
    """The object of `replay --json`, in an order that does not depend on that of the tables."""
    replayed = result.replayed
    clients = sorted(result.clients, key=lambda client: client.id)
    return {
        "capture": {
            "files": [printable(name, 4096) for name in replayed.files],
            "frames": replayed.frames,
            "undecodable_frames": replayed.undecodable_frames,
            "first": None if replayed.first is None else rfc3339(replayed.first),
            "last": None if replayed.last is None else rfc3339(replayed.last),
        },
        "clients": [
            client_row(client, sorted(result.destinations.get(client.id, ()), key=_ends)) for client in clients
        ],
        "names_seen": sorted({printable(name) for name in result.names_seen}),
        "alerts": [alert_object(alert, result.sensor) for alert in _by_time(result.alerts)],
    }


def replay_table(result: Result, width: int = 100) -> str:
    """The same for a person: alerts first, then each client with its destinations, most bytes first."""
    width = max(width, MIN_WIDTH)
    lines = [*_alert_lines(result.alerts), *_capture_lines(result.replayed)]
    for client in sorted(result.clients, key=lambda client: (-_moved(client), client.id)):
        lines += ["", *_client_lines(client, result.destinations.get(client.id, ()), width)]
    if result.sensor.attribution:
        lines += ["", result.sensor.attribution]
    return "\n".join(printable(line, 4096) for line in lines) + "\n"


def _ends(destination: Destination) -> tuple[str, str]:
    return destination.client_address, destination.address


def _by_time(alerts: Sequence[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (alert.started_at, alert.id))


def _moved(row: Client | Destination) -> int:
    return row.totals.sent_bytes + row.totals.received_bytes


def _alert_lines(alerts: Sequence[Alert]) -> list[str]:
    if not alerts:
        return ["No alerts.", ""]
    worst_first = sorted(_by_time(alerts), key=lambda alert: -SEVERITIES.index(alert.severity))
    lines = [f"{len(alerts):,} alert{'s' if len(alerts) > 1 else ''}:"]
    lines += [f"  {alert.severity:8} {rfc3339(alert.started_at)[:19]}Z  {alert.summary}" for alert in worst_first]
    return [*lines, ""]


def _capture_lines(replayed: Replayed) -> list[str]:
    span = ""
    if replayed.first is not None and replayed.last is not None:
        span = f", {rfc3339(replayed.first)[:19]}Z to {rfc3339(replayed.last)[:19]}Z"
    files = ", ".join(replayed.files[:MAX_FILES])
    if len(replayed.files) > MAX_FILES:
        files += f" and {len(replayed.files) - MAX_FILES:,} more files"
    return [f"{replayed.frames:,} frames in {files}{span}; {replayed.undecodable_frames:,} could not be decoded."]


def _client_lines(client: Client, destinations: Sequence[Destination], width: int) -> list[str]:
    addresses = [address for address in client.addresses if address != client.id]
    about = ", ".join(part for part in (client.name, client.vendor, *addresses[:4]) if part)
    totals = client.totals
    moved = f"  sent {size_text(totals.sent_bytes)}, received {size_text(totals.received_bytes)}{beside_rows(client)}"
    lines = [f"{client.id}  {about}".rstrip(), moved]
    if destinations:
        busiest = sorted(destinations, key=lambda row: (-_moved(row), *_ends(row)))
        lines += _columns([_cells(row) for row in busiest[:MAX_ROWS]], width)
    if len(destinations) > MAX_ROWS:
        lines.append(f"  and {len(destinations) - MAX_ROWS:,} more (--json shows all)")
    return lines


def _cells(destination: Destination) -> tuple[str, ...]:
    names = destination.names
    label = f"{names[0].name} ({names[0].source})" if names else "no name seen"
    place = destination.place
    totals = destination.totals
    return (
        label,
        destination.address,
        place.country or "?",
        place.owner or "?",
        size_text(totals.sent_bytes),
        size_text(totals.received_bytes),
    )


HEAD = ("destination", "address", "country", "owner", "sent", "received")
_FLEXIBLE = (3, 0, 1)
"""Columns that give room, in this order."""
_LEAST = 12


def _columns(rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    table = [HEAD, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(_wide(row[index]) for row in table) for index in range(len(HEAD))]
    excess = sum(widths) + 2 * len(HEAD) - width
    for index in _FLEXIBLE:
        given = max(0, min(excess, widths[index] - _LEAST))
        widths[index] -= given
        excess -= given
    return [
        "  " + "  ".join(_fit(cell, widths[index], right=index >= 4) for index, cell in enumerate(row)).rstrip()
        for row in table
    ]


def _fit(cell: str, width: int, *, right: bool) -> str:
    if _wide(cell) > width:
        while _wide(cell) > width - 1:
            cell = cell[:-1]
        cell += "…"
    blank = " " * (width - _wide(cell))
    return blank + cell if right else cell + blank


def _wide(cell: str) -> int:
    """Terminal columns: letters of East Asia take two, combining marks none."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in cell
    )
