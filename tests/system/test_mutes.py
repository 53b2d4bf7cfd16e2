"""A message with links, a link that is followed, a kill, and the command: what was said about alerts holds."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from daemon import HOOK_PORT, ROOT, Hook, Sensor, until
from lab import CLIENT_MACS, Lab
from traffic import Internet, transfer

TOKEN = "a-token-of-the-owner"

CONFIG = f"""
[web]
token = "{TOKEN}"
public_url = "http://router.lan:8470"
[[watch]]
name = "block"
cidrs = ["52.29.9.0/24"]
[detect.watchlist]
resolve_after = "4s"
[notify]
group_wait = "1s"
cooldown = "1s"
[[sink]]
name = "family"
type = "slack"
url = "http://127.0.0.1:{HOOK_PORT}/services/x"
"""


def links(message: dict[str, Any]) -> dict[str, str]:
    """Label -> path."""
    blocks = message["attachments"][0]["blocks"]
    shown = [block["elements"][0]["text"] for block in blocks if block["type"] == "context"]
    parts = [part.strip("<>").split("|") for line in shown for part in line.split(" | ")]
    return {label: url.removeprefix("http://router.lan:8470") for url, label in parts}


class Chat(Hook):
    """What people got: it is no alert, but a message."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [body for _, body in self.received]


def idlewire(sensor: Sensor, *arguments: str) -> str:
    words = [sys.executable, "-m", "sensor", *arguments, "--config", str(sensor.config)]
    done = subprocess.run(sensor.namespace.command(*words), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_from_the_message_to_silence_and_back(sensor: Sensor, lab: Lab, internet: Internet, folder: Path) -> None:
    chat = Chat(lab.box)
    chat.open()
    host = {"Host": "router.lan:8470", "Origin": "http://router.lan:8470"}
    try:
        sensor.start(CONFIG)
        transfer(lab.c1, lab.new_address(block="52.29.9"), up=5000)
        assert until(lambda: chat.messages, 10), sensor.log
        path = links(chat.messages[0])["Mute for a week"]
        assert set(links(chat.messages[0])) == {"Acknowledge", "Mute for a week", "Allow for ever"}
        for _ in range(3):
            status, _, page = sensor.request(path, headers={"Host": "router.lan:8470"})
            assert (status, b"Mute for 7 days?" in page) == (200, True)
        assert sensor.get("/api/v1/mutes") == {"mutes": []}
        assert sensor.request(path, method="POST", headers={**host, "Origin": "http://evil.example"})[0] == 403
        assert sensor.request(path, method="POST", headers=host)[0] == 200
        [row] = sensor.get("/api/v1/mutes")["mutes"]
        assert (row["action"], row["who"], row["client"]) == ("mute", "link", CLIENT_MACS["c1"])
        assert until(lambda: [each["attachments"][0]["color"] for each in chat.messages][1:] == ["#16a34a"], 15), (
            "its end"
        )

        sensor.kill()
        sensor.start(CONFIG)
        assert [each["id"] for each in sensor.get("/api/v1/mutes")["mutes"]] == [row["id"]]
        transfer(lab.c1, lab.new_address(block="52.29.9"), up=5000)
        assert until(lambda: sensor.metrics().get('idlewire_notifications_suppressed_total{reason="muted"}'), 10)
        [alert] = [each for each in sensor.get("/api/v1/alerts")["alerts"] if each["state"] == "firing"]
        assert (alert["muted"], alert["reason"]["measured"]["ports"]) == ("muted", ["tcp/80"])
        transfer(lab.c2, lab.new_address(block="52.29.9"), up=5000)
        assert until(lambda: len(chat.messages) >= 3, 10), "another client is not muted"
        assert all(CLIENT_MACS["c1"] not in str(each) for each in chat.messages[2:])

        assert idlewire(sensor, "mutes").startswith(f"{row['id']}  mute ")
        assert idlewire(sensor, "unmute", row["id"], "--note", "seen").startswith("taken back: ")
        assert idlewire(sensor, "maintenance", "--for", "1h").startswith("maintenance: nothing is told, until ")
        before = len(chat.messages)
        transfer(lab.c1, lab.new_address(block="52.29.9"), up=5000)
        assert until(lambda: sensor.metrics().get('idlewire_notifications_suppressed_total{reason="maintenance"}'), 10)
        assert len(chat.messages) == before
        assert idlewire(sensor, "maintenance", "--over").startswith("maintenance is over")
        assert "Traceback" not in sensor.log
        assert path.removeprefix("/act/") not in sensor.log
    finally:
        chat.close()
