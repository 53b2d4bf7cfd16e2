"""Outcomes, ages and dead letters as series."""

from sensor.deliver.outbox import Outbox
from sensor.deliver.sink_metrics import about_sinks
from sensor.errors import DeliveryError
from tests.deliver.letters import Clock, Scripted, built, down, notice, running, until


async def test_series_of_a_sink(tmp_path):
    clock = Clock()
    lab = Scripted(None, down(3600))
    lab.broken_keys = {"bad": DeliveryError("no", retry=False)}
    async with running(built(tmp_path / "x.db", lab, clock=clock, kind=Outbox)) as delivery:
        delivery.put(notice("good"))
        await until(lambda: lab.got)
        delivery.put(notice("slow"))
        await until(lambda: len(lab.calls) == 2)
        clock.now += 50
        await delivery.journal.flushed()
        samples = {
            (sample.name.removeprefix("idlewire_"), *sample.labels.values()): sample.value
            for family in about_sinks(delivery.outboxes, delivery.journal)
            for sample in family.samples
        }
    assert samples["notifications_total", "lab", "delivered"] == 1
    assert samples["notifications_total", "lab", "expired"] == 0
    assert samples["outbox_messages", "lab"] == 1
    assert samples["outbox_oldest_age_seconds", "lab"] == 50
    assert samples["outbox_dead_messages", "lab"] == 0
    assert samples["sink_gone", "lab"] == 0
    assert samples["outbox_unstored_messages",] == samples["outbox_write_failures_total",] == 0
