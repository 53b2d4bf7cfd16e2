"""Alerts into the log and every outbox, over real HTTP; a dead sink is nobody else's problem."""

import asyncio
import sqlite3
import time

import pytest

from sensor.base.times import SECOND
from sensor.deliver import journal as journal_module
from sensor.deliver import schedule
from sensor.deliver.chat.webhook import Settings, Webhook
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.outbox import Outbox
from sensor.deliver.routing import NotifySettings, Router
from sensor.errors import StoreError
from sensor.store.outbox import OutboxStore
from tests.deliver.letters import WALL, Scripted, down, running, until


@pytest.fixture
def deliver(tmp_path, examples):
    def make(*sinks):
        journal = Journal(OutboxStore(tmp_path / "outbox.db", time.monotonic))
        return Delivery(lambda: examples.info, [Outbox(sink, journal) for sink in sinks], journal)

    return make


def hook(name, url):
    return Webhook(name, Settings(url), "0.1.0")


async def test_one_dead_one_alive(deliver, examples, receiver, caplog):
    caplog.set_level("INFO", "sensor")
    delivery = deliver(hook("dead", "http://127.0.0.1:1/"), hook("lab", receiver.url))
    delivery.prepare()
    async with running(delivery):
        delivery.tell(examples.alert())
        [request] = await receiver.got(1)
        await until(lambda: delivery.outboxes[0].last_error)
    assert request.json["id"] == "a1"
    assert request.json["sensor"]["name"] == "box"
    dead, lab = delivery.outboxes
    assert (dead.waiting, lab.outcomes.delivered) == (1, 1)
    assert "watchlist firing" in caplog.text
    kept = [line for line in caplog.messages if "not delivered yet" in line]
    assert kept == ["sink dead: 1 message not delivered yet, kept for the next start"]


