"""A process that tells people and programs of alerts until it is killed.

`python -m tests.hostile.told STORE FIRST AT_ONCE LAST PEOPLE PROGRAM`: alerts FIRST to LAST, so many at once, to a
Slack and to a webhook; where it is CLIENTS at once, those are over before the next fire, and only people are told. It
is quiet while there is a file STORE.quiet. Each line on stdout: how many alerts are stored, and the process' memory in
KB. It ends by itself when nothing waits any more.
"""

import asyncio
import logging
import sys
import time
from pathlib import Path

from sensor.base.units import Count, Duration
from sensor.deliver import delivery as delivery_module
from sensor.deliver.chat import slack, webhook
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.memory import BUCKETS
from sensor.deliver.outbox import Outbox
from sensor.deliver.routing import NotifySettings, Router
from sensor.deliver.snapshots import SensorInfo
from sensor.model.alert import Alert, AlertClient, State
from sensor.store.outbox import OutboxStore
from tests.hostile.deliverer import hurry

CLIENTS = 500
WAIT = Duration("500ms")


def alert(number: int, state: State = "firing") -> Alert:
    client = number % CLIENTS
    mac = f"02:00:00:00:{client // 256:02x}:{client % 256:02x}"
    now = time.time_ns()
    who = AlertClient(mac, mac, None, None, ("192.168.2.100",))
    over = None if state == "firing" else now
    return Alert(
        f"a{number}", f"{number:016x}", "watchlist", "warning", state, now, now, over, who, None,
        f"client {client} sent 1.2 KB to Xiaomi in CN", "china", {"countries": ("CN",)}, {"country": "CN"},
    )  # fmt: skip


def resident() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


async def tell(store: Path, first: int, at_once: int, last: int, people: str, program: str) -> None:
    journal = Journal(OutboxStore(store, time.monotonic))
    sinks = (
        slack.Slack("people", slack.Settings(people), "0"),
        webhook.Webhook("program", webhook.Settings(program), "0"),
    )
    storms = at_once == CLIENTS
    outboxes = [Outbox(sinks[0], journal), Outbox(sinks[1], journal, "critical" if storms else "info")]
    router = Router(
        NotifySettings(group_wait=WAIT, max_per_hour=Count(1_000)), quiet=lambda _: store.with_suffix(".quiet").exists()
    )
    delivery = Delivery(lambda: SensorInfo("box", "0"), outboxes, journal, router=router)
    delivery.prepare()
    await delivery.start()
    await delivery.begin()
    print(first, resident(), flush=True)
    async with asyncio.TaskGroup() as group:
        running, reminding = group.create_task(delivery.run()), group.create_task(delivery.remind())
        for start in range(first, last, at_once):
            for number in range(start, min(start + at_once, last)):
                delivery.tell(alert(number))
            await journal.flushed()
            print(min(start + at_once, last), resident(), flush=True)
            await asyncio.sleep(2 * WAIT.seconds if storms else 0.01)
            for number in range(start, start + at_once) if storms else ():
                delivery.tell(alert(number, "resolved"))
            await asyncio.sleep(2 * WAIT.seconds if storms else 0.0)
        while any(outbox.waiting for outbox in outboxes) or any(router.memory.waiting(bucket) for bucket in BUCKETS):
            await asyncio.sleep(0.01)
        await delivery.drain()
        await running
        reminding.cancel()
    await delivery.stop()


if __name__ == "__main__":
    hurry()
    logging.disable()
    slack.Slack.pause, delivery_module.TICK = 0.0, 0.05
    asyncio.run(tell(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6]))
