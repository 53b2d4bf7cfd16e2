"""The objects are exactly those of the contract, keys in order."""

import json
from dataclasses import replace

import numpy as np

from sensor.deliver import shapes
from sensor.model.alert import Evidence
from sensor.model.destination import Place
from sensor.model.foreground import Foreground


def test_destination_row(examples):
    assert list(shapes.destination_row(examples.destination()).items()) == [
        ("client_address", "192.168.2.100"),
        ("address", "18.193.233.122"),
        ("names", [{"name": "api.example.com", "source": "tls"}, {"name": "cdn.example.net", "source": "cname"}]),
        ("country", "DE"),
        ("asn", 16509),
        ("owner", "Amazon.com"),
        ("sent_bytes", 1000),
        ("received_bytes", 300),
        ("sent_packets", 12),
        ("received_packets", 3),
        ("first_seen", "2026-09-21T14:13:20.000000Z"),
        ("last_seen", "2026-09-21T14:14:50.000000Z"),
    ]


def test_unknown_place_is_null(examples):
    row = shapes.destination_row(examples.destination(place=Place()))
    assert (row["country"], row["asn"], row["owner"]) == (None, None, None)


def test_api_row_begins_with_the_contract(examples):
    row = shapes.destination_row(examples.destination())
    entry = shapes.destination_entry(examples.destination())
    assert list(entry)[: len(row)] == list(row)
    assert list(entry)[len(row) :] == ["client", "services", "rates"]
    assert entry["client"] == examples.mac
    assert entry["services"][0]["protocol"] == "tcp"
    assert entry["services"][0]["port"] == 443


def test_client_row_and_entry(examples):
    row = shapes.client_row(examples.client(), [examples.destination()])
    assert list(row) == ["mac", "addresses", "vendor", "name", "sent_bytes", "received_bytes", "destinations"]
    entry = shapes.client_entry(examples.client())
    assert list(entry)[:6] == list(row)[:6]
    assert entry["id"] == examples.mac
    assert entry["local"]["sent_bytes"] == 200
    assert entry["rates"]["sent_bytes_per_second_1m"] == 5.5


def test_alert_object(examples):
    shape = shapes.alert_object(examples.alert(), examples.info)
    assert list(shape) == [
        "id",
        "fingerprint",
        "detector",
        "severity",
        "state",
        "started_at",
        "updated_at",
        "resolved_at",
        "client",
        "destination",
        "summary",
        "reason",
        "evidence",
        "sensor",
    ]
    assert shape["client"] == {
        "mac": examples.mac,
        "name": "phone",
        "vendor": "Wistron Neweb",
        "addresses": ["192.168.2.100"],
    }
    assert shape["destination"] == {
        "address": "42.62.48.10",
        "name": "mi.com",
        "name_source": "dns",
        "country": "CN",
        "country_confidence": "single",
        "asn": 4837,
        "owner": "Xiaomi",
    }
    assert shape["reason"] == {"rule": "china", "thresholds": {"countries": ["CN"]}, "measured": {"country": "CN"}}
    assert shape["evidence"]["coverage"] == {"captured_ratio": 0.9, "dropped_frames": 10}
    assert shape["evidence"]["foreground"]["state"] == "unknown"
    assert shape["evidence"]["geo_database"] == {"name": "IPinfo Lite", "built_at": "2026-09-21T14:13:20.000000Z"}
    assert shape["sensor"] == {"name": "box", "version": "0.1.0"}
    assert shape["resolved_at"] is None


def test_what_was_known_of_the_phone_stands_in_the_evidence_with_its_age(examples):
    known = Foreground("foreground", "push", observed_at=examples.start - 1_500_000_000, app="com.foo\u202e")
    evidence = Evidence(1, 2, examples.start, examples.start + 1_000_000_000, foreground=known)
    shape = shapes.alert_object(examples.alert(evidence=evidence), examples.info)
    assert shape["evidence"]["foreground"] == {
        "state": "foreground",
        "source": "push",
        "age_seconds": 2.5,
        "app": "com.foo\\u202e",
    }


def test_nothing_known_of_the_phone_is_null_and_a_report_from_later_has_no_age(examples):
    shape = shapes.alert_object(examples.alert(), examples.info)
    assert shape["evidence"]["foreground"] == {"state": "unknown", "source": None, "age_seconds": None, "app": None}
    later = Foreground("background", "adb", observed_at=examples.start + 10**12)
    evidence = Evidence(1, 2, examples.start, examples.start, foreground=later)
    shape = shapes.alert_object(examples.alert(evidence=evidence), examples.info)
    assert shape["evidence"]["foreground"]["age_seconds"] == 0.0


def test_alert_without_destination_or_database(examples):
    info = replace(examples.info, geo_database=None, geo_built_at=None)
    shape = shapes.alert_object(examples.alert(destination=None, resolved_at=examples.start), info)
    assert shape["destination"] is None
    assert shape["resolved_at"] == "2026-09-21T14:13:20.000000Z"
    assert shape["evidence"]["geo_database"] == {"name": None, "built_at": None}


def test_measured_values_of_any_kind_become_json(examples):
    measured = {"n": np.int64(5), "f": np.float32(0.5), "inf": float("inf"), "set": {1}, "bytes": b"\x00", "no": None}
    shape = shapes.alert_object(examples.alert(measured=measured), examples.info)
    assert json.loads(shapes.json_bytes(shape))["reason"]["measured"] == {
        "n": 5,
        "f": 0.5,
        "inf": None,
        "set": [1],
        "bytes": "b'\\x00'",
        "no": None,
    }


def test_nothing_dropped_is_full_coverage():
    assert shapes.captured_ratio(0, 0) == 1.0
    assert shapes.captured_ratio(99, 1) == 0.99
    assert shapes.captured_ratio(0, 5) == 0.0


def test_protocols_have_names():
    assert [shapes.protocol_name(number) for number in (6, 17, 1, 58, 47)] == ["tcp", "udp", "icmp", "icmpv6", "47"]


def test_hostile_text_is_visible_ascii_json(examples):
    for payload in examples.payloads:
        world = examples.hostile_world(payload)
        raw = shapes.json_bytes(
            [
                [shapes.client_entry(row) for row in world.clients()],
                [shapes.destination_entry(row) for row in world.destinations(None)],
                [shapes.alert_object(row, world.info) for row in world.alerts()],
            ]
        )
        assert raw.isascii()
        assert all(part.isprintable() for part in _texts(json.loads(raw)))


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
