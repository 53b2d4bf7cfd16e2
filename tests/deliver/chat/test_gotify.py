"""Against a server that takes what Gotify documents, and nothing else."""

from dataclasses import replace

import pytest

from sensor.base.settings import build
from sensor.deliver.chat.gotify import Gotify, Settings
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
    self_signed,
)  # fmt: skip

TOKEN = "AKsn3rRuTx.1gWo"


def gotify(got):
    """gotify/server: docs/spec.json, model/message.go."""
    assert (got.method, got.path) == ("POST", "/push/message")
    assert got.query == {}, "a token in the address would stand in logs"
    body = got.json
    assert set(body) <= {"title", "message", "priority", "extras"}
    assert body["message"]
    assert len(body["message"].encode()) <= 16_000
    assert 1 <= len(body["title"]) <= 250
    assert 0 <= body["priority"] <= 10
    assert body["extras"]["client::display"]["contentType"] in ("text/plain", "text/markdown")
    assert set(body["extras"]) <= {"client::display", "client::notification"}
    if got.headers.get("x-gotify-key") != TOKEN:
        return Reply(401, {"error": "Unauthorized", "errorDescription": "you need to provide a valid access token"})
    return Reply(200, {"id": 25, "appid": 5, **body})


def sink_at(url, token=TOKEN, **more):
    return Gotify("family", Settings(url=f"{url}/push/", token=token, **more), "0.1.0")


async def test_a_message_and_its_end(examples):
    notice = replace(fires(examples, severity="critical"), links=(Link("mute 1 h", "https://router.lan/mute?t=1"),))
    async with FarEnd(gotify).running() as far, opened(sink_at(far.url)) as sink:
        assert await sink.send(notice, None) is None
        assert await sink.send(is_over(examples, severity="critical"), None) is None
    assert far.complaints == []
    first, over = (got.json for got in far.got)
    assert first["title"] == "Critical: watchlist"
    begin, *facts, link = first["message"].split("\n")
    assert begin == "phone sent 1.2 KB to Xiaomi in CN"
    assert "To: mi[.]com" in facts
    assert link == "mute 1 h: https://router.lan/mute?t=1"
    assert first["extras"]["client::notification"] == {"click": {"url": "https://router.lan/mute?t=1"}}
    assert first["priority"] == 8
    assert (over["title"], over["priority"]) == ("Resolved: watchlist", 2)


async def test_a_wrong_token(examples):
    async with FarEnd(gotify).running() as far, opened(sink_at(far.url, "wrong-token-1")) as sink:
        error = await refusal(sink, fires(examples))
    assert not error.retry
    assert str(error).endswith("answered 401 (you need to provide a valid access token)")
    assert "wrong-token-1" not in str(error)


async def test_long_messages_keep_all_limits(examples):
    notice = replace(fires(examples), title="x" * 5_000, lines=("\u4e2d😀" * 2_500,) * 40)
    async with FarEnd(gotify).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(notice, None)
    assert far.complaints == []


async def test_nothing_that_others_write_does_anything(examples):
    async with FarEnd(gotify).running() as far, opened(sink_at(far.url)) as sink:
        for written in [*payloads(examples), "see evil.example/x now", "![x](http://evil.example/a.png)"]:
            await sink.send(hostile(examples, written), None)
    assert far.complaints == []
    for body in (got.json for got in far.got):
        assert body["extras"] == {"client::display": {"contentType": "text/plain"}}
        for shown in (body["title"], body["message"]):
            assert is_inert(shown)
            assert "evil.example" not in shown
            assert "://" not in shown


async def test_failures(examples, caplog, monkeypatch, tmp_path):
    await check_failures(gotify, sink_at, fires(examples), [TOKEN, "/push"], caplog, monkeypatch, tmp_path)


async def test_a_server_of_ones_own(examples, tmp_path):
    async with FarEnd(gotify, self_signed(tmp_path)).running() as far:
        sink = sink_at(far.url, ca_file=str(tmp_path / "cert.pem"))
        async with opened(sink):
            await sink.send(fires(examples), None)
    assert far.complaints == []


@pytest.mark.parametrize(
    "table",
    [{}, {"url": "http://a"}, {"token": "x"}, {"url": "http://a", "token": "x y"}, {"url": "a", "token": "x"}],
)
def test_settings_that_cannot_be(table):
    with pytest.raises(ConfigError, match=r"^sink"):
        build(Settings, table, "sink")
