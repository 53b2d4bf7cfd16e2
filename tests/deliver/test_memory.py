"""What the router knows: bounded, and the same after a restart."""

import json
from typing import Any

import pytest

from sensor.deliver import memory as module
from sensor.deliver.memory import BUCKETS, MAX_HELD, Known, Memory
from sensor.model.told import Told


def alert(name: str = "f1", **changes: Any) -> dict[str, Any]:
    return {"fingerprint": name, "id": name, "state": "firing", "summary": "x", **changes}


def known(memory: Memory, name: str, **changes: Any) -> Known:
    found = memory.of(alert(name))
    for key, value in changes.items():
        setattr(found, key, value)
    memory.note(found)
    return found


def reloaded(*batches: list[Told]) -> Memory:
    """As the store would give it back."""
    rows: dict[str, Told] = {}
    for row in (row for batch in batches for row in batch):
        rows[row.fingerprint] = row.after(rows.get(row.fingerprint))
    again = Memory()
    again.load(row for row in rows.values() if row.facts is not None)
    return again


def test_a_restart_changes_nothing() -> None:
    memory = Memory()
    first = known(memory, "f1", runs=True, told_at=5, is_open=True, key="k")
    memory.hold(first, "digest")
    known(memory, "f2", told_at=7)
    memory.add_beyond("rest", 3)
    again = reloaded(memory.changes())
    [found] = again.live()
    assert (found.alert, found.runs, found.told_at, found.is_open, found.key) == (alert("f1"), True, 5, True, "k")
    assert (found.waits, again.waiting("digest"), found.seen) == ("digest", [found], False)
    assert again.of(alert("f2")).told_at == 7
    assert again.take_beyond("rest") == 3
    assert again.changes() == [Told("#rest", "0")]


def test_only_what_changed_is_written_and_the_alert_once() -> None:
    memory = Memory()
    first = known(memory, "f1", runs=True)
    [row] = memory.changes()
    assert row.alert is not None
    memory.note(first)
    assert memory.changes() == []
    first.told_at = 9
    memory.note(first)
    [again] = memory.changes()
    assert (again.alert, again.facts) == (None, '[true,9,false,"",null]')
    first.alert = alert("f1", state="resolved")
    memory.note(first)
    assert json.loads(memory.changes()[0].alert or "") == first.alert


def test_what_nobody_was_told_is_forgotten_when_it_is_over() -> None:
    memory = Memory()
    first = known(memory, "f1", runs=True)
    memory.changes()
    first.runs = False
    memory.note(first)
    assert memory.changes() == [Told("f1", None)]


def test_it_waits_in_one_place_only() -> None:
    memory = Memory()
    first = known(memory, "f1")
    assert memory.hold(first, "group")
    assert memory.hold(first, "digest")
    assert (memory.waiting("group"), memory.waiting("digest")) == ([], [first])
    memory.release(first)
    memory.release(first)
    assert memory.waiting("digest") == []


@pytest.mark.parametrize("bucket", BUCKETS)
def test_who_finds_no_room_to_wait_is_a_number(bucket: Any) -> None:
    memory = Memory()
    held = [memory.hold(known(memory, str(number)), bucket) for number in range(MAX_HELD + 3)]
    assert held == [True] * MAX_HELD + [False] * 3
    assert len(memory.waiting(bucket)) == MAX_HELD
    assert memory.take_beyond(bucket) == 3


def test_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOLD", 5)
    monkeypatch.setattr(module, "MAX_RUNNING", 5)
    memory = Memory()
    rows = []
    for number in range(20):
        waits = known(memory, f"waits{number}")
        memory.hold(waits, "digest")
        memory.note(waits)
        known(memory, f"told{number}", told_at=number)
        rows.append(memory.changes())
    assert [each.fingerprint for each in memory.live()] == [f"waits{number}" for number in range(15, 20)]
    assert len(memory.waiting("digest")) + memory.beyond["digest"] == 20
    assert memory.of(alert("told14")).told_at is None
    assert memory.of(alert("told15")).told_at == 15
    again = reloaded(*rows)
    assert len(list(again.live())) == len(again.waiting("digest")) == 5
    assert again.beyond["digest"] == 15


def test_what_this_run_knows_counts_more_than_what_is_loaded() -> None:
    memory = Memory()
    known(memory, "f1", runs=True, told_at=50)
    memory.load([Told("f1", '[true,1,true,"",null]', json.dumps(alert("f1")))])
    assert memory.of(alert("f1")).told_at == 50


@pytest.mark.parametrize(
    "row",
    [
        Told("f1", "[1]", json.dumps(alert())),
        Told("f1", "{", json.dumps(alert())),
        Told("f1", '[true,1,true,"",null]', None),
        Told("f1", '[true,1,true,"",null]', json.dumps(alert("f2"))),
        Told("f1", '[true,1,true,"","cellar"]', json.dumps(alert())),
        Told("f1", '[true,"x",true,"",null]', json.dumps(alert())),
        Told("f1", '[true,Infinity,true,"",null]', json.dumps(alert())),
        Told("f1", "[" * 100_000, None),
        Told("#cellar", "5"),
        Told("#rest", "-5"),
    ],
)
def test_rows_that_cannot_be_are_left_out(row: Told) -> None:
    memory = Memory()
    memory.load([row, Told("f3", '[true,1,true,"",null]', json.dumps(alert("f3")))])
    assert [each.fingerprint for each in memory.live()] == ["f3"]
    assert set(memory.beyond.values()) == {0}


def test_a_new_file_is_told_everything() -> None:
    memory = Memory()
    known(memory, "f1", runs=True)
    known(memory, "f2", told_at=7)
    memory.add_beyond("digest", 2)
    before = memory.changes()
    assert memory.changes() == []
    memory.rewrite()
    assert sorted(memory.changes(), key=str) == sorted(before, key=str)


def test_nothing_was_told_later_than_now() -> None:
    memory = Memory()
    first = known(memory, "f1", told_at=100)
    memory.not_after(50)
    assert first.told_at == 50
