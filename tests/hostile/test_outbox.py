"""Messages outlive what happens to the process, to the sinks and to the disk (S1, S3, O2, O7)."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from sensor.deliver import journal as journal_module
from sensor.deliver.outbox import Outbox
from tests.deliver.letters import Clock, Scripted, built, down, notice, running, until
from tests.hostile.deliverer import ALERTS, STATES

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20
SECONDS = 120.0
"""For the whole of the chaos."""


class Moody:
    """An HTTP server that fails at random in every way it can; `taken` is what it answered 200 to."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.taken = []
        self.failures = Counter()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            identity = head.split("webhook-id: ")[1].split("\r\n")[0]
            assert identity == f"{body['id']}.{body['state']}"
            await self.answer(writer, (body["id"], body["state"]))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, writer, told):
        mood = self.random.random()
        if mood < 0.04:
            self.failures["503"] += 1
            writer.write(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")
        elif mood < 0.06:
            self.failures["429"] += 1
            writer.write(b"HTTP/1.1 429 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
        elif mood < 0.07:
            self.failures["silence"] += 1
            await asyncio.sleep(0.5)
        elif mood < 0.10:  # it was taken, but nobody hears of it
            self.failures["dropped"] += 1
        else:
            self.taken.append(told)
            writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()


async def run_until_killed(store, first, servers, after):
    """One life of the process; how many messages it said were stored. `after` None: it may end by itself."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hostile.deliverer", str(store), str(first), *(each.url for each in servers),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    if after is not None:
        line = await child.stdout.readline()  # it is up
        first = int(line)
        await asyncio.sleep(after)
        child.send_signal(signal.SIGKILL)
    async for line in child.stdout:
        first = int(line)
    code = await child.wait()
    assert code == (0 if after is None else -signal.SIGKILL)
    return first


async def test_a_thousand_alerts_three_moody_sinks_and_twenty_kills(tmp_path):
    """S1, O2, O7: each alert arrives everywhere, none more often than a kill can explain, none in the wrong order."""
    store = tmp_path / "outbox.db"
    servers = [Moody(seed) for seed in range(3)]
    for server in servers:
        await server.start()
    dice, stored = random.Random(9), 0
    async with asyncio.timeout(SECONDS):
        for _ in range(KILLS):
            stored = await run_until_killed(store, stored, servers, dice.uniform(0.0, 0.35))
        await run_until_killed(store, stored, servers, None)
    for server in servers:
        server.server.close()
        got = Counter(server.taken)
        assert set(got) == set(STATES)
        assert len({identity for identity, _ in got}) == ALERTS
        assert sum(got.values()) - len(got) <= KILLS, "one attempt was under way at each kill"
        ended = set()
        for identity, state in server.taken:
            assert state == "resolved" or identity not in ended
            ended |= {identity} if state == "resolved" else set()
        assert all(server.failures[kind] for kind in ("503", "429", "silence", "dropped"))
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT DISTINCT state FROM letter").fetchall() == [("delivered",)]
    connection.close()


def passes(clock):
    """Time does."""
    clock.now += 0.01
    return True


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "state"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("mounting is not possible here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


@pytest.mark.parametrize("full", ["at start", "while it runs"])
async def test_a_full_disk_stops_nothing_and_is_written_to_when_there_is_space(small_disk, monkeypatch, caplog, full):
    """S3: sending goes on, it is said once, and what still waits is stored by itself once there is space."""
    caplog.set_level("INFO", "sensor")
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.1)
    filler = small_disk / "filler"

    def fill():
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    if full == "at start":
        fill()
    sink, clock = Scripted(), Clock()
    delivery = built(small_disk / "outbox.db", sink, clock=clock, kind=Outbox)
    async with running(delivery):
        for number in range(60):
            if full == "while it runs" and number == 20:
                fill()
            delivery.put(notice(f"n{number}", lines=("x" * 3000,)))
            await until(lambda number=number: f"n{number}.firing" in sink.got)
        assert delivery.journal.failures > 0
        sink.always = down(3600)
        for number in range(10):
            delivery.put(notice(f"late{number}", lines=("x" * 3000,)))
        await until(lambda: len(sink.calls) == len(sink.got) + 1)
        filler.unlink()
        await until(lambda: passes(clock) and "written to the disk again" in caplog.text)
        await delivery.journal.flushed()
    assert caplog.text.count("kept in memory") == 1
    again = Scripted()
    async with running(built(small_disk / "outbox.db", again)):
        await until(lambda: len(again.got) >= 10)
    late = [each for each in again.got if each.startswith("late")]
    assert late == [f"late{number}.firing" for number in range(10)]
    assert not any(each.startswith("n") for each in again.got), "what arrived meanwhile is known to have arrived"


@pytest.mark.parametrize("how", ["read-only", "unmounted"])
async def test_a_folder_that_goes_and_comes_back(small_disk, monkeypatch, caplog, how):
    """S4."""
    caplog.set_level("INFO", "sensor")
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.1)
    if how == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    sink, clock = Scripted(), Clock()
    delivery = built(small_disk / "outbox.db", sink, clock=clock, kind=Outbox)
    async with running(delivery):
        delivery.put(notice("first"))
        await until(lambda: "first.firing" in sink.got)
        await delivery.journal.flushed()
        if how == "unmounted":
            subprocess.run(["umount", "-l", small_disk], check=True)
            small_disk.rename(small_disk.with_name("away"))
            small_disk.touch()
        for number in range(5):
            delivery.put(notice(f"n{number}"))
        await until(lambda: {f"n{number}.firing" for number in range(5)} <= set(sink.got))
        assert delivery.journal.failures > 0
        if how == "read-only":
            subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        else:
            small_disk.unlink()
        await until(lambda: passes(clock) and delivery.journal.unstored == 0)
        await delivery.journal.flushed()
    again = Scripted()
    async with running(built(small_disk / "outbox.db", again)) as delivery:
        for key in ("first", "n0", "n4"):
            delivery.put(notice(key))
        delivery.put(notice("new"))
        await until(lambda: "new.firing" in again.got)
    assert [each for each in again.got if not each.startswith("outbox.")] == ["new.firing"]
