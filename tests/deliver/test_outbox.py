"""Order, retries, the cap and the end, with a scripted sink; time is virtual."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from sensor.deliver import outbox as module
from sensor.deliver.outbox import GIVE_UP_SECONDS, MAX_QUEUED, Outbox
from sensor.deliver.sink import Sink, SinkGone
from sensor.errors import DeliveryError


def alert(identity, severity="warning", state="firing"):
    return {"id": identity, "severity": severity, "state": state}


class Scripted(Sink):
    """Raises what the script says, one entry per call; then succeeds."""

    def __init__(self, *script):
        super().__init__("lab", "0")
        self.script = list(script)
        self.calls = []
        self.got = []

    async def send(self, alert):
        self.calls.append(alert["id"])
        failure = self.script.pop(0) if self.script else None
        if failure is not None:
            raise failure
        self.got.append((alert["id"], alert["state"]))


class Timed(Outbox):
    """Pauses take no real time; they move the clock."""

    def __init__(self, sink, *arguments, **named):
        self.now = 0.0
        self.pauses = []
        super().__init__(sink, *arguments, clock=lambda: self.now, jitter=lambda: 1.0, **named)

    async def _pause(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def running(outbox):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        yield task
        async with asyncio.timeout(5):
            await outbox.drain()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def down(retry_after=None):
    return DeliveryError("down", retry=True, retry_after=retry_after)


async def test_delivers_in_order_once():
    outbox = Timed(Scripted())
    async with running(outbox):
        for identity in "abc":
            outbox.put(alert(identity))
        outbox.put(alert("a", state="resolved"))
    assert outbox.sink.got == [("a", "firing"), ("b", "firing"), ("c", "firing"), ("a", "resolved")]
    assert outbox.outcomes.delivered == 4


async def test_below_the_floor_is_not_sent():
    outbox = Timed(Scripted(), "warning")
    async with running(outbox):
        outbox.put(alert("a", "info"))
        outbox.put(alert("b", "critical"))
    assert outbox.sink.calls == ["b"]


async def test_retries_back_off_and_keep_the_order():
    outbox = Timed(Scripted(*[down()] * 11))
    outbox.put(alert("a"))
    outbox.put(alert("a", state="resolved"))
    async with running(outbox):
        await until(lambda: outbox.outcomes.delivered == 2)
    assert outbox.pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert outbox.sink.got == [("a", "firing"), ("a", "resolved")]
    assert outbox.outcomes.retried == 11


async def test_the_one_tried_again_waits_too():
    outbox = Outbox(Scripted(down(3600)))
    outbox.put(alert("a"))
    outbox.put(alert("b"))
    assert outbox.waiting == 2
    async with running(outbox):
        await until(lambda: outbox.sink.calls)
        assert outbox.waiting == 2
    assert outbox.waiting == 0
    assert outbox.outcomes.delivered == 2


async def test_jitter_halves_at_most():
    outbox = Timed(Scripted(down()))
    outbox._jitter = lambda: 0.0
    outbox.put(alert("a"))
    async with running(outbox):
        await until(lambda: outbox.outcomes.delivered)
    assert outbox.pauses == [0.5]


@pytest.mark.parametrize(("wanted", "pause"), [(0, 1), (-5, 1), (1e9, 3600), (7, 7), (float("-inf"), 1)])
async def test_retry_after_is_honoured_within_reason(wanted, pause):
    outbox = Timed(Scripted(down(wanted)))
    outbox.put(alert("a"))
    async with running(outbox):
        await until(lambda: outbox.outcomes.delivered)
    assert outbox.pauses == [pause]


async def test_refused_is_not_tried_again_and_costs_nobody_else():
    outbox = Timed(Scripted(DeliveryError("no", retry=False)))
    outbox.put(alert("a"))
    outbox.put(alert("b"))
    async with running(outbox):
        await until(lambda: outbox.outcomes.delivered)
    assert outbox.sink.calls == ["a", "b"]
    assert outbox.outcomes.refused == 1


async def test_a_broken_sink_costs_its_alert_not_the_sensor(caplog):
    outbox = Timed(Scripted(KeyError("https://hooks/s3cret")))
    outbox.put(alert("a"))
    outbox.put(alert("b"))
    async with running(outbox):
        await until(lambda: outbox.outcomes.delivered)
    assert outbox.outcomes.refused == 1
    assert "KeyError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_hanging_sink_is_interrupted(monkeypatch):
    class Hanging(Scripted):
        async def send(self, alert):
            if not self.calls:
                self.calls.append(alert["id"])
                await asyncio.Event().wait()
            await super().send(alert)

    monkeypatch.setattr(module, "SEND_SECONDS", 0.02)
    outbox = Timed(Hanging())
    outbox.put(alert("a"))
    async with running(outbox):
        await until(lambda: outbox.outcomes.delivered)
    assert outbox.sink.got == [("a", "firing")]


async def test_seven_days_down(caplog):
    """What fails after a day is let go; what is younger when the sink returns arrives, in order."""
    caplog.set_level(logging.DEBUG, "sensor")
    sink = Scripted()
    outbox = Timed(sink)
    sink.script = [down()] * 10_000
    outbox.put(alert("old"))
    async with running(outbox):
        await until(lambda: outbox.outcomes.expired == 1)
        assert GIVE_UP_SECONDS <= outbox.now <= GIVE_UP_SECONDS + 300
        for number in range(5):
            outbox.put(alert(f"new{number}"))
        sink.script.clear()
        await until(lambda: outbox.outcomes.delivered == 5)
    assert [identity for identity, _ in sink.got] == [f"new{number}" for number in range(5)]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, "one line when it begins to fail, not one per attempt"
    assert "delivers again" in caplog.messages[-1]


async def test_full_drops_the_oldest_of_the_lowest_severity():
    outbox = Timed(Scripted())
    outbox.put(alert("i1", "info"))
    outbox.put(alert("w1", "warning"))
    outbox.put(alert("i2", "info"))
    for number in range(MAX_QUEUED - 3):
        outbox.put(alert(f"c{number}", "critical"))
    assert outbox.waiting == MAX_QUEUED
    dropped = []
    for number in range(4):
        before = {key[0] for key in outbox._queue}
        outbox.put(alert(f"x{number}", "critical"))
        dropped += before - {key[0] for key in outbox._queue}
    assert dropped == ["i1", "i2", "w1", "c0"]
    outbox.put(alert("late", "info"))
    assert ("late", "firing") not in outbox._queue
    assert outbox.waiting == MAX_QUEUED
    assert outbox.outcomes.dropped == 5


async def test_waiting_in_the_same_state_is_replaced_in_its_place():
    outbox = Timed(Scripted())
    for one in (alert("a"), alert("b"), alert("a", "critical")):
        outbox.put(one)
    assert [waiting.alert for waiting in outbox._queue.values()] == [alert("a", "critical"), alert("b")]


async def test_gone_for_good():
    outbox = Timed(Scripted(SinkGone("410")))
    outbox.put(alert("a"))
    outbox.put(alert("b"))
    await outbox.run()
    outbox.put(alert("c"))
    await outbox.drain()
    assert outbox.sink.calls == ["a"]
    assert outbox.outcomes.dropped == 3


async def test_drain_tries_once_more_and_does_not_wait_out_a_pause():
    outbox = Outbox(Scripted(down(3600), down(3600)))
    for identity in "abc":
        outbox.put(alert(identity))
    async with running(outbox):
        await until(lambda: outbox.sink.calls)
    assert outbox.sink.calls == ["a", "a"]
    assert outbox.outcomes.unsent == 3


async def test_drain_empties_the_queue_of_a_healthy_sink():
    outbox = Outbox(Scripted())
    async with running(outbox):
        for number in range(100):
            outbox.put(alert(str(number)))
    assert outbox.outcomes.delivered == 100


async def test_cancelled_while_sending_is_counted():
    class Stuck(Scripted):
        async def send(self, alert):
            self.calls.append(alert["id"])
            await asyncio.Event().wait()

    outbox = Outbox(Stuck())
    outbox.put(alert("a"))
    outbox.put(alert("b"))
    task = asyncio.ensure_future(outbox.run())
    await until(lambda: outbox.sink.calls)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outbox.outcomes.unsent == 2
    assert outbox.waiting == 0


async def test_drain_without_run_returns():
    outbox = Outbox(Scripted())
    outbox.put(alert("a"))
    await outbox.drain()
