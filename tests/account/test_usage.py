"""Bytes sent by whether somebody used the client."""

import numpy as np
import pytest

from sensor.account import usage as usage_module
from sensor.account.usage import MAX_CLIENTS, OTHER, Usage
from sensor.model.foreground import BACKGROUND, FOREGROUND, UNKNOWN


def add(to: Usage, *rows: tuple[str, int, int]) -> None:
    """(client, state, bytes sent) of one second."""
    states, sent = np.array([row[1] for row in rows], np.int8), np.array([row[2] for row in rows], np.int64)
    to.add([row[0] for row in rows], states, sent)


def test_sums_by_client_and_state() -> None:
    usage = Usage()
    add(usage, ("phone", FOREGROUND, 100), ("tablet", UNKNOWN, 5))
    add(usage, ("phone", BACKGROUND, 20), ("tablet", UNKNOWN, 7))
    add(usage, ("phone", BACKGROUND, 2**40), ("phone", FOREGROUND, 0))
    add(usage)
    assert usage.sent == {
        ("phone", "foreground"): 100,
        ("phone", "background"): 2**40 + 20,
        ("tablet", "unknown"): 12,
    }


def test_the_sums_are_plain_numbers() -> None:
    usage = Usage()
    add(usage, ("phone", FOREGROUND, 100))
    assert [type(amount) for amount in usage.sent.values()] == [int]


def test_clients_beyond_the_cap_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "MAX_CLIENTS", 2)
    usage = Usage()
    add(usage, *((f"c{number}", BACKGROUND, 10) for number in range(5)), ("c1", UNKNOWN, 1))
    assert usage.sent == {
        ("c0", "background"): 10,
        ("c1", "background"): 10,
        (OTHER, "background"): 30,
        ("c1", "unknown"): 1,
    }


def test_where_idle_clients_send_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "MAX_PLACES", 2)
    usage = Usage()
    for client, country in (("phone", "CN"), ("phone", None), ("phone", "CN"), ("tablet", "DE"), ("tv", "CN")):
        usage.add_idle(client, country, 10)
    assert usage.idle == {("phone", "CN"): 20, ("phone", None): 10, (OTHER, None): 20}


def test_a_flood_of_clients_stays_bounded() -> None:
    usage = Usage()
    for start in range(0, 3 * MAX_CLIENTS, 1000):
        add(usage, *((f"c{number}", number % 3, 1) for number in range(start, start + 1000)))
    assert len(usage.sent) <= 3 * (MAX_CLIENTS + 1)
    assert sum(usage.sent.values()) >= 3 * MAX_CLIENTS


def test_what_is_forgotten_counts_for_the_rest_and_frees_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "MAX_CLIENTS", 1)
    usage = Usage()
    add(usage, ("flood", BACKGROUND, 10), ("flood", UNKNOWN, 1))
    usage.add_idle("flood", "CN", 10)
    usage.add_idle("flood", None, 5)
    usage.forget("flood")
    usage.forget("nobody")
    add(usage, ("phone", BACKGROUND, 7))
    assert usage.sent == {(OTHER, "background"): 10, (OTHER, "unknown"): 1, ("phone", "background"): 7}
    assert usage.idle == {(OTHER, "CN"): 10, (OTHER, None): 5}
