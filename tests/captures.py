"""The shared captures with truth, and what the pipeline makes of them."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sensor.account.ledger import Limits
from sensor.account.locality import Local
from sensor.account.snapshot import Destinations, clients
from sensor.base.addresses import address_text, mac_text
from sensor.capture.files import CaptureFiles
from sensor.detect.engine import Engine
from sensor.model.destination import Name, Place
from sensor.pipeline import Pipeline

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "captures"

Row = tuple[str | None, str, str]
"""(client MAC, client address, remote address)."""


class Nowhere:
    """No database: these tests are about counts and names."""

    def lookup(self, address: bytes) -> Place:
        return Place()


class Heard:
    """A name book that writes down all that it is told."""

    def __init__(self) -> None:
        self.answers: set[tuple[str, str, str]] = set()
        """(client MAC or address, address, name)."""

    def learn(
        self,
        client: bytes,
        address: bytes,
        names: Sequence[Name],
        now: int,
        ttl: int | None = None,
        *,
        known: bool = True,
    ) -> list[Name]:
        who = mac_text(client) if len(client) == 6 else address_text(client)
        self.answers.update((who, address_text(address), name.name) for name in names)
        return []

    def lookup(self, client: bytes, address: bytes, now: int) -> list[Name]:
        return []

    def forget(self, client: bytes) -> None:
        pass


@dataclass
class Seen:
    """What the pipeline made of one capture."""

    frames: int
    undecodable: int
    rows: dict[Row, tuple[int, int, int, int]]
    """Sent packets and bytes, received packets and bytes."""
    names: set[str]
    answers: set[tuple[str, str, str]]
    ip_bytes: int
    counted_bytes: int
    seconds: float
    warnings: list[str] = field(default_factory=list)


def paths() -> list[Path]:
    """All captures, in order of their names."""
    return sorted(path.with_suffix("").with_suffix("") for path in FOLDER.glob("*/*.truth.json"))


def truth(path: Path) -> dict[str, object]:
    """What the shared folder says of a capture."""
    content: dict[str, object] = json.loads(path.with_name(path.name + ".truth.json").read_text())
    return content


def run(path: Path, frames: int = 4096) -> Seen:
    """A capture through the whole pipeline, in batches of `frames`."""
    begun = time.process_time()
    heard = Heard()
    pipeline = Pipeline(
        places=Nowhere(), names=heard, engine=Engine([]), local=Local(), limits=Limits(), on_alert=lambda _: None
    )
    files = CaptureFiles([path])
    for batch in files.batches(frames):
        pipeline.feed(batch)
    pipeline.finish()
    everyone = clients(pipeline.ledger, 0, lambda _: (None, None))
    return Seen(
        pipeline.counts.frames,
        pipeline.headers.stats.undecodable,
        dict(_rows(pipeline)),
        set(pipeline.names_seen),
        heard.answers,
        pipeline.counts.ip_bytes,
        sum(client.totals.sent_bytes + client.totals.received_bytes for client in everyone),
        time.process_time() - begun,
        list(files.stats.warnings),
    )


def _rows(pipeline: Pipeline) -> Iterator[tuple[Row, tuple[int, int, int, int]]]:
    macs = {row.id: row.mac for row in pipeline.ledger.clients.values()}
    for destination in Destinations(pipeline.ledger, 0):
        mac = macs[destination.client]
        totals = destination.totals
        yield (
            (mac_text(mac) if mac else None, destination.client_address, destination.address),
            (totals.sent_packets, totals.sent_bytes, totals.received_packets, totals.received_bytes),
        )
