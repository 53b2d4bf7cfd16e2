"""One alert into the log and every outbox, over real HTTP; a dead sink is nobody else's problem."""

import asyncio

import pytest

from sensor.deliver import outbox as outbox_module
from sensor.deliver.chat.webhook import Settings, Webhook
from sensor.deliver.delivery import Delivery
from sensor.deliver.outbox import Outbox


def hook(name, url):
    return Outbox(Webhook(name, Settings(url), "0.1.0"))


async def test_one_dead_one_alive(examples, receiver, caplog):
    delivery = Delivery(lambda: examples.info, [hook("dead", "http://127.0.0.1:1/"), hook("lab", receiver.url)])
    delivery.prepare()
    await delivery.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run())
        delivery.put(examples.alert())
        [request] = await receiver.got(1)
        async with asyncio.timeout(3):
            await delivery.drain()
    await delivery.stop()
    assert request.json["id"] == "a1"
    assert request.json["sensor"]["name"] == "box"
    dead, lab = delivery.outboxes
    assert (dead.outcomes.unsent, lab.outcomes.delivered) == (1, 1)
    assert "watchlist firing" in caplog.text
    assert [line for line in caplog.messages if "alert not delivered" in line] == ["sink dead: 1 alert not delivered"]


async def test_cut_off_at_the_deadline_is_logged_too(examples, receiver, caplog):
    async def silent(writer):
        await asyncio.Event().wait()

    receiver.answers = [silent]
    delivery = Delivery(lambda: examples.info, [hook("lab", receiver.url)])
    await delivery.start()
    running = asyncio.ensure_future(delivery.run())
    for number in range(3):
        delivery.put(examples.alert(f"a{number}"))
    await receiver.got(1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await delivery.drain()
    running.cancel()
    await asyncio.wait({running})
    await delivery.stop()
    assert caplog.messages[-1] == "sink lab: 3 alerts not delivered"


async def test_never_run_is_logged_too(examples, caplog):
    delivery = Delivery(lambda: examples.info, [hook("lab", "http://127.0.0.1:1/")])
    await delivery.start()
    delivery.put(examples.alert())
    await delivery.stop()
    assert caplog.messages[-1] == "sink lab: 1 alert not delivered"


async def test_down_for_a_while_then_up_arrives_once(examples, receiver, monkeypatch, caplog):
    monkeypatch.setattr(outbox_module, "FIRST_RETRY_SECONDS", 0.02)
    delivery = Delivery(lambda: examples.info, [hook("lab", receiver.url)])
    await receiver.stop()
    await delivery.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run())
        delivery.put(examples.alert())
        delivery.put(examples.alert(state="resolved"))
        await asyncio.sleep(0.1)
        assert delivery.outboxes[0].outcomes.retried > 0
        await receiver.start()
        await receiver.got(2)
        await delivery.drain()
    await delivery.stop()
    assert [request.json["state"] for request in receiver.requests] == ["firing", "resolved"]
    assert "1 alert not delivered" not in caplog.text
    assert "alerts not delivered" not in caplog.text


async def test_without_sinks_it_runs_until_drained(examples):
    delivery = Delivery(lambda: examples.info, [])
    task = asyncio.ensure_future(delivery.run())
    await asyncio.sleep(0.01)
    assert not task.done()
    await delivery.drain()
    await task
