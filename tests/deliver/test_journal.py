"""Batches of one thread, and what happens while the disk refuses: a real store that can be made to refuse."""

import asyncio
import sqlite3
import sys
import threading

import pytest

from sensor.deliver import journal as module
from sensor.deliver import unstored
from sensor.deliver.outbox import Outbox
from sensor.errors import DataError, StoreError
from sensor.store.outbox import OutboxStore
from tests.deliver.letters import Clock, Scripted, Timed, built, down, notice, running, until


class Moody(OutboxStore):
    """Refuses while it is told to."""

    refusing = False
    writes = 0

    def write(self, batch):
        self.writes += 1
        if self.refusing:
            raise StoreError("disk full")
        return super().write(batch)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


def with_moods(path, *sinks, kind=Timed):
    delivery = built(path, *sinks, kind=kind)
    delivery.journal._store = Moody(path, delivery.journal._clock)
    return delivery, delivery.journal._store


async def test_what_comes_together_is_one_transaction(path):
    delivery, store = with_moods(path, Scripted(), kind=Outbox)
    delivery.outboxes[0].sink.always = down(3600)
    async with running(delivery):
        before = store.writes
        for number in range(100):
            delivery.put(notice(f"n{number}"))
        await delivery.journal.flushed()
        assert store.writes == before + 1


async def test_tries_that_failed_are_not_written_one_by_one(path):
    sink = Scripted(*[down()] * 30)
    delivery, store = with_moods(path, sink)
    async with running(delivery):
        delivery.put(notice())
        await until(lambda: sink.got)
        assert store.writes <= 6, "begin, the message, its delivery, and every ten minutes"


async def test_a_disk_that_refuses_stops_nothing_and_is_written_to_again_when_it_takes(path, monkeypatch, caplog):
    """S3, S4: said once, to the log and to the sinks; nothing is lost once there is space."""
    caplog.set_level("INFO", "sensor")
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    sink = Scripted()
    delivery, store = with_moods(path, sink, kind=Outbox)
    ticking = delivery.journal._clock
    async with running(delivery):
        store.refusing = True
        for number in range(20):
            delivery.put(notice(f"n{number}"))
            ticking.now += 0.1
            await until(lambda number=number: f"n{number}.firing" in sink.got)
        assert [each for each in sink.got if each.startswith("outbox.disk")] == [sink.got[1]]
        assert delivery.journal.unstored == 21
        sink.always = down(3600)
        delivery.put(notice("late"))
        await until(lambda: "late.firing" in sink.calls)
        store.refusing = False
        ticking.now += 1
        await until(lambda: delivery.journal.unstored <= 1)
        await delivery.journal.flushed()
    assert len([record for record in caplog.records if "kept in memory" in record.message]) == 1
    assert "written to the disk again" in caplog.text
    again = Scripted()
    async with running(built(path, again)):
        await until(lambda: len(again.got) == 2)
    assert again.got[0] == "late.firing"
    assert again.got[1].startswith("outbox.disk.")


async def test_a_restart_while_the_disk_refuses_says_what_is_lost(path, caplog):
    delivery, store = with_moods(path, Scripted(), kind=Outbox)
    delivery.outboxes[0].sink.always = down(3600)
    async with running(delivery):
        delivery.put(notice("a"))
        await until(lambda: delivery.outboxes[0].sink.calls)
        store.refusing = True
        delivery.put(notice("b"))
        await delivery.journal.flushed()
    assert "sink lab: 2 messages lost, neither delivered nor stored" in caplog.messages, "b, and that the disk is full"


async def test_memory_is_bounded_while_the_disk_refuses(path, monkeypatch):
    monkeypatch.setattr(unstored, "MAX_UNSTORED", 50)
    delivery, store = with_moods(path, Scripted(), kind=Outbox)
    [outbox] = delivery.outboxes
    outbox.sink.always = down(3600)
    async with running(delivery):
        store.refusing = True
        for number in range(8):
            delivery.put(notice(f"c{number}", severity="critical"))
        for number in range(200):
            delivery.put(notice(f"n{number}", severity="info"))
        await delivery.journal.flushed()
        kept = [letter.key for letter in outbox.letters()]
        assert 48 <= delivery.journal.unstored == outbox.waiting == len(kept) <= 50
        assert outbox.outcomes.dropped == 209 - len(kept)
        assert {f"c{number}" for number in range(8)} <= set(kept)
        assert kept[-2] == "n199", "the oldest went"
        assert len(delivery.journal._queue.bodies) == len(kept)
        assert delivery.journal._queue._left_out == set()
        assert len(delivery.journal._queue._letters) == len(kept)


