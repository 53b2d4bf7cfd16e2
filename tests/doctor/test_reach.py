"""Whether servers can be reached: on loopback only."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor.config import parse
from sensor.doctor.reach import Endpoint, endpoints, reach

SECRET = "a" * 40


def of(**settings: Any) -> list[tuple[str, str | None, int]]:
    return [(each.about, each.host, each.port) for each in endpoints(parse(settings))]


@pytest.mark.parametrize(
    ("sink", "host", "port"),
    [
        ({"type": "webhook", "url": f"http://127.0.0.1:9000/{SECRET}"}, "127.0.0.1", 9000),
        ({"type": "slack", "url": f"https://hooks.slack.com/services/{SECRET}"}, "hooks.slack.com", 443),
        ({"type": "telegram", "chat_id": 5, "token": f"1234567:{SECRET}"}, "api.telegram.org", 443),
        ({"type": "ntfy", "topic": "t", "server": "http://[::1]:81"}, "::1", 81),
        ({"type": "email", "host": "smtp.example", "from": "a@b.example", "to": ["a@b.example"]}, "smtp.example", 587),
        (
            {"type": "email", "host": "h", "from": "a@b.example", "to": ["a@b.example"], "security": "tls"}, "h", 465,
        ),
        ({"type": "mqtt", "host": "192.0.2.1"}, "192.0.2.1", 1883),
        ({"type": "mqtt", "host": "192.0.2.1", "tls": True}, "192.0.2.1", 8883),
        ({"type": "pushover", "token": "a" * 30, "user_token": "u" * 30}, "api.pushover.net", 443),
        ({"type": "webhook", "url_file": "/nowhere"}, None, 0),
    ],
)  # fmt: skip
def test_where_a_sink_sends_to(sink: dict[str, Any], host: str | None, port: int) -> None:
    [(about, found, number)] = of(sink=[{"name": "lab", **sink}])
    assert (about, found) == ("sink lab", host)
    assert host is None or number == port


def test_a_url_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("https://chat.example:444/x\n")
    assert of(sink=[{"name": "lab", "type": "slack", "url_file": str(file)}]) == [("sink lab", "chat.example", 444)]


def test_sources_that_connect_and_those_that_do_not() -> None:
    phone = {"client": "60:38:e0:c5:35:a0", "serial": "x"}
    assert of(foreground={"adb": {"phone": [phone]}, "schedule": {}, "push": {}}) == [
        ("foreground.adb", "127.0.0.1", 5037)
    ]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def test_one_that_listens_hears_not_a_word(listener: socket.socket) -> None:
    assert reach(Endpoint("x", "127.0.0.1", listener.getsockname()[1])).error is None
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(1) == b""


def test_one_that_does_not() -> None:
    assert reach(Endpoint("x", "127.0.0.1", 1)).error == "Connection refused"
    assert reach(Endpoint("x", "a" * 300, 1)).error
    assert reach(Endpoint("x", None, 0)).error is None
