"""Against a server that takes what signal-cli-rest-api documents, and nothing else."""

from dataclasses import replace

import pytest

from sensor.base.settings import build
from sensor.deliver.chat.signal import Settings, Signal
from sensor.deliver.notice import Link
from sensor.errors import ConfigError
from tests.deliver.chat.far_end import (
    FarEnd,
    Reply,
    check_failures,
    fires,
    hostile,
    is_inert,
    is_over,
    opened,
    payloads,
    refusal,
)

NUMBER, FRIEND, GROUP = "+491701234567", "+491707654321", "group.ckRzaEd4VmRzNnJaASAEsasa="
SENT = "1790000002123"


def signal(got):
    """bbernhard/signal-cli-rest-api: src/api/api.go, SendMessageV2."""
    assert (got.method, got.path) == ("POST", "/secret-path/v2/send")
    body = got.json
    known = {"number", "recipients", "message", "text_mode", "quote_timestamp", "quote_author", "quote_message"}
    assert set(body) <= known
    assert body["number"] == NUMBER
    assert body["recipients"]
    assert body["text_mode"] in ("normal", "styled")
    assert 1 <= len(body["message"].encode()) <= 2_048
    if "quote_timestamp" in body:
        assert type(body["quote_timestamp"]) is int
        assert body["quote_author"] == NUMBER
        assert body["quote_message"]
    return Reply(201, {"timestamp": SENT})


def sink_at(url):
    table = {"url": f"{url}/secret-path/", "number": NUMBER, "recipients": [FRIEND, GROUP, "u:anna.01"]}
    return Signal("family", build(Settings, table), "0.1.0")


async def test_what_is_over_answers_the_first_message(examples):
    notice = replace(fires(examples), links=(Link("mute 1 h", "https://router.lan/mute?t=1"),))
    async with FarEnd(signal).running() as far, opened(sink_at(far.url)) as sink:
        first = await sink.send(notice, None)
        assert first == SENT
        assert await sink.send(is_over(examples), first) == SENT
    assert far.complaints == []
    told, over = (got.json for got in far.got)
    assert told["recipients"] == [FRIEND, GROUP, "u:anna.01"]
    assert told["message"].startswith("Warning: watchlist\nphone sent 1.2 KB to Xiaomi in CN\n")
    assert told["message"].endswith("\nmute 1 h: https://router.lan/mute?t=1")
    assert "quote_timestamp" not in told
    assert over["message"].startswith("Resolved: watchlist\n")
    assert (over["quote_timestamp"], over["quote_message"]) == (int(SENT), "watchlist")


@pytest.mark.parametrize("earlier", ["", "x", "-1", "9" * 30, "\u0664"])
async def test_what_is_no_time_is_not_answered(examples, earlier):
    async with FarEnd(signal).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(is_over(examples), earlier)
    assert far.complaints == []
    assert "quote_timestamp" not in far.got[0].json


@pytest.mark.parametrize(
    ("said", "retry"),
    [
        ("Couldn't process request - please provide at least one recipient", False),
        ("Failed to send message: Connection reset\n", True),
        ("[429] Too Many Requests", True),
        (None, True),
    ],
)
async def test_whose_fault_a_400_is(examples, said, retry):
    async with FarEnd(lambda _: Reply(400, {"error": said})).running() as far, opened(sink_at(far.url)) as sink:
        assert (await refusal(sink, fires(examples))).retry is retry


async def test_long_messages_keep_all_limits(examples):
    links = tuple(Link("mute", f"https://router.lan/{'x' * 300}") for _ in range(20))
    notice = replace(fires(examples), title="x" * 5_000, lines=("\u4e2d😀" * 2_500,) * 40, links=links)
    async with FarEnd(signal).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(notice, None)
    assert far.complaints == []


async def test_nothing_that_others_write_does_anything(examples):
    async with FarEnd(signal).running() as far, opened(sink_at(far.url)) as sink:
        for written in [*payloads(examples), "see evil.example/x now"]:
            await sink.send(hostile(examples, written), None)
    assert far.complaints == []
    for body in (got.json for got in far.got):
        assert body["text_mode"] == "normal"
        assert is_inert(body["message"])
        assert "evil.example" not in body["message"]


async def test_failures(examples, caplog, monkeypatch, tmp_path):
    await check_failures(signal, sink_at, fires(examples), ["secret-path"], caplog, monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"number": "0170 123"}, "number: expected a phone number like"),
        ({"recipients": []}, "recipients: needs at least one"),
        ({"recipients": ["anna"]}, "recipients: expected a phone number like"),
        ({"url": "localhost:8080"}, "url: the URL must begin with http"),
    ],
)
def test_settings_that_cannot_be(changes, problem):
    table = {"url": "http://127.0.0.1:8080", "number": NUMBER, "recipients": [FRIEND], **changes}
    with pytest.raises(ConfigError, match=problem):
        build(Settings, table, "sink")
