"""Alerts when the endpoint was away, and when the sensor has much else to do."""

import time

from daemon import HOOK_PORT, Hook, Sensor, until
from lab import CLIENT_MACS, Lab
from traffic import Internet, load, transfer

LIMIT = 2.0
"""Seconds from the first packet to the webhook (DESIGN.md section 6)."""

CONFIG = f"""
[[watch]]
name = "block"
cidrs = ["52.29.9.0/24"]
[[sink]]
name = "lab"
type = "webhook"
url = "http://127.0.0.1:{HOOK_PORT}/hook"
"""


def test_an_endpoint_that_was_down_gets_the_alert_once(sensor: Sensor, lab: Lab, internet: Internet) -> None:
    """First nobody listens, then the server answers 503, then it works; capture goes on meanwhile."""
    address = lab.new_address(block="52.29.9")
    hook = Hook(lab.box)
    sensor.start(CONFIG)
    try:
        transfer(lab.c1, address, up=5000)
        time.sleep(2)
        hook.status = 503
        hook.open()
        assert until(lambda: hook.refused, 20), "it did not try again"
        quiet = lab.new_address()
        transfer(lab.c2, quiet, up=5000)
        assert until(lambda: any(there == quiet for _, there in sensor.destinations(CLIENT_MACS["c2"])), 3)
        hook.status = 200
        assert until(lambda: hook.about(address), 30)
        time.sleep(3)
        assert len(hook.about(address)) == 1
    finally:
        hook.close()


def test_an_alert_under_load_is_in_time(sensor: Sensor, lab: Lab, internet: Internet, hook: Hook) -> None:
    busy, watched = lab.new_address(), lab.new_address(block="52.29.9")
    sensor.start(CONFIG)
    with load(lab.c2, busy):
        time.sleep(0.5)
        began = time.monotonic()
        transfer(lab.c1, watched, up=5000)
        until(lambda: hook.about(watched), 3 * LIMIT)
    assert hook.about(watched)
    assert hook.about(watched)[0][0] - began <= LIMIT


PEOPLE = f"""
[[sink]]
name = "family"
type = "slack"
url = "http://127.0.0.1:{HOOK_PORT}/slack"
[notify]
"""


def test_a_kill_in_quiet_hours_costs_nobody_the_digest(
    sensor: Sensor, lab: Lab, internet: Internet, hook: Hook
) -> None:
    """The program is told at once; people after the quiet hours, although the sensor was killed within them."""
    address = lab.new_address(block="52.29.9")
    sensor.start(CONFIG + PEOPLE + 'quiet = ["00:00-00:00"]')
    transfer(lab.c1, address, up=5000)
    assert until(lambda: hook.received, 10)
    time.sleep(2.5)
    sensor.kill()
    assert [body["destination"]["address"] for _, body in hook.received] == [address]
    hook.received.clear()
    sensor.start(CONFIG + PEOPLE)
    [(_, digest)] = until(lambda: hook.received, 10)
    assert "held back until now: 1 alert of 1 client" in str(digest)
    transfer(lab.c1, address, up=5000)
    time.sleep(3)
    _, *later = hook.received
    assert [body["destination"]["address"] for _, body in later] == [address], "it goes on: only the program is told"
