"""What holds for every input, however hostile: the oracle that all tests in this folder ask.

Frames in are packets, frames without IP, or undecodable. The bytes of all clients add up to the IP bytes of all
packets. Nothing raises. Every table keeps to its cap. All that is said is printable.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sensor import config
from sensor.account.flows import MAX_FLOWS
from sensor.decode.streams import MAX_HELD
from sensor.deliver.report import Replayed, Result, replay_object
from sensor.deliver.shapes import json_bytes
from sensor.enrich.names import MAX_NAMES
from sensor.house import House
from sensor.model.alert import Alert
from sensor.model.frames import FrameBatch
from tests.hostile.healthy import WATCH

Json = dict[str, Any]


@dataclass
class Outcome:
    """What the house made of some traffic."""

    house: House
    result: Json
    """The object of `replay --json`."""
    alerts: list[Alert]
    """As they left the pipeline."""
    ip_bytes: int

    def client(self, mac: str) -> Json:
        """The row of one client."""
        [row] = [row for row in self.result["clients"] if row["mac"] == mac]
        return row

    def text(self) -> bytes:
        """The whole result as `replay --json` prints it."""
        return json_bytes(self.result)


def new_house(settings: Mapping[str, object] = WATCH) -> tuple[House, list[Alert]]:
    """A house without databases (nothing is opened), and the alerts that leave it."""
    alerts: list[Alert] = []
    return House(config.parse(settings), alerts.append), alerts


def examine(batches: Iterable[FrameBatch], settings: Mapping[str, object] = WATCH) -> Outcome:
    """All batches through the whole house, then the oracle."""
    house, alerts = new_house(settings)
    frames = 0
    for batch in batches:
        house.pipeline.feed(batch)
        frames += len(batch)
    house.pipeline.finish()
    result = verdict(house, frames)
    return Outcome(house, result, alerts, house.pipeline.counts.ip_bytes)


def healthy(outcome: Outcome, mac: str) -> bytes:
    """All that is said of one client; the same with and without an attack beside it."""
    mine = [alert for alert in outcome.result["alerts"] if alert["client"]["mac"] == mac]
    return json_bytes({"client": outcome.client(mac), "alerts": mine})


def verdict(house: House, frames: int) -> Json:
    """Asserts what must hold after `frames` frames; returns what `replay --json` would print."""
    conserved(house, frames)
    pipeline, ledger = house.pipeline, house.pipeline.ledger
    clients = house.clients()
    totals = sum(client.totals.sent_bytes + client.totals.received_bytes for client in clients)
    assert totals == pipeline.counts.ip_bytes, "clients' bytes are not the packets' bytes"
    rows = {client.id: list(house.destinations(client.id)) for client in clients}
    for client in clients:
        parts = [client.local, client.other, *(row.totals for row in rows[client.id])]
        for column in ("sent_bytes", "received_bytes", "sent_packets", "received_packets"):
            whole = getattr(client.totals, column)
            assert sum(getattr(part, column) for part in parts) == whole, f"{client.id}: {column} do not add up"
    assert len(ledger.clients) <= ledger.limits.clients + 1
    assert sum(map(len, rows.values())) <= ledger.limits.contacts
    assert max(map(len, rows.values()), default=0) <= ledger.limits.contacts_per_client
    result = replay_object(
        Result(Replayed((), frames, pipeline.headers.stats.undecodable, None, None), clients, rows,
               list(pipeline.names_seen), house.alerts(), house.sensor())
    )  # fmt: skip
    _printable(json.loads(json_bytes(result)))
    return result


def conserved(house: House, frames: int) -> None:
    """What holds at any moment."""
    pipeline, stats = house.pipeline, house.pipeline.headers.stats
    assert frames == stats.frames == pipeline.counts.frames
    assert frames == stats.packets + stats.non_ip + stats.undecodable, "frames were lost or counted twice"
    assert not any(pipeline.engine.failures.values()), f"a detector failed: {pipeline.engine.failures}"
    assert pipeline.messages.streams.held <= MAX_HELD
    assert len(house.names) <= MAX_NAMES
    assert pipeline.flows.count <= MAX_FLOWS


def _printable(value: object) -> None:
    if isinstance(value, str):
        assert value.isprintable(), f"unprintable: {value!r}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            assert key.isprintable()
            _printable(inner)
    elif isinstance(value, list):
        for inner in value:
            _printable(inner)
