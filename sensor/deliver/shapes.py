"""The model as JSON objects, in the shapes that users and outside programs hold on to.

Text passes `printable` once more here: whatever a room in front forgot, nothing invisible gets out.
"""

import json
from collections.abc import Iterable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeVar

from sensor.base.text import printable
from sensor.base.times import SECOND, rfc3339
from sensor.deliver.snapshots import ClientForeground, SensorInfo
from sensor.model.alert import Alert, AlertDestination, Evidence
from sensor.model.client import Client, Rates, Totals
from sensor.model.destination import Destination, Service
from sensor.model.foreground import Change, Foreground

Json = dict[str, Any]
Text = TypeVar("Text", str, str | None)

MAX_TEXT = 1_000
"""Characters of one text value."""

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "icmpv6", 132: "sctp", 136: "udplite"}
"""IANA protocol numbers that have a name here; the others show as their number."""


def json_bytes(value: object) -> bytes:
    """Compact JSON in ASCII: valid in any encoding, inert wherever it is pasted."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def destination_row(destination: Destination) -> Json:
    """The row of `replay --json`."""
    place = destination.place
    return {
        "client_address": text(destination.client_address),
        "address": text(destination.address),
        "names": [{"name": text(name.name), "source": text(name.source)} for name in destination.names],
        "country": text(place.country),
        "asn": place.asn,
        "owner": text(place.owner),
        **_totals(destination.totals),
    }


def destination_entry(destination: Destination) -> Json:
    """The row of the API: the same, then whose it is, its services and its rates."""
    return {
        **destination_row(destination),
        "client": text(destination.client),
        "services": [_service(service) for service in destination.services],
        "rates": _rates(destination.rates),
    }


def client_row(client: Client, destinations: Iterable[Destination]) -> Json:
    """The row of `replay --json`, with the client's destinations in the order given."""
    return {**_client(client), "destinations": [destination_row(destination) for destination in destinations]}


def client_entry(client: Client) -> Json:
    """The row of the API: `local` went to no destination, `other` to destinations whose rows had no more room."""
    return {
        **_client(client),
        "id": text(client.id),
        "first_seen": rfc3339(client.totals.first_seen),
        "last_seen": rfc3339(client.totals.last_seen),
        "rates": _rates(client.rates),
        "local": _bytes(client.local),
        "other": _bytes(client.other),
    }


def alert_object(alert: Alert, sensor: SensorInfo) -> Json:
    """ALERT: the same object in replay, webhook, API."""
    client = alert.client
    return {
        "id": text(alert.id),
        "fingerprint": text(alert.fingerprint),
        "detector": alert.detector,
        "severity": alert.severity,
        "state": alert.state,
        "started_at": rfc3339(alert.started_at),
        "updated_at": rfc3339(alert.updated_at),
        "resolved_at": _moment(alert.resolved_at),
        "client": {
            "mac": text(client.mac),
            "name": text(client.name),
            "vendor": text(client.vendor),
            "addresses": [text(address) for address in client.addresses],
        },
        "destination": None if alert.destination is None else _far_end(alert.destination),
        "summary": text(alert.summary),
        "reason": {
            "rule": text(alert.rule),
            "thresholds": _plain(alert.thresholds),
            "measured": _plain(alert.measured),
        },
        "evidence": _evidence(alert.evidence, sensor),
        "sensor": {"name": text(sensor.name), "version": sensor.version},
    }


def foreground_entry(row: ClientForeground) -> Json:
    """The row of the API: whether a person uses a client, and what each source says of it."""
    known = row.foreground
    return {
        "client": text(row.client),
        "name": text(row.name),
        "state": known.state,
        "source": text(known.source),
        "age_seconds": _age(known.observed_at, row.at),
        "app": text(known.app),
        "since": _moment(known.since),
        "contradicted_by": [text(source) for source in known.contradicted_by],
        "sources": [
            {
                "source": text(each.source),
                "state": each.state,
                "observed_at": rfc3339(each.observed_at),
                "age_seconds": _age(each.observed_at, row.at),
            }
            for each in row.sources
        ],
    }


