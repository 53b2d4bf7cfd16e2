"""What people are told outlives kills: digests, storms, and what is remembered (O8, O9, O10, S1, S14)."""

import asyncio
import json
import random
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from sensor import cli
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import MAX_BATCH, Journal
from sensor.deliver.outbox import Outbox
from sensor.deliver.routing import FEW, NotifySettings, Router
from sensor.deliver.snapshots import SensorInfo
from sensor.model.letter import Batch, Fresh, Letter
from sensor.store.outbox import OutboxStore
from tests.deliver.letters import Clock, Scripted, down, running, until
from tests.hostile.told import CLIENTS, alert

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120.0
"""For one test, generously."""
COUNTED = re.compile(r"([0-9,]+) (?:more )?alerts? of")


class FarEnd:
    """A webhook or a Slack that takes everything."""

    def __init__(self):
        self.bodies = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            self.bodies.append(json.loads(await reader.readexactly(length)))
            writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def life(store, first, people, program, *, at_once=10, last=CLIENTS, kill=None):
    """One life of the process: (alerts that it said are stored, its memory in KB line by line).

    `kill`: seconds after it is up, or how many alerts must be stored first; None: it ends by itself.
    """
    arguments = [str(each) for each in (store, first, at_once, last, people.url, program.url)]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hostile.told", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    memory = []
    if isinstance(kill, float):
        await child.stdout.readline()
        await asyncio.sleep(kill)
        child.send_signal(signal.SIGKILL)
    async for line in child.stdout:
        if not re.fullmatch(rb"\d+ \d+\n", line):
            continue  # it was killed in the middle of it
        first, resident = map(int, line.split())
        memory.append(resident)
        if isinstance(kill, int) and first >= kill:
            child.send_signal(signal.SIGKILL)
    assert await child.wait() == (0 if kill is None else -signal.SIGKILL)
    return first, memory


def counted(body):
    """How many alerts a message to people tells of."""
    found = COUNTED.search(json.dumps(body))
    return int(found[1].replace(",", "")) if found else 1


async def test_kills_in_quiet_hours_and_at_their_end_lose_no_digest_and_double_none(tmp_path):
    """S1, O10: the digest tells of every alert, once; only an attempt that was under way at a kill is repeated."""
    store, dice, stored, ends = tmp_path / "outbox.db", random.Random(4), 0, 4
    store.with_suffix(".quiet").touch()
    async with asyncio.timeout(SECONDS), FarEnd() as people, FarEnd() as program:
        for _ in range(4):
            stored, _ = await life(store, stored, people, program, kill=dice.uniform(0.0, 0.15))
        stored, _ = await life(store, stored, people, program, kill=CLIENTS)
        assert people.bodies == []
        store.with_suffix(".quiet").unlink()
        for _ in range(ends):
            await life(store, stored, people, program, kill=dice.uniform(0.0, 0.06))
        await life(store, stored, people, program)
    assert {counted(body) for body in people.bodies} == {CLIENTS}
    assert 1 <= len(people.bodies) <= 1 + ends
    told = Counter(body["id"] for body in program.bodies)
    assert set(told) == {f"a{number}" for number in range(CLIENTS)}
    assert sum(told.values()) - len(told) <= 5 + ends
    with closing(sqlite3.connect(store)) as file:
        assert file.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert file.execute("SELECT COUNT(*) FROM notice WHERE id LIKE 'digest.%'").fetchone() == (1,)


async def test_a_storm_with_a_kill_in_the_middle_is_a_handful_of_messages_that_add_up(tmp_path):
    store = tmp_path / "outbox.db"
    async with asyncio.timeout(SECONDS), FarEnd() as people, FarEnd() as program:
        stored, _ = await life(store, 0, people, program, at_once=250, kill=250)
        assert stored == 250
        await life(store, stored, people, program, at_once=250)
    different = {json.dumps(body) for body in people.bodies}
    assert len(people.bodies) - len(different) <= 1, "one attempt was under way at the kill"
    assert len(different) <= FEW + 3
    assert sum(counted(body) for body in different) == CLIENTS
    assert len({body["id"] for body in program.bodies}) == CLIENTS


async def test_storm_after_storm_takes_no_more_memory(tmp_path):
    """O8: three times 500 clients at once and their ends, over a restart: messages add up, and memory stays flat."""
    store, storms = tmp_path / "outbox.db", 2
    async with asyncio.timeout(SECONDS), FarEnd() as people, FarEnd() as program:
        stored, memory = await life(store, 0, people, program, at_once=CLIENTS, last=storms * CLIENTS)
        assert stored == storms * CLIENTS
        _, again = await life(store, stored, people, program, at_once=CLIENTS, last=stored + CLIENTS)
    assert len(people.bodies) <= (storms + 1) * 2 * (FEW + 2)
    assert sum(counted(body) for body in people.bodies) == (storms + 1) * 2 * CLIENTS
    assert program.bodies == []
    print(f"memory in KB: {memory}, after a restart {again}")
    assert memory[-1] - memory[1] < 5_000
    assert again[-1] - memory[1] < 5_000


