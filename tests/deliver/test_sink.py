"""What a plug-in is, and what far ends may write into Retry-After."""

import time
from email.utils import formatdate

import pytest

from sensor.base.settings import build
from sensor.deliver.sink import SINKS, Sink, SinkGone, retry_after
from sensor.errors import ConfigError


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("-5", -5),
        ("1000000000", 1e9),
        (" 1.5 ", 1.5),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("1e9", None),
        ("9" * 99, 1e99),
        ("9" * 5000, None),
        ("Mon, 99 Zzz 9999 99:99:99 GMT", None),
        (None, None),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after(header) == pytest.approx(seconds)


def test_retry_after_as_a_date():
    assert retry_after(formatdate(time.time() + 100, usegmt=True)) == pytest.approx(100, abs=3)


async def test_a_sink_needs_no_more_than_send():
    class Quiet(Sink):
        async def send(self, alert):
            pass

    sink = Quiet("quiet", "0.1.0")
    sink.prepare()
    await sink.open()
    await sink.send({})
    await sink.close()
    assert not SinkGone("gone").retry


def test_every_plugin_keeps_the_contract():
    assert "webhook" in SINKS.names()
    for name in SINKS.names():
        assert issubclass(SINKS.find(name), Sink)


def test_from_a_table_to_a_sink():
    plugin = SINKS.find("webhook")
    settings = build(plugin.settings_type, {"url": "http://127.0.0.1:9000/hook"}, "sink[0]")
    assert plugin("lab", settings, "0.1.0").name == "lab"


@pytest.mark.parametrize("kind", ["../x", "os", "__init__", "", "webhook.py", "sensor.deliver.sink"])
def test_unknown_types_are_refused(kind):
    with pytest.raises(ConfigError, match=r"no sink type called .*known: .*webhook"):
        SINKS.find(kind)
