"""Messages of Home Assistant's WebSocket API, as its developers' documentation and its source write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.foreground.entities import MAX_STATE, EntityState, messages, states

SCREEN, APP = "binary_sensor.pixel_interactive", "sensor.pixel_last_used_app"
WANTED = {SCREEN, APP}


def test_one_message_or_an_array_of_them() -> None:
    assert messages('{"type": "auth_ok"}') == [{"type": "auth_ok"}]
    assert messages('[{"id": 1}, 7, {"id": 2}]') == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("text", ["", "nonsense", "7", "null", '"x"', "[1, 2]", "[" * 100_000, "9" * 10_000, "\ud800"])
def test_what_is_no_message_is_left_out(text: str) -> None:
    assert messages(text) == []


def test_states_when_subscribed() -> None:
    event = {"a": {SCREEN: {"s": "on", "a": {"icon": "x"}, "c": "01J", "lc": 1790000000.123456, "lu": 1790000009.0}}}
    assert states(event, WANTED) == [EntityState(SCREEN, "on", 1790000000123456000)]


def test_changes() -> None:
    event = {"c": {SCREEN: {"+": {"s": "off", "lc": 1790000005, "c": "01J"}}, APP: {"+": {"lu": 1790000005.5}}}}
    assert states(event, WANTED) == [EntityState(SCREEN, "off", 1790000005000000000)]


def test_removed_and_unavailable_entities_have_no_state() -> None:
    assert states({"r": [SCREEN, "light.other"]}, WANTED) == [EntityState(SCREEN, None)]
    assert states({"r": [SCREEN, {}, [], SCREEN] * 1000}, WANTED) == [EntityState(SCREEN, None)]
    for word in ("unavailable", "unknown", "", "x" * (MAX_STATE + 1), 7, None):
        assert states({"a": {APP: {"s": word, "lc": 1790000000.0}}}, WANTED) == [EntityState(APP, None)]


def test_others_are_left_out() -> None:
    assert states({"a": {"light.other": {"s": "on", "lc": 1790000000.0}}}, WANTED) == []


@pytest.mark.parametrize("when", [None, "1790000000", True, -1, 1e300, float("nan"), float("inf"), [], 10**400])
def test_a_time_that_is_none(when: Any) -> None:
    assert states({"a": {SCREEN: {"s": "on", "lc": when}}}, WANTED) == [EntityState(SCREEN, "on", None)]


KEYS = st.sampled_from(["a", "c", "r", "+", "s", "lc", SCREEN, APP]) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["a", "c", "r", "+", "s", "lc", SCREEN, APP]) | st.text(), inner)
    ),
)


@given(JSON)
def test_whatever_comes_is_states_of_wanted_entities_or_nothing(event: object) -> None:
    for each in states(event, WANTED):
        assert each.entity in WANTED
        assert each.state is None or 0 < len(each.state) <= MAX_STATE
        assert each.changed is None or 0 <= each.changed < 2**63


@given(st.text() | JSON.map(json.dumps))
def test_whatever_text_comes_is_messages_or_nothing(text: str) -> None:
    assert all(isinstance(each, dict) for each in messages(text))