class Copied(OutboxStore):
    """Keeps what a kill after each transaction would leave."""

    copies = ()

    def write(self, batch):
        written = super().write(batch)
        copy = self.path.with_name(f"copy{len(self.copies)}.db")
        for suffix in ("", "-wal"):
            if (source := self.path.with_name(self.path.name + suffix)).exists():
                shutil.copy(source, copy.with_name(copy.name + suffix))
        self.copies = (*self.copies, copy)
        return written


@pytest.mark.parametrize("quiet", [True, False])
async def test_an_alert_and_what_is_to_be_told_of_it_are_one_transaction(tmp_path, quiet):
    """O10: each transaction has the same alerts as letters to programs and as told, or to be told, to people."""
    store, hour = Copied(tmp_path / "outbox.db", Clock()), {"quiet": quiet, "now": time.time_ns()}
    journal = Journal(store)
    sinks = Scripted(name="people"), Scripted(name="program", groups=False)
    for sink in sinks:
        sink.always = down(3_600)
    router = Router(NotifySettings(), quiet=lambda _: hour["quiet"])
    outboxes = [Outbox(sink, journal) for sink in sinks]
    delivery = Delivery(lambda: SensorInfo("box", "0"), outboxes, journal, lambda: hour["now"], router)
    async with running(delivery, drain=False):
        reminding = asyncio.ensure_future(delivery.remind())
        for number in range(3 * MAX_BATCH):
            delivery.tell(alert(number))
        await journal.flushed()
        hour |= {"quiet": False, "now": hour["now"] + 60 * 10**9}
        reminding.cancel()
        reminding = asyncio.ensure_future(delivery.remind())
        await asyncio.sleep(0.05)
        await journal.flushed()
        reminding.cancel()
    assert len(store.copies) >= 4
    for copy in store.copies:
        with closing(sqlite3.connect(copy)) as file:
            programs = {
                row[0]
                for row in file.execute(
                    "SELECT notice.key FROM letter JOIN notice ON notice.number = notice WHERE sink = 'program'"
                )
            }
            rows = {
                json.loads(body)["id"]: json.loads(facts)
                for facts, body in file.execute("SELECT facts, body FROM told JOIN told_alert USING (fingerprint)")
            }
            together = [
                json.loads(row[0])
                for row in file.execute("SELECT body FROM notice WHERE id LIKE 'digest.%' OR id LIKE 'group.%'")
            ]
        assert programs == set(rows)
        waiting = [name for name, facts in rows.items() if facts[4] is not None]
        singles = 0 if quiet else min(FEW, len(rows))
        told = sum(counted(notice["title"]) for notice in together)
        assert len(waiting) + told + singles == len(rows), copy


async def test_a_restart_while_it_fires_tells_nobody_again_and_its_end_still_comes(tmp_path):
    """O9."""
    got = []
    for state in ("firing", "firing", "resolved"):
        journal, sink = Journal(OutboxStore(tmp_path / "outbox.db", time.monotonic)), Scripted()
        router = Router(NotifySettings())
        delivery = Delivery(lambda: SensorInfo("box", "0"), [Outbox(sink, journal)], journal, router=router)
        async with running(delivery):
            again = alert(1)
            object.__setattr__(again, "id", f"{len(got)}.{state}")
            object.__setattr__(again, "state", state)
            delivery.tell(again)
        got.append(sink.got)
    assert [len(each) for each in got] == [1, 0, 1]


async def test_ten_thousand_alerts_in_a_minute_are_told_or_counted(tmp_path):
    """O8: people get a few messages, which tell of all; how many only as a number, metrics show."""
    now = [time.time_ns()]
    people = Scripted(name="people")
    journal, router = Journal(OutboxStore(tmp_path / "outbox.db", time.monotonic)), Router(NotifySettings())
    outboxes = [Outbox(people, journal)]
    delivery = Delivery(lambda: SensorInfo("box", "0"), outboxes, journal, lambda: now[0], router)
    titles = []
    whole = people.send

    async def noted(notice, earlier):
        titles.append(notice.title)
        return await whole(notice, earlier)

    people.send = noted
    async with running(delivery, drain=False):
        for second in range(100):
            for number in range(second * 166, second * 166 + 166) if second < 60 else ():
                delivery.tell(alert(number))
            now[0] += 10**9
            reminding = asyncio.ensure_future(delivery.remind())
            await asyncio.sleep(0)
            reminding.cancel()
            await journal.flushed()
        await until(lambda: not outboxes[0].waiting)
    assert len(titles) <= FEW + 3
    assert sum(counted(title) for title in titles) == 60 * 166
    assert router.suppressed["room"] > 0


def test_a_wrong_setting_leaves_what_waits_alone(tmp_path, capsys):
    """S14."""
    with closing(OutboxStore(tmp_path / "outbox.db", time.monotonic)) as store:
        store.open()
        letter = Letter("lab", "a.firing", "a", "warning", "watchlist", 5, time.monotonic())
        store.write(Batch((Fresh("{}", (letter,)),)))
    before = (tmp_path / "outbox.db").read_bytes()
    (tmp_path / "idlewire.toml").write_text(f'state_dir = "{tmp_path}"\n[notify]\nquiet = ["at night"]\n')
    assert cli.main(["run", "--config", str(tmp_path / "idlewire.toml")]) == 1
    assert "notify.quiet: 'at night' are no hours" in capsys.readouterr().err
    assert (tmp_path / "outbox.db").read_bytes() == before
