"""A canary in every setting that holds a secret: it is found nowhere."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from daemon import Sensor, until
from lab import CLIENT_MACS, Lab
from traffic import Internet, transfer

from sensor import cli

CANARY = "kanarienvogel0123456789"
DOWN = "http://127.0.0.1:1"
NEVER = "127.0.0.1"

SINKS: dict[str, dict[str, Any]] = {
    "webhook": {"url": f"{DOWN}/{CANARY}", "secret": "whsec_" + "a2FuYXJpZW52b2dlbDAxMjM0NTY3ODkwMTIzNDU2Nzg="},
    "slack": {"url": f"{DOWN}/services/{CANARY}"},
    "mattermost": {"url": f"{DOWN}/hooks/{CANARY}"},
    "msteams": {"url": f"{DOWN}/flow/{CANARY}?sig={CANARY}"},
    "google_chat": {"url": f"{DOWN}/v1/spaces/AAAA/messages?key={CANARY}&token={CANARY}"},
    "telegram": {"chat_id": 5, "token": f"123456789:{CANARY}aaaaaaaaaaaa", "server": DOWN},
    "matrix": {"server": DOWN, "room": "!a:m.example", "token": CANARY},
    "ntfy": {"topic": CANARY, "token": CANARY, "server": DOWN},
    "email": {
        "host": NEVER, "port": 1, "security": "starttls", "from": "a@example.com", "to": ["b@example.com"],
        "username": "me", "password": CANARY,
    },
    "gotify": {"url": DOWN, "token": CANARY},
    "signal": {"url": f"{DOWN}/{CANARY}", "number": "+491701234567", "recipients": ["+491707654321"]},
    "alertmanager": {"url": DOWN, "username": "me", "password": CANARY},
}  # fmt: skip
"""Those that can be told to send to this machine; the others would leave it."""


def settings() -> str:
    lines = ['[[watch]]\nname = "all"\ncidrs = ["0.0.0.0/0"]\n[web]\n', f'token = "{CANARY}"\n']
    for kind, keys in SINKS.items():
        lines.append(f'[[sink]]\nname = "{kind}"\ntype = "{kind}"\n')
        lines += [f"{key} = {json.dumps(value)}\n" for key, value in keys.items()]
    lines.append(f'[foreground.manual]\ntoken = "{CANARY}m"\n[foreground.push]\n[[foreground.push.phone]]\n')
    lines.append(f'client = "{CLIENT_MACS["c1"]}"\ntoken = "{CANARY}p"\n')
    lines.append(
        f'[foreground.home_assistant]\nurl = "{DOWN}"\ntoken = "{CANARY}h"\n[[foreground.home_assistant.phone]]\n'
    )
    lines.append(f'client = "{CLIENT_MACS["c1"]}"\ninteractive = "binary_sensor.a"\n')
    lines.append(f'[foreground.mqtt]\nhost = "{NEVER}"\nport = 1\nusername = "me"\npassword = "{CANARY}"\n')
    lines.append(f'[[foreground.mqtt.phone]]\nclient = "{CLIENT_MACS["c1"]}"\ntopic = "phone"\n')
    return "".join(lines)


def holds(text: str | bytes) -> bool:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return "kanarien" in text.lower() or "a2FuYXJp" in text


def test_page_api_metrics_log_and_store(sensor: Sensor, lab: Lab, internet: Internet) -> None:
    sensor.start(settings())
    transfer(lab.c1, lab.new_address(), up=1_000)
    transfer(lab.c1, lab.new_address(block="42.62.48"), up=1_000)
    assert until(lambda: sensor.metric("idlewire_notification_retries_total") > 3, 10), sensor.log
    for bad in (f"name = {CANARY}", f'[[sink]]\nname = "a"\ntype = "slack"\nurl = "{CANARY}"\nurl_file = "{CANARY}"'):
        sensor.config.write_text(bad)
        os.kill(sensor.pid, signal.SIGHUP)
        assert until(lambda: sensor.metric("idlewire_config_last_reload_successful") == 0, 10)
    pages = ("/", "/metrics", "/healthz", *(f"/api/v1/{name}" for name in (
        "clients", "destinations", "alerts", "foreground", "outbox", "status"
    )))  # fmt: skip
    for page in pages:
        status, _, body = sensor.request(page)
        assert status == 200, page
        assert not holds(body), page
    assert not holds(sensor.log), [line for line in sensor.log.splitlines() if holds(line)]
    sensor.stop()
    for file in Path(sensor.state).iterdir():
        if file.suffix != ".mmdb":
            assert not holds(file.read_bytes()), file.name


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with the file."""
    monkeypatch.setattr("sensor.doctor.facts._geo", lambda _: None)

    def said(*words: str) -> str:
        cli.main(words)
        return "".join(capsys.readouterr())

    path = tmp_path / "idlewire.toml"
    whole = settings()
    path.write_text(f'state_dir = "{tmp_path}"\n{whole}')
    assert said("check-config", str(path)).endswith("fine\n")
    assert not holds(said("doctor", "--offline", "--config", str(path)))
    for kind in ("slack", "email", "telegram"):
        assert not holds(said("notify-test", kind, "--config", str(path)))
    for broken in (
        whole.replace("token = ", "tokn = "),
        whole.replace("url = ", "ulr = "),
        whole.replace("password = ", "host = "),
        whole.replace(f'"{CANARY}"', f'["{CANARY}"]'),
        whole.replace("token = ", "min_severity = "),
    ):
        path.write_text(broken)
        found = said("check-config", str(path))
        assert str(path) in found
        assert not holds(found)
