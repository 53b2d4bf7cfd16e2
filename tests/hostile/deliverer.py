"""A process that stores and sends messages until it is killed: `python -m tests.hostile.deliverer STORE FIRST URL...`.

Message n is the nth of `STATES`; each is announced on stdout once it is stored. It ends by itself when all are told and
none waits.
"""

import asyncio
import sys
import time
from pathlib import Path

from sensor.deliver import schedule
from sensor.deliver.chat import webhook
from sensor.deliver.delivery import Delivery
from sensor.deliver.journal import Journal
from sensor.deliver.notice import single
from sensor.deliver.outbox import Outbox
from sensor.deliver.snapshots import SensorInfo
from sensor.store.outbox import OutboxStore

ALERTS = 1_000
STATES = [(f"a{number}", state) for first in range(0, ALERTS, 10) for state in ("firing", "resolved")
          for number in range(first, first + 10) if state == "firing" or number % 4 == 0]  # fmt: skip
"""Each alert begins, and every fourth ends soon after."""
AT_ONCE = 10


def hurry() -> None:
    """Pauses as short as a test wants them."""
    schedule.FIRST_RETRY, schedule.LAST_RETRY, schedule.LAST_PROBE = 0.02, 0.3, 0.1
    schedule.MIN_RETRY_AFTER, schedule.MAX_RETRY_AFTER = 0.05, 0.1
    webhook.TOTAL_SECONDS, webhook.Webhook.pause = 0.3, 0.0


def notice(number):
    identity, state = STATES[number]
    shape = {"id": identity, "state": state, "severity": "warning", "detector": "watchlist", "summary": "x" * 200}
    return single(shape, time.time_ns())


async def deliver(path: Path, first: int, urls: list[str]) -> None:
    journal = Journal(OutboxStore(path, time.monotonic))
    outboxes = [Outbox(webhook.Webhook(f"s{at}", webhook.Settings(url), "0"), journal) for at, url in enumerate(urls)]
    delivery = Delivery(lambda: SensorInfo("box", "0"), outboxes, journal)
    await delivery.start()
    await delivery.begin()
    async with asyncio.TaskGroup() as group:
        group.create_task(delivery.run())
        for start in range(first, len(STATES), AT_ONCE):
            for number in range(start, min(start + AT_ONCE, len(STATES))):
                delivery.put(notice(number))
            await journal.flushed()
            print(min(start + AT_ONCE, len(STATES)), flush=True)
            await asyncio.sleep(0.03)
        while any(outbox.waiting for outbox in outboxes):
            await asyncio.sleep(0.01)
        await delivery.drain()
    await delivery.stop()


if __name__ == "__main__":
    hurry()
    asyncio.run(deliver(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