def change_entry(change: Change) -> Json:
    """One entry of a client's timeline: from then on, this was known."""
    known = change.foreground
    return {
        "time": rfc3339(change.time),
        "state": known.state,
        "source": text(known.source),
        "app": text(known.app),
    }


def captured_ratio(frames: int, dropped: int) -> float:
    """Which part of the frames was seen; 1 when there were none."""
    return round(frames / (frames + dropped), 6) if dropped > 0 else 1.0


def text(value: Text) -> Text:
    """Safe to show; None stays None."""
    return value if value is None else printable(value, MAX_TEXT)


def protocol_name(protocol: int) -> str:
    """ "tcp", or the number."""
    return PROTOCOLS.get(protocol, str(protocol))


def _client(client: Client) -> Json:
    return {
        "mac": text(client.mac),
        "addresses": [text(address) for address in client.addresses],
        "vendor": text(client.vendor),
        "name": text(client.name),
        "sent_bytes": client.totals.sent_bytes,
        "received_bytes": client.totals.received_bytes,
    }


def _totals(totals: Totals) -> Json:
    return {
        "sent_bytes": totals.sent_bytes,
        "received_bytes": totals.received_bytes,
        "sent_packets": totals.sent_packets,
        "received_packets": totals.received_packets,
        "first_seen": rfc3339(totals.first_seen),
        "last_seen": rfc3339(totals.last_seen),
    }


def _bytes(totals: Totals) -> Json:
    return {
        "sent_bytes": totals.sent_bytes,
        "received_bytes": totals.received_bytes,
        "sent_packets": totals.sent_packets,
        "received_packets": totals.received_packets,
    }


def _rates(rates: Rates) -> Json:
    return {
        "sent_bytes_per_second_1s": rates.sent_1s,
        "received_bytes_per_second_1s": rates.received_1s,
        "sent_bytes_per_second_1m": rates.sent_1m,
        "received_bytes_per_second_1m": rates.received_1m,
    }


def _service(service: Service) -> Json:
    return {"protocol": protocol_name(service.protocol), "port": service.port, **_totals(service.totals)}


def _far_end(destination: AlertDestination) -> Json:
    place = destination.place
    return {
        "address": text(destination.address),
        "name": text(destination.name),
        "name_source": text(destination.name_source),
        "country": text(place.country),
        # One database has been asked; agreement between several comes with the second.
        "country_confidence": None if place.country is None else "single",
        "asn": place.asn,
        "owner": text(place.owner),
    }


def _evidence(evidence: Evidence, sensor: SensorInfo) -> Json:
    return {
        "sent_bytes": evidence.sent_bytes,
        "received_bytes": evidence.received_bytes,
        "first_seen": rfc3339(evidence.first_seen),
        "last_seen": rfc3339(evidence.last_seen),
        "foreground": _foreground(evidence.foreground, evidence.last_seen),
        "coverage": {
            "captured_ratio": captured_ratio(evidence.frames, evidence.dropped_frames),
            "dropped_frames": evidence.dropped_frames,
        },
        "geo_database": {"name": text(sensor.geo_database), "built_at": _moment(sensor.geo_built_at)},
    }


def _foreground(known: Foreground, now: int) -> Json:
    return {
        "state": known.state,
        "source": text(known.source),
        "age_seconds": _age(known.observed_at, now),
        "app": text(known.app),
    }


def _age(observed: int | None, now: int) -> float | None:
    return None if observed is None else round(max(0, now - observed) / SECOND, 3)


def _moment(time: int | None) -> str | None:
    return None if time is None else rfc3339(time)


def _plain(values: Mapping[str, object]) -> Json:
    """What detectors measured, reduced to what JSON has; anything else as text."""
    return {text(key): _plain_value(value) for key, value in values.items()}


def _plain_value(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if isfinite(value) else None
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_value(item) for item in value]
    return text(str(value))
