"""GET /api/v1/...: the same nouns and row shapes as `replay --json`."""

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from sensor.base.addresses import address_text, mac_text, parse_address, parse_mac
from sensor.base.times import rfc3339
from sensor.deliver.shapes import (
    Json,
    alert_object,
    captured_ratio,
    change_entry,
    client_entry,
    destination_entry,
    foreground_entry,
    json_bytes,
    text,
)
from sensor.deliver.snapshots import Snapshots
from sensor.deliver.web.paging import page, read_cursor, read_limit
from sensor.deliver.web.security import problem
from sensor.model.alert import Alert
from sensor.model.destination import Destination

OTHER = "other"


class Api:
    """The handlers; each answers from one look at the snapshots."""

    def __init__(self, snapshots: Snapshots, muted: Callable[[Json], str | None] = lambda _: None) -> None:
        """`muted`: why nobody is told of an ALERT now."""
        self._snapshots = snapshots
        self._muted = muted

    def routes(self) -> list[web.RouteDef]:
        """All under /api/v1/."""
        return [
            web.get("/api/v1/clients", self.clients),
            web.get("/api/v1/destinations", self.destinations),
            web.get("/api/v1/alerts", self.alerts),
            web.get("/api/v1/foreground", self.foreground),
            web.get("/api/v1/status", self.status),
        ]

    async def clients(self, request: web.Request) -> web.Response:
        """`{"clients": [row], "next"}`, by id; `next` only where there is more."""
        try:
            rows, cursor = page(self._snapshots.clients(), lambda client: (client.id,), request.query)
        except ValueError as error:
            return problem(400, str(error))
        return _list("clients", [client_entry(row) for row in rows], cursor)

    async def destinations(self, request: web.Request) -> web.Response:
        """`{"destinations": [row + "client"], "next"}`; `?client=MAC`: only that one's, none if it is unknown."""
        try:
            if (wanted := request.query.get("client")) is None:
                found = self._from_cursor(request.query)
            else:
                found = self._snapshots.destinations(client_id(wanted))
            rows, cursor = page(found, _ends, request.query)
        except ValueError as error:
            return problem(400, str(error))
        return _list("destinations", [destination_entry(row) for row in rows], cursor)

    def _from_cursor(self, query: Mapping[str, str]) -> Sequence[Destination]:
        """Whole clients, in order, from the cursor's on until a page is full: not every row that there is."""
        limit, after = read_limit(query), read_cursor(query)
        first = str(after[0]) if after else ""
        rows: list[Destination] = []
        for identity in sorted(client.id for client in self._snapshots.clients() if client.id >= first):
            found = self._snapshots.destinations(identity)
            if identity == first:
                limit += len(found)
            rows += found
            if len(rows) > limit:
                break
        return rows

    async def alerts(self, request: web.Request) -> web.Response:
        """`{"alerts": [ALERT], "next"}`, newest first; with "muted", a reason, where nobody is told of it now."""
        try:
            rows, cursor = page(self._snapshots.alerts(), _newest_first, request.query)
        except ValueError as error:
            return problem(400, str(error))
        sensor = self._snapshots.sensor()
        shapes = [alert_object(row, sensor) for row in rows]
        reasons = [self._muted(shape) for shape in shapes]
        shown = [{**shape, "muted": why} if why else shape for shape, why in zip(shapes, reasons, strict=True)]
        return _list("alerts", shown, cursor)

    async def foreground(self, request: web.Request) -> web.Response:
        """`{"clients": [row], "next"}`, by id; `?client=MAC`: only that one's, and its `timeline`."""
        try:
            wanted = request.query.get("client")
            client = None if wanted is None else client_id(wanted)
            rows, cursor = page(self._snapshots.phone_states(client), lambda row: (row.client,), request.query)
        except ValueError as error:
            return problem(400, str(error))
        answer: Json = {"clients": [foreground_entry(row) for row in rows]}
        if client is not None:
            answer["timeline"] = [change_entry(change) for change in self._snapshots.timeline(client)]
        return _json(answer if cursor is None else {**answer, "next": cursor})

    async def status(self, _: web.Request) -> web.Response:
        """What is running, what it sees, and whose data it uses."""
        sensor, counters = self._snapshots.sensor(), self._snapshots.counters()
        return _json(
            {
                "sensor": {"name": text(sensor.name), "version": sensor.version},
                "capture": {
                    "interface": text(counters.interface),
                    "interface_up": counters.interface_up,
                    "frames": counters.frames,
                    "dropped_frames": counters.dropped_frames,
                    "undecodable_frames": counters.undecodable_frames,
                    "captured_ratio": captured_ratio(counters.frames, counters.dropped_frames),
                    "packets": counters.packets,
                },
                "tables": {
                    "clients": counters.clients,
                    "destinations": counters.destinations,
                    "flows": counters.flows,
                    "evicted": dict(counters.evicted),
                },
                "alerts_firing": sum(alert.state == "firing" for alert in self._snapshots.alerts()),
                "geo_database": {
                    "name": text(sensor.geo_database),
                    "built_at": None if sensor.geo_built_at is None else rfc3339(sensor.geo_built_at),
                },
                "attribution": text(sensor.attribution),
            }
        )


def client_id(wanted: str) -> str:
    """A client's id as typed by someone: a MAC or an address in any notation, or "other". ValueError otherwise."""
    if wanted == OTHER:
        return wanted
    for read, write in ((parse_address, address_text), (parse_mac, mac_text)):
        try:
            return write(read(wanted))
        except ValueError:
            continue
    raise ValueError("client: must be the id of a client: its MAC, its address where it has none, or other")


def _ends(row: Destination) -> tuple[str, str, str]:
    return row.client, row.client_address, row.address


def _newest_first(alert: Alert) -> tuple[int, str]:
    return -alert.started_at, alert.id


def _list(noun: str, rows: list[Json], cursor: str | None) -> web.Response:
    return _json({noun: rows} if cursor is None else {noun: rows, "next": cursor})


def _json(value: Json) -> web.Response:
    return web.Response(body=json_bytes(value), content_type="application/json")