async def test_a_commit_of_which_nothing_is_known_sends_nothing_twice(path, monkeypatch):
    """S5: the disk says no after it took it; the message is sent from memory, and is one in the store, too."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)

    class Lying(OutboxStore):
        lies = 0

        def write(self, batch):
            written = super().write(batch)
            if batch.fresh and self.lies:
                self.lies -= 1
                self._connection.close()
                self._connection = None
                raise StoreError("I/O error")
            return written

    sink = Scripted()
    delivery = built(path, sink)
    store = delivery.journal._store = Lying(path, delivery.journal._clock)
    async with running(delivery):
        store.lies = 2
        delivery.put(notice("a"))
        delivery.put(notice("b"))
        await until(lambda: len(sink.got) >= 4)
        await delivery.journal.flushed()
    assert sorted(each for each in sink.got if not each.startswith("outbox")) == ["a.firing", "b.firing"]
    again = Scripted()
    async with running(built(path, again)):
        await asyncio.sleep(0.05)
    assert again.got == []


async def test_a_letter_dropped_while_it_is_being_written_is_not_sent_after_a_restart(path):
    gate, begun = threading.Event(), threading.Event()

    class Slow(OutboxStore):
        def write(self, batch):
            if batch.fresh:
                begun.set()
                gate.wait(5)
            return super().write(batch)

    sink = Scripted()
    delivery = built(path, sink)
    delivery.journal._store = Slow(path, delivery.journal._clock)
    async with running(delivery):
        delivery.put(notice("a"))
        await until(begun.is_set)
        delivery.outboxes[0].make_room()
        gate.set()
        await delivery.journal.flushed()
    again = Scripted()
    async with running(built(path, again)):
        await asyncio.sleep(0.05)
    assert sink.got == again.got == []


async def test_a_newer_store_ends_the_start(path):
    async with running(built(path, Scripted())):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=9")
    connection.close()
    delivery = built(path, Scripted())
    with pytest.raises(DataError, match="newer version"):
        await delivery.begin()
    await delivery.journal.close()


async def test_a_damaged_store_is_told_and_replaced(path):
    path.write_text("no database" * 500)
    sink = Scripted()
    async with running(built(path, sink)) as delivery:
        delivery.put(notice("a"))
        await until(lambda: len(sink.got) == 2)
    assert sink.got[0].startswith("outbox.damage.")


WRITERS: list[tuple[str, int]] = []


def note(event, arguments):
    if event == "sqlite3.connect":
        WRITERS.append((str(arguments[0]), threading.get_ident()))


async def test_one_connection_of_one_thread(path):
    """S12: by the interpreter's own audit of every connection that is opened."""
    if not getattr(sys, "_audited_for_outbox", False):
        sys.addaudithook(note)
        sys._audited_for_outbox = True
    WRITERS.clear()
    sink = Scripted()
    async with running(built(path, sink)) as delivery:
        for number in range(10):
            delivery.put(notice(f"n{number}"))
        await until(lambda: len(sink.got) == 10)
        await delivery.dead_letters()
        await delivery.replay(None, "lab")
    assert [name for name, _ in WRITERS] == [str(path)]
    assert WRITERS[0][1] != threading.get_ident()


async def test_closed_before_it_was_opened():
    delivery = built(None, Scripted(), clock=Clock())
    await delivery.journal.flushed()
    await delivery.stop()


async def test_no_second_attempt_before_the_first_ones_end_is_stored(path):
    """So that a kill at any time repeats one message per sink at most."""
    gate, begun = threading.Event(), threading.Event()

    class Slow(OutboxStore):
        def write(self, batch):
            if any(letter.fate == "delivered" for letter in batch.marks) and not begun.is_set():
                begun.set()
                gate.wait(5)
            return super().write(batch)

    sink = Scripted()
    delivery = built(path, sink)
    delivery.journal._store = Slow(path, delivery.journal._clock)
    async with running(delivery):
        delivery.put(notice("a"))
        delivery.put(notice("b"))
        await until(begun.is_set)
        await asyncio.sleep(0.05)
        assert sink.calls == ["a.firing"]
        gate.set()
        await until(lambda: len(sink.got) == 2)
