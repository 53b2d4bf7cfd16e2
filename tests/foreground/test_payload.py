"""What a phone says in a few bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.foreground.payload import MAX_APP, MAX_PAYLOAD, Told, told
from sensor.model.foreground import EVENTS


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"screen_off", Told("screen_off")),
        (b" Heartbeat\n", Told("heartbeat")),
        (b"ON", Told("screen_on")),
        (b"off", Told("screen_off")),
        (b"true", Told("screen_on")),
        (b"False", Told("screen_off")),
        (b'"on"', Told("screen_on")),
        (b'"locked"', Told("locked")),
        (b'{"event": "app_opened", "app": "com.foo"}', Told("app_opened", "com.foo")),
        (
            b'{"event": "screen_off", "time": 1790000000.25, "sequence": 7, "label": "x"}',
            Told("screen_off", None, 1_790_000_000_250_000_000, 7),
        ),
        (b'{"event": "unlocked", "app": null, "time": 1790000000}', Told("unlocked", None, 1_790_000_000 * 10**9)),
        (b'{"event": "app_closed", "app": ""}', Told("app_closed")),
    ],
)
def test_what_is_understood(payload: bytes, expected: Told) -> None:
    assert told(payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"unavailable", b'"unknown"', b"1", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 4_000, b"9" * 4_000,
        b'{"event": "screen_dim"}', b'{"event": ["screen_on"]}', b'{"event": "screen_on", "app": 7}',
        b'{"event": "screen_on", "time": "now"}', b'{"event": "screen_on", "time": true}',
        b'{"event": "screen_on", "time": NaN}', b'{"event": "screen_on", "time": Infinity}',
        b'{"event": "screen_on", "time": -1}', b'{"event": "screen_on", "time": 1790000000000}',
        b'{"event": "screen_on", "sequence": -1}', b'{"event": "screen_on", "sequence": 1.5}',
        b'{"event": "screen_on", "sequence": true}', b"on" + b" " * MAX_PAYLOAD,
    ],
)  # fmt: skip
def test_what_is_not(payload: bytes) -> None:
    assert told(payload) is None


def test_an_apps_name_is_made_safe_to_show() -> None:
    said = told(json.dumps({"event": "app_opened", "app": "\x1b[31m" + "x" * 500}).encode())
    assert said is not None
    assert said.app == "\\u001b[31m" + "x" * (MAX_APP - 10)


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(EVENTS) | st.lists(st.none())
)
OBJECTS = st.dictionaries(st.sampled_from(["event", "app", "time", "sequence"]), VALUES)


@given(st.binary() | OBJECTS.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_an_event_or_nothing(payload: bytes) -> None:
    said = told(payload)
    if said is not None:
        assert said.event in EVENTS
        assert said.app is None or (said.app.isprintable() and len(said.app) <= MAX_APP)
        assert said.time is None or 0 <= said.time < 2**63
        assert said.sequence is None or 0 <= said.sequence < 2**63
