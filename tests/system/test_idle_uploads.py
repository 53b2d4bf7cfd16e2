"""A phone pushes its state over HTTP and uploads over TLS: the alert reaches a web server, and only when it should."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from daemon import HOOK_PORT, Hook, Sensor, running, until
from lab import CLIENT_MACS, Lab, Namespace
from test_foreground import PORT, push
from traffic import Internet, connect, send_zeros, tls_connect

LAN = "192.168.50.1"
FOR = 5.0
"""Seconds of upload after which the rule fires here."""

LIMIT = 5.0
"""Seconds from then to the webhook."""

TOKENS = {"c1": "the-token-of-the-phone", "c2": "the-token-of-the-tablet"}
PHONES = "".join(
    f'[[foreground.push.phone]]\nclient = "{CLIENT_MACS[name]}"\ntoken = "{token}"\n' for name, token in TOKENS.items()
)
CONFIG = f"""
[foreground]
grace = "0s"
[foreground.push]
listen = "{LAN}:{PORT}"
{PHONES}
[detect.background_upload]
for = "5s"
min_bytes = "50KB"
resolve_after = "3s"
[[sink]]
name = "lab"
type = "webhook"
url = "http://127.0.0.1:{HOOK_PORT}/hook"
"""


@pytest.fixture(scope="module")
def receiver(lab: Lab) -> Iterator[Hook]:
    server = Hook(lab.box)
    server.open()
    yield server
    server.close()


@pytest.fixture(scope="module")
def alerting(lab: Lab, internet: Internet, receiver: Hook, folder: Path) -> Iterator[Sensor]:
    with running(lab.box, folder, CONFIG) as sensor:
        for client in (lab.c1, lab.c2):
            with connect(client, lab.new_address()):
                pass
        yield sensor


def upload(client: Namespace, address: str, seconds: float) -> float:
    """20 KB/s over TLS in small pieces; when it began."""
    with tls_connect(client, address, "photos.example") as opened:
        began = time.monotonic()
        opened.sendall(b"UP %d\n" % 10_000_000)
        while time.monotonic() - began < seconds:
            send_zeros(opened, 4_000)
            time.sleep(0.2)
        return began


def uploading(client: Namespace, address: str, seconds: float) -> Thread:
    def work() -> None:
        with contextlib.suppress(OSError):
            upload(client, address, seconds)

    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_an_upload_while_the_screen_is_off(alerting: Sensor, lab: Lab, receiver: Hook, six: bool) -> None:
    address = lab.new_address(six=six)
    assert push(lab, lab.c1, {"event": "screen_off"}, token=TOKENS["c1"]) == 200
    began = time.monotonic()
    thread = uploading(lab.c1, address, FOR + 4)
    until(lambda: receiver.about(address), FOR + 2 * LIMIT)
    [(arrived, alert)] = receiver.about(address)
    assert FOR <= arrived - began <= FOR + LIMIT
    assert alert["detector"] == "background_upload"
    assert alert["client"]["mac"] == CLIENT_MACS["c1"]
    assert alert["destination"]["name"] == "photos.example"
    assert "while its screen was off" in alert["summary"]
    assert alert["evidence"]["foreground"]["state"] == "background"
    assert alert["evidence"]["foreground"]["source"] == "push"
    thread.join(20)
    over = until(lambda: [one for _, one in receiver.received if one["id"] == alert["id"]][1:], 10)
    assert [one["state"] for one in over] == ["resolved"]
    assert over[0]["evidence"]["sent_bytes"] > alert["evidence"]["sent_bytes"]


def test_it_stays_silent_while_the_phone_is_used_or_nobody_tells(alerting: Sensor, lab: Lab, receiver: Hook) -> None:
    used, unknown = lab.new_address(), lab.new_address()
    assert push(lab, lab.c1, {"event": "app_opened", "app": "com.foo"}, token=TOKENS["c1"]) == 200
    threads = [uploading(lab.c1, used, FOR + 2), uploading(lab.c2, unknown, FOR + 2)]
    for thread in threads:
        thread.join(20)
    time.sleep(2)
    assert not receiver.about(used)
    assert not receiver.about(unknown)
    sent = alerting.metrics()
    assert sent[f'idlewire_client_state_sent_bytes_total{{client="{CLIENT_MACS["c2"]}",state="unknown"}}'] > 50_000
    assert sent[f'idlewire_client_state_sent_bytes_total{{client="{CLIENT_MACS["c1"]}",state="foreground"}}'] > 50_000
