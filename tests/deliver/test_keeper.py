"""Rulings over restarts: on the disk before the answer, and held all the same where it refuses."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sensor.deliver.keeper import Keeper
from sensor.deliver.rulings import Rulings
from sensor.store.state_file import StateFile
from tests.deliver.test_rulings import HOUR, NOW, alert, mute


def keeper(folder: Path) -> Keeper:
    made = Keeper(Rulings(), StateFile(folder / "mutes.json"))
    made.restore(NOW)
    return made


async def test_stored_before_the_answer_and_there_after_a_kill(tmp_path: Path) -> None:
    one = keeper(tmp_path)
    kept = await one.make(mute(owner="Xiaomi"), NOW)
    assert kept.stored
    two = keeper(tmp_path)
    assert two.rulings.reason(alert(), NOW) == "muted"
    undone = await two.undo("m1", "max", "enough", NOW + 5)
    assert undone is not None
    assert undone.stored
    [past] = keeper(tmp_path).rulings
    assert (past.undone_by, past.undone_note, past.who) == ("max", "enough", "lena")


async def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    one = keeper(tmp_path)
    first = await one.make(mute(owner="Xiaomi"), NOW)
    (tmp_path / "mutes.json").unlink()
    assert await one.make(mute(owner="Xiaomi"), NOW + HOUR) == first
    assert not (tmp_path / "mutes.json").exists()
    assert await one.undo("none", "max", "", NOW) is None


async def test_a_disk_that_refuses(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    one = keeper(folder)
    folder.rmdir()
    kept = await one.make(mute(owner="Xiaomi"), NOW)
    assert not kept.stored
    assert one.rulings.reason(alert(), NOW) == "muted"
    folder.mkdir()
    assert (await one.make(mute("m2", owner="Google"), NOW)).stored
    assert len(list(keeper(folder).rulings)) == 2


async def test_what_the_disk_refused_is_written_when_it_takes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.deliver.keeper.RETRY_SECONDS", 0.01)
    folder = tmp_path / "state"
    one = keeper(folder)
    assert not (await one.make(mute(owner="Xiaomi"), NOW)).stored
    folder.mkdir()
    running = asyncio.ensure_future(one.run())
    async with asyncio.timeout(5):
        while not (folder / "mutes.json").exists():
            await asyncio.sleep(0.01)
    running.cancel()


async def test_a_full_disk(tmp_path: Path) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("needs /dev/full")
    (tmp_path / "mutes.new").symlink_to("/dev/full")
    assert not (await keeper(tmp_path).make(mute(owner="Xiaomi"), NOW)).stored


async def test_changes_at_once_end_as_the_last_one(tmp_path: Path) -> None:
    one = keeper(tmp_path)
    await asyncio.gather(*(one.make(mute(f"m{number}", owner="x"), NOW) for number in range(50)))
    assert len(json.loads((tmp_path / "mutes.json").read_text())["rulings"]) == 50


async def test_an_alert_that_is_over_is_written_at_the_end(tmp_path: Path) -> None:
    from sensor.model.ruling import Ruling

    one = keeper(tmp_path)
    await one.make(Ruling("k", "acknowledge", NOW, NOW + HOUR, "lena", alert="a1", fingerprint="f1"), NOW)
    one.over("f1", NOW + 1)
    one.over("f2", NOW + 1)
    await one.close()
    [ruling] = keeper(tmp_path).rulings
    assert ruling.ended_at == NOW + 1


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 9}', '{"version": 1, "rulings": [{}]}'])
async def test_a_file_that_makes_no_sense_is_put_aside(tmp_path: Path, content: str) -> None:
    (tmp_path / "mutes.json").write_text(content)
    one = keeper(tmp_path)
    assert list(one.rulings) == []
    assert (tmp_path / "mutes.broken").exists()


async def test_nothing_is_taken_before_it_knows_what_held(tmp_path: Path) -> None:
    file: Any = StateFile(tmp_path / "mutes.json")
    early = Keeper(Rulings(), file)
    with pytest.raises(ValueError, match="is starting"):
        await early.make(mute(owner="x"), NOW)
    await early.close()
    assert not (tmp_path / "mutes.json").exists()