async def test_cut_off_at_the_deadline_it_is_sent_by_the_next_start(deliver, examples, receiver):
    answered = asyncio.Event()

    async def silent(writer):
        await answered.wait()

    receiver.answers = [silent]
    delivery = deliver(hook("lab", receiver.url))
    async with running(delivery, drain=False):
        for number in range(3):
            delivery.tell(examples.alert(f"a{number}"))
        await receiver.got(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await delivery.drain()
    receiver.requests.clear()
    receiver.answers = [examples.reply(200)]
    async with running(deliver(hook("lab", receiver.url))):
        requests = await receiver.got(3)
    assert [request.json["id"] for request in requests] == ["a0", "a1", "a2"]
    answered.set()
    await asyncio.sleep(0.01)


async def test_never_begun_is_said(deliver, examples, caplog):
    delivery = deliver(hook("lab", "http://127.0.0.1:1/"))
    await delivery.start()
    delivery.tell(examples.alert())
    await delivery.drain()
    await delivery.stop()
    assert caplog.messages[-1] == "sink lab: 1 message lost, neither delivered nor stored"


async def test_down_for_a_while_then_up_arrives_once(deliver, examples, receiver, monkeypatch):
    monkeypatch.setattr(schedule, "FIRST_RETRY", 0.02)
    monkeypatch.setattr(schedule, "LAST_PROBE", 0.05)
    delivery = deliver(hook("lab", receiver.url))
    await receiver.stop()
    async with running(delivery):
        delivery.tell(examples.alert())
        delivery.tell(examples.alert(state="resolved"))
        await until(lambda: delivery.outboxes[0].outcomes.retried > 2)
        await receiver.start()
        await receiver.got(2)
    assert [request.json["state"] for request in receiver.requests] == ["firing", "resolved"]


async def test_what_comes_last_is_still_sent(deliver, examples, receiver):
    delivery = deliver(hook("lab", receiver.url))
    async with running(delivery):
        delivery.tell(examples.alert())
    assert len(receiver.requests) == 1


async def test_without_sinks_it_runs_until_drained(deliver, examples):
    delivery = deliver()
    async with running(delivery):
        delivery.tell(examples.alert())


async def test_replay_of_what_is_not_there(deliver):
    async with running(deliver(Scripted())) as delivery:
        assert await delivery.replay(17, None) == 0
        with pytest.raises(LookupError):
            await delivery.replay(None, "nope")


HOUR = 3_600 * SECOND


class House:
    """One life after the other on one file, with time and quiet hours that a test moves."""

    def __init__(self, path, examples):
        self.path, self.examples = path, examples
        self.now, self.quiet = WALL, False

    def started(self, *sinks, store=None):
        journal = Journal(store or OutboxStore(self.path, time.monotonic))
        router = Router(NotifySettings(), quiet=lambda _: self.quiet)
        outboxes = [Outbox(sink, journal) for sink in sinks]
        return Delivery(lambda: self.examples.info, outboxes, journal, lambda: self.now, router)

    async def look(self, delivery):
        """One look at what time has made due."""
        task = asyncio.ensure_future(delivery.remind())
        await asyncio.sleep(0)
        task.cancel()
        await delivery.journal.flushed()


@pytest.fixture
def house(tmp_path, examples):
    return House(tmp_path / "outbox.db", examples)


async def test_what_quiet_hours_hold_back_outlives_the_process(house, examples):
    house.quiet = True
    people, program = Scripted(), Scripted(name="program", groups=False)
    async with running(house.started(people, program), drain=False) as delivery:
        delivery.tell(examples.alert())
        await until(lambda: program.got)
    assert people.got == []
    house.quiet = False
    again, too = Scripted(), Scripted(name="program", groups=False)
    async with running(house.started(again, too)) as delivery:
        await house.look(delivery)
    assert ([each.partition(".")[0] for each in again.got], too.got) == (["digest"], [])


class Forgetful(Scripted):
    """What it is told has to be said again."""

    renew_seconds = 0.02

    def __init__(self, *script):
        super().__init__(*script, name="forgetful", groups=False)
        self.renewed = []

    async def renew(self, firing):
        if self.always is not None:
            raise self.always
        self.renewed.append([notice.key for notice in firing])


async def test_what_goes_on_is_said_again_to_a_program_that_forgets(house, examples):
    forgetful, plain = Forgetful(), Scripted(name="plain", groups=False)
    async with running(house.started(forgetful, plain)) as delivery:
        delivery.tell(examples.alert())
        await until(lambda: forgetful.renewed[1:] == [["a1"]] * 3)
        forgetful.always = down(3_600)
        await until(lambda: delivery.outboxes[0].last_error is not None)
        forgetful.always = None
        count = len(forgetful.renewed)
        await until(lambda: len(forgetful.renewed) > count and delivery.outboxes[0].last_error is None)
        delivery.tell(examples.alert(state="resolved"))
        await until(lambda: forgetful.got[-1] == "a1.resolved")
        count = len(forgetful.renewed)
        await asyncio.sleep(0.1)
        assert len(forgetful.renewed) == count, "there is nothing left to say"
    assert (forgetful.got, plain.got) == (["a1.firing", "a1.resolved"],) * 2
    assert delivery.outboxes[0].outcomes.renewed == count


async def test_what_a_sink_does_not_want_is_not_renewed_either(house, examples):
    forgetful = Forgetful()
    async with running(house.started(forgetful)) as delivery:
        [outbox] = delivery.outboxes
        outbox._floor = 2
        delivery.tell(examples.alert())
        await asyncio.sleep(0.1)
    assert (forgetful.got, forgetful.renewed) == ([], [])


async def test_a_damaged_file_is_told_again_what_was_remembered(house, examples):
    house.quiet = True
    store = OutboxStore(house.path, time.monotonic)
    async with running(house.started(Scripted(), store=store), drain=False) as delivery:
        delivery.tell(examples.alert())
        await delivery.journal.flushed()
        error = sqlite3.DatabaseError("malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        await delivery.journal._call(lambda: store._failure(error))
        delivery.tell(examples.alert("a2", fingerprint="f2"))
        await until(lambda: store.is_open and not delivery.journal.unstored)
        await delivery.journal.flushed()
        rows = await delivery.journal._call(store.told)
        assert {row.fingerprint for row in rows} == {"f1", "f2"}


async def test_what_the_disk_refused_is_remembered_once_it_takes(house, examples, monkeypatch):
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.05)
    house.quiet = True

    class Moody(OutboxStore):
        refusing = True

        def write(self, batch):
            if self.refusing:
                raise StoreError("full")
            return super().write(batch)

    store = Moody(house.path, time.monotonic)
    async with running(house.started(Scripted(), store=store), drain=False) as delivery:
        for number in range(10):
            delivery.tell(examples.alert(f"a{number}", fingerprint=f"f{number}"))
            await asyncio.sleep(0.01)
        delivery.tell(examples.alert("a3", fingerprint="f3", state="resolved"))
        store.refusing = False
        await until(lambda: not delivery.journal._broken)
        await delivery.journal.flushed()
    house.quiet, sink = False, Scripted()
    async with running(house.started(sink)) as delivery:
        assert len(delivery.router.memory.waiting("digest")) == 10
        await house.look(delivery)
    assert len([each for each in sink.got if each.startswith("digest")]) == 1


async def test_without_sinks_nothing_is_remembered_on_the_disk(house, examples):
    async with running(house.started()) as delivery:
        delivery.tell(examples.alert())
        await delivery.journal.flushed()
        assert await delivery.journal._call(delivery.journal._store.told) == []


async def test_the_first_sink_of_a_reload_finds_all_remembered(house, examples):
    async with running(house.started(), drain=False) as delivery:
        delivery.tell(examples.alert())
        delivery.retune([Outbox(Scripted(), delivery.journal)])
        delivery.tell(examples.alert("a2", fingerprint="f2"))
        await delivery.journal.flushed()
        rows = await delivery.journal._call(delivery.journal._store.told)
    assert {row.fingerprint: row.alert is not None for row in rows} == {"f1": True, "f2": True}


async def test_a_sink_that_breaks_when_it_is_closed_is_its_own_problem(house, examples, caplog):
    class Stuck(Scripted):
        async def close(self):
            raise RuntimeError("https://secret.example/token")

    lab = Scripted()
    async with running(house.started(Stuck(name="stuck"), lab)) as delivery:
        await until(lambda: delivery._senders)
        delivery.retune(delivery.outboxes[1:])
        await until(lambda: "did not close: RuntimeError" in caplog.text)
        delivery.tell(examples.alert())
        await until(lambda: lab.got)
    assert "secret.example" not in caplog.text
