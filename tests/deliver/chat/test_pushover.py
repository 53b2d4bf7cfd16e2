"""Against a server that holds messages to what pushover.net/api documents."""

from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from sensor.base.settings import build
from sensor.deliver.chat import pushover
from sensor.deliver.chat.pushover import Pushover, Settings
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

TOKEN, USER = "azGDORePK8gMaC0QOYAMyEEuzJnyUi", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
RECEIPT = "rLqVuqTRh62UzxtmqiaLzQmVcPgiCy"


def values(got):
    return {key: value for key, [value] in parse_qs(got.body.decode("ascii"), strict_parsing=True).items()}


def service(got):
    assert got.method == "POST"
    assert got.headers["content-type"] == "application/x-www-form-urlencoded"
    body = values(got)
    if body.pop("token") != TOKEN:
        return Reply(400, {"token": "invalid", "errors": ["application token is invalid"], "status": 0})
    if got.path == f"/1/receipts/{RECEIPT}/cancel.json":
        assert body == {}
        return Reply(200, {"status": 1})
    assert got.path == "/1/messages.json"
    assert body.pop("user") == USER
    assert 1 <= len(body.pop("message")) <= 1_024
    assert 1 <= len(body.pop("title")) <= 250
    assert len(body.pop("url", "")) <= 512
    assert len(body.pop("url_title", "")) <= 100
    assert body.pop("timestamp").isdecimal()
    assert body.pop("device", "phone") == "phone"
    priority = int(body.pop("priority"))
    assert -2 <= priority <= 2
    if priority == 2:
        assert int(body.pop("retry")) >= 30
        assert int(body.pop("expire")) <= 10_800
    assert body == {}
    return Reply(200, {"status": 1, "request": "647d2300", **({"receipt": RECEIPT} if priority == 2 else {})})


@pytest.fixture
def sink_at(monkeypatch):
    def make(url, **more):
        monkeypatch.setattr(pushover, "API", f"{url}/1")
        return Pushover("family", Settings(**{"token": TOKEN, "user_token": USER, **more}), "0.1.0")

    return make


async def test_a_message_and_its_end(examples, sink_at):
    links = (Link("mute 1 h", "https://router.lan/mute?t=1"), Link("page", "https://router.lan/"))
    async with FarEnd(service).running() as far, opened(sink_at(far.url, device="phone")) as sink:
        assert await sink.send(replace(fires(examples, severity="critical"), links=links), None) is None
        assert await sink.send(is_over(examples, severity="critical"), None) is None
    assert far.complaints == []
    first, over = map(values, far.got)
    assert (first["title"], first["priority"], first["device"]) == ("Critical: watchlist", "1", "phone")
    assert (first["url"], first["url_title"]) == ("https://router.lan/mute?t=1", "mute 1 h")
    assert first["message"].startswith("phone sent 1.2 KB to Xiaomi in CN\nSent: 1.2 KB\n")
    assert first["message"].endswith("\npage: https://router.lan/")
    assert (over["title"], over["priority"]) == ("Resolved: watchlist", "-1")


async def test_an_emergency_rings_until_it_is_over(examples, sink_at):
    async with FarEnd(service).running() as far, opened(sink_at(far.url, emergency=True)) as sink:
        assert await sink.send(fires(examples), None) is None, "only what is critical"
        receipt = await sink.send(fires(examples, severity="critical"), None)
        assert receipt == RECEIPT
        assert await sink.send(is_over(examples, severity="critical"), receipt) is None
    assert far.complaints == []
    assert [got.path for got in far.got[1:]] == [
        "/1/messages.json",
        "/1/messages.json",
        f"/1/receipts/{RECEIPT}/cancel.json",
    ]


async def test_an_emergency_that_cannot_be_taken_back_is_told_once(examples, sink_at):
    def broken(got):
        return Reply(500) if "receipts" in got.path else service(got)

    async with FarEnd(broken).running() as far, opened(sink_at(far.url, emergency=True)) as sink:
        assert await sink.send(is_over(examples, severity="critical"), RECEIPT) is None
    assert len(far.got) == 2


async def test_refused(examples, sink_at):
    wrong = "b" * 30
    async with FarEnd(service).running() as far, opened(sink_at(far.url, token=wrong)) as sink:
        error = await refusal(sink, fires(examples))
        assert not error.retry
        assert str(error).endswith("answered 400 (application token is invalid)")
        far.service = lambda _: Reply(400, {"errors": [f"no {USER}"], "status": 0})
        assert USER not in str(await refusal(sink, fires(examples)))
        far.service = lambda _: Reply(200, {"status": 0})
        assert (await refusal(sink, fires(examples))).retry


async def test_it_is_left_alone_after_an_error(examples, sink_at):
    async with FarEnd(lambda _: Reply(500)).running() as far, opened(sink_at(far.url)) as sink:
        assert (await refusal(sink, fires(examples))).retry_after == 5


async def test_long_messages_keep_all_limits(examples, sink_at):
    links = tuple(Link("l" * 300, f"https://router.lan/{'x' * length}") for length in (600, 100, 3_000))
    notice = replace(fires(examples), title="😀" * 5_000, lines=("a.b 😀" * 5_000,) * 40, links=links)
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        await sink.send(notice, None)
        await sink.send(replace(notice, links=links[1:]), None)
    assert far.complaints == []
    assert "url" not in values(far.got[0])
    assert "url" in values(far.got[1])


async def test_nothing_that_others_write_does_anything(examples, sink_at):
    async with FarEnd(service).running() as far, opened(sink_at(far.url)) as sink:
        for written in [*payloads(examples), "see evil.example/x now", "&priority=2&url=http://evil.example"]:
            await sink.send(hostile(examples, written), None)
    assert far.complaints == []
    for body in map(values, far.got):
        assert "html" not in body
        assert "url" not in body
        for shown in (body["title"], body["message"]):
            assert is_inert(shown)
            assert "evil.example" not in shown


async def test_failures(examples, sink_at, caplog, monkeypatch, tmp_path):
    with pytest.MonkeyPatch.context() as own:
        await check_failures(service, sink_at, fires(examples), [TOKEN, USER], caplog, own, tmp_path)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"user_token": USER}, "needs token or token_file"),
        ({"token": TOKEN}, "needs user_token or user_token_file"),
        ({"token": "short", "user_token": USER}, "token: expected 30 letters and digits"),
        ({"token": TOKEN, "user_token": USER, "device": "my phone"}, "device: not the name of a phone"),
    ],
)
def test_settings_that_cannot_be(table, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        build(Settings, table, "sink")
    assert TOKEN not in str(caught.value)
