"""A ruling as JSON and back; whatever else is read is refused."""

from dataclasses import replace
from typing import Any

import pytest

from sensor.model.ruling import Key, Ruling

SECOND = 1_000_000_000
MUTE = Ruling("a1", "mute", 5 * SECOND, 9 * SECOND, "lena", "not now", Key("watchlist", owner="Xiaomi"))


def test_there_and_back() -> None:
    for ruling in (MUTE, replace(MUTE, until=None, ended_at=6, undone_by="x", undone_note="y", alert="i", key=Key())):
        assert Ruling.from_json(ruling.to_json()) == ruling


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": 5},
        {"action": "forgive"},
        {"made_at": -1},
        {"made_at": True},
        {"until": 1.5},
        {"until": 2**63},
        {"who": None},
        {"note": "x" * 300},
        {"key": {"detector": 5}},
        {"key": None},
        {"else": 1},
    ],
)
def test_what_is_none(change: dict[str, Any]) -> None:
    values = {**MUTE.to_json(), **change}
    if isinstance(values["key"], dict):
        values["key"] = {**MUTE.to_json()["key"], **values["key"]}
    with pytest.raises(ValueError, match=r"^no "):
        Ruling.from_json(values)


@pytest.mark.parametrize("value", [None, [], "x", {}, {"id": "a"}])
def test_what_is_no_object(value: Any) -> None:
    with pytest.raises(ValueError, match="no ruling"):
        Ruling.from_json(value)


def test_how_long_it_holds() -> None:
    assert [MUTE.holds(at * SECOND) for at in (5, 8, 9)] == [True, True, False]
    assert replace(MUTE, until=None).holds(10**18)
    assert not replace(MUTE, ended_at=6).holds(6)


def test_a_key_without_parts_is_none() -> None:
    assert not Key()
    assert Key(port="443")
