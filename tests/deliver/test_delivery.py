"""Alerts into the log and every outbox, over real HTTP; a dead sink is nobody else's problem."""

import asyncio
import time

import pytest

from sensor.deliver import schedule
from sensor.deliver.chat.webhook import Settings, Webhook
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.outbox import Outbox
from sensor.store.outbox import OutboxStore
from tests.deliver.letters import Scripted, running, until


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
